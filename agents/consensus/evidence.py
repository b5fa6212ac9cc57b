"""The evidence held: the strongest verdict of every distinct strange thing, and how all that an entity did ranks."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from agents.consensus.chance import LEVELS, PER_NAT
from agents.verdicts import ENTITY_KINDS, VERDICTS
from features.events import Domain
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

#: Domains whose host is the one that serves: every act there names it, so threats do not gather around it.
_SERVING = [Domain.WEB.value]

_BLOCK = 8192


class Evidence:
    """At most `most` distinct strange things, heard from verdicts of at least `floor` nats, and every entity's record.

    An entity's record in a domain is a histogram of the different things it did (domain, activity, value of the
    strangest field), each at its strongest evidence. What is held depends on the log alone, not on the batches it
    came in: the weakest things are dropped at fixed places.
    """

    def __init__(self, floor: float = 3.0, most: int = 20_000, slots: int = 1 << 18) -> None:
        self._floor = floor
        self._most = most
        self._held = pl.DataFrame(schema=HELD)
        self._waiting = pl.DataFrame(schema=HELD)
        self._did = empty_memory(slots, np.inf)
        self._records = empty_memory(slots // 4, *(np.inf,) * (LEVELS + 1))

    def hear(self, verdicts: pl.DataFrame) -> None:
        """Enter every verdict in its entities' records, and hold the strange ones."""
        noted = _noted(verdicts.sort("seq"))
        for kind, anchor in ANCHORS.items():
            named = naming(noted, kind)
            thing_N = hash64(
                named.select(pl.concat_str("activity", "value", separator="\n", ignore_nulls=True)).to_series()
            )
            evidence_N = named["evidence"].to_numpy()
            _enter(
                entity_key(named[kind], anchor), hash64(named["domain"]), thing_N, evidence_N, self._did, self._records
            )
        self._waiting = pl.concat([self._waiting, noted.filter(pl.col("evidence") >= self._floor)])
        while self._waiting.height >= _BLOCK:
            self._held = _merged(pl.concat([self._held, self._waiting[:_BLOCK]])).head(self._most)
            self._waiting = self._waiting[_BLOCK:]

    def held(self) -> pl.DataFrame:
        """All distinct strange things, strongest first."""
        return _merged(pl.concat([self._held, self._waiting]))

    def records(self, entities: pl.Series, kind: str, domain: pl.Series) -> NDArray[np.float64]:
        """Each entity's record in a domain, (N, LEVELS + 1): different things by level, then all its verdicts."""
        return _looked_up(entity_key(entities, kind), hash64(domain), self._records)

    def state(self) -> tuple[State, dict[str, pl.DataFrame]]:
        """The records as arrays, and what is held and waiting as frames."""
        arrays = memory_state(self._did, "did") | memory_state(self._records, "records")
        return arrays, {"held": self._held, "waiting": self._waiting}

    def restore(self, arrays: State, frames: dict[str, pl.DataFrame]) -> None:
        """Go on from `state`."""
        restore_memory(self._did, arrays, "did")
        restore_memory(self._records, arrays, "records")
        self._held, self._waiting = frames["held"], frames["waiting"]


def naming(verdicts: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The verdicts that name an entity of that kind which threats may gather around."""
    is_named = pl.col(kind).is_not_null()
    return verdicts.filter(is_named & ~pl.col("domain").is_in(_SERVING) if kind == "host" else is_named)


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
def _enter(
    entity_N: NDArray[np.uint64],
    domain_N: NDArray[np.uint64],
    thing_N: NDArray[np.uint64],
    evidence_N: NDArray[np.float64],
    did: Memory,
    records: Memory,
) -> None:
    """A thing done again counts once, at its strongest."""
    for i in range(entity_N.size):
        whose = mix(entity_N[i], domain_N[i])
        thing = touch(did, mix(whose, thing_N[i]), 0.0)
        record = touch(records, whose, 0.0)
        level = 1.0 + min(LEVELS - 1, int(evidence_N[i] * PER_NAT))
        before = did.counts_SC[thing, 0]
        records.counts_SC[record, LEVELS] += 1.0
        if level > before:
            if before > 0.0:
                records.counts_SC[record, int(before) - 1] -= 1.0
            records.counts_SC[record, int(level) - 1] += 1.0
            did.counts_SC[thing, 0] = level


@njit(cache=True)
def _looked_up(entity_N: NDArray[np.uint64], domain_N: NDArray[np.uint64], records: Memory) -> NDArray[np.float64]:
    record_NC = np.zeros((entity_N.size, LEVELS + 1))
    for i in range(entity_N.size):
        record_NC[i] = records.counts_SC[touch(records, mix(entity_N[i], domain_N[i]), 0.0)]
    return record_NC
