"""What every word of a recipe can do: name its column, start with an empty memory, watch events go by."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.memory import State

Codes = Mapping[str, NDArray[np.uint64]]


class Watch(Protocol):
    """The bounded memory of one word, over one stream."""

    def observe(self, codes: Codes, active_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the word says of each event, (B,) float64 >= 0, larger is stranger: look first, remember second.

        `codes` holds a hash of every event's value for each field (0 where it is missing), `active_B` the
        active seconds at each event.
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
