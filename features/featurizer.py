"""Words compiled over fields: events in, one row of numbers an event out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.clock import Clock
from features.hashing import hash64
from features.memory import State
from features.word import Codes, Look, Watch, Word

SLOTS = 1 << 16


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
        self._fields = [expression.cast(pl.String).alias(name) for name, expression in fields.items()]
        self.words = tuple(words)
        self._watches: list[Watch] = [word.watch(slots) for word in words]
        self.clock = Clock()

    def observe(self, events: pl.DataFrame) -> Features:
        """The features of `events`, a frame in the order of the log."""
        fields = events.select(self._fields)
        codes = {field.name: hash64(field) for field in fields}
        time_B = events["time"].to_physical().to_numpy()
        look = Look(codes, fields, self.clock.advance(time_B), time_B)
        x_BF = np.empty((events.height, len(self._watches)), np.float32)
        for f, watch in enumerate(self._watches):
            x_BF[:, f] = watch.observe(look)
        return Features(x_BF, codes, fields)

    def state(self) -> State:
        """Everything remembered of the stream so far."""
        state = {f"clock.{name}": array for name, array in self.clock.state().items()}
        for f, watch in enumerate(self._watches):
            state |= {f"{f}.{name}": array for name, array in watch.state().items()}
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self.clock.restore(part(state, "clock"))
        for f, watch in enumerate(self._watches):
            watch.restore(part(state, str(f)))


def part(state: State, name: str) -> State:
    """The entries of `state` below `name.`, without it.

    >>> part({"clock.hands": np.zeros(2), "0.total": np.ones(3)}, "clock")
    {'hands': array([0., 0.])}
    """
    return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}
