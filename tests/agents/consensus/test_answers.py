"""An answer stands by itself, can be written down, and can be taken back."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.answers import Answer, answer_to, standing
from agents.consensus.council import Council
from agents.consensus.threats import Threat

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=40, deadline=None, derandomize=True)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)

answers = st.lists(
    st.builds(
        Answer,
        threat=st.sampled_from("tuv"),
        is_true=st.sampled_from([True, False, None]),
        analyst=st.sampled_from(["ann", "bob"]),
        time=st.integers(0, 3).map(lambda hours: MONDAY + timedelta(hours=hours)),
        reason=st.sampled_from(["", "seen"]),
        domains=st.just({"dns": 0.25, "web": 0.75}),
        sorts=st.just((("web", "get", None, 4.0), ("dns", None, "site", 3.0))),
    ),
    max_size=12,
)


@pytest.fixture
def threat(said: Said) -> Threat:
    rows = [
        {"host": "h", "value": "a", "evidence": 12.0},
        {"host": "h", "value": "b", "evidence": 9.0},
        {"host": "h", "value": "c", "evidence": 10.0, "field": "port", "domain": "network", "activity": "traffic"},
    ]
    council = Council()
    council.hear(said(*rows))
    return council.rank()[0]


def test_an_answer_says_what_the_threat_rested_on(threat: Threat) -> None:
    answer = answer_to(threat, False, "ann", MONDAY, "a test of ours")
    assert answer.threat == threat.id
    assert sum(answer.domains.values()) == pytest.approx(1.0)
    assert answer.domains["endpoint"] == pytest.approx(threat.domains["endpoint"] / threat.score, abs=1e-3)
    assert answer.sorts == (("endpoint", "launch", "program", 12.0), ("network", "traffic", "port", 10.0))


def test_an_answer_on_a_threat_can_be_written_down(threat: Threat) -> None:
    answer = answer_to(threat, True, "ann", MONDAY, "a beacon")
    assert Answer.read(json.loads(json.dumps(answer.record(), allow_nan=False))) == answer


@laws
@given(given_answers=answers)
def test_what_is_written_down_is_read_back(given_answers: list[Answer]) -> None:
    assert [Answer.read(json.loads(json.dumps(one.record()))) for one in given_answers] == given_answers


@laws
@given(given_answers=answers, data=st.data())
def test_the_order_of_answers_does_not_matter(given_answers: list[Answer], data: st.DataObject) -> None:
    assert standing(data.draw(st.permutations(given_answers))) == standing(given_answers)


@laws
@given(given_answers=answers)
def test_each_analyst_has_one_word_on_each_threat_his_latest(given_answers: list[Answer]) -> None:
    counted = standing(given_answers)
    assert len({(one.threat, one.analyst) for one in counted}) == len(counted)
    for one in counted:
        mine = [other for other in given_answers if (other.threat, other.analyst) == (one.threat, one.analyst)]
        assert one.is_true is not None
        assert one.time == max(other.time for other in mine)


@laws
@given(given_answers=answers)
def test_what_is_taken_back_was_never_said(given_answers: list[Answer]) -> None:
    late = MONDAY + timedelta(days=1)
    back = [replace(one, is_true=None, time=late) for one in given_answers if one.analyst == "ann"]
    assert standing([*given_answers, *back]) == standing(one for one in given_answers if one.analyst == "bob")


def test_the_same_moment_in_another_zone_is_the_same_moment(threat: Threat) -> None:
    first = answer_to(threat, True, "ann", MONDAY, "")
    later = answer_to(
        threat, False, "ann", (MONDAY + timedelta(minutes=1)).astimezone(timezone(-timedelta(hours=5))), ""
    )
    assert standing([later, first]) == (later,)


def test_a_time_without_a_zone_is_refused(threat: Threat) -> None:
    with pytest.raises(ValueError, match="zone"):
        answer_to(threat, True, "ann", MONDAY.replace(tzinfo=None), "")
