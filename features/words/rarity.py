"""Rarity: how seldom a field takes this value, overall or beside another field's value."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from features.memory import (
    AHEAD,
    Memory,
    State,
    count,
    empty_memory,
    faded,
    fetch,
    inlined,
    kernel,
    memory_state,
    mix,
    restore_memory,
)
from features.word import Look

_FORGOTTEN = 1e-3


@dataclass(frozen=True)
class Rarity:
    """Surprisal in nats of `field`'s value, given the value of `given` if named.

    Without `given`: a value seen n times among N has p = r + (1 - r) n / (N + 1), an unseen one p = r, where r is
    the share of events that brought a value never seen before (Witten & Bell 1991, method C), so a field that
    always brings new values does not surprise by one more. With `given`: p = (n_pair + p) / (n_given + 1), the
    overall p as a prior that weighs one event. Counts halve every `half_life` of active time.
    """

    field: str
    given: str | None = None
    half_life: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `program given parent`."""
        return f"{self.field} given {self.given}" if self.given else self.field

    @property
    def needs(self) -> tuple[str, ...]:
        """The field, and the one beside it."""
        return (self.field, self.given) if self.given else (self.field,)

    def watch(self, slots: int) -> "RarityWatch":
        """A fresh memory of at most `slots` values and as many pairs."""
        return RarityWatch(self, slots)


class RarityWatch:
    """Counts of a field's values, and of the pairs with the values beside them."""

    def __init__(self, word: Rarity, slots: int) -> None:
        self._word = word
        half_life = word.half_life.total_seconds()
        self._values = empty_memory(slots, half_life)
        self._pairs = empty_memory(slots if word.given else 8, half_life)
        self._total = np.zeros(3)  # events, those that brought a new value, active time of both counts

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Nats of surprise, (B,) float64."""
        value_B = look.codes[self._word.field]
        given_B = look.codes[self._word.given] if self._word.given else value_B[:0]
        nats_B = np.zeros(value_B.size)
        _surprise(value_B, given_B, look.active_B, self._total, self._values, self._pairs, nats_B)
        return nats_B

    def state(self) -> State:
        """All counts."""
        total: State = {"total": self._total.copy()}
        return total | memory_state(self._values, "values") | memory_state(self._pairs, "pairs")

    def restore(self, state: State) -> None:
        """Go on from these counts."""
        self._total[:] = state["total"]
        restore_memory(self._values, state, "values")
        restore_memory(self._pairs, state, "pairs")


@kernel
def _surprise(
    value_B: NDArray[np.uint64],
    given_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    total: NDArray[np.float64],
    values: Memory,
    pairs: Memory,
    nats_B: NDArray[np.float64],
) -> None:
    for i in range(value_B.size):
        _fetch_ahead(value_B, given_B, i + AHEAD, values, pairs)
        if value_B[i] == 0:
            continue
        now = active_B[i]
        p = _share(value_B[i], now, total, values)
        if given_B.size:
            beside = count(pairs, mix(given_B[i], np.uint64(0)), now)
            p = (count(pairs, mix(given_B[i], value_B[i] | np.uint64(1)), now) + p) / (beside + 1.0)
        nats_B[i] = max(0.0, -np.log(p))


@inlined
def _fetch_ahead(
    value_B: NDArray[np.uint64], given_B: NDArray[np.uint64], i: int, values: Memory, pairs: Memory
) -> None:
    if i < value_B.size and value_B[i] != 0:
        fetch(values, value_B[i])
        if given_B.size:
            fetch(pairs, mix(given_B[i], np.uint64(0)))
            fetch(pairs, mix(given_B[i], value_B[i] | np.uint64(1)))


@inlined
def _share(value: np.uint64, now: float, total: NDArray[np.float64], values: Memory) -> float:
    """The probability of a value by itself, before this event; counts the event."""
    if now > total[2]:
        left = faded(now - total[2], values.half_lives_C[0])
        total[0] *= left
        total[1] *= left
        total[2] = now
    seen = count(values, value, now)
    fresh = (total[1] + 0.5) / (total[0] + 1.0)
    p: float = fresh + (1.0 - fresh) * seen / (total[0] + 1.0)
    total[0] += 1.0
    if seen < _FORGOTTEN:
        total[1] += 1.0
    return p
