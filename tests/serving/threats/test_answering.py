"""An answer's effect is worked out before it is kept, and the latest word counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agents.consensus.explaining import UnknownThreat
from serving.threats.answering import effect, explain, guidance
from serving.threats.ranking import threats_of
from tests.serving.dockets import docket

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def test_an_effect_is_what_is_seen_once_the_answer_counts() -> None:
    ranked = docket("mail", "web", "pc")
    before = threats_of(ranked, guidance(ranked, ()))
    seen = effect(ranked, (), before[1].id, "false", "ann", "", NOW)
    after = threats_of(ranked, guidance(ranked, [seen.answer]))
    by_id = {threat.id: threat for threat in after}
    assert before[1].id in {move.threat.id for move in seen.moves}
    for move in seen.moves:
        assert move.after is not None
        found = by_id[move.threat.id]
        assert (move.after.rank, move.after.score, move.after.listed) == (found.rank, found.score, found.listed)
    assert {name: new for name, _, new in seen.factors} == dict(guidance(ranked, [seen.answer]).sorts) != {}
    assert [threat.record() for threat in threats_of(ranked, guidance(ranked, ()))] == [one.record() for one in before]


def test_the_latest_word_counts_though_the_clock_was_set_back() -> None:
    ranked = docket("mail", "web")
    name = threats_of(ranked)[0].id
    first = effect(ranked, (), name, "false", "ann", "", NOW).answer
    later = effect(ranked, [first], name, "true", "ann", "", NOW - timedelta(days=1)).answer
    assert later.time > first.time
    assert explain(ranked, [first, later], name).threat.answer is True


def test_an_answer_to_what_is_ranked_no_more_can_be_withdrawn() -> None:
    first = effect(docket("mail"), (), threats_of(docket("mail"))[0].id, "false", "ann", "", NOW).answer
    other = docket("web")
    back = effect(other, [first], first.threat[:4], "withdraw", "ann", "a mistake", NOW + timedelta(days=1))
    assert back.answer == replace(first, is_true=None, reason="a mistake", time=NOW + timedelta(days=1))
    assert [new for _, _, new in back.factors] == [1.0]


@pytest.mark.parametrize("name", ["", "zzzz", "1"])
def test_only_ones_own_answers_are_withdrawn_by_their_ids(name: str) -> None:
    ranked = docket("mail")
    first = effect(ranked, (), threats_of(ranked)[0].id, "false", "ann", "", NOW).answer
    for analyst, wanted in (("ann", name), ("bob", first.threat)):
        with pytest.raises(UnknownThreat, match=f"expected one that {analyst} answered, see `secmesh answers`"):
            effect(ranked, [first], wanted, "withdraw", analyst, "", NOW)
