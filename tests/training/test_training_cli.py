"""The commands that train, as people meet them."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import training.demo
import training.jobs
from features.events import Domain
from features.logs import read_logs
from models import bundle, champions, releases
from models.home import Home
from models.registry import Registry
from models.releases import champion
from training.cli import app
from training.simulation import simulate

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "mlflow", "polars", "numba", "matplotlib", "river", "numpy"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small estate's logs, cut short: 300 lines each."""
    folder = tmp_path_factory.mktemp("logs")
    simulate(folder, seed=1, days=1, users=2, play=0)
    for path in folder.glob("*.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:300]))
    return folder


@pytest.fixture(autouse=True)
def _few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs for all jobs, as `epochs` is no option of the commands."""
    job = training.jobs.train

    def short(*args: object, **settings: object) -> object:
        return job(*args, **settings | {"epochs": 2})  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(training.jobs, "train", short)
    monkeypatch.setattr(training.demo, "train", short)


def test_help_waits_for_nothing_heavy() -> None:
    code = f"import sys, training.cli; print(sorted({HEAVY} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    assert told.stdout.strip() == "[]"


def test_train_promotes_what_it_learned(logs: Path, registry: Registry) -> None:
    result = run("train", "dns", "--data", logs, "--home", registry.home.var.parent)
    assert result.exit_code == 0, result.output
    assert "dns: version 1, learned from 300 events" in result.stdout
    assert "release 1 is the champion" in result.stdout
    again = run("train", "cloud", "--data", logs / "cloud.jsonl", "--home", registry.home.var.parent)
    assert "dns: version 1, as before" in again.stdout


def test_a_list_of_logs_from_the_shell_is_taken_whole(logs: Path, registry: Registry) -> None:
    paths = [logs / "dns.jsonl", logs / "cloud.jsonl"]
    result = run("train", "--home", registry.home.var.parent, "--data", *paths)
    assert result.exit_code == 0, result.output
    release = champion(registry)
    assert release
    assert set(release.members) == {Domain.DNS, Domain.CLOUD}


def test_home_comes_from_the_environment_too(logs: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECMESH_HOME", str(registry.home.var.parent))
    assert run("train", "--data", logs / "cloud.jsonl").exit_code == 0
    assert champion(registry)


def test_good_records_are_learned_from_and_bad_ones_named(tmp_path: Path, logs: Path, registry: Registry) -> None:
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text((logs / "dns.jsonl").read_text() + "{broken\n" * 8)
    result = run("train", "--data", mixed, "--home", registry.home.var.parent)
    assert result.exit_code == 0
    assert "learned from 300 events" in result.stdout
    assert f"warning: {mixed} line 300: " in result.stderr
    assert "and 3 more refused records" in result.stderr


def test_only_events_between_two_times_are_learned_from(logs: Path, registry: Registry) -> None:
    times = read_logs([logs / "dns.jsonl"]).events[Domain.DNS]["time"]
    since, until = times[100].isoformat(), times[200].isoformat()
    wanted = ((times >= times[100]) & (times < times[200])).sum()
    span = ["--since", since, "--until", until, "--home", registry.home.var.parent]
    result = run("train", "--data", logs / "dns.jsonl", *span)
    assert result.exit_code == 0, result.output
    assert f"learned from {wanted} events" in result.stdout
    assert f"{300 - wanted} of 300 events are not between --since and --until" in result.stderr


def test_a_stopped_training_goes_on_with_the_same_command_and_then_leaves_nothing_behind(
    logs: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "--data", logs / "dns.jsonl", "--home", registry.home.var.parent]
    kept = registry.home.var / "training"

    def stopped(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr("training.jobs.fit_counted", stopped)
        assert run(*command).exit_code == 130
    assert list(kept.iterdir())
    monkeypatch.setattr("training.shelf.read", lambda *_: pytest.fail("the logs were read again"))
    again = run(*command)
    assert again.exit_code == 0, again.output
    assert not list(kept.iterdir())


def test_a_domain_that_the_logs_lack_is_named(logs: Path, registry: Registry) -> None:
    result = run("train", "dns", "web", "--data", logs / "dns.jsonl", "--home", registry.home.var.parent)
    assert result.exit_code == 0
    assert "warning: the logs hold no web events" in result.stderr


def test_logs_without_an_event_train_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    result = run("train", "--data", tmp_path / "empty.jsonl", "--home", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: there is no event to learn from")
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--data", "/no/such/log"], "/no/such/log"),
        (["train", "dsn", "--data", "/dev/null"], "dsn: neither a domain (identity, network, dns"),
        (["train", "--data", "/dev/null", "--format", "xml"], "format 'xml' is not known"),
        (["train", "--data", "/dev/null", "--since", "yesterday"], "--since 'yesterday': expected an ISO date"),
        (["train", "--data", "/dev/null", "--device", "abacus"], "device 'abacus' is not here"),
        (["simulate", "--out", "{tmp}/out", "--campaigns", "/no/such/folder"], "/no/such/folder"),
        (["demo", "--home", "{tmp}", "--campaigns", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_what_cannot_be_done_as_asked_is_one_line_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert told in result.stderr
    assert not (tmp_path / "var" / "training").exists()


def test_a_place_that_cannot_be_written_is_one_line_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("simulate", "--out", tmp_path / "file" / "out", "--days", 1, "--users", 1)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["train", "--data", "{logs}", "--home", "{tmp}"], "the same command goes on where it stopped"),
        (["simulate", "--out", "{tmp}/out"], "the same command writes it anew"),
        (["demo", "--home", "{tmp}"], "the same command starts again"),
    ],
)
def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], hint: str
) -> None:
    def stopped(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.shelf.read", stopped)
    monkeypatch.setattr("training.simulation.simulate", stopped)
    monkeypatch.setattr("training.demo.simulate", stopped)
    result = run(*(word.format(tmp=tmp_path, logs=logs) for word in command))
    assert result.exit_code == 130
    assert result.stderr.startswith("stopped; ")
    assert hint in result.stderr


def test_simulate_counts_what_it_wrote(tmp_path: Path) -> None:
    result = run("simulate", "--out", tmp_path / "out", "--days", 2, "--users", 3, "--seed", 1)
    assert result.exit_code == 0, result.output
    assert {path.stem for path in (tmp_path / "out").glob("*.jsonl")} == set(Domain)
    assert "identity events" in result.stdout
    assert "truth.json" not in result.stderr


def test_the_demo_prints_threats_with_the_truth_and_what_to_do_next(tmp_path: Path, registry: Registry) -> None:
    home = registry.home.var.parent
    result = run("demo", "--home", home, "--days", 1, "--users", 3, "--seed", 2)
    assert result.exit_code == 0, result.output
    flat = " ".join(result.stdout.split())
    assert "rank" in flat
    assert "attacks are among the 10 highest threats" in flat
    assert "events scored a second" in flat
    assert f"open {home}/var/demo/seed-2/report.html" in result.stdout
    assert "secmesh models" in flat
    assert f"mlflow ui --backend-store-uri sqlite:///{home}/mlruns/mlflow.db" in result.stdout


# Releases


@pytest.fixture(scope="module")
def three(logs: Path, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three releases of dns: 1 and then 2 were promoted, the gate refused 3. Do not write to it."""
    home = Home.at(tmp_path_factory.mktemp("three"))
    home.mlruns.mkdir()
    shutil.copy(template, home.mlruns / "mlflow.db")
    registry = Registry(home)
    for value in (1.0, 2.0, 3.0):
        with registry.run("train", "nightly", {}, {}) as run:
            bundle.write(home.var / "bundles" / str(value), {"w": np.array([value])}, {"kind": "agent"})
            version = registry.register(releases.model_name(Domain.DNS), home.var / "bundles" / str(value), run)
            release = releases.publish(registry, run, {Domain.DNS: version})
        if release.number < 3:
            releases.promote(registry, release)
    releases.note(registry, release, is_taken=False, reason="it is worse in dns")
    return home.var.parent


@pytest.fixture
def home(three: Path, tmp_path: Path) -> Path:
    shutil.copytree(three, tmp_path / "home")
    return tmp_path / "home"


def number(home: Path) -> int:
    """The champion's number."""
    release = champion(Registry(Home.at(home)))
    assert release is not None
    return release.number


def test_what_the_gate_refused_is_promoted_for_a_reason_alone(home: Path) -> None:
    refused = run("promote", "--home", home)
    assert refused.exit_code == 2
    assert "the gate refused release 3: it is worse in dns" in refused.stderr
    assert number(home) == 2
    result = run("promote", "--home", home, "--reason", "the gate is too strict")
    assert result.exit_code == 0, result.output
    assert "release 3 is the champion" in result.stdout
    assert number(home) == 3
    assert champions.read(Home.at(home)).acts[-1].reason == "the gate is too strict"


def test_rollback_goes_back_and_promote_goes_to_any_release_by_its_number(home: Path) -> None:
    result = run("rollback", "--home", home, "--reason", "too loud")
    assert result.exit_code == 0, result.output
    assert "release 1 is the champion again" in result.stdout
    assert number(home) == 1
    again = run("rollback", "--home", home)
    assert again.exit_code == 1
    assert "no release was champion before this one" in again.stderr
    assert run("promote", 2, "--home", home).exit_code == 0
    assert number(home) == 2
    assert run("promote", 1, "--home", home).exit_code == 2
    assert run("promote", 1, "--home", home, "--reason", "by name").exit_code == 0
    assert number(home) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["promote", "9"], "no secmesh-release version 9 here: `secmesh models`"),
        (["compare", "dns@champion", "zzz"], "no run 'zzz'"),
        (["evaluate", "{tmp}/log", "--labels", "{tmp}/labels.csv", "--release", "9"], "no secmesh-release version 9"),
    ],
)
def test_what_is_not_there_is_one_line(home: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "log").touch()
    (tmp_path / "labels.csv").write_text("uid,label\na,1\n")
    result = run(*(argument.format(tmp=tmp_path) for argument in arguments), "--home", home)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_where_nothing_was_trained_nothing_is_promoted(tmp_path: Path, command: str) -> None:
    result = run(command, "--home", tmp_path)
    assert result.exit_code == 1
    assert "train first with `secmesh train`" in result.stderr


def test_a_release_is_compared_and_evaluated_by_the_commands(logs: Path, tmp_path: Path, registry: Registry) -> None:
    root = registry.home.var.parent
    for seed in (1, 2):
        assert run("train", "dns", "--data", logs / "dns.jsonl", "--home", root, "--seed", seed).exit_code == 0
    compared = run("compare", "dns/1", "dns/2", "--home", root)
    assert compared.exit_code == 0, compared.output
    assert "seed" in compared.stdout
    (tmp_path / "labels.csv").write_text("line,label\n" + "".join(f"{line},{int(line < 9)}\n" for line in range(300)))
    report = tmp_path / "report.md"
    settings = ["--labels", tmp_path / "labels.csv", "--output", report, "--home", root]
    evaluated = run("evaluate", logs / "dns.jsonl", *settings)
    assert evaluated.exit_code == 0, evaluated.output
    assert "dns" in evaluated.stdout
    assert report.exists()
