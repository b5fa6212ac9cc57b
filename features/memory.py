"""Bounded, decaying counts of whatever key comes by: hash tables that forget the faintest."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

WAYS = 8

State = dict[str, NDArray[np.generic]]


class Memory(NamedTuple):
    """A table of at most S keys, each with C counts that fade with time; the arrays change in place.

    `keys_S` is 0 where a slot is empty; `when_S` is the second to which a slot's counts are faded.
    """

    keys_S: NDArray[np.uint64]
    counts_SC: NDArray[np.float64]
    when_S: NDArray[np.float64]
    half_lives_C: NDArray[np.float64]


def empty_memory(slots: int, *half_lives: float) -> Memory:
    """A memory of nothing with a count for each half-life in seconds; `slots` is a multiple of eight."""
    half_lives_C = np.array(half_lives)
    return Memory(np.zeros(slots, np.uint64), np.zeros((slots, half_lives_C.size)), np.zeros(slots), half_lives_C)


def memory_state(memory: Memory, name: str) -> State:
    """Everything it remembers, under `name`: the occupied slots alone, so that little knowledge takes little room."""
    (at_O,) = memory.keys_S.nonzero()
    return {
        f"{name}.at": at_O,
        f"{name}.keys": memory.keys_S[at_O],
        f"{name}.counts": memory.counts_SC[at_O],
        f"{name}.when": memory.when_S[at_O],
    }


def restore_memory(memory: Memory, state: State, name: str) -> None:
    """Remember what `state` holds under `name`, and nothing else."""
    memory.keys_S[:] = 0
    memory.counts_SC[:] = 0
    memory.when_S[:] = 0
    at_O = state[f"{name}.at"]
    memory.keys_S[at_O] = state[f"{name}.keys"]
    memory.counts_SC[at_O] = state[f"{name}.counts"]
    memory.when_S[at_O] = state[f"{name}.when"]


@njit(cache=True, inline="always")
def mix(a: np.uint64, b: np.uint64) -> np.uint64:
    """One key for the ordered pair of keys `a` and `b` (the finaliser of splitmix64, Steele et al. 2014)."""
    z = a * np.uint64(0x9E3779B97F4A7C15) + b + np.uint64(0x632BE59BD9B4E019)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def touch(memory: Memory, key: np.uint64, now: float) -> int:
    """The slot of `key`, its counts faded to `now` (seconds, never going back).

    A new key takes an empty slot of its eight, or the one whose first count is the faintest.
    """
    wanted = key if key != np.uint64(0) else np.uint64(1)
    base = int(wanted % np.uint64(memory.keys_S.size // WAYS)) * WAYS
    faintest, faint = base, np.inf
    for slot in range(base, base + WAYS):
        if memory.keys_S[slot] == wanted:
            age = now - memory.when_S[slot]
            if age > 0.0:
                for column in range(memory.half_lives_C.size):
                    memory.counts_SC[slot, column] *= 0.5 ** (age / memory.half_lives_C[column])
                memory.when_S[slot] = now
            return slot
        weight = -1.0
        if memory.keys_S[slot] != 0:
            weight = memory.counts_SC[slot, 0] * 0.5 ** ((now - memory.when_S[slot]) / memory.half_lives_C[0])
        if weight < faint:
            faintest, faint = slot, weight
    memory.keys_S[faintest] = wanted
    memory.counts_SC[faintest, :] = 0.0
    memory.when_S[faintest] = now
    return faintest


@njit(cache=True)
def find(memory: Memory, key: np.uint64) -> int:
    """The slot of `key`, or -1 where it is not known; nothing changes."""
    wanted = key if key != np.uint64(0) else np.uint64(1)
    base = int(wanted % np.uint64(memory.keys_S.size // WAYS)) * WAYS
    for slot in range(base, base + WAYS):
        if memory.keys_S[slot] == wanted:
            return slot
    return -1
