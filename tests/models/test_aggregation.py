"""Robust rules stay among honest words, and the two lanes keep their promise whatever liars say."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.aggregation import (
    Lanes,
    NothingHolds,
    Vouch,
    agreed,
    clipped,
    corroborated,
    geometric_median,
    median,
    outstanding,
    rationed,
    trimmed_mean,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
liars = st.integers(1, 4)
rules = st.sampled_from([agreed, corroborated])
Table = NDArray[np.float64]
ANYTHING = np.array([0.0, 1.0, -1.0, 0.5, 1e308, -1e308, np.inf, -np.inf, np.nan])
MOST = 20


def honest(seed: int, sites: int, things: int = 60, silent: float = 0.4) -> Table:
    """Words between 0 and 1, some of them equal, some not said."""
    chance = np.random.default_rng(seed)
    x_SN = np.round(chance.random((sites, things)), 2)
    x_SN[chance.random(x_SN.shape) < silent] = np.nan
    return x_SN


def with_lies(seed: int, h_SN: Table, liars: int) -> Table:
    """Below honest words as many rows of anything as there are liars."""
    chance = np.random.default_rng(seed + 1)
    lie_FN = chance.choice(ANYTHING, (liars, h_SN.shape[1]))
    return np.concatenate([h_SN, lie_FN])


def spoken(h_SN: Table) -> tuple[NDArray[np.int64], Table, Table]:
    """Of how many honest sites each thing has a word, and their lowest and highest."""
    said_SN = ~np.isnan(h_SN)
    low_N = np.min(h_SN, axis=0, initial=np.inf, where=said_SN)
    return said_SN.sum(axis=0), low_N, np.max(h_SN, axis=0, initial=-np.inf, where=said_SN)


@laws
@given(seed=seeds, f=liars, more=st.integers(1, 4))
def test_liars_move_the_median_and_the_trimmed_mean_among_honest_words_only(seed: int, f: int, more: int) -> None:
    h_SN = honest(seed, f + more, silent=0.0)
    _, low_N, high_N = spoken(h_SN)
    x_SN = with_lies(seed, h_SN, f)
    x_SN[f + more :][np.isnan(x_SN[f + more :])] = 7.0
    for middle_N in (median(x_SN), trimmed_mean(x_SN, f)):
        assert (low_N <= middle_N).all()
        assert (middle_N <= high_N).all()


@laws
@given(seed=seeds, f=liars, more=st.integers(0, 4))
def test_the_trimmed_mean_is_among_honest_words_or_says_nothing(seed: int, f: int, more: int) -> None:
    h_SN = honest(seed, f + 1 + more)
    count_N, low_N, high_N = spoken(h_SN)
    mean_N = trimmed_mean(with_lies(seed, h_SN, f), f)
    told_N = ~np.isnan(mean_N)
    assert (low_N[told_N] <= mean_N[told_N]).all()
    assert (mean_N[told_N] <= high_N[told_N]).all()
    assert told_N[count_N > 2 * f].all()


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9))
def test_what_is_agreed_is_no_more_than_honest_words_and_cannot_be_denied(seed: int, f: int, sites: int) -> None:
    h_SN = honest(seed, sites)
    count_N, low_N, high_N = spoken(h_SN)
    vouched = agreed(with_lies(seed, h_SN, f), f)
    told_N = ~np.isnan(vouched.score_N)
    assert (vouched.score_N[told_N] <= high_N[told_N]).all()
    enough_N = count_N > f
    assert (vouched.score_N[enough_N] >= low_N[enough_N]).all()
    assert (count_N[vouched.settled_N] > f).all()


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9))
def test_what_is_corroborated_is_the_honest_sum_but_for_its_loudest(seed: int, f: int, sites: int) -> None:
    h_SN = honest(seed, sites)
    x_SN = with_lies(seed, h_SN, f)
    count_N, _, _ = spoken(h_SN)
    vouched = corroborated(x_SN, f)
    loudest_SN = -np.sort(-np.nan_to_num(h_SN), axis=0)
    told_N = ~np.isnan(vouched.score_N)
    assert (vouched.score_N[told_N] <= loudest_SN.sum(axis=0)[told_N] + 1e-9).all()
    enough_N = count_N > f
    assert (vouched.score_N[enough_N] >= loudest_SN[f:].sum(axis=0)[enough_N] - 1e-9).all()
    assert np.isnan(vouched.score_N[spoken(x_SN)[0] <= f]).all()
    assert not vouched.settled_N.any()


@laws
@given(seed=seeds, f=liars, most=st.integers(1, 70))
def test_outstanding_words_are_few_finite_and_in_the_order_they_were_in(seed: int, f: int, most: int) -> None:
    x_SN = with_lies(seed, honest(seed, 3), f)
    stands_SN = outstanding(x_SN, most)
    assert (np.isnan(stands_SN) == np.isnan(x_SN)).all()
    assert not np.isinf(stands_SN).any()
    assert ((stands_SN > 0).sum(axis=1) <= most).all()
    for said_N, stands_N in zip(x_SN, stands_SN, strict=True):
        low_N, high_N = stands_N[np.argsort(said_N)][:-1], stands_N[np.argsort(said_N)][1:]
        assert not (low_N > high_N).any()
        assert not (stands_N > np.maximum(said_N, 0.0)).any()


def test_a_site_that_says_the_same_of_everything_says_nothing() -> None:
    np.testing.assert_array_equal(outstanding(np.full((2, 50), [[3.0], [np.inf]]), MOST), np.zeros((2, 50)))


@laws
@given(seed=seeds, sites=st.integers(1, 9), things=st.integers(0, 9))
def test_the_median_is_the_median_of_those_who_speak(seed: int, sites: int, things: int) -> None:
    x_SN = honest(seed, sites, things)
    expected_N = [np.median(said_S[~np.isnan(said_S)]) if not np.isnan(said_S).all() else np.nan for said_S in x_SN.T]
    np.testing.assert_allclose(median(x_SN), np.array(expected_N, np.float64), rtol=1e-12)


@laws
@given(
    seed=seeds, sites=st.integers(3, 9), rule=st.sampled_from([geometric_median, median, lambda x: trimmed_mean(x, 1)])
)
def test_the_order_of_the_sites_changes_no_rule(seed: int, sites: int, rule: Callable[[Table], Table]) -> None:
    x_SN = honest(seed, sites, silent=0.0)
    order_S = np.random.default_rng(seed).permutation(sites)
    np.testing.assert_allclose(rule(x_SN[order_S]), rule(x_SN), rtol=1e-6)


@laws
@given(seed=seeds, f=liars, more=st.integers(1, 4), size=st.floats(1, 1e6))
def test_a_clipped_update_is_no_longer_than_an_honest_one_and_points_the_same_way(
    seed: int, f: int, more: int, size: float
) -> None:
    x_SN = honest(seed, 2 * f + more, silent=0.0) - 0.5
    longest = np.linalg.norm(x_SN[f:], axis=1).max()
    x_SN[:f] *= size
    cut_SN = clipped(x_SN)
    norm_S = np.linalg.norm(cut_SN, axis=1)
    assert norm_S.max() <= longest * (1 + 1e-12)
    np.testing.assert_allclose(cut_SN / norm_S[:, None], x_SN / np.linalg.norm(x_SN, axis=1)[:, None], atol=1e-9)


@laws
@given(seed=seeds, f=liars, more=st.integers(1, 4), size=st.floats(1, 1e9))
def test_liars_however_loud_leave_the_geometric_median_near_honest_updates(
    seed: int, f: int, more: int, size: float
) -> None:
    h_SN = honest(seed, f + more, silent=0.0)
    lie_FN = size * np.random.default_rng(seed).normal(0, 1, (f, h_SN.shape[1]))
    centre_N = h_SN.mean(axis=0)
    furthest = np.linalg.norm(h_SN - centre_N, axis=1).max()
    share = f / (2 * f + more)  # Lopuhaä & Rousseeuw, Ann. Stat. 1991
    moved = np.linalg.norm(geometric_median(np.concatenate([h_SN, lie_FN])) - centre_N)
    assert moved <= furthest * 2 * (1 - share) / (1 - 2 * share) + 1e-6


def listed(seed: int, f: int, sites: int, rule: Vouch, share: float) -> tuple[Table, Table, Lanes]:
    h_SN = honest(seed, sites)
    return h_SN, with_lies(seed, h_SN, f), Lanes(f, share=share, vouch=rule)


shares = st.sampled_from([0.05, 0.1, 0.2, 0.5])


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9), rule=rules, share=shares)
def test_liars_alone_bring_no_more_than_their_share(seed: int, f: int, sites: int, rule: Vouch, share: float) -> None:
    h_SN, x_SN, lanes = listed(seed, f, sites, rule, share)
    found = lanes.rank(x_SN, MOST)
    by_liars_K = ~(h_SN[:, found.thing_K] > lanes.least).any(axis=0)
    assert by_liars_K.sum() <= f * max(1, int(share * MOST))
    assert not (by_liars_K & found.vouched_K).any()


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9), rule=rules, share=shares)
def test_what_an_honest_site_believes_most_is_listed_unless_it_is_settled(
    seed: int, f: int, sites: int, rule: Vouch, share: float
) -> None:
    h_SN, x_SN, lanes = listed(seed, f, sites, rule, share)
    found = lanes.rank(x_SN, MOST)
    settled_N = rule(x_SN, f).settled_N
    sure = min(max(1, int(share * MOST)), MOST // len(x_SN))
    for own_N in h_SN:
        believed_N = np.where(settled_N | np.isnan(own_N), -np.inf, own_N)
        first_M = np.argsort(-believed_N, kind="stable")[:sure]
        assert np.isin(first_M[believed_N[first_M] > lanes.least], found.thing_K).all()


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9), rule=rules, share=shares)
def test_the_vouched_lane_has_what_the_sites_cannot_take_and_goes_by_what_is_vouched(
    seed: int, f: int, sites: int, rule: Vouch, share: float
) -> None:
    _, x_SN, lanes = listed(seed, f, sites, rule, share)
    found, score_N = lanes.rank(x_SN, MOST), rule(x_SN, f).score_N
    lane_M = found.thing_K[found.vouched_K]
    assert lane_M.size >= min(MOST - len(x_SN) * max(1, int(share * MOST)), (score_N > lanes.least).sum())
    assert (np.diff(score_N[lane_M]) <= 0).all()
    left_N = np.delete(score_N, found.thing_K)
    assert not lane_M.size or not (left_N > score_N[lane_M].min()).any()


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9), rule=rules, share=shares)
def test_a_list_has_each_thing_once_and_says_whose_word_it_is(
    seed: int, f: int, sites: int, rule: Vouch, share: float
) -> None:
    _, x_SN, lanes = listed(seed, f, sites, rule, share)
    found = lanes.rank(x_SN, MOST)
    assert len(set(found.thing_K.tolist())) == found.thing_K.size <= MOST
    assert found.word_KS.any(axis=1).all()
    assert (x_SN[:, found.thing_K].T[found.word_KS] > lanes.least).all()
    assert found.word_KS[~found.vouched_K].sum(axis=0).max(initial=0) <= max(1, int(share * MOST))


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9), rule=rules, share=shares)
def test_the_order_of_the_sites_changes_no_list(seed: int, f: int, sites: int, rule: Vouch, share: float) -> None:
    _, x_SN, lanes = listed(seed, f, sites, rule, share)
    order_S = np.random.default_rng(seed).permutation(len(x_SN))
    one, other = lanes.rank(x_SN, MOST), lanes.rank(x_SN[order_S], MOST)
    np.testing.assert_array_equal(one.thing_K, other.thing_K)
    np.testing.assert_array_equal(one.word_KS[:, order_S], other.word_KS)


@laws
@given(seed=seeds, f=liars, sites=st.integers(1, 9), rule=rules)
def test_the_order_of_the_things_changes_no_list(seed: int, f: int, sites: int, rule: Vouch) -> None:
    chance = np.random.default_rng(seed)
    x_SN = chance.random((sites + f, 60))  # no equals
    x_SN[chance.random(x_SN.shape) < 0.4] = np.nan
    order_N = chance.permutation(60)
    one, other = (Lanes(f, vouch=rule).rank(some, MOST).thing_K for some in (x_SN, x_SN[:, order_N]))
    np.testing.assert_array_equal(one, order_N[other])


@pytest.mark.parametrize("rule", [agreed, corroborated])
@pytest.mark.parametrize("seen_by", [1, 5])
def test_a_hundred_thousand_fakes_of_one_principal_cost_no_threat_its_place(rule: Vouch, seen_by: int) -> None:
    threats, fakes = 8, 100_000
    x_SN = np.full((5, threats + fakes), np.nan)
    x_SN[:, :threats] = 0.8
    x_SN[:seen_by, threats:] = 1.0
    principal_N = np.r_[np.arange(threats), np.full(fakes, threats)]
    found = Lanes(1, vouch=rule).rank(x_SN, MOST, principal_N)
    assert set(range(threats)) <= set(found.thing_K.tolist())


def test_a_threat_that_one_site_sees_is_brought_by_it_though_others_deny_it() -> None:
    x_SN = np.array([[np.nan, 0.9, 0.2], [np.nan, np.nan, 0.3], [1.0, 0.0, 1.0]])
    found = Lanes(1).rank(x_SN, 3)
    assert found.thing_K.tolist() == [2, 0, 1]
    assert found.vouched_K.tolist() == [True, False, False]
    assert found.word_KS.tolist() == [[True, True, True], [False, False, True], [True, False, False]]


def test_a_site_loses_no_turn_to_what_another_brought_before() -> None:
    x_SN = np.array([[0.9, 0.8, np.nan, 0.5], [np.nan, 0.95, 0.9, np.nan]])
    found = Lanes(2, share=0.5).rank(x_SN, 4)
    assert sorted(found.thing_K.tolist()) == [0, 1, 2, 3]
    assert found.word_KS.sum() == 4


@pytest.mark.parametrize(("speaking", "holds"), [(3, True), (2, False), (0, False)])
def test_a_list_says_when_too_few_spoke_for_its_promise(speaking: int, holds: bool) -> None:
    x_SN = np.full((5, 4), np.nan)
    x_SN[:speaking] = 0.5
    assert Lanes(1).rank(x_SN).holds is holds


def test_no_trimmed_mean_is_given_where_half_may_lie() -> None:
    with pytest.raises(NothingHolds, match="4 sites holds against 2 liars"):
        trimmed_mean(np.zeros((4, 2)), 2)


@pytest.mark.parametrize("rule", [clipped, geometric_median])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_update_that_is_not_finite_is_refused_with_its_site(rule: Callable[[Table], Table], bad: float) -> None:
    with pytest.raises(ValueError, match="site 1: expected finite"):
        rule(np.array([[1.0, 2.0], [bad, 2.0]]))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Lanes(-1), "liars -1"),
        (lambda: Lanes(1, share=0.0), "share 0.0"),
        (lambda: Lanes(1, share=1.5), "share 1.5"),
        (lambda: Lanes(1, least=np.nan), "least nan"),
        (lambda: Lanes(1).rank(np.zeros(3)), r"shape \(3,\)"),
        (lambda: Lanes(1).rank(np.zeros((3, 2)), 0), "most 0"),
        (lambda: Lanes(1).rank(np.zeros((3, 2)), 5, np.zeros(3, np.int64)), "each of 2 things"),
        (lambda: geometric_median(np.zeros((0, 2))), "no site"),
        (lambda: trimmed_mean(np.zeros((3, 2)), -1), "liars -1"),
        (lambda: outstanding(np.zeros((3, 2)), 0), "most 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@given(
    score=st.lists(st.floats(0, 100), min_size=1, max_size=40),
    each=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_a_ration_keeps_each_owner_to_its_places_until_what_others_have_is_told(
    score: list[float], each: int, seed: int
) -> None:
    score_N = np.array(score)
    owner_N = np.random.default_rng(seed).integers(-1, 3, score_N.size)
    order_N = rationed(score_N, owner_N, each)
    assert sorted(order_N) == list(range(score_N.size))
    (vouched_M,) = (owner_N[order_N] < 0).nonzero()
    until = vouched_M[-1] if vouched_M.size else 0
    for owner in range(3):
        assert (owner_N[order_N[:until]] == owner).sum() <= each
    assert (np.diff(score_N[order_N[vouched_M]]) <= 0).all()
