"""Burst: how much more of a key there is just now than by its own longer habit."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from features.memory import AHEAD, Memory, State, empty_memory, fetch, kernel, memory_state, mix, restore_memory, touch
from features.word import Look


@dataclass(frozen=True)
class Burst:
    """log(1 + recent) - log(1 + expected) of the events that share `field` (and `per`), not below 0.

    `recent` is a count that halves every `fast`; `expected` what a count that halves every `slow` says it would be
    at a steady rate: the idea of MIDAS (Bhatia et al. 2020) with decay in place of fixed ticks.
    """

    field: str
    per: str | None = None
    fast: timedelta = timedelta(minutes=1)
    slow: timedelta = timedelta(hours=2)

    @property
    def name(self) -> str:
        """Such as `burst of peer per address`."""
        return f"burst of {self.field} per {self.per}" if self.per else f"burst of {self.field}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field, and the one that splits it."""
        return (self.field, self.per) if self.per else (self.field,)

    def watch(self, slots: int) -> "BurstWatch":
        """A fresh memory of at most `slots` keys."""
        return BurstWatch(self, slots)


class BurstWatch:
    """A slow and a fast count of every key."""

    def __init__(self, word: Burst, slots: int) -> None:
        self._word = word
        self._counts = empty_memory(slots, word.slow.total_seconds(), word.fast.total_seconds())

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Log ratio of recent to expected, (B,) float64."""
        key_B = look.codes[self._word.field]
        per_B = look.codes[self._word.per] if self._word.per else np.zeros_like(key_B)
        excess_B = np.zeros(key_B.size)
        _excess(key_B, per_B, look.active_B, self._counts, excess_B)
        return excess_B

    def state(self) -> State:
        """All counts."""
        return memory_state(self._counts, "counts")

    def restore(self, state: State) -> None:
        """Go on from these counts."""
        restore_memory(self._counts, state, "counts")


@kernel
def _excess(
    key_B: NDArray[np.uint64],
    per_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    counts: Memory,
    excess_B: NDArray[np.float64],
) -> None:
    share = counts.half_lives_C[1] / counts.half_lives_C[0]
    for i in range(key_B.size):
        if i + AHEAD < key_B.size:
            fetch(counts, mix(key_B[i + AHEAD], per_B[i + AHEAD]))
        if key_B[i] == 0:
            continue
        slot = touch(counts, mix(key_B[i], per_B[i]), active_B[i])
        habit, recent = counts.counts_SC[slot, 0], counts.counts_SC[slot, 1]
        excess_B[i] = max(0.0, np.log1p(recent) - np.log1p(habit * share))
        counts.counts_SC[slot, 0] += 1.0
        counts.counts_SC[slot, 1] += 1.0
