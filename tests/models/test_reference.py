"""A frozen reference tells who no longer looks as when it was frozen, and only who."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.reference import Reference, group_of

FEATURES, WARM = 3, 40_000
laws = settings(max_examples=10, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def stream(seed: int, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features about 0.3 of forty entities."""
    chance = np.random.default_rng(seed)
    x_BF = np.clip(chance.normal(0.3, 0.1, (rows, FEATURES)), 0, 1).astype(np.float32)
    return x_BF, chance.integers(1, 41, rows).astype(np.uint64)


def poisoned(seed: int, who: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """After the warm-up every tenth event has a high second feature and comes from `who`, or from anyone."""
    x_BF, entity_B = stream(seed, WARM + 10_000)
    x_BF[WARM::10, 1] = 0.8
    if who is not None:
        entity_B[WARM::10] = who
    return x_BF, entity_B


@laws
@given(seed=seeds, cuts=st.lists(st.integers(0, WARM + 10_000), max_size=6))
def test_any_cut_tells_the_same_divergences_and_keeps_the_same_bits(seed: int, cuts: list[int]) -> None:
    whole, pieces = Reference(FEATURES), Reference(FEATURES)
    x_BF, entity_B = poisoned(seed, who=7)
    told: tuple[Any, ...] = ()
    for part in zip(np.split(x_BF, sorted(cuts)), np.split(entity_B, sorted(cuts)), strict=True):
        told += pieces.observe(*part)
    assert told == whole.observe(x_BF, entity_B)
    assert told
    assert _bits(pieces) == _bits(whole)


@laws
@given(seed=seeds, before=st.integers(0, WARM + 10_000))
def test_a_restored_reference_goes_on_as_before(seed: int, before: int) -> None:
    one, other = Reference(FEATURES), Reference(FEATURES)
    x_BF, entity_B = poisoned(seed, who=7)
    one.observe(x_BF[:before], entity_B[:before])
    other.observe(*stream(seed, 5_000))
    other.restore(one.state())
    assert other.observe(x_BF[before:], entity_B[before:]) == one.observe(x_BF[before:], entity_B[before:])
    assert _bits(other) == _bits(one)


def test_a_state_is_a_copy_and_never_grows() -> None:
    reference = Reference(FEATURES)
    reference.observe(*stream(1, 3_000))
    state = reference.state()
    before = {name: array.tobytes() for name, array in state.items()}
    reference.observe(*stream(2, 3_000))
    assert {name: array.tobytes() for name, array in state.items()} == before
    sizes = [sum(array.nbytes for array in told.values()) for told in (state, reference.state())]
    assert sizes[0] == sizes[1]


def test_the_group_of_one_poisoner_is_told_with_the_feature() -> None:
    first = Reference(FEATURES).observe(*poisoned(3, who=7))[0]
    assert (first.group, first.feature) == (group_of(7), 1)
    assert WARM < first.event <= WARM + 5_000  # within 500 poisoned events


def test_poison_from_everyone_is_told_of_all_events() -> None:
    (told,) = Reference(FEATURES).observe(*poisoned(4, who=None))
    assert (told.group, told.feature) == (0, 1)
    assert WARM < told.event <= WARM + 5_000


def test_a_group_is_told_once_until_it_is_frozen_anew() -> None:
    reference = Reference(FEATURES)
    assert reference.observe(*poisoned(5, who=None))
    x_BF, entity_B = stream(6, 100_000)
    x_BF[::10, 1] = 0.8
    assert reference.observe(x_BF, entity_B) == ()
    reference.freeze()
    assert reference.observe(x_BF, entity_B) == ()
    assert reference.observe(np.full((5_000, FEATURES), 0.9), entity_B[:5_000])


def test_one_burst_shorter_than_four_windows_is_not_told() -> None:
    x_BF, entity_B = stream(7, WARM + 5_000)
    x_BF[WARM : WARM + 60] = 1.0
    assert Reference(FEATURES).observe(x_BF, entity_B) == ()


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_that_stays_as_it_is_never_diverges(seed: int) -> None:
    assert Reference(FEATURES).observe(*stream(seed, 200_000)) == ()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 features, got 2"):
        Reference(FEATURES).observe(np.zeros((1, 2)), np.ones(1, np.uint64))
    with pytest.raises(ValueError, match="expected tallies_G3 of shape"):
        Reference(FEATURES).restore(Reference(FEATURES, groups=5).state())


def _bits(reference: Reference) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in reference.state().items()}
