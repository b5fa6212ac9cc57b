"""What every word of a recipe can do: name its column, start with an empty memory, watch events go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.memory import State

Codes = Mapping[str, NDArray[np.uint64]]


@dataclass(frozen=True)
class Look:
    """A batch of events as the words see it, row for row.

    `codes` holds a hash of every event's value for each field, 0 where it is missing; `texts` the values themselves,
    null where missing; `active_B` the active seconds at each event (`features.clock`), never going back; `time_B` its
    time in microseconds of UTC.
    """

    codes: Codes
    texts: pl.DataFrame
    active_B: NDArray[np.float64]
    time_B: NDArray[np.int64]


class Watch(Protocol):
    """The bounded memory of one word, over one stream."""

    def observe(self, look: Look) -> NDArray[np.float64]:
        """What the word says of each event, (B,) float64 >= 0, larger is stranger: look first, remember second.

        Where the word's field is missing it says 0 and remembers nothing.
        """
        ...

    def state(self) -> State:
        """All that is remembered."""
        ...

    def restore(self, state: State) -> None:
        """Remember `state`, and nothing else."""
        ...


class Word(Protocol):
    """A feature as a recipe declares it: a frozen value."""

    @property
    def field(self) -> str:
        """The field whose value explains the feature."""
        ...

    @property
    def name(self) -> str:
        """The feature's column, readable by an analyst."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The fields it looks at."""
        ...

    def watch(self, slots: int) -> Watch:
        """A fresh memory of at most `slots` keys a table."""
        ...
