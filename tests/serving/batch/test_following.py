"""Each event of logs that grow has its verdict once in the output, whatever stops the run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import serving.cli
from features.events import Domain
from features.positions import DamagedPositions
from models import bundle
from models.bundle import BundleRefused
from models.home import Home
from models.registry import Registry
from models.releases import find, model_name, promote, rollback
from serving import succession
from serving.batch import books, following
from serving.batch.following import follow
from serving.batch.outputs import UnusableOutput
from serving.batch.refusals import Refused
from serving.batch.scoring import score

CLI = [sys.executable, "-c", "import serving.cli; serving.cli.app(prog_name='secmesh')"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(serving.cli.__file__).parents[1])}
START_MS = 1_700_000_000_000


def event(number: int, seconds: float | None = None) -> str:
    """A connection, by its number, at so many seconds."""
    ends = {
        "src_endpoint": {"ip": f"10.0.0.{number % 7}"},
        "dst_endpoint": {"ip": "10.0.1.1", "port": 440 + number % 3},
    }
    at = START_MS + int(1000 * (number if seconds is None else seconds))
    return json.dumps({"class_uid": 4001, "time": at, "metadata": {"uid": f"e{number}"}} | ends) + "\n"


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(lines)


class Desk:
    """A folder with logs, and runs over them that act between two looks."""

    def __init__(self, folder: Path, home: Home) -> None:
        self.logs, self.output, self.registry = folder / "logs", folder / "verdicts.ndjson", Registry(home)
        self.logs.mkdir()
        self.log = self.logs / "a.log"
        self.said: list[str] = []

    def run(self, *acts: Callable[[], object], paths: Iterable[Path] = (), **more: Any) -> int:
        """Look, do the first act, look, and so on; two looks more at the end."""
        coming: Iterator[Callable[[], object]] = iter([*acts, lambda: None])

        def pause(seconds: float) -> bool:
            if not seconds:
                return False
            act = next(coming, None)
            if act:
                act()
            return act is None

        chosen = [str(path) for path in paths or [self.logs]]
        return follow(chosen, self.output, self.registry, pause=pause, say=self.say, **more)

    def say(self, lines: Iterable[str], kind: str) -> None:
        self.said += [line for line in lines if "no registry at" not in line]

    def append(self, *lines: str) -> Callable[[], object]:
        return lambda: append(self.log, *lines)

    def verdicts(self) -> pl.DataFrame:
        return pl.DataFrame(
            [json.loads(line) for line in self.output.read_text().splitlines()], infer_schema_length=None
        )

    def uids(self) -> list[str]:
        return [json.loads(line)["uid"] for line in self.output.read_text().splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, Home.at(tmp_path / "home"))


def as_lines(verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(line) for line in verdicts.sort("seq").write_ndjson().splitlines()]


def without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def as_scored_whole(desk: Desk, *paths: Path) -> bool:
    """Whether what followed is what comes out where the logs are scored as a whole, but for whether it was late."""
    whole = as_lines(score(paths or [desk.logs], registry=desk.registry).verdicts)
    found = [json.loads(line) for line in desk.output.read_text().splitlines()]
    return without(found, "late") == whole


# What comes out


def test_a_log_that_grows_has_the_verdicts_of_the_whole(desk: Desk) -> None:
    append(desk.log, *(event(n) for n in range(50)))
    more = desk.append(*(event(n) for n in range(50, 80)))
    half = desk.append(event(80)[:30])
    assert desk.run(more, half, desk.append(event(80)[30:])) == 81
    assert as_scored_whole(desk)
    assert not desk.verdicts()["late"].any()


def test_an_estate_is_followed_as_it_is_scored(tmp_path: Path, estate: Path, champion: Home) -> None:
    desk = Desk(tmp_path, champion)
    lines = (estate / "network.jsonl").read_text().splitlines(keepends=True)
    append(desk.log, *lines[:3000])
    desk.run(desk.append(*lines[3000:3001]), desk.append(*lines[3001:]))
    whole = score([desk.log], registry=desk.registry).verdicts
    found = desk.verdicts()
    assert found["uid"].to_list() == whole.sort("seq")["uid"].to_list()
    assert found["p_online"].equals(whole.sort("seq")["p_online"])
    assert np.allclose(found["p"], whole.sort("seq")["p"], atol=1e-3)
    assert found["release"].unique().to_list() == [1]


def test_events_out_of_order_are_put_in_order_and_what_is_too_late_passes_them_and_is_marked(desk: Desk) -> None:
    append(desk.log, event(0, 100), event(1, 95), event(2, 101))
    desk.run(desk.append(event(3, 50), event(4, 102)), horizon=timedelta(seconds=10))
    assert desk.verdicts().select("uid", "late").rows() == [
        ("e3", True),
        ("e1", False),
        ("e0", False),
        ("e2", False),
        ("e4", False),
    ]


def test_events_wait_for_older_ones_from_other_logs_while_lines_come(desk: Desk) -> None:
    other = desk.logs / "b.log"
    append(desk.log, event(0, 100))
    desk.run(lambda: append(other, event(1, 95), event(2, 130)), horizon=timedelta(seconds=20))
    assert desk.uids() == ["e1", "e0", "e2"]


def test_what_waits_is_given_when_a_look_finds_nothing_new(desk: Desk) -> None:
    seen: list[list[str]] = []
    append(desk.log, event(0))
    look = lambda: seen.append(desk.output.read_text().splitlines())  # noqa: E731  # an act
    desk.run(look, look)
    assert [len(lines) for lines in seen] == [0, 1]


def test_refused_records_are_listed_beside_and_each_kind_is_said_once(desk: Desk) -> None:
    append(desk.log, event(0), "{\n", "{\n")
    desk.run(desk.append("{\n"), desk.append(event(1)))
    listed = pl.read_ndjson(desk.output.with_name("verdicts.refused.ndjson"))
    assert listed["line"].to_list() == [1, 2, 3]
    assert len(desk.said) == 1
    assert "[and 1 like it]" in desk.said[0]
    assert desk.uids() == ["e0", "e1"]


def test_strict_stops_at_the_first_record_refused_and_meets_it_again(desk: Desk) -> None:
    append(desk.log, event(0))
    for _ in range(2):
        with pytest.raises(Refused, match=r"a\.log, line 1: .* stopped there because of --strict"):
            desk.run(desk.append("{\n"), strict=True)
    assert desk.run() == 1
    assert desk.uids() == ["e0"]


def test_its_own_files_are_not_followed(desk: Desk) -> None:
    append(desk.log, event(0))
    desk.output = desk.logs / "out.ndjson"
    assert desk.run(desk.append(event(1)), lambda: None) == 2
    assert desk.run() == 0
    assert desk.said == []


# Going on


def test_a_run_that_goes_on_knows_what_the_one_before_knew(desk: Desk) -> None:
    for start in range(0, 90, 30):
        append(desk.log, *(event(n) for n in range(start, start + 30)))
        assert desk.run() == 30
    assert as_scored_whole(desk)


def test_a_log_that_rotates_while_nobody_looks_is_read_to_its_end(desk: Desk) -> None:
    append(desk.log, *(event(n) for n in range(9)))
    desk.run(paths=[desk.log])
    append(desk.log, event(9))
    desk.log.rename(desk.log.with_name("a.log.1"))
    append(desk.log, event(10))
    desk.run(paths=[desk.log])
    assert desk.uids() == [f"e{n}" for n in range(11)]
    assert desk.verdicts()["seq"].to_list() == list(range(11))


# Another release


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look is one at the champion, too."""
    monkeypatch.setattr(succession, "EVERY_SECONDS", 0.0)


def crown(registry: Registry, number: int) -> None:
    promote(registry, find(registry, number), reason="a test")


def releases_of(desk: Desk) -> list[int]:
    return [json.loads(line)["release"] for line in desk.output.read_text().splitlines()]


@pytest.mark.usefixtures("at_once")
def test_a_promoted_release_takes_over_between_two_looks_and_goes_when_it_is_rolled_back(
    desk: Desk, twice: Registry
) -> None:
    append(desk.log, *(event(n) for n in range(20)))
    desk.run(
        lambda: None,
        lambda: crown(twice, 2),
        desk.append(*(event(n) for n in range(20, 50))),
        lambda: None,
        lambda: rollback(twice),
        desk.append(*(event(n) for n in range(50, 60))),
    )
    assert desk.uids() == [f"e{n}" for n in range(60)]
    assert desk.verdicts()["seq"].to_list() == list(range(60))
    assert releases_of(desk) == [1] * 20 + [2] * 30 + [1] * 10
    assert desk.said == [
        "release 2 scores from here on, after release 1",
        "release 1 scores from here on, after release 2",
    ]


@pytest.mark.usefixtures("at_once")
def test_what_the_online_models_say_is_not_touched_by_a_promotion(desk: Desk, twice: Registry) -> None:
    append(desk.log, *(event(n) for n in range(20)))
    desk.run(lambda: crown(twice, 2), desk.append(*(event(n) for n in range(20, 50))))
    found, _ = desk.verdicts(), rollback(twice)
    whole = score([desk.logs], registry=twice).verdicts.sort("seq")
    assert found["p_online"].equals(whole["p_online"])
    assert not found["p_offline"].equals(whole["p_offline"])


@pytest.mark.usefixtures("at_once")
def test_a_damaged_release_is_said_and_the_one_before_scores_on(desk: Desk, twice: Registry) -> None:
    def crown_and_damage() -> None:
        crown(twice, 2)
        arrays = twice.fetch(model_name(Domain.NETWORK), 2) / "arrays.safetensors"
        arrays.write_bytes(arrays.read_bytes()[:-1])

    append(desk.log, *(event(n) for n in range(20)))
    desk.run(crown_and_damage, desk.append(event(20)), lambda: None)
    assert releases_of(desk) == [1] * 21
    (said,) = desk.said
    assert said.startswith("release 2 is refused: secmesh-network version 2: ")


def test_a_release_that_was_promoted_while_nobody_looked_succeeds_the_one_before(desk: Desk, twice: Registry) -> None:
    append(desk.log, *(event(n) for n in range(30)))
    desk.run()
    crown(twice, 2)
    append(desk.log, *(event(n) for n in range(30, 60)))
    assert desk.run() == 30
    assert desk.said == ["release 2 scores from here on, after release 1"]
    assert desk.verdicts()["seq"].to_list() == list(range(60))
    assert releases_of(desk) == [1] * 30 + [2] * 30
    found, _ = desk.verdicts(), rollback(twice)
    assert found["p_online"].equals(score([desk.logs], registry=twice).verdicts.sort("seq")["p_online"])


def test_the_first_release_succeeds_a_mesh_of_none(desk: Desk, two_releases: Path) -> None:
    append(desk.log, *(event(n) for n in range(30)))
    desk.run()
    desk.registry = Registry(Home.at(two_releases))
    append(desk.log, event(30))
    assert desk.run() == 1
    assert desk.said == ["release 1 scores from here on, after no release"]
    assert desk.verdicts()["seq"].to_list() == list(range(31))


def test_an_agent_of_another_recipe_begins_anew_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    append(desk.log, *(event(n) for n in range(30)))
    with monkeypatch.context() as patched:
        patched.setattr(following, "manifest_of", lambda agent: {"words": "others"})
        desk.run()
    append(desk.log, event(30))
    assert desk.run() == 1
    assert desk.said == [f"{domain} has another recipe: its agent knows nothing yet" for domain in Domain]
    assert desk.verdicts()["seq"].to_list() == list(range(31))


class Crash(BaseException):
    """The machine stops here."""


@contextmanager
def crashing_at(step: int) -> Iterator[list[int]]:
    """Stop at the so-manieth thing that touches the disk; how many there were."""
    steps = [0]

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **more: Any) -> Any:
            steps[0] += 1
            if steps[0] == step:
                raise Crash
            return act(*arguments, **more)

        return stepping

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bundle, "_keep", counted(bundle._keep))
        patched.setattr(Path, "replace", counted(Path.replace))
        patched.setattr(books.Journal, "append", counted(books.Journal.append))
        patched.setattr(shutil, "rmtree", counted(shutil.rmtree))
        yield steps


def crash() -> None:
    raise Crash


def scene(desk: Desk) -> None:
    """Lines that come out of order, a record refused, a rotation, and a time when lines never stop."""
    shuffled = list(range(40))
    random.Random(1).shuffle(shuffled)  # noqa: S311  # not a secret
    append(desk.log, *(event(n, n // 8) for n in shuffled))
    desk.run(
        desk.append("{\n", event(40, 5)),
        desk.append(event(41, 6)),
        lambda: None,
        lambda: desk.log.rename(desk.log.with_name("a.log.1")),
        desk.append(event(42, 100)),
        horizon=timedelta(seconds=3),
    )


def test_whenever_the_machine_stops_each_event_is_in_the_output_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BUSY_EVENTS", 10)
    with crashing_at(0) as steps:
        (tmp_path / "whole").mkdir()
        whole = Desk(tmp_path / "whole", Home.at(tmp_path / "home"))
        scene(whole)
    assert steps[0] > 20
    expected = sorted(whole.uids())
    assert expected == sorted(f"e{n}" for n in range(43))
    for step in range(1, steps[0] + 1):
        folder = tmp_path / str(step)
        folder.mkdir()
        desk = Desk(folder, Home.at(tmp_path / "home"))
        with crashing_at(step), pytest.raises(Crash):
            scene(desk)
        gone = {line for log in desk.logs.iterdir() for line in log.read_text().splitlines(keepends=True)}
        append(desk.log, *(line for line in ["{\n", *(event(n, s) for n, s in LATER)] if line not in gone))
        desk.run()
        assert sorted(desk.uids()) == expected, step
        assert desk.verdicts()["seq"].to_list() == list(range(43)), step
        refused = desk.output.with_name("verdicts.refused.ndjson").read_text().splitlines()
        assert len(refused) == 1, step


#: What the scene writes while it is followed.
LATER = [(40, 5), (41, 6), (42, 100)]


def test_what_positions_speak_of_is_on_disk_before_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        steps.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])
        sync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        steps.append(f"replaced {target.name}")
        return replace(path, target)

    append(desk.log, event(0), "{\n")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    desk.run()
    last = len(steps) - 1 - steps[::-1].index("replaced verdicts.positions.json")
    before = steps[steps.index("replaced verdicts.positions.json") + 1 : last]
    assert {"verdicts.ndjson", "verdicts.refused.ndjson", "arrays.safetensors", "manifest.json"} <= set(before)


def test_events_that_wait_when_the_machine_stops_are_scored_in_their_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BUSY_LOOKS", 1)
    append(desk.log, event(0, 100), event(1, 80))
    with pytest.raises(Crash):
        desk.run(desk.append(event(2, 105)), crash, horizon=timedelta(seconds=30))
    append(desk.log, event(3, 90))
    desk.run(horizon=timedelta(seconds=30))
    assert desk.uids() == ["e1", "e3", "e0", "e2"]
    assert desk.verdicts()["seq"].to_list() == [0, 1, 2, 3]


@pytest.mark.usefixtures("at_once")
def test_a_run_that_is_stopped_after_a_promotion_goes_on_from_the_very_moment_of_it(
    desk: Desk, twice: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BUSY_LOOKS", 1000)

    def lines(begin: int, end: int) -> Callable[[], object]:
        return desk.append(*(event(n) for n in range(begin, end)))

    def crown_and_write() -> None:
        crown(twice, 2)
        lines(40, 60)()

    acts = [lines(20, 40), crown_and_write, lines(60, 80)]
    append(desk.log, *(event(n) for n in range(20)))
    with pytest.raises(Crash):
        desk.run(*acts, crash, horizon=timedelta(seconds=5))
    desk.run(horizon=timedelta(seconds=5))
    stopped = desk.output.read_text()
    for path in desk.output.parent.glob("verdicts*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    desk.log.unlink()
    rollback(twice)
    append(desk.log, *(event(n) for n in range(20)))
    desk.run(*acts, lambda: None, horizon=timedelta(seconds=5))
    assert desk.output.read_text() == stopped
    assert releases_of(desk) == sorted(releases_of(desk))
    assert set(releases_of(desk)) == {1, 2}
    assert desk.uids() == [f"e{n}" for n in range(80)]


@pytest.mark.usefixtures("at_once")
def test_whenever_the_machine_stops_during_a_promotion_each_event_is_in_the_output_once(
    desk: Desk, twice: Registry
) -> None:
    begun = [0]

    def promote() -> None:
        begun[0] = steps[0]
        crown(twice, 2)

    def run() -> None:
        append(desk.log, *(event(n) for n in range(20)))
        desk.run(promote, desk.append(*(event(n) for n in range(20, 40))))

    def forget() -> None:
        for path in [desk.log, *desk.output.parent.glob("verdicts*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        crown(twice, 1)

    with crashing_at(0) as steps:
        run()
    assert set(releases_of(desk)) == {1, 2}
    for step in range(begun[0] + 1, steps[0] + 1):
        forget()
        with crashing_at(step), pytest.raises(Crash):
            run()
        written = len(desk.log.read_text().splitlines())
        append(desk.log, *(event(n) for n in range(written, 40)))
        desk.run()
        assert desk.uids() == [f"e{n}" for n in range(40)], step
        assert desk.verdicts()["seq"].to_list() == list(range(40)), step
        assert releases_of(desk) == sorted(releases_of(desk)), step


# What cannot be


def test_what_cannot_be_appended_to_or_followed_is_told(desk: Desk) -> None:
    append(desk.log, event(0))
    desk.output = desk.output.with_suffix(".parquet")
    with pytest.raises(UnusableOutput, match=r"nothing can be appended to Parquet; name .*verdicts\.ndjson"):
        desk.run()
    desk.output = desk.output.with_suffix(".ndjson")
    with pytest.raises(UnusableOutput, match="standard input cannot be followed"):
        desk.run(paths=[Path("-")])
    desk.output.write_text("{}\n")
    with pytest.raises(UnusableOutput, match=r"is there already, and no verdicts\.positions\.json beside it"):
        desk.run()


def test_an_output_that_another_run_appends_to_is_left_to_it(desk: Desk) -> None:
    append(desk.log, event(0))

    def other() -> None:
        with pytest.raises(UnusableOutput, match="another run appends to it"):
            desk.run()

    assert desk.run(other) == 1


def test_an_output_that_became_shorter_and_positions_of_others_are_refused(desk: Desk) -> None:
    append(desk.log, event(0))
    desk.run()
    kept = desk.output.read_text()
    desk.output.write_text("")
    with pytest.raises(UnusableOutput, match="has 0 bytes where"):
        desk.run()
    desk.output.write_text(kept)
    positions = desk.output.with_name("verdicts.positions.json")
    before = positions.read_text()
    positions.write_text('{"logs": []}')
    with pytest.raises(DamagedPositions, match="does not say what was done"):
        desk.run()
    positions.write_text(before)
    append(desk.log, event(1))
    assert desk.run() == 1


def test_a_mesh_that_was_changed_does_not_go_on(desk: Desk) -> None:
    append(desk.log, event(0))
    desk.run()
    for folder in desk.output.parent.glob("verdicts.mesh-*"):
        arrays = folder / "arrays.safetensors"
        arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleRefused, match="sha256"):
        desk.run()


# As a process


class Process:
    """`secmesh score --follow` over the logs of a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        command = [*CLI, "score", str(desk.logs), "--follow", "--output", str(desk.output)]
        home = {"SECMESH_HOME": str(desk.output.parent / "home")}
        self.process = subprocess.Popen(  # noqa: S603  # our own words
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT | home
        )

    def wait_for(self, *uids: str) -> None:
        """Wait until these events have their verdicts."""
        for _ in range(600):
            text = self.desk.output.read_text() if self.desk.output.exists() else ""
            if all(f'"uid":"{uid}"' in text for uid in uids):
                return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.1)
        raise AssertionError(text)

    def stop(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        told = self.process.communicate(timeout=60)
        return self.process.returncode, *told


def test_a_process_goes_on_after_kill_9_rotation_and_ctrl_c(desk: Desk) -> None:
    append(desk.log, *(event(n) for n in range(20)))
    first = Process(desk)
    first.wait_for("e19")
    append(desk.log, event(20))
    first.wait_for("e20")
    append(desk.log, event(21))
    assert first.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    desk.log.rename(desk.log.with_name("a.log.1"))
    append(desk.log, event(22))
    second = Process(desk)
    second.wait_for("e22")
    code, told, errors = second.stop(signal.SIGINT)
    assert code == 0
    assert told.splitlines()[0] == f"following {desk.logs}; verdicts go to {desk.output}; stop with Ctrl-C"
    assert told.splitlines()[1].endswith(f"appended to {desk.output}; the same command goes on from here")
    assert "Traceback" not in errors
    append(desk.log, event(23))
    third = Process(desk)
    third.wait_for("e23")
    assert third.stop(signal.SIGTERM)[0] == 0
    assert desk.uids() == [f"e{n}" for n in range(24)]
    whole = as_lines(score([desk.log.with_name("a.log.1"), desk.log], registry=desk.registry).verdicts)
    found = [json.loads(line) for line in desk.output.read_text().splitlines()]
    assert without(found, "late", "source", "line") == without(whole, "source", "line")


def test_a_process_takes_a_promoted_release_and_goes_on_with_it_after_kill_9(desk: Desk, twice: Registry) -> None:
    append(desk.log, *(event(n) for n in range(20)))
    first, number = Process(desk), 20
    first.wait_for("e19")
    crown(twice, 2)
    while 2 not in releases_of(desk):
        append(desk.log, event(number))
        first.wait_for(f"e{number}")
        number += 1
    append(desk.log, *(event(n) for n in range(number, number + 50)))
    assert first.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    append(desk.log, event(number + 50))
    second = Process(desk)
    second.wait_for(f"e{number + 50}")
    code, _, errors = second.stop(signal.SIGINT)
    assert code == 0
    # Killed before it kept that the release had changed, it changes again, and says so again.
    assert errors in ("", "champion: release 2 scores from here on, after release 1\n")
    assert desk.uids() == [f"e{n}" for n in range(number + 51)]
    assert desk.verdicts()["seq"].to_list() == list(range(number + 51))
    releases = releases_of(desk)
    assert releases == sorted(releases)
    assert set(releases) == {1, 2}
