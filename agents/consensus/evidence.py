"""The evidence held: the strongest verdict of every distinct strange thing, and how much each entity does at all."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from agents.verdicts import ENTITY_KINDS, VERDICTS
from features.hashing import hash64
from features.memory import Memory, State, empty_memory, memory_state, mix, restore_memory, touch

#: What makes two verdicts the same thing seen twice: domain, activity, strangest field with its value, and who.
SAME = ("domain", "activity", "field", "value", "user", "host", "address")

#: A verdict worth holding, with the top reason beside it, how often its like was seen, and from when to when.
HELD = pl.Schema(
    VERDICTS
    | {"field": pl.String(), "value": pl.String(), "count": pl.Int64(), "first_time": VERDICTS["time"]}
    | {"last_time": VERDICTS["time"]}
)

#: Entity kinds that threats gather around, and the columns that name them; an address is one wherever it stands.
ANCHORS = {"user": "user", "host": "host", "address": "address", "peer": "address"}

_BLOCK = 8192


class Evidence:
    """At most `most` distinct strange things, heard from verdicts of at least `floor` nats.

    What is held depends on the log alone, not on the batches it came in: the weakest are dropped at fixed places.
    """

    def __init__(self, floor: float = 4.0, most: int = 20_000, slots: int = 1 << 18) -> None:
        self._floor = floor
        self._most = most
        self._held = pl.DataFrame(schema=HELD)
        self._waiting = pl.DataFrame(schema=HELD)
        self._activity = empty_memory(slots, np.inf)

    def hear(self, verdicts: pl.DataFrame) -> None:
        """Count every verdict's entities, and hold the strange ones."""
        for kind in ENTITY_KINDS[:-1]:
            named = verdicts.filter(pl.col(kind).is_not_null())
            _count(entity_key(named[kind], ANCHORS[kind]), hash64(named["domain"]), self._activity)
        strange = verdicts.filter(pl.col("evidence") >= self._floor).sort("seq")
        self._waiting = pl.concat([self._waiting, _noted(strange)])
        while self._waiting.height >= _BLOCK:
            self._held = _merged(pl.concat([self._held, self._waiting[:_BLOCK]])).head(self._most)
            self._waiting = self._waiting[_BLOCK:]

    def held(self) -> pl.DataFrame:
        """All distinct strange things, strongest first."""
        return _merged(pl.concat([self._held, self._waiting]))

    def activity(self, entities: pl.Series, kind: str, domain: pl.Series) -> NDArray[np.float64]:
        """How many verdicts named each of these entities in each of these domains, (N,) float64."""
        return _looked_up(entity_key(entities, kind), hash64(domain), self._activity)

    def state(self) -> tuple[State, dict[str, pl.DataFrame]]:
        """The counts as arrays, and what is held and waiting as frames."""
        return memory_state(self._activity, "activity"), {"held": self._held, "waiting": self._waiting}

    def restore(self, arrays: State, frames: dict[str, pl.DataFrame]) -> None:
        """Go on from `state`."""
        restore_memory(self._activity, arrays, "activity")
        self._held, self._waiting = frames["held"], frames["waiting"]


def entity_key(names: pl.Series, kind: str) -> NDArray[np.uint64]:
    """A hash of each entity of one kind."""
    return hash64(names, seed=1 + list(ENTITY_KINDS).index(kind))


def _noted(strange: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("reasons").list.first()
    return strange.with_columns(
        field=first.struct.field("field"),
        value=first.struct.field("value"),
        count=pl.lit(1, pl.Int64),
        first_time="time",
        last_time="time",
    ).select(HELD.names())


def _merged(things: pl.DataFrame) -> pl.DataFrame:
    """One row a distinct thing: its strongest verdict, earliest of equals; strongest things first."""
    strongest = things.sort(["evidence", "seq"], descending=[True, False])
    rest = [name for name in HELD.names() if name not in (*SAME, "count", "first_time", "last_time")]
    return (
        strongest.group_by(SAME, maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in rest),
            pl.col("count").sum(),
            pl.col("first_time").min(),
            pl.col("last_time").max(),
        )
        .select(HELD.names())
    )


@njit(cache=True)
def _count(entity_N: NDArray[np.uint64], domain_N: NDArray[np.uint64], activity: Memory) -> None:
    for i in range(entity_N.size):
        activity.counts_SC[touch(activity, mix(entity_N[i], domain_N[i]), 0.0), 0] += 1.0


@njit(cache=True)
def _looked_up(entity_N: NDArray[np.uint64], domain_N: NDArray[np.uint64], activity: Memory) -> NDArray[np.float64]:
    count_N = np.empty(entity_N.size)
    for i in range(entity_N.size):
        count_N[i] = activity.counts_SC[touch(activity, mix(entity_N[i], domain_N[i]), 0.0), 0]
    return count_N
