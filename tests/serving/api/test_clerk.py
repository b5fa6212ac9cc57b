"""The audit hears of every decision before the log does, and of refusals as far as nobody can fill a disk with them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from models.home import Home
from serving.access.audit_lines import Line, audit_key, audit_path, head_path
from serving.access.audit_reading import page, verify
from serving.access.keys import add, keys_path
from serving.access.policy import Role
from serving.api.clerk import PRINCIPALS, STRANGERS
from serving.service_cli import app
from serving.stream.log_entries import Kept, Kind
from tests.serving.logs_of_posts import kept_in
from tests.serving.posting import Heard, call, gated, home_of, new

KILLS = int(os.environ.get("SECMESH_AUDIT_KILLS", "2"))
ALL = 10_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_of(tmp_path / "home")


def lines_of(home: Home) -> list[Line]:
    return page(audit_path(home), audit_key(home), 0, ALL).lines


def outcomes(home: Home) -> list[str]:
    return [line.outcome for line in lines_of(home)]


def entries_of(home: Home, kind: Kind) -> list[Kept]:
    return [one for part in kept_in(home.var / "events.db") for one in part if one.entry.kind is kind]


def posted(routes: Starlette) -> None:
    assert call(routes, "POST", "/v1/events", body=new().encode()).status == 200


def forget(routes: Starlette, key: str, since: int = 1, **headers: str) -> Heard:
    body = json.dumps({"principal": "local", "since": since, "reason": "a liar"}).encode()
    return call(routes, "POST", "/v1/forgettings", {"idempotency-key": key} | headers, body)


# Decisions


def test_a_decision_is_begun_before_it_is_in_the_log_and_done_behind(home: Home) -> None:
    with gated(home) as (routes, _):
        posted(routes)
        assert forget(routes, "a").status == 200
    begun, done = lines_of(home)
    assert (begun.principal, begun.role, begun.action, begun.reason) == ("local", "admin", "events:forget", "a liar")
    assert (begun.outcome, begun.target, begun.idempotency_key) == ("begun", "local since 1", "a")
    assert (done.outcome, done.target, done.reason) == ("done", begun.target, "line 1: position 2 of the event log")


def test_a_decision_that_comes_again_is_done_as_before_and_one_that_cannot_be_kept_has_failed(home: Home) -> None:
    with gated(home) as (routes, door):
        posted(routes)
        posted(routes)
        statuses = [forget(routes, "a").status, forget(routes, "a").status, forget(routes, "a", since=2).status]
        assert door.head() == (3, 2)
    assert statuses == [200, 200, 409]
    assert outcomes(home) == ["begun", "done", "begun", "done", "begun", "failed"]
    assert lines_of(home)[3].reason.endswith("position 3 of the event log, as before")


def test_nobodys_decision_passes_for_that_of_somebody_else(home: Home) -> None:
    keys = [add(keys_path(home), name, Role.ADMIN, datetime.now(UTC), token_bytes) for name in ("ann", "bob")]
    ann, bob = ({"authorization": f"Bearer {key}"} for key in keys)
    body = json.dumps({"principal": "ann", "since": 1, "reason": "x"}).encode()
    with gated(home) as (routes, _):
        assert call(routes, "POST", "/v1/events", ann, new().encode()).status == 200
        heard = [
            call(routes, "POST", "/v1/forgettings", who | {"idempotency-key": "a"}, body).status
            for who in (ann, bob, ann)
        ]
    assert heard == [200, 409, 200]
    assert [one.entry.principal for one in entries_of(home, Kind.FORGET)] == ["ann"]


def test_what_the_audit_cannot_take_is_not_decided_and_is_once_it_can(home: Home) -> None:
    with gated(home) as (routes, door):
        posted(routes)
        forget(routes, "a")
        head = head_path(audit_path(home)).read_bytes()
        head_path(audit_path(home)).write_bytes(b"{}")
        before = door.head()
        heard = forget(routes, "b")
        assert (heard.status, json.loads(heard.body)["title"]) == (503, "Not audited")
        assert heard.headers["retry-after"] == "5"
        assert call(routes, "GET", "/v1/audit").status == 503
        assert door.head() == before
        posted(routes)  # events are taken all the same
        head_path(audit_path(home)).write_bytes(head)
        assert forget(routes, "b", since=2).status == 200
    assert outcomes(home) == ["begun", "done"] * 2


WRITER = """
import itertools, sys
from pathlib import Path
from models.home import Home
from tests.serving.api.test_clerk import forget, posted
from tests.serving.posting import gated
with gated(Home.at(Path(sys.argv[1]))) as (routes, _):
    posted(routes)
    for number in itertools.count():
        assert forget(routes, f"{sys.argv[2]}-{number}").status == 200
        print(number, flush=True)
"""


def test_killed_at_any_moment_it_has_decided_nothing_that_the_audit_has_not_heard_of(home: Home) -> None:
    chance, acknowledged = random.Random(7), set[str | None]()  # noqa: S311  # no secret
    for kill in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(home.var.parent), str(kill)]
        with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own text
            assert process.stdout
            acknowledged |= {f"{kill}-{process.stdout.readline().strip()}"}
            time.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            acknowledged |= {f"{kill}-{line.strip()}" for line in process.stdout}
    begun = {line.idempotency_key for line in lines_of(home) if line.outcome == "begun"}
    done = {line.idempotency_key for line in lines_of(home) if line.outcome == "done"}
    decided = {one.entry.key for one in entries_of(home, Kind.FORGET)}
    assert acknowledged <= done <= decided <= begun
    assert len(begun - done) <= KILLS
    assert verify(audit_path(home), audit_key(home)).lines == len(lines_of(home))


# Refusals


def refused(routes: Starlette, count: int, headers: dict[str, str], status: int) -> None:
    for number in range(count):
        client = f"10.0.{number >> 8}.{number & 255}"
        assert call(routes, "GET", "/v1/audit", headers, client=client).status == status


def test_strangers_fill_no_disk_and_hide_no_refusal_of_somebody_known(home: Home) -> None:
    keys = {
        name: add(keys_path(home), name, role, datetime.now(UTC), token_bytes)
        for name, role in (("sensor", Role.INGEST), ("ann", Role.ANALYST))
    }
    with gated(home) as (routes, _):
        refused(routes, 300, {"authorization": "Bearer smk_guess"}, 401)
        refused(routes, 100, {"authorization": f"Bearer {keys['sensor']}"}, 403)
        refused(routes, 1, {"authorization": f"Bearer {keys['ann']}"}, 403)
    lines = lines_of(home)
    found = Counter(line.principal if line.role != "stranger" else "stranger" for line in lines)
    assert found == {"stranger": STRANGERS.burst, "sensor": PRINCIPALS.burst, "ann": 1}
    assert {line.outcome for line in lines} == {"refused"}
    assert (lines[0].principal, lines[0].action, lines[0].target) == ("10.0.0.0", "audit:read", "/v1/audit")
    assert lines[-1].reason == "audit:read is not for analyst of main; 80 refused before are not written down"
    assert len(lines) + told(lines) == 401


def told(lines: list[Line]) -> int:
    """How many refusals the lines count that are not among them."""
    words = (line.reason.partition("; ")[2].split() for line in lines)
    return sum(int(some[0]) for some in words if some)


def test_what_was_only_counted_is_told_when_the_service_ends(home: Home) -> None:
    key = add(keys_path(home), "sensor", Role.INGEST, datetime.now(UTC), token_bytes)
    with gated(home) as (routes, _):
        refused(routes, 50, {"authorization": f"Bearer {key}"}, 403)
    assert lines_of(home)[-1].principal == "secmesh"
    assert told(lines_of(home)) == 50 - PRINCIPALS.burst


@pytest.mark.parametrize("target", ["/v1/threats", "/v1/events", "/healthz"])
def test_only_refusals_of_decisions_are_written_down(home: Home, target: str) -> None:
    add(keys_path(home), "ann", Role.ADMIN, datetime.now(UTC), token_bytes)
    with gated(home) as (routes, _):
        call(routes, "POST" if target.endswith("events") else "GET", target)
    assert not audit_path(home).exists()


def test_whatever_a_stranger_asks_for_a_line_of_it_is_short(home: Home) -> None:
    add(keys_path(home), "ann", Role.ADMIN, datetime.now(UTC), token_bytes)
    with gated(home) as (routes, _):
        for letter in ("x", "\x1b", "\U0001f600", "\x00"):
            assert call(routes, "POST", f"/v1/threats/{letter * 9000}/answers").status == 401
    sizes = [len(line) for line in audit_path(home).read_bytes().splitlines()]
    assert len(sizes) == 4
    assert max(sizes) < 5000


# Somebody else


def test_keys_made_and_revoked_at_the_command_line_while_a_service_decides_are_in_the_same_audit(home: Home) -> None:
    key = add(keys_path(home), "ann", Role.ADMIN, datetime.now(UTC), token_bytes)
    ann, at = {"authorization": f"Bearer {key}"}, ["--home", str(home.var.parent)]
    body = json.dumps({"principal": "ann", "since": 1, "reason": "x"}).encode()
    with gated(home) as (routes, _):
        assert call(routes, "POST", "/v1/events", ann, new().encode()).status == 200
        for words in (["add", "bob", "--role", "ingest"], ["revoke", "bob"], ["revoke", "bob"]):
            assert call(routes, "POST", "/v1/forgettings", ann, body).status == 200
            CliRunner().invoke(app, ["keys", *words, *at])
    assert verify(audit_path(home), audit_key(home)).lines == 9
    assert [(line.role, line.outcome) for line in lines_of(home)] == [
        *[("admin", "begun"), ("admin", "done"), ("shell", "begun"), ("shell", "done")],
        *[("admin", "begun"), ("admin", "done"), ("shell", "done")],
        *[("admin", "begun"), ("admin", "done")],
    ]
