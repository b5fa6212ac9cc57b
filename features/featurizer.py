"""Words compiled over fields: events in, one row of numbers an event out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import Clock
from features.distinct import worked_out
from features.memory import State
from features.missing import MISSING, missing
from features.word import Codes, Look, Watch, Word

#: The most keys of a table; it takes room for those that come.
SLOTS = 1 << 21


@dataclass(frozen=True)
class Features:
    """What a batch looks like in numbers, row for row with its events.

    `x_BF` is float32 >= 0 with one column a word; `codes` the hash of each field's value, 0 where it is missing;
    `fields` the values themselves.
    """

    x_BF: NDArray[np.float32]
    codes: Codes
    fields: pl.DataFrame


class Featurizer:
    """Fields and words over one stream of events: looks at each event, then remembers it."""

    def __init__(self, fields: Mapping[str, pl.Expr], words: Sequence[Word], slots: int = SLOTS) -> None:
        self._fields = dict(fields)
        self.words = tuple(words)
        self._tells_missing = any(MISSING in word.needs for word in words)
        self._watches: list[Watch] = [word.watch(slots) for word in words]
        self.clock = Clock()

    def observe(self, events: pl.DataFrame) -> Features:
        """The features of `events`, a frame in the order of the log."""
        fields, codes = worked_out(events, self._fields)
        if self._tells_missing:
            lacked, codes[MISSING] = missing(codes)
            fields = fields.with_columns(lacked)
        time_B = events["time"].to_physical().to_numpy()
        look = Look(codes, fields, self.clock.advance(time_B), time_B)
        x_BF = np.empty((events.height, len(self._watches)), np.float32)
        for f, watch in enumerate(self._watches):
            x_BF[:, f] = watch.observe(look)
        return Features(x_BF, codes, fields)

    def state(self) -> State:
        """Everything remembered of the stream so far."""
        state = under("clock", self.clock.state())
        for f, watch in enumerate(self._watches):
            state |= under(str(f), watch.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self.clock.restore(part(state, "clock"))
        for f, watch in enumerate(self._watches):
            watch.restore(part(state, str(f)))


def squashed(x_BF: NDArray[np.float32 | np.float64]) -> NDArray[np.float64]:
    """Nats x as x / (x + 3), in [0, 1): what detectors of bounded features see."""
    wide_BF = x_BF.astype(np.float64)
    narrow_BF: NDArray[np.float64] = wide_BF / (wide_BF + 3.0)
    return narrow_BF


def under(name: str, state: State) -> State:
    """The same entries below `name.`, for `part` to find again."""
    return {f"{name}.{key}": array for key, array in state.items()}


def part(state: State, name: str) -> State:
    """The entries of `state` below `name.`, without it.

    >>> part({"clock.hands": np.zeros(2), "0.total": np.ones(3)}, "clock")
    {'hands': array([0., 0.])}
    """
    return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}
