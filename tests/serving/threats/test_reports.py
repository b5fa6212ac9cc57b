"""A report tells all that is known of a threat, and what is not; text from events does nothing in it."""

from dataclasses import replace

import pytest

from agents.consensus.threats import Entity
from serving.threats.reports import report, unknown
from tests.serving.dockets import docket
from tests.serving.threats.test_markdown import PAYLOADS, children, seen
from tests.serving.threats.threats import PLAIN, reason, threat


def text(page: str) -> str:
    """All that a reader of Markdown sees."""
    return "\n".join("".join(child.content for child in line) for line in children(page))


def test_it_tells_who_when_why_and_by_whom() -> None:
    page = text(report(threat(techniques=("T1003 OS Credential Dumping",), expected=(("TA0040 Impact", 0.25),))))
    for told in (
        f"Threat {PLAIN.id}", "ws01", "ann", "8.8.4.4", "2026-03-02 13:00:00", "TA0006 Credential Access",
        "technique T1003 OS Credential Dumping", "likely next: TA0040 Impact, 25%", "Scored by no release",
        "a probability of 0.001", "endpoint launch: actor mimi.exe, unusual for its host", "spelling of name", "9.0",
    ):  # fmt: skip
        assert told in page


def test_the_same_but_for_its_rank_is_the_same_report() -> None:
    assert report(replace(threat(), rank=9)) == report(threat())
    assert report(replace(threat(), score=99.0)) != report(threat())


@pytest.mark.parametrize("hostile", PAYLOADS)
def test_text_of_events_is_text_alone(hostile: str) -> None:
    entities = (Entity("host", "ws01", 9.0, hostile), Entity("user", hostile, 8.0))
    told = (reason("dns", "spelling of name", hostile, process=hostile, user=hostile, host=hostile),)
    evidence = PLAIN.evidence.with_columns(
        uid=PLAIN.evidence["uid"].replace("u1", hostile), source=PLAIN.evidence["uid"]
    )
    page = report(threat(entities=entities, reasons=told, evidence=evidence, techniques=(hostile,)))
    kinds = {child.type for line in children(page) for child in line}
    assert kinds == {"text"}
    assert seen(hostile) in text(page)
    assert all(letter.isprintable() or letter == "\n" for letter in page)


def test_what_is_not_known_is_said() -> None:
    assert len(list(unknown(threat(evidence=PLAIN.evidence.with_columns(release=7))))) == 1
    said = " ".join(unknown(threat(p=None, tactics=(), entities=(), domains={"dns": 1.0})))
    for told in (
        "too few threats",
        "one agent alone",
        "speaks of a tactic",
        "no user",
        "no host",
        "learn online alone",
    ):
        assert told in said


def test_it_does_not_grow_without_end() -> None:
    many = docket(*(f"ws{n:04}" for n in range(400))).council.rank(1)[0]
    entities = tuple(Entity("host", f"ws{n}", 9.0) for n in range(5000))
    page = report(replace(many, entities=entities))
    assert len(page) < 50_000
    assert "20 of 5000" in page
