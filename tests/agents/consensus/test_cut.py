"""What is listed is seldom false, and more is listed the more false ones one bears."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from agents.consensus.cut import chances, discovered, judged

laws = settings(max_examples=50, deadline=None, derandomize=True)
p_values = arrays(np.float64, st.integers(0, 40), elements=st.floats(1e-12, 1.0))


def usual(threats: int = 400, seed: int = 0) -> NDArray[np.float64]:
    """Scores of threats of usual days: 3 nats and an exponential beyond."""
    return 3.0 + np.random.default_rng(seed).exponential(2.0, threats)


@laws
@given(p_M=p_values, low=st.floats(0.01, 0.4), more=st.floats(1.0, 2.0))
def test_more_is_found_at_a_higher_level_and_what_is_likelier_goes_first(
    p_M: NDArray[np.float64], low: float, more: float
) -> None:
    few_M, many_M = discovered(p_M, low), discovered(p_M, low * more)
    assert not (few_M & ~many_M).any()
    if few_M.any():
        assert (few_M == (p_M <= p_M[few_M].max())).all()


@laws
@given(p_M=p_values, alpha=st.floats(0.01, 0.5))
def test_what_is_found_is_what_benjamini_and_hochberg_find(p_M: NDArray[np.float64], alpha: float) -> None:
    ordered = np.sort(p_M)
    passing = [k for k in range(1, p_M.size + 1) if ordered[k - 1] <= alpha * k / p_M.size]
    assert discovered(p_M, alpha).sum() == (np.sum(p_M <= ordered[passing[-1] - 1]) if passing else 0)


def test_what_nothing_is_known_of_is_not_found() -> None:
    assert discovered(np.array([np.nan, 1e-9, np.nan]), 0.1).tolist() == [False, True, False]


def test_p_falls_with_the_score_and_is_a_probability() -> None:
    p_M = chances(usual(), np.linspace(0.0, 60.0, 500))
    assert (np.diff(p_M) <= 1e-12).all()
    assert ((p_M > 0.0) & (p_M <= 1.0)).all()


def test_p_of_usual_threats_is_super_uniform() -> None:
    p_RM = np.stack([chances(usual(seed=seed), usual(200, 10_000 + seed)) for seed in range(200)])
    for level in (0.2, 0.05, 0.01, 0.002):
        assert (p_RM <= level).mean() <= 1.2 * level


def test_earlier_attacks_do_not_hide_later_ones() -> None:
    attacked = np.concatenate([usual(), np.full(8, 40.0)])
    assert chances(attacked, np.array([40.0]))[0] < 1e-4


def test_too_few_threats_say_nothing_of_the_usual() -> None:
    assert np.isnan(chances(usual(49), np.array([50.0]))).all()
    assert not np.isnan(chances(usual(50), np.array([50.0]))).any()


def judged_today(
    score_N: NDArray[np.float64], day_N: NDArray[np.int64], budget: int = 20, answer_N: NDArray[np.int8] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Threats that begin and end on one day."""
    answer_N = np.zeros(score_N.size, np.int8) if answer_N is None else answer_N
    return judged(score_N, day_N, day_N, answer_N, 0.1, budget)


def test_of_usual_days_few_have_a_list() -> None:
    has_list = []
    for seed in range(100):
        score_N = usual(500, seed)
        day_N = np.repeat(np.arange(5), 100)
        _, is_listed_N = judged_today(score_N, day_N)
        has_list.append(is_listed_N[day_N == 4].any())
    assert np.mean(has_list) <= 0.15


def test_an_attack_is_listed_and_the_days_before_are_not_changed_by_it() -> None:
    score_N, day_N = np.append(usual(400), 30.0), np.append(np.repeat(np.arange(4), 100), 3)
    p_N, is_listed_N = judged_today(score_N, day_N)
    assert is_listed_N[-1]
    assert p_N[-1] == p_N[day_N == 3].min()
    before_N, _ = judged_today(score_N[:-1], day_N[:-1])
    np.testing.assert_array_equal(p_N[:-1], before_N)


@pytest.mark.parametrize("budget", [1, 7, 20])
def test_where_nothing_is_known_the_highest_are_listed_within_the_budget(budget: int) -> None:
    score_N, day_N = usual(40), np.zeros(40, np.int64)
    p_N, is_listed_N = judged_today(score_N, day_N, budget)
    assert np.isnan(p_N).all()
    assert set(np.flatnonzero(is_listed_N)) == set(np.argsort(-score_N)[:budget])


def test_no_threats_have_no_list() -> None:
    nothing = np.zeros(0)
    assert all(found.size == 0 for found in judged_today(nothing, np.zeros(0, np.int64)))


def test_what_people_found_false_is_not_listed_and_counts_as_usual() -> None:
    score_N, day_N = np.append(usual(400), 30.0), np.append(np.repeat(np.arange(4), 100), 3)
    answer_N = np.zeros(401, np.int8)
    before_N, _ = judged_today(score_N, day_N)
    answer_N[-1] = -1
    p_N, is_listed_N = judged_today(score_N, day_N, answer_N=answer_N)
    assert not is_listed_N[-1]
    np.testing.assert_array_equal(p_N, before_N)


def test_what_people_found_true_is_not_usual() -> None:
    score_N, day_N = np.append(usual(400), [30.0, 30.0]), np.append(np.repeat(np.arange(4), 100), [2, 3])
    answer_N = np.zeros(402, np.int8)
    before_N, _ = judged_today(score_N, day_N)
    answer_N[-2] = 1
    p_N, is_listed_N = judged_today(score_N, day_N, answer_N=answer_N)
    assert p_N[-1] < before_N[-1]
    assert is_listed_N[-2:].all()
