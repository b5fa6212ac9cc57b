"""Omission: how seldom an event's like leave out what it leaves out, field by field."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, restore_memory, touch
from features.missing import MISSING
from features.word import Look

_FIELDS = 64
_KINDS = 4096
_KNOWN, _SHARES = 0, 1
_WHEN = _SHARES + _FIELDS


@dataclass(frozen=True)
class Omission:
    """Nats of surprise at the fields that an event lacks, added up over them, given the value of `given`.

    `field` is the one that tells which they are. Of n events, all or those with a value of `given`, a share s lacked a
    field: overall p = (n s + 1/2) / (n + 1), given the value p = (n s + p) / (n + 1). What is often missing costs
    little, what is always there much, and two such fields twice as much: so leaving out more makes no event more usual.
    Of at most 64 fields and 4,096 values; n halves every `half_life` of active time.
    """

    field: str
    given: str
    half_life: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `missing fields given kind`."""
        return f"{self.field} fields given {self.given}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field that tells what is missing, and the one beside it."""
        return (self.field, self.given)

    def watch(self, slots: int) -> "OmissionWatch":
        """A fresh memory of at most `slots` values."""
        return OmissionWatch(self, slots)


class OmissionWatch:
    """How many events there were, and the share of them that lacked each field: by value, and of all."""

    def __init__(self, word: Omission, slots: int) -> None:
        self._word = word
        slots = min(slots, _KINDS)
        known = empty_memory(slots, word.half_life.total_seconds())
        # columns beyond the half-life stay as they are
        self._values = known._replace(counts_SC=np.zeros((slots, _SHARES + _FIELDS)))
        self._pool = np.zeros(_WHEN + 1)  # the same of all, and the active time to which it is faded

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Nats of surprise, (B,) float64."""
        lacks_BF = np.column_stack([codes_B == 0 for name, codes_B in look.codes.items() if name != MISSING])
        told_B, given_B = look.codes[self._word.field], look.codes[self._word.given]
        return _surprise(told_B, given_B, look.active_B, lacks_BF[:, :_FIELDS], self._values, self._pool)

    def state(self) -> State:
        """All shares."""
        pool: State = {"pool": self._pool[None].copy()}
        return pool | memory_state(self._values, "values")

    def restore(self, state: State) -> None:
        """Go on from these shares."""
        self._pool[:] = state["pool"][0]
        restore_memory(self._values, state, "values")


@njit(cache=True)
def _surprise(
    told_B: NDArray[np.uint64],
    given_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    lacks_BF: NDArray[np.bool_],
    values: Memory,
    pool: NDArray[np.float64],
) -> NDArray[np.float64]:
    nats_B = np.zeros(told_B.size)
    for i in range(told_B.size):
        if told_B[i] == 0:
            continue
        if active_B[i] > pool[_WHEN]:
            pool[_KNOWN] *= 0.5 ** ((active_B[i] - pool[_WHEN]) / values.half_lives_C[0])
            pool[_WHEN] = active_B[i]
        own = values.counts_SC[touch(values, given_B[i], active_B[i])]
        nats_B[i] = _nats(lacks_BF[i], own, pool)
        _learn(lacks_BF[i], own)
        _learn(lacks_BF[i], pool)
    return nats_B


@njit(cache=True)
def _nats(lacks_F: NDArray[np.bool_], own: NDArray[np.float64], pool: NDArray[np.float64]) -> float:
    """The surprise at all that is missing, with what is known so far."""
    known, every, nats = own[_KNOWN], pool[_KNOWN], 0.0
    for f in range(lacks_F.size):
        if lacks_F[f]:
            overall = (every * pool[_SHARES + f] + 0.5) / (every + 1.0)
            nats -= np.log((known * own[_SHARES + f] + overall) / (known + 1.0))
    return max(0.0, nats)


@njit(cache=True)
def _learn(lacks_F: NDArray[np.bool_], shares: NDArray[np.float64]) -> None:
    """Count an event in."""
    shares[_KNOWN] += 1.0
    for f in range(lacks_F.size):
        missing = 1.0 if lacks_F[f] else 0.0
        shares[_SHARES + f] += (missing - shares[_SHARES + f]) / shares[_KNOWN]
