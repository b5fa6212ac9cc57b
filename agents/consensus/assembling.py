"""Threads put together as threats, all of them at once: a call of Polars costs the same for one as for hundreds."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl

from agents.consensus.anticipation import expected
from agents.consensus.doers import DOER
from agents.consensus.evidence import HELD
from agents.consensus.gathering import Gathered
from agents.consensus.tactics import chains_in, spoken_in
from agents.consensus.testimony import TESTIMONY
from agents.consensus.threats import Entity, Reason, Threat
from agents.verdicts import VERDICTS
from features.hashing import hash64

#: What a threat shows of a verdict.
EVIDENCE = [name for name in HELD if name in VERDICTS or name not in TESTIMONY]

_REASONS, _OF_ONE = 10, 3
_EXPECTED = 3
_WITNESSES, _ENTITIES, _MERGED = 50, 50, 20
_REASON = ("domain", "activity", "field", "value", "evidence", "process", "user", "host", "address")


def assembled(ranked: pl.DataFrame, found: Gathered, witnesses: pl.DataFrame) -> list[Threat]:
    """A threat for each row of `ranked`, in order.

    `ranked` has thread, score, p, listed, answer, criticality, first and last. `found`, and `witnesses`, what threads
    are told by, heaviest first, with `tactics`, `techniques` and `odd`, may be of more threads than are ranked.
    """
    parts = _Parts(found.of(ranked["thread"]), witnesses.filter(pl.col("thread").is_in(ranked["thread"].implode())))
    return [parts.threat(rank, line) for rank, line in enumerate(ranked.iter_rows(named=True), start=1)]


class _Parts:
    """What threats are made of, by thread."""

    def __init__(self, found: Gathered, witnesses: pl.DataFrame) -> None:
        self._shares = by_thread(found.domains.sort("share", descending=True).select("thread", "domain", "share"))
        self._names = by_thread(names_of(found.names).select("thread", "id"))
        self._entities = by_thread(_entities(found.episodes))
        self._tactics, self._techniques = (spoken_in(witnesses, name) for name in ("tactics", "techniques"))
        self._chains = chains_in(witnesses)
        self._reasons = by_thread(_reasons(witnesses))
        heaviest = witnesses.filter(pl.int_range(pl.len()).over("thread") < _WITNESSES)
        self._evidence = _frames(heaviest.select("thread", *EVIDENCE))
        timeline = found.episodes.select("thread", "kind", "name", "start", pl.col("score").round(3))
        self._timeline = _frames(timeline.sort("start", "name", "kind"))

    def threat(self, rank: int, line: Mapping[str, Any]) -> Threat:
        thread = line["thread"]
        (name,), *merged = self._names[thread]
        return Threat(
            id=name,
            rank=rank,
            score=round(line["score"], 3),
            p=line["p"],
            listed=line["listed"],
            answer=line["answer"],
            criticality=line["criticality"],
            entities=tuple(Entity(kind, named, round(nats, 3)) for kind, named, nats in self._entities[thread]),
            first_time=line["first"],
            last_time=line["last"],
            domains={domain: round(line["score"] * share, 3) for domain, share in self._shares[thread]},
            tactics=self._tactics.get(thread, ()),
            techniques=self._techniques.get(thread, ()),
            expected=expected(self._chains.get(thread, ()))[:_EXPECTED],
            reasons=tuple(Reason(*row) for row in self._reasons[thread]),
            evidence=self._evidence[thread],
            timeline=self._timeline[thread],
            merged=tuple(name for (name,) in merged[:_MERGED]),
        )


def by_thread(rows: pl.DataFrame) -> dict[int, list[tuple[Any, ...]]]:
    """The rows of each thread, which stands first in them, without it, in their order."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for thread, *row in rows.iter_rows():
        found[thread].append(tuple(row))
    return found


def names_of(begun: pl.DataFrame) -> pl.DataFrame:
    """Threads that are part of threats, the oldest first, with the `id` by which each is called."""
    told = begun.select(pl.concat_str("kind", "name", pl.col("start").dt.epoch("us"), separator="\n"))
    return begun.with_columns(id=pl.Series([f"{key:016x}"[:10] for key in hash64(told.to_series())], dtype=pl.String))


def _frames(rows: pl.DataFrame) -> dict[int, pl.DataFrame]:
    parts = rows.partition_by("thread", as_dict=True, include_key=False, maintain_order=True)
    return {thread: part for (thread,), part in parts.items()}


def _entities(episodes: pl.DataFrame) -> pl.DataFrame:
    most = episodes.group_by("thread", "kind", "name", maintain_order=True).agg(pl.col("score").max())
    strongest = most.sort("score", descending=True, maintain_order=True)
    return strongest.filter(pl.int_range(pl.len()).over("thread") < _ENTITIES)


def _reasons(witnesses: pl.DataFrame) -> pl.DataFrame:
    """What the oddest doers did, at most three things of each; a doer's strangest things first."""
    doer = pl.coalesce(DOER).alias("doer")
    ordered = witnesses.with_columns(doer).sort("odd", "doer", "evidence", descending=True, maintain_order=True)
    few = ordered.filter(pl.int_range(pl.len()).over("thread", "doer") < _OF_ONE)
    return few.filter(pl.int_range(pl.len()).over("thread") < _REASONS).select("thread", *_REASON)
