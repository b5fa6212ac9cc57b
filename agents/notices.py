"""Notices: what an agent has to say of its stream as a whole, apart from its events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.drift import Shift
from models.reference import Divergence

What = Literal["the world changed", "an entity creeps", "a shift", "unlike the reference"]


@dataclass(frozen=True)
class Notice:
    """One thing noticed when `event` events had passed.

    `features` are the features that moved and `by` how far on [0, 1]; `entity` is the hash of the one that moves alone.
    `learning` says what the agent does about it: it lets new things become usual, it holds, or neither.
    """

    event: int
    what: What
    features: tuple[str, ...]
    by: float
    entity: int | None
    learning: Literal["relaxed", "held", "as before"]

    def in_words(self) -> str:
        """For a person, on one line.

        >>> Notice(4096, "the world changed", ("port",), 0.25, None, "relaxed").in_words()
        'the world changed by event 4,096: port moved by +0.25 of its span; learning is relaxed'
        """
        what = ", ".join(self.features) or "all features together"
        moved = f"{what} moved by {self.by:+.2f} of its span"
        return f"{self.what} by event {self.event:,}: {moved}; learning is {self.learning}"


def of_shift(shift: Shift, names: Sequence[str]) -> Notice:
    """A shift that ADWIN found: of the world, which the agent follows, or of one entity, which it does not."""
    features = tuple([*names, "score"][stream] for stream in shift.streams)
    by = max(shift.by, key=abs)
    if shift.scope == "world":
        return Notice(shift.event, "the world changed", features, by, None, "relaxed")
    if shift.scope == "entity":
        return Notice(shift.event, "an entity creeps", features, by, shift.entity, "held")
    return Notice(shift.event, "a shift", features, by, None, "as before")


def of_divergence(divergence: Divergence, names: Sequence[str]) -> Notice:
    """A part of the entities that moved away from what was frozen: learning is held until the world is seen to move."""
    features = () if divergence.feature is None else (names[divergence.feature],)
    return Notice(divergence.event, "unlike the reference", features, divergence.by, None, "held")
