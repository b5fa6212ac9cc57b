"""Guidance: what people told the council of whom to believe, of what is dear to them, and of threats it showed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: What makes strange things of one sort: domain, activity, and the field that was strangest, None where none was.
Sort = tuple[str, str | None, str | None]

_SORT = {"domain": pl.String, "activity": pl.String, "field": pl.String}
_CORE = 0.5  # share of its peak from which an episode says whom a threat is about


@dataclass(frozen=True)
class Guidance:
    """What people told the council; nothing, by default.

    `trust` is by what the nats of an agent are multiplied, by domain, and `sorts` by what those of a sort of things
    are: 1 where none is named, 0 for what is not heard at all. `answers` says by id which threats were true.
    `criticality` is how many nats more a threat about an entity, by kind and name, weighs in the order of the list: a
    prior that people state. It moves neither p nor the cut.
    """

    trust: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    sorts: Mapping[Sort, float] = field(default_factory=lambda: MappingProxyType({}))
    answers: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    criticality: Mapping[tuple[str, str], float] = field(default_factory=lambda: MappingProxyType({}))

    def without(self, domain: str) -> Self:
        """The same, with the agent of one domain not heard."""
        return replace(self, trust={**self.trust, domain: 0.0})

    def weights(self, things: pl.DataFrame) -> NDArray[np.float64]:
        """By what each thing's evidence is multiplied, (N,) float64."""
        trust = pl.col("domain").replace_strict(dict(self.trust), default=1.0, return_dtype=pl.Float64)
        weight_N: NDArray[np.float64] = things.select(trust).to_series().to_numpy()
        if not self.sorts:
            return weight_N
        known = pl.DataFrame(list(self.sorts), schema=_SORT, orient="row").with_columns(
            weight=pl.Series(list(self.sorts.values()), dtype=pl.Float64)
        )
        found = things.select(*_SORT).join(known, on=list(_SORT), how="left", nulls_equal=True, maintain_order="left")
        weight_N = weight_N * found["weight"].fill_null(1.0).to_numpy()
        return weight_N

    def critical(self, episodes: pl.DataFrame) -> pl.DataFrame:
        """How critical each thread is, as a frame of thread and criticality: as the dearest of those it is about."""
        stated = [(kind, name, nats) for (kind, name), nats in self.criticality.items()]
        schema = {"kind": pl.String, "name": pl.String, "criticality": pl.Float64}
        core = episodes.filter(pl.col("score") >= _CORE * pl.col("score").max().over("thread"))
        dear = core.join(pl.DataFrame(stated, schema=schema, orient="row"), on=["kind", "name"], how="left")
        return dear.group_by("thread", maintain_order=True).agg(pl.col("criticality").fill_null(0.0).max())


#: That nobody said anything.
NOTHING_SAID = Guidance()
