"""A quota lets what is usual teach in full, and nothing become usual quickly."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.quota import YOUNG, Quota

FEATURES, WINDOW = 3, 1024
laws = settings(max_examples=20, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
Stream = tuple[NDArray[Any], NDArray[Any]]


def stream(seed: int, rows: int) -> Stream:
    """Low features of four kinds."""
    chance = np.random.default_rng(seed)
    x_BF = np.clip(chance.normal(0.3, 0.1, (rows, FEATURES)), 0, 1).astype(np.float32)
    return x_BF, chance.integers(1, 5, rows).astype(np.uint64)


def poisoned(seed: int, clean: int, rows: int) -> Stream:
    """After a clean beginning three of ten events are high in one feature."""
    x_BF, kind_B = stream(seed, clean + rows)
    x_BF[clean:, 1][np.random.default_rng(seed).random(rows) < 0.3] = 0.9
    return x_BF, kind_B


def wild(seed: int, rows: int) -> Stream:
    """Bursts of anything, of kinds that come and go."""
    chance = np.random.default_rng(seed)
    bursts = rows // 100 + 1
    x_BF = np.repeat(chance.random((bursts, FEATURES)), 100, axis=0)[:rows]
    return x_BF, np.repeat(chance.integers(0, 2**64, bursts, np.uint64), 100)[:rows]


@laws
@given(seed=seeds, cuts=st.lists(st.integers(0, 6_000), max_size=6), hold=st.integers(0, 8_000))
def test_any_cut_gives_the_same_bits_whenever_it_is_held(seed: int, cuts: list[int], hold: int) -> None:
    whole, pieces = Quota(FEATURES), Quota(FEATURES)
    x_BF, kind_B = poisoned(seed, 10_000, 4_000)
    for quota in (whole, pieces):
        quota.hold(hold)
    parts = zip(np.split(x_BF, sorted(cuts)), np.split(kind_B, sorted(cuts)), strict=True)
    weight_B = np.concatenate([pieces.observe(*part) for part in parts])
    assert weight_B.tobytes() == whole.observe(x_BF, kind_B).tobytes()
    assert _bits(pieces) == _bits(whole)


@laws
@given(seed=seeds, before=st.integers(0, 14_000))
def test_a_restored_quota_goes_on_as_before(seed: int, before: int) -> None:
    one, other = Quota(FEATURES), Quota(FEATURES)
    x_BF, kind_B = poisoned(seed, 10_000, 4_000)
    one.observe(x_BF[:before], kind_B[:before])
    one.hold(12_000)
    other.observe(*stream(seed, 2_500))
    other.restore(one.state())
    rest = x_BF[before:], kind_B[before:]
    assert other.observe(*rest).tobytes() == one.observe(*rest).tobytes()
    assert _bits(other) == _bits(one)


@laws
@given(seed=seeds)
def test_no_share_grows_faster_than_the_bound_whatever_comes(seed: int) -> None:
    quota = Quota(FEATURES)
    quota.observe(*wild(seed, YOUNG * WINDOW))
    for windows in range(YOUNG + 1, YOUNG + 7):
        before_N = quota.state()["share"].astype(np.float64)
        weight_B = quota.observe(*wild(seed + windows, WINDOW))
        after_N = quota.state()["share"].astype(np.float64)
        assert ((weight_B >= 0) & (weight_B <= 1)).all()
        assert (after_N <= before_N + (3 * before_N + 2e-4) / windows + 1e-12).all()


@laws
@given(seed=seeds, event=st.integers(2 * WINDOW, 4 * WINDOW))
def test_nothing_grows_while_it_is_held_and_again_when_released(seed: int, event: int) -> None:
    quota = Quota(FEATURES)
    quota.observe(*stream(seed, 4 * WINDOW))
    quota.hold(event)
    assert quota.state()["tallies"][1] == event
    share_N = quota.state()["share"].astype(np.float64)
    weight_B = quota.observe(*poisoned(seed, 0, 5 * WINDOW))
    assert quota.state()["share"].tobytes() == share_N.tobytes()
    assert weight_B.sum() <= 5 * WINDOW * share_N[:6].sum() + 1e-9
    quota.release()
    quota.observe(*poisoned(seed, 0, WINDOW))
    assert (quota.state()["share"].astype(np.float64) > share_N).any()


def test_a_later_hold_does_not_undo_an_earlier_one() -> None:
    quota = Quota(FEATURES)
    quota.hold(10)
    quota.hold(20_000)
    assert quota.state()["tallies"].tolist() == [0, 10]


@pytest.mark.parametrize("seed", range(3))
def test_a_young_stream_teaches_in_full_and_one_that_stays_as_it_is_nearly_so(seed: int) -> None:
    weight_B = Quota(FEATURES).observe(*stream(seed, 100_000))
    assert (weight_B[: YOUNG * WINDOW] == 1).all()
    assert weight_B.mean() > 0.99


def test_poison_that_is_a_third_of_all_teaches_next_to_nothing_and_the_rest_goes_on() -> None:
    x_BF, kind_B = poisoned(4, 20_000, 20_000)
    weight_B, poison_B = Quota(FEATURES).observe(x_BF, kind_B), x_BF[:, 1] > 0.85
    assert weight_B[poison_B].mean() < 0.01
    assert weight_B[~poison_B].mean() > 0.95


def test_a_kind_that_was_never_seen_teaches_next_to_nothing() -> None:
    x_BF, kind_B = stream(5, 40_000)
    kind_B[20_000::3] = 77
    assert Quota(FEATURES).observe(x_BF, kind_B)[20_000::3].mean() < 0.01


def test_what_is_new_and_stays_is_learned_in_the_end() -> None:
    x_BF, kind_B = poisoned(6, 5_000, 1_500_000)
    late_B = (x_BF[:, 1] > 0.85) & (np.arange(len(x_BF)) > 1_400_000)
    assert Quota(FEATURES).observe(x_BF, kind_B)[late_B].mean() > 0.9


def test_a_state_is_a_copy_and_never_grows() -> None:
    quota = Quota(FEATURES)
    quota.observe(*stream(7, 3_000))
    state = quota.state()
    before = {name: array.tobytes() for name, array in state.items()}
    quota.observe(*wild(8, 50_000))
    assert {name: array.tobytes() for name, array in state.items()} == before
    sizes = [sum(array.nbytes for array in told.values()) for told in (state, quota.state())]
    assert sizes[0] == sizes[1]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 features, got 2"):
        Quota(FEATURES).observe(np.zeros((1, 2)), np.ones(1, np.uint64))
    with pytest.raises(ValueError, match="expected shares of"):
        Quota(FEATURES).restore(Quota(FEATURES + 1).state())


def _bits(quota: Quota) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in quota.state().items()}
