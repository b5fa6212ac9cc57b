"""The records: how much every entity did in each domain, and how strange each of the different things was."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from agents.consensus.chance import LEVELS, PER_NAT
from agents.verdicts import ENTITY_KINDS
from features.events import Domain
from features.hashing import hash64
from features.memory import Memory, State, empty_memory, find, memory_state, mix, restore_memory, touch

#: Entity kinds that threats gather around, and the kind they count as; an address is one wherever it stands.
ANCHORS = {"user": "user", "host": "host", "address": "address", "peer": "address"}

#: Who a strange thing is put down to: the process that did it, else the user, else the address; on which host.
DOER = ("process", "user", "address")

#: Domains whose host is the one that serves: every act there names it, so threats do not gather around it.
_SERVING = [Domain.WEB.value]

_DEED = ("whose", "where", "what")


class Records:
    """Bounded tables over everything heard: they depend on the verdicts and their order alone, not on the batches.

    An entity's record in a domain counts the different things it did (activity and value of the strangest field) by
    the strongest evidence of each, half a nat a level, and all its verdicts. A doer's record in an activity has its
    verdicts and their evidence in sum.
    """

    def __init__(self, slots: int = 1 << 18) -> None:
        self._did = empty_memory(slots, np.inf)
        self._records = empty_memory(slots // 4, *(np.inf,) * (LEVELS + 1))
        self._doers = empty_memory(slots // 4, np.inf, np.inf)

    def enter(self, noted: pl.DataFrame) -> None:
        """Enter verdicts, each with `field` and `value` of its first reason, in the order of the log."""
        deeds = pl.concat([_deeds(noted, kind, anchor) for kind, anchor in ANCHORS.items()])
        deeds = deeds.sort("seq", maintain_order=True)  # verdict by verdict, so that no cut changes who makes room
        whose_N, domain_N, thing_N = (deeds[name].to_numpy() for name in _DEED)
        _enter(whose_N, domain_N, thing_N, deeds["evidence"].to_numpy(), self._did, self._records)
        _add(_doer_key(noted), noted["evidence"].to_numpy(), self._doers)

    def of(self, entities: pl.Series, kind: str, domain: pl.Series) -> NDArray[np.float64]:
        """Each entity's record in a domain, (N, LEVELS + 1): different things by level, then all its verdicts."""
        return _looked_up(entity_key(entities, kind), hash64(domain), self._records)

    def oddness(self, things: pl.DataFrame) -> NDArray[np.float64]:
        """How odd the doer of each thing is, (T,) float64, in nats.

        The sum over the activities that it does in `things` of its mean evidence there less 1, which is what chance
        makes of the mean: a doer of many sorts of odd things stands out, one that is odd now and then among much
        that is usual does not.
        """
        mean_T = _mean(_doer_key(things), self._doers)
        told = things.select(pl.coalesce(DOER).alias("doer"), "host", "domain", "activity")
        told = told.with_columns(excess=pl.Series(np.maximum(mean_T - 1.0, 0.0)))
        once = told.unique(["doer", "host", "domain", "activity"], maintain_order=True)
        summed = once.group_by("doer", "host", maintain_order=True).agg(pl.col("excess").sum().alias("odd"))
        return told.join(summed, on=["doer", "host"], nulls_equal=True, maintain_order="left")["odd"].to_numpy()

    def state(self) -> State:
        """All tables."""
        return (
            memory_state(self._did, "did") | memory_state(self._records, "records") | memory_state(self._doers, "doers")
        )

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        restore_memory(self._did, state, "did")
        restore_memory(self._records, state, "records")
        restore_memory(self._doers, state, "doers")


def _deeds(noted: pl.DataFrame, kind: str, anchor: str) -> pl.DataFrame:
    """What verdicts enter in the records of the entities of one kind."""
    named = naming(noted, kind)
    keys = [entity_key(named[kind], anchor), hash64(named["domain"]), _key(named, "activity", "value")]
    return named.select("seq", "evidence", *(pl.Series(n, key) for n, key in zip(_DEED, keys, strict=True)))


def naming(verdicts: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The verdicts that name an entity of that kind which threats may gather around."""
    is_named = pl.col(kind).is_not_null()
    return verdicts.filter(is_named & ~pl.col("domain").is_in(_SERVING) if kind == "host" else is_named)


def entity_key(names: pl.Series, kind: str) -> NDArray[np.uint64]:
    """A hash of each entity of one kind."""
    return hash64(names, seed=1 + ENTITY_KINDS.index(kind))


def _doer_key(verdicts: pl.DataFrame) -> NDArray[np.uint64]:
    doers = verdicts.select(
        pl.coalesce(DOER).fill_null("").alias("doer"), pl.col("host").fill_null(""), "domain", "activity"
    )
    return _key(doers, "doer", "host", "domain", "activity")


def _key(verdicts: pl.DataFrame, *names: str) -> NDArray[np.uint64]:
    return hash64(verdicts.select(pl.concat_str(names, separator="\n", ignore_nulls=True)).to_series())


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
        slot = find(records, mix(entity_N[i], domain_N[i]))
        if slot >= 0:
            record_NC[i] = records.counts_SC[slot]
    return record_NC


@njit(cache=True)
def _add(doer_N: NDArray[np.uint64], evidence_N: NDArray[np.float64], doers: Memory) -> None:
    for i in range(doer_N.size):
        slot = touch(doers, doer_N[i], 0.0)
        doers.counts_SC[slot, 0] += 1.0
        doers.counts_SC[slot, 1] += evidence_N[i]


@njit(cache=True)
def _mean(doer_N: NDArray[np.uint64], doers: Memory) -> NDArray[np.float64]:
    mean_N = np.zeros(doer_N.size)
    for i in range(doer_N.size):
        slot = find(doers, doer_N[i])
        if slot >= 0:
            mean_N[i] = doers.counts_SC[slot, 1] / doers.counts_SC[slot, 0]
    return mean_N
