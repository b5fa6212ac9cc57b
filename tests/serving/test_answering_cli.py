"""What was ranked can be explained and answered, and what an answer changes is seen before it is kept."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agents.consensus.threats import Threat
from serving.cli import app
from serving.threats.answer_book import AnswerBook
from serving.threats.answering import guidance
from serving.threats.docket import keep, kept
from serving.threats.ranking import threats_of
from tests.serving.dockets import docket


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `var` of the home that commands go to; three threats were ranked there."""
    monkeypatch.setenv("SECMESH_HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "lena")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    keep(docket("mail", "web", "pc"), tmp_path / "var")
    return tmp_path / "var"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def threats(var: Path) -> list[Threat]:
    last = kept(var)
    return threats_of(last, guidance(last, AnswerBook(var).read().answers))


def rows(result: Result) -> list[list[str]]:
    """The cells of all rows of tables in the output."""
    lines = (line for line in result.stdout.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_a_threat_explains_itself(var: Path) -> None:
    first = threats(var)[0]
    for name in (first.id, first.id[:4], "1"):
        result = run("explain", name)
        assert (result.exit_code, result.stderr) == (0, "")
        head = result.stdout.splitlines()[:5]
        assert head[0] == f"threat {first.id}, rank 1, score {first.score:.1f}"
        assert head[1] == "host MAIL"
        assert head[3].startswith("listed: too few threats of earlier days are known")
        assert head[4] == "+2.5 nats of the score are criticality that people stated; host mail is critical"
        assert ["endpoint", "11.4", "12.0", "1 x", "launch: program mail.exe, rare anywhere"] in rows(result)
        assert ["endpoint", "none", "", "it would be gone"] in rows(result)
        assert ["dns", "1", "11.4", "nothing"] in rows(result)
        assert ["what people told", "3", "8.9", "-2.5"] in rows(result)


def test_a_preview_shows_the_effect_and_keeps_nothing(var: Path) -> None:
    first, second, _ = threats(var)
    before = sorted(var.rglob("*"))
    shown = run("feedback", first.id, "false", "--preview")
    assert shown.exit_code == 0
    (own,) = (row for row in rows(shown) if row[0] == first.id)
    assert own[1] == "1, score 11.4"
    assert own[2].startswith("(3), score ")
    assert own[3] == "host MAIL"
    assert shown.stdout.endswith(
        f"lena says false of threat {first.id}; nothing is kept: leave out --preview to keep it\n"
    )
    assert second.id in shown.stdout
    assert sorted(var.rglob("*")) == before
    done = run("feedback", first.id, "false")
    assert rows(done) == rows(shown)
    assert AnswerBook(var).read().answers[0].is_true is False


def test_an_answer_counts_until_it_is_withdrawn(var: Path) -> None:
    first = threats(var)[0]
    assert run("feedback", first.id[:5], "false", "--analyst", "ann", "--reason", "a test of ours").exit_code == 0
    told = run("explain", first.id)
    assert "not listed: people found it to be false" in told.stdout
    assert f"ann said false of {first.id}: a test of ours" in told.stdout
    assert run("feedback", first.id[:5], "withdraw", "--analyst", "bob").exit_code == 2
    back = run("feedback", first.id[:5], "withdraw", "--analyst", "ann")
    assert back.stdout.endswith(f"ann says withdrawn of threat {first.id}; kept in {var / 'answers.jsonl'}\n")
    assert run("explain", first.id).stdout.splitlines()[3].startswith("listed")
    listed = rows(run("answers"))
    assert [[row[1], row[2], row[3]] for row in listed if row[1]] == [
        [first.id, "false", "ann"],
        [first.id, "withdrawn", "ann"],
    ]


def test_only_ids_are_answered_since_ranks_move(var: Path) -> None:
    result = run("feedback", 1, "true")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: threat '1': ranks move with every answer; name it by its id, which is {threats(var)[0].id}\n"
    )
    assert not AnswerBook(var).path.exists()


def test_what_is_not_there_or_damaged_is_one_line(var: Path) -> None:
    assert run("explain", "zzzz").stderr.startswith("error: threat 'zzzz': not among the 3 that are ranked; expected")
    (var / "answers.jsonl").write_text("{}\n")
    for command in (["explain", "1"], ["feedback", "1", "true"], ["answers"]):
        result = run(*command)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {var / 'answers.jsonl'} line 1: expected an answer and its seal")
    (var / "answers.jsonl").unlink()
    arrays = var / "docket" / "1" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1])
    assert run("explain", "1").stderr.startswith(f"error: {arrays}: expected ")
    (var / "docket" / "newest").unlink()
    result = run("explain", "1")
    assert result.exit_code == 2
    assert "rank some with `secmesh rank`" in result.stderr


def test_an_answer_that_was_cut_short_is_told_of(var: Path) -> None:
    (var / "answers.jsonl").write_text('{"answer": {"thr')
    result = run("feedback", threats(var)[0].id, "true")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: the last answer was cut short after 16 bytes")
    assert run("answers").stderr == ""


def test_hostile_words_are_inert_on_the_terminal(var: Path) -> None:
    hostile = "\x1b[2J[bold]x[/]\u202e"
    assert run("feedback", threats(var)[0].id, "true", "--analyst", hostile, "--reason", hostile).exit_code == 0
    for result in (run("answers"), run("explain", threats(var)[0].id)):
        assert result.exit_code == 0
        assert all(char.isprintable() or char == "\n" for char in result.stdout + result.stderr)
        assert "\\x1b[2J[bold]x[/]" in result.stdout


def test_rank_keeps_what_it_ranked_and_minds_assets_and_answers(var: Path) -> None:
    def event(number: int, source: str, **more: str) -> str:
        ends = {"src_endpoint": {"ip": source}, "dst_endpoint": {"ip": f"10.0.1.{number % 3}", "port": 443}}
        return json.dumps({"class_uid": 4001, "time": 1_700_000_000_000 + 60_000 * number} | ends | more)

    usual = [event(n, f"10.0.0.{2 + n % 5}") for n in range(600)]
    odd = [event(600, "10.0.0.1", activity_name=f"x{n}", app_name=f"q{n}") for n in range(5)]
    Path("log").write_text("\n".join(usual + odd))
    Path("assets.csv").write_text("kind,name,nats\naddress,10.0.0.1,3\n")
    result = run("rank", "log", "--assets", "assets.csv", "--most", 5)
    assert result.exit_code == 0
    docket = kept(var)
    assert (docket.events, docket.most, docket.criticality) == (605, 5, {("address", "10.0.0.1"): 3.0})
    dear = next(threat for threat in docket.council.rank() if "10.0.0.1" in {one.name for one in threat.entities})
    hint = re.search(
        r"^next: secmesh explain (\w+), then secmesh feedback \1 true\|false --preview$", result.stdout, re.M
    )
    assert hint is not None
    assert hint[1] == dear.id
    assert run("feedback", dear.id, "false").exit_code == 0
    again = run("rank", "log", "--most", 5)
    assert again.stdout.endswith("threats: 1 listed, 1 below the cut, in 605 events\n")
    assert kept(var).criticality == {}
    Path("assets.csv").write_text("kind,name,nats\naddress,10.0.0.1,30\n")
    assert "assets.csv line 2, column 'nats'" in run("rank", "log", "--assets", "assets.csv").stderr
