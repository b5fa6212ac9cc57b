"""Which entity is in which strange thing, and how much that weighs against it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.consensus.evidence import ANCHORS, Evidence
from features.events import Domain

_CAP = 40.0


@dataclass(frozen=True)
class Bonds:
    """L bonds between E entities and T strange things, by thing.

    `weight_L` is the thing's evidence in nats less log n, n the verdicts the entity had in that domain, not below 0:
    a busy entity gets no better chance than a quiet one (Bonferroni's correction).
    """

    names: list[tuple[str, str]]  # kind and name of each entity
    entity_L: NDArray[np.int64]
    thing_L: NDArray[np.int64]
    weight_L: NDArray[np.float64]
    sort_T: NDArray[np.int64]
    domain_T: NDArray[np.int64]

    def of_entity(self, entity: int) -> NDArray[np.int64]:
        """The bonds of an entity."""
        return np.flatnonzero(self.entity_L == entity)


def bonds_of(things: pl.DataFrame, fade_T: NDArray[np.float64], evidence: Evidence) -> Bonds:
    """The bonds of held things, each weighing `fade_T` of its evidence by now."""
    table = pl.concat([_bonds(things, kind, anchor, fade_T, evidence) for kind, anchor in ANCHORS.items()])
    table = table.unique(["thing", "kind", "name"], maintain_order=True).sort("thing", maintain_order=True)
    entities = table.select("kind", "name").unique(maintain_order=True).with_row_index("entity")
    table = table.join(entities, on=["kind", "name"], maintain_order="left")
    sorts = things.select("domain", "activity", "field").unique(maintain_order=True).with_row_index("sort")
    sort_T = things.join(sorts, on=["domain", "activity", "field"], nulls_equal=True, maintain_order="left")["sort"]
    order = {domain.value: d for d, domain in enumerate(Domain)}
    return Bonds(
        names=list(entities.select("kind", "name").iter_rows()),
        entity_L=table["entity"].cast(pl.Int64).to_numpy(),
        thing_L=table["thing"].cast(pl.Int64).to_numpy(),
        weight_L=table["weight"].to_numpy(),
        sort_T=sort_T.cast(pl.Int64).to_numpy(),
        domain_T=things["domain"].replace_strict(order, return_dtype=pl.Int64).to_numpy(),
    )


def score(sort_N: NDArray[np.int64], domain_N: NDArray[np.int64], weight_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """What N things add up to in each domain, in nats, (6,) float64.

    Things of one sort (domain, activity, field) count in full, half, a third and so on, strongest first; a domain's
    sum x counts as 40 (1 - exp(-x / 40)), so that no single agent fills the list.
    """
    order = np.lexsort((-weight_N, sort_N))
    sort_N, domain_N, weight_N = sort_N[order], domain_N[order], weight_N[order]
    place_N = np.arange(sort_N.size)
    starts_N = np.r_[True, sort_N[1:] != sort_N[:-1]][: sort_N.size]
    rank_N = place_N - np.maximum.accumulate(np.where(starts_N, place_N, 0)) + 1
    sum_D = np.bincount(domain_N, weights=weight_N / rank_N, minlength=len(Domain))
    return _CAP * (1.0 - np.exp(-sum_D / _CAP))


def _bonds(
    things: pl.DataFrame, kind: str, anchor: str, fade_T: NDArray[np.float64], evidence: Evidence
) -> pl.DataFrame:
    named = things.with_row_index("thing").filter(pl.col(kind).is_not_null())
    nats_N = named["evidence"].to_numpy() * fade_T[named["thing"].to_numpy()]
    busy_N = np.maximum(evidence.activity(named[kind], anchor, named["domain"]), 1.0)
    return named.select(
        "thing",
        kind=pl.lit(anchor),
        name=pl.col(kind),
        weight=pl.Series(np.maximum(nats_N - np.log(busy_N), 0.0)),
    )
