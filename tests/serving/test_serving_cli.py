"""The serving commands say in plain words what they did, what was wrong, where, and what helps."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import serving.cli
from agents.terminal import inert
from features.events import Domain
from models.bundle import ARRAYS
from models.home import Home
from serving.cli import app

CLI = [sys.executable, "-c", "import serving.cli; serving.cli.app(prog_name='secmesh')"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(serving.cli.__file__).parents[1])}


def event(number: int, **more: object) -> str:
    plain = {"class_uid": 4001, "time": 1_700_000_000_000 + number, "src_endpoint": {"ip": "10.0.0.1"}}
    return json.dumps(plain | more)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small good log; the current folder is its own, and so is the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECMESH_HOME", str(tmp_path / "home"))
    path = tmp_path / "log"
    path.write_text(f"{event(1)}\n{event(2)}\n")
    return path


def run(*arguments: object, **more: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **more)


def errors(result: Result) -> list[str]:
    """What went to the terminal beside the output, but for the warning that nothing was trained."""
    return [line for line in result.stderr.splitlines() if "no registry at" not in line]


# score


def test_score_writes_verdicts_here_unless_told_otherwise(log: Path) -> None:
    result = run("score", log)
    assert result.exit_code == 0
    assert result.stdout == "2 events scored; wrote verdicts.parquet; no record was refused\n"
    assert pl.read_parquet("verdicts.parquet").height == 2


def test_score_makes_the_folder_of_its_output(log: Path) -> None:
    assert run("score", log, "--output", "a/b/v.parquet").exit_code == 0
    assert pl.read_parquet("a/b/v.parquet").height == 2


def test_score_without_a_registry_warns_in_one_line(log: Path) -> None:
    (warning,) = run("score", log).stderr.splitlines()
    assert warning.startswith("warning: no registry at")
    assert "secmesh train" in warning


def test_score_names_what_it_refused_and_goes_on(log: Path) -> None:
    bad = log.with_name("bad.gz")
    bad.write_bytes(gzip.compress("".join(f"{event(n)}\n" for n in range(9000)).encode())[:-2000])
    empty = log.with_name("empty")
    empty.write_text("")
    log.write_text(f"{event(1)}\n{{\n{event(2)}\n")
    result = run("score", log, bad, empty)
    assert result.exit_code == 0
    garbled, cut, nothing = errors(result)
    assert garbled.startswith(f"refused: {log}, line 1: line: ")
    assert cut == f"refused: {bad}: file: the gzip data ends early; copy the file again, or leave it out"
    assert nothing.startswith(f"refused: {empty}: file: the log is empty")
    assert pl.read_ndjson("verdicts.refused.ndjson").height == 3
    assert pl.read_parquet("verdicts.parquet").height > 100


def test_strict_stops_at_the_first_record_refused_and_writes_nothing(log: Path) -> None:
    log.write_text(f"{event(1)}\nnot a record\n{event(2)}\nnor this\n")
    result = run("score", log, "--strict")
    assert result.exit_code == 1
    (error,) = errors(result)
    assert f"{log}, line 1" in error
    assert "--strict" in error
    assert not Path("verdicts.parquet").exists()
    assert run("score", log).exit_code == 0
    log.write_text(f"{event(1)}\n")
    assert run("score", log, "--strict").exit_code == 0


def test_score_follow_takes_what_it_can_append_to(log: Path) -> None:
    result = run("score", log, "--follow", "--output", "v.parquet")
    assert result.exit_code == 2
    assert errors(result) == [
        "error: v.parquet: nothing can be appended to Parquet; name a file of lines, such as v.ndjson"
    ]


def test_score_follow_scores_until_it_is_stopped(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(seconds: float) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("time.sleep", stop)
    before = signal.getsignal(signal.SIGTERM)
    result = run("score", "*og", "--follow", "--horizon", 5)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "following *og; verdicts go to verdicts.ndjson; stop with Ctrl-C",
        "2 events scored; appended to verdicts.ndjson; the same command goes on from here",
    ]
    assert pl.read_ndjson("verdicts.ndjson")["line"].to_list() == [0, 1]
    assert signal.getsignal(signal.SIGTERM) is before


# convert


def test_convert_writes_a_file_for_each_domain_that_scores_as_the_logs_do(
    estate: Path, champion: Home, log: Path
) -> None:
    home = ("--home", champion.mlruns.parent)
    result = run("convert", estate, "--output", "events")
    assert result.exit_code == 0
    assert result.stdout == "22,594 events converted; wrote events; no record was refused\n"
    assert sorted(path.name for path in Path("events").iterdir()) == [f"{domain}.parquet" for domain in sorted(Domain)]
    assert run("score", estate, *home).exit_code == 0
    assert run("score", "events", *home, "--output", "again.parquet").exit_code == 0
    scored, again = pl.read_parquet("verdicts.parquet"), pl.read_parquet("again.parquet")
    assert again.sort("seq").equals(scored.sort("seq"))


def test_a_conversion_that_is_converted_is_the_same(estate: Path, log: Path) -> None:
    run("convert", estate, "--output", "one")
    run("convert", "one", "--output", "two")
    for path in Path("one").iterdir():
        assert (Path("two") / path.name).read_bytes() == path.read_bytes()


def test_convert_lists_what_it_refused_and_reads_standard_input(log: Path) -> None:
    result = run("convert", "-", log, "--output", "a/events", input=f"{event(7)}\n{{\n")
    assert result.exit_code == 0
    assert (
        result.stdout == "3 events converted; wrote a/events; refused records are listed in a/events.refused.ndjson\n"
    )
    assert errors(result)[0].startswith("refused: -, line 1: line: ")
    assert pl.read_parquet("a/events/network.parquet")["source"].to_list() == ["-", str(log), str(log)]
    assert pl.read_ndjson("a/events.refused.ndjson")["source"].to_list() == ["-"]
    assert sorted(path.name for path in Path("a").iterdir()) == ["events", "events.refused.ndjson"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--output", "events"], "nowhere: no such file or folder"),
        (["log", "--output", "log"], "log: is there already; name a new folder as --output"),
        ([".", "--output", "x"], "x: is in ., which is read; name a folder elsewhere as --output"),
        (["log", "--output", "events", "--format", "magic"], "format 'magic' is not known"),
    ],
)
def test_a_conversion_that_cannot_be_leaves_nothing(log: Path, arguments: list[str], words: str) -> None:
    before = sorted(log.parent.rglob("*"))
    result = run("convert", *arguments)
    assert result.exit_code == 2
    assert words in errors(result)[0]
    assert sorted(log.parent.rglob("*")) == before


def test_a_conversion_that_fails_leaves_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(log.parent.rglob("*"))
    assert run("convert", log, "--output", "events").exit_code == 1
    log.write_text(log.read_text() + "{\n")
    assert run("convert", log, "--output", "events", "--strict").exit_code == 1
    assert sorted(log.parent.rglob("*")) == before


# formats


def test_formats_says_what_each_log_is_taken_for(log: Path) -> None:
    log.with_name("letter").write_text("Dear all,\n")
    result = run("formats", log, log.with_name("letter"))
    assert result.exit_code == 0
    assert "ocsf" in result.stdout
    assert "no sign of" in " ".join(result.stdout.split())
    assert run("formats", log.with_name("letter")).exit_code == 1
    assert run("formats", log.with_name("none")).exit_code == 2


@pytest.mark.parametrize("command", ["score", "rank"])
def test_an_input_with_nothing_good_fails_and_says_why(log: Path, command: str) -> None:
    log.write_text("hello\n")
    result = run(command, log, "--output", "out.x")
    assert result.exit_code == 1
    (line,) = errors(result)
    assert line.startswith(f"refused: {log}: format: no known log format; expected one of")
    assert Path("out.x").exists()
    assert pl.read_ndjson("out.refused.ndjson")["source"].to_list() == [str(log)]


def test_a_wrong_format_fails_with_what_helps(log: Path) -> None:
    result = run("score", log, "--format", "zeek")
    assert result.exit_code == 1
    unmapped, line = errors(result)
    assert unmapped.startswith("unmapped: zeek: ")
    assert line.startswith(f"refused: {log}, line 0: ")
    assert "try --format auto" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such file or folder; check the path"),
        (["log", "--format", "magic"], "format 'magic' is not known; known are auto"),
        (["log", "--output", "log"], "log: is one of the logs to read; name another --output"),
        (["log", "--output", "."], ".: is a folder; name a file in it as --output"),
    ],
)
@pytest.mark.parametrize("command", ["score", "rank"])
def test_a_wrong_question_fails_with_2_and_one_line(log: Path, command: str, arguments: list[str], words: str) -> None:
    result = run(command, *arguments)
    assert result.exit_code == 2
    (line,) = errors(result)
    assert line.startswith("error: ")
    assert words in line


def test_a_disk_that_fails_is_one_line(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("score", log)
    assert result.exit_code == 1
    assert errors(result) == ["error: No space left on device; make room or rights for it and try again"]


def test_a_champion_that_was_changed_is_an_error_and_nothing_is_written(log: Path, champion: Home) -> None:
    arrays = sorted(champion.mlruns.rglob(ARRAYS))[-1]
    good = arrays.read_bytes()
    arrays.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    try:
        result = run("score", log, "--home", champion.mlruns.parent)
    finally:
        arrays.write_bytes(good)
    assert result.exit_code == 1
    (line,) = errors(result)
    assert line.startswith("error: secmesh-")
    assert "sha256" in line
    assert not Path("verdicts.parquet").exists()


def test_standard_input_is_called_by_a_dash(log: Path) -> None:
    result = run("score", "-", log, input=f"{event(7)}\n{{\n")
    assert result.exit_code == 0
    assert pl.read_parquet("verdicts.parquet")["source"].to_list() == ["-", str(log), str(log)]
    assert errors(result)[0].startswith("refused: -, line 1: line: ")
    assert list((log.parent / "home" / "var").iterdir()) == []


# rank


def test_rank_prints_threats_with_reasons_and_writes_only_if_asked(estate: Path, champion: Home, log: Path) -> None:
    before = sorted(Path().iterdir())
    result = run("rank", estate, "--home", champion.mlruns.parent, "--most", 3)
    assert result.exit_code == 0
    assert errors(result) == ["unmapped: ocsf: 6.4 % of the fields are in no column: metadata.version (22,594)"]
    assert "unusual" in result.stdout
    assert re.search(r"^threats: \d listed, \d below the cut, in 22,594 events$", result.stdout, re.MULTILINE)
    assert sorted(Path().iterdir()) == before
    written = run("rank", estate, "--home", champion.mlruns.parent, "--most", 3, "--output", "t/threats.json")
    assert written.stdout.endswith("events; wrote t/threats.json; no record was refused\n")
    assert [threat["rank"] for threat in json.loads(Path("t/threats.json").read_text())] == [1, 2, 3]
    assert [path.name for path in Path("t").iterdir()] == ["threats.json"]


def test_hostile_text_is_inert_on_the_terminal(log: Path) -> None:
    hostile = "\x1b[2J\x9b31m[bold red]x[/] <script>alert(1)</script>\u202egpj.exe"
    evil = log.with_name("evil\x1b[1m[bold]")
    names = {"device": {"hostname": hostile}, "actor": {"user": {"name": hostile}}, "activity_name": hostile}
    lines = [event(n, dst_endpoint={"ip": "10.0.0.9", "port": 443}) for n in range(300)]
    evil.write_text("\n".join([*lines, event(301, **names, app_name=hostile), f'{{"x": "{hostile}'] * 2))
    result = run("rank", evil, env={"COLUMNS": "400"})
    assert result.exit_code == 0
    shown = result.stdout + result.stderr
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "\\x1b[2j" in shown.lower()
    assert "[bold" in shown


def test_control_characters_are_spelled_out() -> None:
    assert inert("a\tb\n\x1b[0m\u202e[red]é") == "a\\tb\\n\\x1b[0m\\u202e[red]é"


# models


def test_models_lists_the_champion_release_first(champion: Home) -> None:
    result = run("models", "--home", champion.mlruns.parent, env={"COLUMNS": "160"})
    assert result.exit_code == 0
    rows = [row for row in result.stdout.splitlines() if "secmesh-" in row]
    assert len(rows) == 7
    assert "secmesh-release" in rows[0]
    assert "champion" in rows[0]
    assert "events 2.259e+04" in rows[0]


def test_models_without_a_registry_says_what_to_do(log: Path) -> None:
    result = run("models")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: no registry at")
    assert "secmesh train" in line


# the commands as processes


def test_score_as_a_process_reads_a_pipe(log: Path) -> None:
    done = subprocess.run(  # noqa: S603  # our own words
        [*CLI, "score", "-"],
        input=log.read_bytes(),
        capture_output=True,
        env=ENVIRONMENT | {"SECMESH_HOME": str(log.parent / "home")},
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout == b"2 events scored; wrote verdicts.parquet; no record was refused\n"
    assert done.stderr.startswith(b"warning: no registry at")


def test_ctrl_c_stops_with_a_word(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.batch.scoring.score", stopped)
    result = run("score", log)
    assert result.exit_code == 130
    assert errors(result) == ["stopped; the same command starts again"]
    assert not Path("verdicts.parquet").exists()
