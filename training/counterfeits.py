"""Counterfeit events: real ones with values of others in them, to ask an agent whether it knows what is usual."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.events import ORIGIN

#: What a row of a mixed stream is: an event as it was, with one value of another of its kind, or all of anybody's.
REAL, NEAR, WILD = range(3)

_SHARE = 0.1
_MOST = 2000
_OWN = frozenset((*ORIGIN, "time", "uid", "class_uid"))
_KIND = "activity_name"


@dataclass(frozen=True)
class Mixed:
    """Events with counterfeits behind some of them, in the order of time; `kind_B` (B,) says which row is what."""

    events: pl.DataFrame
    kind_B: NDArray[np.int8]


def counterfeited(events: pl.DataFrame, chance: np.random.Generator) -> Mixed:
    """The events, a tenth of them followed by a near counterfeit of itself and another tenth by a wild one.

    Near ones have one value exchanged for that of another event of the same activity. Of two agents of the simulated
    estate the one with the higher average precision for these was in 88 of 100 pairs the one with the higher average
    precision for attacks, unless it was poisoned, which no counterfeit shows. Wild ones have every column drawn by
    itself, classical noise contrast: 69 of 100, but an agent taught by shuffled events cannot tell them apart at all.
    """
    count = min(_MOST, int(np.ceil(events.height * _SHARE)))
    near, wild = (chance.choice(events.height, min(count, events.height), replace=False) for _ in range(2))
    parts = [_near(events, near, chance), _wild(events, wild, chance)]
    rows = [np.arange(events.height), *(row_N for _, row_N in parts)]
    kind_B = np.concatenate([np.full(row_N.size, kind, np.int8) for kind, row_N in enumerate(rows)])
    order_B = np.lexsort((kind_B, np.concatenate(rows)))
    return Mixed(pl.concat([events, *(frame for frame, _ in parts)])[order_B], kind_B[order_B])


def _near(
    events: pl.DataFrame, row_N: NDArray[np.int64], chance: np.random.Generator
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """One value of each changed, which one by chance among those that can; events where none can are left out."""
    names = [name for name in _columns(events) if name != _KIND]
    donors = [events[name].gather(_within_kind(events, chance)[row_N]) for name in names]
    own = events[row_N]
    is_other_NC = np.stack([own[d.name].ne_missing(d).to_numpy() for d in donors], axis=1)
    place_N = np.argmax(is_other_NC * chance.random(is_other_NC.shape), axis=1)
    changed = [
        pl.select(pl.when(pl.Series(place_N == c)).then(donor).otherwise(own[donor.name]).alias(donor.name)).to_series()
        for c, donor in enumerate(donors)
    ]
    can_N = is_other_NC.any(axis=1)
    return own.with_columns(changed).filter(pl.Series(can_N)), row_N[can_N]


def _wild(
    events: pl.DataFrame, row_N: NDArray[np.int64], chance: np.random.Generator
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Every column of each drawn from all events by itself."""
    drawn = [events[name].gather(chance.integers(0, events.height, row_N.size)) for name in _columns(events)]
    return events[row_N].with_columns(drawn), row_N


def _columns(events: pl.DataFrame) -> list[str]:
    return [name for name in events.columns if name not in _OWN]


def _within_kind(events: pl.DataFrame, chance: np.random.Generator) -> NDArray[np.int64]:
    """For each row another one of the same activity, each taken once."""
    kind_B = events[_KIND].rank("dense").fill_null(0).to_numpy()
    from_B = np.lexsort((chance.random(events.height), kind_B))
    other_B = np.empty(events.height, np.int64)
    other_B[np.argsort(kind_B, kind="stable")] = from_B
    return other_B
