"""Ratio: how far the quotient of two numbers lies from what is usual for a key."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, restore_memory, touch
from features.word import Look

#: Events that all keys together weigh in the answer for one.
_PRIOR = 10.0
#: Squared deviation that even a key that never varies is granted: a tenth up or down.
_GRANTED = 0.01
#: Spreads from the mean behind which a value teaches no more than one that lies there.
_FARTHEST = 3.0
_FREEDOM = 3.0
_WEIGHT, _MEAN, _SQUARE = range(3)


@dataclass(frozen=True)
class Ratio:
    """Nats by which a Student t of 3 degrees is less dense at log((1 + `field`) / (1 + `over`)) than at its middle.

    Middle and squared spread are those of the value of `per`, a weight that halves every `half_life`, beside those of
    all events with a weight of ten; before the first event there are none, and it says 0. A value beyond three spreads
    teaches as if it lay there. Both fields are texts of numbers not below 0; anything else counts as missing.
    """

    field: str
    over: str
    per: str | None = None
    half_life: timedelta = timedelta(days=7)

    @property
    def name(self) -> str:
        """Such as `sent over received per port`."""
        return f"{self.field} over {self.over}" + (f" per {self.per}" if self.per else "")

    @property
    def needs(self) -> tuple[str, ...]:
        """Both numbers, and the field that splits them."""
        return (self.field, self.over, self.per) if self.per else (self.field, self.over)

    def watch(self, slots: int) -> "RatioWatch":
        """A fresh memory of at most `slots` keys."""
        return RatioWatch(self, slots)


class RatioWatch:
    """Weight, mean and squared deviation of every key's log ratio, and of all."""

    def __init__(self, word: Ratio, slots: int) -> None:
        self._word = word
        half_lives = (word.half_life.total_seconds(), np.inf, np.inf)
        self._keys = empty_memory(slots if word.per else 8, *half_lives)
        self._all = empty_memory(8, *half_lives)

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Nats below the middle, (B,) float64."""
        log_B = np.log1p(_number(look, self._word.field)) - np.log1p(_number(look, self._word.over))
        per_B = look.codes[self._word.per] if self._word.per else np.zeros(0, np.uint64)
        return _nats(log_B, per_B, look.active_B, self._keys, self._all)

    def state(self) -> State:
        """All means."""
        return memory_state(self._keys, "keys") | memory_state(self._all, "all")

    def restore(self, state: State) -> None:
        """Go on from these means."""
        restore_memory(self._keys, state, "keys")
        restore_memory(self._all, state, "all")


def _number(look: Look, field: str) -> NDArray[np.float64]:
    """The texts as numbers, (B,) float64; NaN for what is none, and below 0."""
    number = look.texts[field].cast(pl.Float64, strict=False)
    is_size = number.is_finite() & (number >= 0.0)
    return np.asarray(number.set(~is_size, None).to_numpy(), np.float64)


@njit(cache=True)
def _nats(
    log_B: NDArray[np.float64],
    per_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    keys: Memory,
    everything: Memory,
) -> NDArray[np.float64]:
    nats_B = np.zeros(log_B.size)
    for i in range(log_B.size):
        if np.isnan(log_B[i]):
            continue
        whole = everything.counts_SC[touch(everything, np.uint64(1), active_B[i])]
        middle, square, is_first = whole[_MEAN], whole[_SQUARE], whole[_WEIGHT] == 0.0
        if per_B.size:
            own = keys.counts_SC[touch(keys, per_B[i], active_B[i])]
            share = own[_WEIGHT] / (own[_WEIGHT] + _PRIOR)
            middle += share * (own[_MEAN] - middle)
            square += share * (own[_SQUARE] - square)
            _learn(own, log_B[i], middle, square)
        if not is_first:
            z2 = (log_B[i] - middle) ** 2 / (square + _GRANTED)
            nats_B[i] = 0.5 * (_FREEDOM + 1.0) * np.log1p(z2 / _FREEDOM)
        _learn(whole, log_B[i], whole[_MEAN], whole[_SQUARE])
    return nats_B


@njit(cache=True)
def _learn(row_3: NDArray[np.float64], value: float, middle: float, square: float) -> None:
    """Count a value in, drawn near to what was expected of it once there is something to expect."""
    near = value
    if row_3[_WEIGHT] >= 1.0:
        farthest = _FARTHEST * np.sqrt(square + _GRANTED)
        near = min(max(value, middle - farthest), middle + farthest)
    row_3[_WEIGHT] += 1.0
    off = near - row_3[_MEAN]
    row_3[_MEAN] += off / row_3[_WEIGHT]
    row_3[_SQUARE] += (off * (near - row_3[_MEAN]) - row_3[_SQUARE]) / row_3[_WEIGHT]
