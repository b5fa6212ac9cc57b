"""What analysts answered moves what is believed: a little alone, more together, never beyond bounds, and it is told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.answers import Answer
from agents.consensus.guidance import NOTHING_SAID, Guidance
from agents.consensus.trusting import DOMAIN, SORT, Sway, guided_by, moved

laws = settings(max_examples=40, deadline=None, derandomize=True)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
LOUD = Sway(alone=0.2, agreed=0.5, full=1.0, low=0.3)
SITE, PATH = ("dns", "response", "site"), ("web", "get", None)


def word(threat: int, *, is_true: bool | None, analyst: str = "ann", web: float = 0.0, hour: int = 0) -> Answer:
    """An answer on a threat that DNS told of, but for the share of the web."""
    domains = {"dns": 1.0 - web, "web": web}
    sorts = ((*SITE, 10.0 * (1.0 - web)), (*PATH, 10.0 * web))
    return Answer(f"t{threat}", is_true, analyst, MONDAY + timedelta(hours=hour), "", domains, sorts)


def words(many: int, *, is_true: bool, analysts: Sequence[str] = ("ann",)) -> list[Answer]:
    return [word(n, is_true=is_true, analyst=analyst) for analyst in analysts for n in range(many)]


answers = st.lists(
    st.builds(
        word,
        st.integers(0, 6),
        is_true=st.booleans(),
        analyst=st.sampled_from(["ann", "bob", "cyd", "dan"]),
        web=st.sampled_from([0.0, 0.3, 1.0]),
        hour=st.integers(0, 2),
    ),
    max_size=30,
)


def factors(guidance: Guidance) -> list[float]:
    return [*guidance.trust.values(), *guidance.sorts.values()]


def least(said: Sequence[Answer], sway: Sway = LOUD) -> float:
    return min(factors(guided_by(said, sway, sway)), default=1.0)


@laws
@given(said=answers, data=st.data())
def test_the_order_of_answers_does_not_matter(said: list[Answer], data: st.DataObject) -> None:
    assert guided_by(data.draw(st.permutations(said))) == guided_by(said)


@laws
@given(said=answers)
def test_what_is_taken_back_leaves_no_trace(said: list[Answer]) -> None:
    back = [replace(one, is_true=None, time=MONDAY + timedelta(days=1)) for one in said if one.analyst == "ann"]
    others = [one for one in said if one.analyst != "ann"]
    assert guided_by([*said, *back], LOUD, LOUD) == guided_by(others, LOUD, LOUD)


@laws
@given(said=answers)
def test_factors_stay_within_bounds(said: list[Answer]) -> None:
    assert all(LOUD.low <= factor < 1.0 for factor in factors(guided_by(said, LOUD, LOUD)))


@laws
@given(said=answers)
def test_one_analyst_alone_stays_within_his_share(said: list[Answer]) -> None:
    mine = [replace(one, analyst="ann") for one in said]
    assert least(mine) >= 1.0 - LOUD.alone
    assert min(guided_by(mine).trust.values(), default=1.0) >= 1.0 - DOMAIN.alone
    assert min(guided_by(mine).sorts.values(), default=1.0) >= 1.0 - SORT.alone


@laws
@given(many=st.integers(1, 40))
def test_he_is_not_heard_more_for_answering_more(many: int) -> None:
    assert least(words(many, is_true=False)) == pytest.approx(1.0 - LOUD.alone)


@laws
@given(many=st.integers(1, 10))
def test_two_who_agree_move_more_than_one(many: int) -> None:
    alone, together = words(many, is_true=False), words(many, is_true=False, analysts=("ann", "bob"))
    assert least(together) < least(alone) ** 2
    assert least(together) == pytest.approx(max(LOUD.low, (1.0 - LOUD.alone) ** 2 * (1.0 - LOUD.agreed)))


@laws
@given(lies=st.lists(st.booleans(), min_size=7, max_size=7))
def test_a_liar_beside_two_who_trust_an_agent_moves_nothing(lies: list[bool]) -> None:
    honest = words(7, is_true=True, analysts=("ann", "bob"))
    liar = [word(n, is_true=lie, analyst="eve") for n, lie in enumerate(lies)]
    assert guided_by([*honest, *liar], LOUD, LOUD).trust == {}


def test_disagreement_cancels() -> None:
    said = [word(1, is_true=True, analyst="ann"), word(1, is_true=False, analyst="bob")]
    assert guided_by(said, LOUD, LOUD) == NOTHING_SAID


def test_what_most_found_is_the_answer_on_a_threat() -> None:
    said = [word(1, is_true=True, analyst="ann"), word(1, is_true=False, analyst="bob"), word(2, is_true=False)]
    assert guided_by(said).answers == {"t2": False}
    assert guided_by([*said, word(1, is_true=True, analyst="cyd")]).answers == {"t1": True, "t2": False}


def test_what_was_found_true_is_believed_as_before() -> None:
    assert factors(guided_by(words(20, is_true=True, analysts=("ann", "bob")), LOUD, LOUD)) == []


def test_it_falls_on_what_told_the_threat() -> None:
    trust = guided_by([word(n, is_true=False, web=0.1, analyst=a) for n in range(3) for a in "ab"], LOUD, LOUD).trust
    assert trust["dns"] < trust["web"] < 1.0


@laws
@given(said=answers)
def test_every_factor_is_explained(said: list[Answer]) -> None:
    guidance, told = guided_by(said, LOUD, LOUD), moved(said, LOUD, LOUD)
    assert {one.domain: one.factor for one in told if one.sort is None} == guidance.trust
    assert {one.sort: one.factor for one in told if one.sort} == guidance.sorts


def test_an_explanation_counts_answers_and_analysts() -> None:
    said = [*words(3, is_true=False, analysts=("ann", "bob")), word(9, is_true=True, analyst="bob")]
    about, *_ = moved(said, LOUD, LOUD)
    assert (about.domain, about.sort, about.true, about.false) == ("dns", None, 1, 6)
    assert about.doubt == {"ann": 1.0, "bob": 1.0}


@pytest.mark.parametrize("wrong", [{"alone": 1.0}, {"agreed": -0.1}, {"full": 0.0}, {"low": 0.0}, {"low": 1.1}])
def test_a_sway_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    usual = {"alone": 0.1, "agreed": 0.5, "full": 1.0, "low": 0.5}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sway(**usual | wrong)
