"""Drift is found by blocks of the stream, told once, and laid at the door of the world or of one entity."""

from typing import Any

import numpy as np
import pytest
import river.drift
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.drift import Drift, Shift

FEATURES = 3
laws = settings(max_examples=15, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def window() -> Any:
    adwin: Any = river.drift.ADWIN
    return adwin(clock=1)


def stream(seed: int, rows: int, entities: int = 20) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Features about 0.3, scores about 3 nats, each event of one of `entities`, whose codes begin at 1."""
    chance = np.random.default_rng(seed)
    x_BF = np.clip(chance.normal(0.3, 0.1, (rows, FEATURES)), 0, 1).astype(np.float32)
    return x_BF, chance.exponential(3.0, rows), chance.integers(1, entities + 1, rows).astype(np.uint64)


def shifted(seed: int, who: int | None = None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A stream whose second feature rises at event 10,000: of every entity, or of `who` alone, the busiest."""
    x_BF, score_B, entity_B = stream(seed, 20_000)
    if who is not None:
        entity_B[::4] = who
    x_BF[(np.arange(20_000) >= 10_000) & ((entity_B == who) | (who is None)), 1] += 0.3
    return np.clip(x_BF, 0, 1), score_B, entity_B


@laws
@given(seed=seeds, cuts=st.lists(st.integers(0, 20_000), max_size=6))
def test_any_cut_tells_the_same_shifts_and_keeps_the_same_bits(seed: int, cuts: list[int]) -> None:
    whole, pieces = Drift(FEATURES), Drift(FEATURES)
    told: tuple[Shift, ...] = ()
    for part in zip(*(np.split(array, sorted(cuts)) for array in shifted(seed)), strict=True):
        told += pieces.observe(*part)
    assert told == whole.observe(*shifted(seed))
    assert told
    assert _bits(pieces) == _bits(whole)


@laws
@given(seed=seeds, before=st.integers(0, 20_000))
def test_a_restored_drift_goes_on_as_before(seed: int, before: int) -> None:
    one, other = Drift(FEATURES), Drift(FEATURES)
    one.observe(*(array[:before] for array in shifted(seed)))
    other.observe(*stream(seed, 5_000))
    other.restore(one.state())
    rest = tuple(array[before:] for array in shifted(seed))
    assert other.observe(*rest) == one.observe(*rest)
    assert _bits(other) == _bits(one)


def test_a_state_is_a_copy_of_plain_arrays() -> None:
    drift = Drift(FEATURES)
    drift.observe(*stream(1, 3_000))
    state = drift.state()
    before = {name: array.tobytes() for name, array in state.items()}
    drift.observe(*stream(2, 3_000))
    assert {name: array.tobytes() for name, array in state.items()} == before
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values())


@laws
@given(seed=seeds, values=st.integers(0, 400), change=st.floats(0, 1))
def test_a_window_of_river_that_is_written_down_and_read_goes_on_as_the_one_it_was(
    seed: int, values: int, change: float
) -> None:
    chance, one, other = np.random.default_rng(seed), window(), window()
    for value in chance.random(values):
        one.update(value)
    if one.drift_detected:
        one = window()  # as River itself does before the next value
    other._helper.__setstate__(one._helper.__getstate__())
    for value in chance.random(200) + change:
        one.update(value)
        other.update(value)
        assert (one.drift_detected, one.width, one.total) == (other.drift_detected, other.width, other.total)


def test_a_change_of_all_entities_is_of_the_world() -> None:
    (shift,) = Drift(FEATURES).observe(*shifted(3))
    assert (shift.scope, shift.entity, shift.streams) == ("world", None, (1,))
    assert shift.by[0] == pytest.approx(0.3, abs=0.03)
    assert 10_000 < shift.since < shift.event <= 15_000
    assert (shift.share, shift.entities) == (1.0, 20)


def test_a_change_of_one_entity_names_it() -> None:
    (shift,) = Drift(FEATURES).observe(*shifted(4, who=7))
    assert (shift.scope, shift.entity, shift.streams) == ("entity", 7, (1,))
    assert shift.share < 0.5


def test_an_entity_that_creeps_is_found_though_no_step_is() -> None:
    x_BF, score_B, entity_B = stream(5, 60_000)
    entity_B[::4] = 7
    score_B[:] = 3.0
    (rows,) = (entity_B == 7).nonzero()
    x_BF[rows, 0] += np.minimum(0.5, np.maximum(0, np.arange(rows.size) - 2_000) // 50 * 0.01).astype(np.float32)
    shifts = Drift(FEATURES).observe(np.clip(x_BF, 0, 1), score_B, entity_B)
    assert shifts
    assert {(shift.scope, shift.entity) for shift in shifts} == {("entity", 7)}


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_that_stays_as_it_is_has_no_shift(seed: int) -> None:
    assert Drift(FEATURES).observe(*stream(seed, 100_000)) == ()


def test_scores_drift_as_the_last_stream() -> None:
    x_BF, score_B, entity_B = stream(6, 20_000)
    score_B[10_000:] *= 4
    (shift,) = Drift(FEATURES).observe(x_BF, score_B, entity_B)
    assert (shift.scope, shift.streams) == ("world", (FEATURES,))
    assert shift.by[0] > 0.1


def test_memory_stays_bounded_however_many_entities_come() -> None:
    drift, sizes = Drift(FEATURES, entities=64), []
    for seed in (7, 8):
        drift.observe(*stream(seed, 30_000, entities=10_000))
        sizes.append(sum(array.nbytes for array in drift.state().values()))
    assert sizes[1] <= sizes[0] + 8 * 128 * (FEATURES + 1)  # each window grows by the logarithm of its length
    assert drift.state()["entities.keys"].size <= 64


def test_features_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 features, got 2"):
        Drift(FEATURES).observe(np.zeros((1, 2)), np.zeros(1), np.ones(1, np.uint64))
    with pytest.raises(ValueError, match="expected 3 streams, got 4"):
        Drift(2).restore(Drift(FEATURES).state())


def _bits(drift: Drift) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in drift.state().items()}
