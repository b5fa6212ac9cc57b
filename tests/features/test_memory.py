"""Bounded memories keep what is heavy, fade it with time, and never grow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from features.memory import WAYS, Memory, empty_memory, memory_state, mix, restore_memory, touch

DAY = 86_400.0


@njit(cache=True)
def touch_all(memory: Memory, key_N: NDArray[np.uint64], now: float) -> None:
    for i in range(key_N.size):
        memory.counts_SC[touch(memory, key_N[i], now), 0] += 1.0


def count(memory: Memory, key: int, now: float = 0.0, weight: float = 1.0) -> None:
    memory.counts_SC[touch(memory, np.uint64(key), now)] += weight


def held(memory: Memory, key: int, now: float = 0.0) -> list[float]:
    counts: list[float] = memory.counts_SC[touch(memory, np.uint64(key), now)].tolist()
    return counts


def test_a_touch_finds_a_key_again() -> None:
    memory = empty_memory(64, DAY)
    for key in range(20):
        count(memory, key, weight=key + 2.0)
    assert [held(memory, key) for key in range(2, 20)] == [[key + 2.0] for key in range(2, 20)]


def test_eight_keys_of_one_row_have_a_slot_each() -> None:
    memory = empty_memory(WAYS, DAY)
    assert {touch(memory, np.uint64(key), 0.0) for key in range(1, WAYS + 1)} == set(range(WAYS))


def test_the_key_zero_is_remembered_too() -> None:
    memory = empty_memory(WAYS, DAY)
    count(memory, 0)
    assert held(memory, 0) == [1.0]


@pytest.mark.parametrize("half_lives", [(60.0,), (60.0, 3600.0), (3600.0, 60.0, DAY)])
def test_every_count_halves_in_its_own_half_life(half_lives: tuple[float, ...]) -> None:
    memory = empty_memory(WAYS, *half_lives)
    count(memory, 7, weight=8.0)
    assert held(memory, 7, now=7200.0) == pytest.approx([8.0 * 0.5 ** (7200.0 / half) for half in half_lives])


def test_fading_in_two_steps_is_fading_in_one() -> None:
    once, twice = empty_memory(WAYS, DAY), empty_memory(WAYS, DAY)
    for memory in (once, twice):
        count(memory, 7)
    touch(twice, np.uint64(7), DAY / 3)
    assert held(twice, 7, DAY) == pytest.approx(held(once, 7, DAY))


def test_a_count_without_end_does_not_fade() -> None:
    memory = empty_memory(WAYS, np.inf)
    count(memory, 7)
    assert held(memory, 7, now=1e12) == [1.0]


def test_a_new_key_takes_the_place_of_the_faintest_and_starts_with_nothing() -> None:
    memory = empty_memory(WAYS, DAY)
    for key in range(1, WAYS + 1):
        count(memory, key, weight=10.0 + key)
    touch(memory, np.uint64(99), 0.0)
    assert set(memory.keys_S.tolist()) == {*range(2, WAYS + 1), 99}
    assert held(memory, 99) == [0.0]


def test_the_faintest_is_the_faintest_by_now() -> None:
    memory = empty_memory(WAYS, 60.0)
    count(memory, 1, now=0.0, weight=100.0)
    for key in range(2, WAYS + 1):
        count(memory, key, now=3600.0)
    touch(memory, np.uint64(99), 3600.0)
    assert 1 not in memory.keys_S


def test_a_million_keys_fill_the_table_and_no_more() -> None:
    memory = empty_memory(1024, DAY)
    size = sum(array.nbytes for array in memory)
    keys = np.random.default_rng(1).integers(0, 2**64, 1_000_000, dtype=np.uint64)
    touch_all(memory, keys, 0.0)
    assert sum(array.nbytes for array in memory) == size
    assert np.unique(memory.keys_S).size == memory.keys_S.size
    assert all(array.shape[0] <= 1024 for array in memory_state(memory, "m").values())


def test_what_is_heavy_survives_a_flood_of_what_is_light() -> None:
    memory = empty_memory(64, DAY)
    for key in range(1000, 1000 + WAYS - 1):
        count(memory, key * 8, weight=50.0)
    touch_all(memory, np.random.default_rng(2).integers(1, 2**64, 100_000, dtype=np.uint64), 0.0)
    assert all(held(memory, key * 8) == [50.0] for key in range(1000, 1000 + WAYS - 1))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1e5))), st.lists(st.integers(0, 40), max_size=10))
def test_a_restored_memory_knows_the_same_and_goes_on_the_same(
    past: list[tuple[int, float]], future: list[int]
) -> None:
    memory, other, now = empty_memory(16, 60.0, DAY), empty_memory(16, 60.0, DAY), 0.0
    count(other, 12345)
    for key, gap in past:
        now += gap
        count(memory, key, now)
    restore_memory(other, memory_state(memory, "m"), "m")
    for key in future:
        now += 10.0
        for one in (memory, other):
            count(one, key, now)
    for ours, theirs in zip(memory, other, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_a_state_holds_no_empty_slots() -> None:
    memory = empty_memory(1024, DAY)
    for key in range(1, 6):
        count(memory, key)
    assert {array.shape[0] for array in memory_state(memory, "m").values()} == {5}


def test_a_pair_of_keys_is_ordered() -> None:
    one, two = np.uint64(1), np.uint64(2)
    assert len({int(mix(*pair)) for pair in ((one, two), (two, one), (one, one), (two, two))}) == 4
