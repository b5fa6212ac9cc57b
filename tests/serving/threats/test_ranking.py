"""Scored logs come out as ranked threats, as values, as a file, and in words."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from agents.consensus.council import Council
from agents.consensus.threats import Entity, Reason, Threat
from agents.keeping import mesh_from
from features.logs import cut, read_logs
from models.home import Home
from models.registry import Registry
from models.releases import champion as champion_of
from models.releases import load
from serving.batch.scoring import Scored, score
from serving.threats.ranking import in_words, keep_threats, rank


@pytest.fixture(scope="module")
def scored(estate: Path, champion: Home) -> Scored:
    return score([estate], registry=Registry(champion))


def told(
    activity: str,
    field: str | None,
    value: str | None,
    process: str | None = None,
    host: str | None = None,
    address: str | None = None,
) -> Reason:
    return Reason("dns", activity, field, value, 5.0, process, "ann", host, address)


def threat(reason: Reason) -> Threat:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    entities = tuple(Entity("host", f"h{n}", 9.0) for n in range(9))
    return Threat(
        id="0123456789",
        rank=1,
        score=12.34,
        entities=entities,
        first_time=at,
        last_time=at,
        domains={"dns": 12.34},
        tactics=("TA0011 C2",),
        reasons=(reason,),
        evidence=pl.DataFrame(),
        timeline=pl.DataFrame(),
    )


def test_threats_are_numbered_and_the_heaviest_comes_first(scored: Scored) -> None:
    threats = rank(scored)
    assert len(threats) > 1
    assert [threat.rank for threat in threats] == list(range(1, len(threats) + 1))
    assert threats[0].score == max(threat.score for threat in threats)
    vouched = [one.score for one in threats if max(one.domains.values()) < 0.9 * sum(one.domains.values())]
    assert len(vouched) > 1
    assert vouched == sorted(vouched, reverse=True)
    assert all(threat.reasons and threat.entities for threat in threats)
    assert [threat.record() for threat in rank(scored, most=1)] == [rank(scored, most=1)[0].record()]
    assert len(rank(scored, most=1)) == 1


def test_the_council_hears_in_the_order_of_the_log_not_of_the_input(
    scored: Scored, estate: Path, champion: Home
) -> None:
    release = champion_of(Registry(champion))
    assert release is not None
    mesh = mesh_from(load(Registry(champion), release), release.number)
    council = Council()
    for batch in cut(read_logs([estate]).events, 50_000):
        council.hear(mesh.observe(batch))
    unspelled = replace(scored, spellings=scored.spellings.clear())
    assert [threat.record() for threat in council.rank()] == [threat.record() for threat in rank(unspelled)]


def test_an_entity_is_shown_as_its_log_wrote_it(scored: Scored) -> None:
    name = rank(scored)[0].entities[0].name
    kind = rank(scored)[0].entities[0].kind
    row = pl.DataFrame([(kind, name, "As Written")], schema=scored.spellings.schema, orient="row")
    first = rank(replace(scored, spellings=row))[0]
    assert (first.entities[0].name, first.entities[0].written) == (name, "As Written")
    assert f"{kind} As Written" in in_words(first)[2][0]


def test_the_file_holds_every_threat_with_its_verdicts(scored: Scored, tmp_path: Path) -> None:
    threats = rank(scored)
    kept = keep_threats(threats, scored, tmp_path / "threats.json")
    assert kept.refused is None
    page = json.loads(kept.output.read_text())
    assert [record["rank"] for record in page] == [threat.rank for threat in threats]
    assert list(page[0]) == [field.name for field in fields(Threat)]
    assert [record["id"] for record in page] == [threat.id for threat in threats]
    assert page[0]["evidence"][0]["source"].endswith(".jsonl")
    assert {"p_online", "p_offline", "p", "reasons", "uid", "seq"} <= page[0]["evidence"][0].keys()


def test_the_same_verdicts_give_the_same_bytes(scored: Scored, tmp_path: Path) -> None:
    outputs = [keep_threats(rank(scored), scored, tmp_path / f"{n}.json").output for n in range(2)]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_the_file_is_ascii_so_that_no_terminal_obeys_it(scored: Scored, tmp_path: Path) -> None:
    hostile = threat(told("query", "burst", "\x1b[2J\x9b31m\u202egpj.exe"))
    kept = keep_threats([hostile], scored, tmp_path / "threats.json")
    assert all(byte == 10 or 32 <= byte < 127 for byte in kept.output.read_bytes())
    assert json.loads(kept.output.read_text())[0]["reasons"][0]["value"].startswith("\x1b[2J")


def test_refused_records_are_listed_beside_the_threats(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"class_uid": 4001, "time": 1700000000000, "src_endpoint": {"ip": "10.0.0.1"}}\n{\n')
    scored = score([log], registry=Registry(Home.at(tmp_path / "none")))
    kept = keep_threats(rank(scored), scored, tmp_path / "threats.json")
    assert kept.refused == tmp_path / "threats.refused.ndjson"
    assert json.loads(kept.refused.read_text())["line"] == 1


def test_a_log_without_events_has_no_threats(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    scored = score([tmp_path / "log"], registry=Registry(Home.at(tmp_path / "none")))
    kept = keep_threats(rank(scored), scored, tmp_path / "threats.json")
    assert json.loads(kept.output.read_text()) == []


def test_a_threat_is_told_in_words() -> None:
    number, weight, lines = in_words(threat(told("query", "burst", "evil.example")))
    assert (number, weight) == (["1", "0123456789"], ["12.3"])
    assert lines == [
        "host h0, host h1, host h2, host h3, host h4",
        "2026-03-02 09:00:00 to 2026-03-02 09:00:00 UTC, TA0011 C2",
        " 5.0  dns query: burst evil.example, rare anywhere (ann)",
    ]


def test_a_threat_below_the_cut_stands_in_brackets_and_what_is_likely_next_is_told() -> None:
    below = replace(threat(told("query", "burst", "e")), listed=False, expected=(("TA0010 Exfiltration", 0.34),))
    number, _, lines = in_words(below)
    assert number[0] == "(1)"
    assert "likely next: TA0010 Exfiltration (34%)" in lines
