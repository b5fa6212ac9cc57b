"""Bounded memories keep what is heavy, fade it with time, and never grow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from features.memory import WAYS, Memory, empty_memory, find, memory_state, mix, restore_memory, touch
from features.memory import count as counted

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
    state = memory_state(memory, "m")
    assert {state[f"m.{name}"].shape[0] for name in ("at", "keys", "counts", "when")} == {5}


@pytest.mark.parametrize("slots", [0, 4, 24, 100])
def test_slots_are_eight_times_a_power_of_two(slots: int) -> None:
    with pytest.raises(ValueError, match=f"not {slots}"):
        empty_memory(slots, DAY)


def test_a_memory_grows_without_forgetting_until_it_may_not() -> None:
    memory = empty_memory(1 << 16, DAY)
    keys = np.random.default_rng(4).integers(1, 2**64, 12_000, dtype=np.uint64)
    for n, key in enumerate(keys[:50]):
        count(memory, int(key), weight=n + 1.0)
    little = int(memory.size[0])
    touch_all(memory, keys[50:], 0.0)
    assert little < memory.size[0] <= memory.keys_S.size // WAYS
    assert memory.size[1] == 12_000
    assert [held(memory, int(key)) for key in keys[:50]] == [[n + 1.0] for n in range(50)]


def test_columns_that_do_not_fade_move_with_their_key() -> None:
    memory = empty_memory(1 << 14, DAY)._replace(counts_SC=np.zeros((1 << 14, 3)))
    keys = np.random.default_rng(7).integers(1, 2**64, 5_000, dtype=np.uint64)
    for n, key in enumerate(keys[:50]):
        memory.counts_SC[touch(memory, key, 0.0)] = 1.0, n, -n
    touch_all(memory, keys[50:], DAY)
    assert memory.size[0] > 64
    assert [held(memory, int(key), DAY) for key in keys[:50]] == [[0.5, n, -n] for n in range(50)]


def test_a_memory_that_may_grow_far_forgets_few() -> None:
    memory = empty_memory(1 << 20, DAY)
    keys = np.random.default_rng(5).integers(1, 2**64, 400_000, dtype=np.uint64)
    touch_all(memory, keys, 0.0)
    assert 0.98 * keys.size < memory.size[1] <= keys.size
    assert 2 * memory.size[1] <= memory.size[0] * WAYS


def test_a_memory_is_the_same_whenever_it_was_kept_while_it_grew() -> None:
    keys = np.random.default_rng(6).integers(1, 2**64, 30_000, dtype=np.uint64)
    memory, other = empty_memory(1 << 18, DAY), empty_memory(1 << 18, DAY)
    touch_all(memory, keys, 0.0)
    for part in np.split(keys, [10, 600, 20_000]):
        state = memory_state(other, "m")
        other = empty_memory(1 << 18, DAY)
        touch_all(other, keys[:5_000], 0.0)
        restore_memory(other, state, "m")
        touch_all(other, part, 0.0)
    for ours, theirs in zip(memory, other, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_what_was_counted_is_found_and_what_was_not_is_not() -> None:
    memory = empty_memory(1024, DAY)
    assert [counted(memory, np.uint64(9), 0.0) for _ in range(3)] == [0.0, 1.0, 2.0]
    assert find(memory, np.uint64(9)) == touch(memory, np.uint64(9), 0.0)
    assert find(memory, np.uint64(10)) == -1


def test_a_pair_of_keys_is_ordered() -> None:
    one, two = np.uint64(1), np.uint64(2)
    assert len({int(mix(*pair)) for pair in ((one, two), (two, one), (one, one), (two, two))}) == 4
