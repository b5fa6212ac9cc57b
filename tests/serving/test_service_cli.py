"""The commands of the service: the endpoint opens and closes, keys are handed out, the log is folded again."""

import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import serving.cli
from models.home import Home
from serving.access.audit_lines import audit_key, audit_path
from serving.access.audit_reading import page
from serving.access.tenancy import claim
from serving.service_cli import app
from tests.serving.logs_of_posts import post, posts_of, written

CLI = [sys.executable, "-c", "import serving.service_cli; serving.service_cli.app(prog_name='secmesh')"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(serving.cli.__file__).parents[1])}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECMESH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def audited(home: Path) -> list[tuple[str, str, str]]:
    lines = page(audit_path(Home.at(home)), audit_key(Home.at(home)), 0, 100).lines
    return [(line.target, line.outcome, line.reason) for line in lines]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_endpoint_opens_answers_and_closes(home: Path) -> None:
    command = [*CLI, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:  # noqa: S603  # our own words
        assert process.stdout
        told = process.stdout.readline()
        port = int(told.split("127.0.0.1:")[1].split(";")[0])
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/healthz")
        assert json.loads(connection.getresponse().read()) == {"status": "ok"}
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_ctrl_c_is_how_people_stop_the_endpoint(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.api.service.serve", stopped)
    result = run("serve", "--port", 0)
    assert result.exit_code == 0
    assert result.stdout.startswith("listening on http://127.0.0.1:")
    assert result.stderr == ""


def test_an_address_that_is_taken_is_one_line(home: Path) -> None:
    result = run("serve", "--host", "192.0.2.1")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: 192.0.2.1:8787: ")


def test_beyond_this_machine_keys_are_needed(home: Path) -> None:
    result = run("serve", "--host", "0.0.0.0", "--port", 0)  # noqa: S104  # refused
    assert result.exit_code == 1
    assert "secmesh keys add" in result.stderr


def test_a_key_is_shown_once_listed_and_revoked(home: Path) -> None:
    key = run("keys", "add", "firewall", "--role", "ingest", "--days", 30).stdout.strip()
    assert key.startswith("smk_")
    listed = run("keys", "list").stdout
    assert "firewall" in listed
    assert "good" in listed
    assert key not in listed
    assert key not in (home / "var" / "keys.json").read_text()
    assert run("keys", "revoke", "firewall").stdout.startswith("revoked: firewall (")
    assert run("keys", "revoke", "firewall").exit_code != 0
    wrong = run("keys", "add", "x", "--role", "king")
    assert wrong.exit_code != 0
    assert "expected one of ingest, analyst, data-scientist, admin" in wrong.stderr


def test_the_log_is_replayed_to_a_position_and_forgets_whom_it_should(home: Path, estate: Path) -> None:
    path = home / "var" / "events.db"
    written(path, [post(events, f"sensor-{n % 2}") for n, events in enumerate(posts_of(estate, 900, 300))])
    assert "as of position 2: 600 events, release None" in run("replay", "--to", 2).stdout
    told = run("forget", "sensor-1", "--since", 1).stdout
    assert told == "300 events of sensor-1 are forgotten, says position 4 of the log\n"
    assert run("forget", "sensor-2", "--since", 1).exit_code != 0
    assert audited(home) == [
        ("sensor-1 since 1", "begun", "at the command line"),
        ("sensor-1 since 1", "done", "line 1: position 4 of the event log"),
        ("sensor-2 since 1", "begun", "at the command line"),
        ("sensor-2 since 1", "failed", f"line 3: {path}: 'sensor-2' of 'main' sent nothing from position 1 on"),
    ]
    assert "no position 9" in run("replay", "--to", 9).stderr


def test_each_key_that_is_made_or_revoked_is_in_the_audit(home: Path) -> None:
    id = run("keys", "add", "firewall", "--role", "ingest", "--days", 30).stdout.split("_")[1]
    run("keys", "add", "firewall", "--role", "admin")
    run("keys", "revoke", "firewall")
    run("keys", "revoke", "firewall")
    (begun, done, again, failed, revoked) = audited(home)
    assert begun == ("firewall", "begun", "a key for the role ingest of main, 30 days")
    assert done == ("firewall", "done", f"line 1: the key {id}")
    assert (again[1], failed[1]) == ("begun", "failed")
    assert revoked == ("firewall", "done", f"the key {id} is revoked")


def test_whatever_is_typed_is_in_the_audit_as_text(home: Path) -> None:
    for typed in ("x" * 5000, "\udcff", "\x1b[31m"):
        assert run("keys", "add", typed, "--role", "ingest").exit_code == 2
    assert [target for target, outcome, _ in audited(home) if outcome == "failed"] == [
        "x" * 2048,
        "\\udcff",
        "\x1b[31m",
    ]
    assert "\x1b" not in run("audit").stdout


def test_where_the_audit_cannot_be_written_no_key_is_made_and_a_key_is_revoked_all_the_same(home: Path) -> None:
    key = run("keys", "add", "firewall", "--role", "ingest").stdout
    (home / "var" / "audit.jsonl").write_text("")
    refused = run("keys", "add", "eve", "--role", "admin")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "eve" not in run("keys", "list").stdout
    revoked = run("keys", "revoke", "firewall")
    assert (revoked.exit_code, revoked.stdout) == (1, f"revoked: firewall ({key.split('_')[1]})\n")
    assert "audit.jsonl, line 2: " in revoked.stderr


def test_the_audit_is_told_verified_and_held_to_a_mark(home: Path) -> None:
    assert run("audit").stdout.endswith(f"mark 0:{'0' * 64}\n")
    run("keys", "add", "firewall", "--role", "ingest")
    told = run("audit").stdout
    assert "keys:write" in told
    held = told.split()[-1]
    run("keys", "add", "proxy", "--role", "ingest")
    for words in (["--verify"], ["--held", held], ["--verify", "--most", 0]):
        assert "whole; mark 4:" in run("audit", *words).stdout
    assert run("audit", "--held", "4").exit_code == 2
    path = home / "var" / "audit.jsonl"
    path.write_text(path.read_text().replace("firewall", "fireball", 1))
    for words in (["--verify"], ["--held", held], []):
        wrong = run("audit", *words)
        assert wrong.exit_code == 1
        assert "audit.jsonl, line 1: it was changed" in wrong.stderr
    assert run("audit", "--most", 1).exit_code == 0


def test_an_installation_is_served_to_one_tenant(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.api.service.Door", pytest.fail)  # it would serve for ever
    claim(Home.at(home), "acme")
    refused = run("serve", "--port", 0)
    assert refused.exit_code == 2
    assert "of the tenant 'acme', not 'main'" in refused.stderr
