"""Surge: how far the events of a key just now are from what its whole history makes likely."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from features.memory import (
    AHEAD,
    Memory,
    State,
    empty_memory,
    faded,
    fetch,
    kernel,
    memory_state,
    mix,
    restore_memory,
    touch,
)
from features.word import Look


@dataclass(frozen=True)
class Surge:
    """log(1 + chi-squared) of the recent events that share `field` (and `per`), 0 where they are fewer than expected.

    MIDAS (Bhatia et al., AAAI 2020) with decay in place of ticks: of a key's n events, counted with half-life `slow`,
    a share q falls into the recent past by chance, whose count a halves every `fast`; chi-squared = (a - q n)^2 /
    (n q (1 - q)). q is the weight of the recent past within all active time so far, so that a key never seen before
    is expected to stay rare. The event itself is counted, as published.
    """

    field: str
    per: str | None = None
    fast: timedelta = timedelta(minutes=1)
    slow: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `surge of peer per source`."""
        return f"surge of {self.field} per {self.per}" if self.per else f"surge of {self.field}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field, and the one that splits it."""
        return (self.field, self.per) if self.per else (self.field,)

    def watch(self, slots: int) -> "SurgeWatch":
        """A fresh memory of at most `slots` keys."""
        return SurgeWatch(self, slots)


class SurgeWatch:
    """A slow and a fast count of every key."""

    def __init__(self, word: Surge, slots: int) -> None:
        self._word = word
        self._counts = empty_memory(slots, word.slow.total_seconds(), word.fast.total_seconds())

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Log of one more than chi-squared, (B,) float64."""
        key_B = look.codes[self._word.field]
        per_B = look.codes[self._word.per] if self._word.per else np.zeros_like(key_B)
        surge_B = np.zeros(key_B.size)
        _surge(key_B, per_B, look.active_B, self._counts, surge_B)
        return surge_B

    def state(self) -> State:
        """All counts."""
        return memory_state(self._counts, "counts")

    def restore(self, state: State) -> None:
        """Go on from these counts."""
        restore_memory(self._counts, state, "counts")


@kernel
def _surge(
    key_B: NDArray[np.uint64],
    per_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    counts: Memory,
    surge_B: NDArray[np.float64],
) -> None:
    slow, fast = counts.half_lives_C[0], counts.half_lives_C[1]
    before, q = -1.0, 0.5
    for i in range(key_B.size):
        if i + AHEAD < key_B.size:
            fetch(counts, mix(key_B[i + AHEAD], per_B[i + AHEAD]))
        if key_B[i] == 0:
            continue
        now = active_B[i]
        if now != before:
            before, age = now, now + fast
            q = min(0.5, fast * (1.0 - faded(age, fast)) / (slow * (1.0 - faded(age, slow))))
        slot = touch(counts, mix(key_B[i], per_B[i]), now)
        counts.counts_SC[slot, 0] += 1.0
        counts.counts_SC[slot, 1] += 1.0
        n = counts.counts_SC[slot, 0]
        excess = counts.counts_SC[slot, 1] - q * n
        if excess > 0.0:
            surge_B[i] = np.log1p(excess * excess / (n * q * (1.0 - q)))
