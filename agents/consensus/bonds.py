"""Which entity is in which strange thing, and how much that weighs against it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.consensus.chance import LEVELS, excess
from agents.consensus.evidence import FLOOR
from agents.consensus.records import ANCHORS, Records, naming
from features.events import Domain

_CAP = 80.0
_LEAST = 1e-3


@dataclass(frozen=True)
class Bonds:
    """L bonds between E entities and T strange things, by thing.

    `weight_L` shares out the excess of the entity's record in a domain (nats, `chance.excess`) among the things
    held against it there: by their evidence above the floor, those of one sort (activity, field) in full, half, a third
    and so on; what is held against k entities of a kind is divided by the square root of k.
    """

    names: list[tuple[str, str]]  # kind and name of each entity
    entity_L: NDArray[np.int64]
    thing_L: NDArray[np.int64]
    weight_L: NDArray[np.float64]
    domain_T: NDArray[np.int64]

    def of_entity(self, entity: int) -> NDArray[np.int64]:
        """The bonds of an entity."""
        return np.flatnonzero(self.entity_L == entity)


def bonds_of(things: pl.DataFrame, fade_T: NDArray[np.float64], known: Records) -> Bonds:
    """The bonds of held things, each weighing `fade_T` of what it did when it was new."""
    named = pl.concat([_named(things, kind, anchor) for kind, anchor in ANCHORS.items()])
    table = named.unique(["thing", "kind", "name"], maintain_order=True).sort("thing", maintain_order=True)
    entities, entity_L = _numbered(table, "kind", "name")
    order = {domain.value: d for d, domain in enumerate(Domain)}
    thing_L = table["thing"].cast(pl.Int64).to_numpy()
    return Bonds(
        names=list(entities.iter_rows()),
        entity_L=entity_L,
        thing_L=thing_L,
        weight_L=_weights(table, known) * fade_T[thing_L],
        domain_T=things["domain"].replace_strict(order, return_dtype=pl.Int64).to_numpy(),
    )


def score(domain_N: NDArray[np.int64], weight_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """What N things add up to in each domain, in nats, (6,) float64.

    A domain's sum x counts as 80 (1 - exp(-x / 80)), so that no single agent fills the list.
    """
    sum_D = np.bincount(domain_N, weights=weight_N, minlength=len(Domain))
    return _CAP * (1.0 - np.exp(-sum_D / _CAP))


def _named(things: pl.DataFrame, kind: str, anchor: str) -> pl.DataFrame:
    """The things that name an entity of one kind."""
    of_thing = ("thing", "domain", "activity", "field", "value", "evidence")
    return naming(things.with_row_index("thing"), kind).select(*of_thing, kind=pl.lit(anchor), name=pl.col(kind))


def _weights(table: pl.DataFrame, known: Records) -> NDArray[np.float64]:
    records, record_L = _numbered(table, "kind", "name", "domain")
    _, group_N = _numbered(records, "kind", "domain")
    record_NC = np.zeros((records.height, LEVELS + 1))
    for anchor in set(ANCHORS.values()):
        is_mine = (records["kind"] == anchor).to_numpy()
        mine = records.filter(is_mine)
        record_NC[is_mine] = known.of(mine["name"], anchor, mine["domain"])
    nats_N = excess(record_NC[:, :LEVELS], record_NC[:, LEVELS], group_N)
    return nats_N[record_L] * _shares(table, record_L) / np.sqrt(_prevalence(table))


def _shares(table: pl.DataFrame, record_L: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each bond's part in its entity's record in a domain; the parts of a record add up to 1."""
    of_sort = ("kind", "name", "domain", "activity", "field")
    rank_L = table.select(pl.col("evidence").rank("ordinal", descending=True).over(of_sort)).to_series().to_numpy()
    damped_L = np.maximum(table["evidence"].to_numpy() - FLOOR, _LEAST) / rank_L
    whole_N = np.bincount(record_L, weights=damped_L)
    share_L: NDArray[np.float64] = damped_L / whole_N[record_L]
    return share_L


def _prevalence(table: pl.DataFrame) -> NDArray[np.int64]:
    """How many entities of its kind each bond's thing is held against: a roll-out is on many hosts at once."""
    same_thing = ("kind", "domain", "activity", "field", "value")
    return table.select(pl.col("name").n_unique().over(same_thing)).to_series().cast(pl.Int64).to_numpy()


def _numbered(table: pl.DataFrame, *names: str) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The different values of some columns, in order of appearance, and each row's place among them."""
    different = table.select(names).unique(maintain_order=True)
    placed = table.join(different.with_row_index("place"), on=names, nulls_equal=True, maintain_order="left")
    return different, placed["place"].cast(pl.Int64).to_numpy()
