"""Agents at fault: their verdicts rewritten as they are silent, late, stuck, random, inverted, or lie on purpose."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from benchmarks.consensus import by_entity

Episode = tuple[str, str, object]
Liars = tuple[str, ...]

#: What names an episode in a frame.
KEY = ("kind", "name", "start")
#: Nats of a lie that is meant to be heard.
LOUD = 20.0

_STRANGE, _LEAST = 2.0, 1e-9
_HOUR = timedelta(hours=1)
_FLOODS, _TARGETS = (5, 50), (5, 20)


@dataclass(frozen=True)
class Thing:
    """What a rule lists: its strongest episode, all of its episodes, and each agent's share in it."""

    strongest: Episode
    episodes: frozenset[Episode]
    shares: Mapping[str, float]


#: Verdicts as they are heard where these agents are at fault; the things are those next to the list without them.
Fault = Callable[[np.random.Generator, pl.DataFrame, Liars, Sequence[Thing]], Iterator[pl.DataFrame]]


def _silent(chance: np.random.Generator, verdicts: pl.DataFrame, liars: Liars, near: object) -> Iterator[pl.DataFrame]:
    yield verdicts.filter(~pl.col("domain").is_in(liars))


def _late(chance: np.random.Generator, verdicts: pl.DataFrame, liars: Liars, near: object) -> Iterator[pl.DataFrame]:
    waits = pl.when(pl.col("domain").is_in(liars)).then(pl.col("time") + _HOUR).otherwise("time")
    told = verdicts.with_columns(arrives=waits).filter(pl.col("arrives") <= pl.col("time").max())
    yield told.sort("arrives", "seq").drop("arrives")


def _saying(p: Callable[[np.random.Generator, pl.DataFrame], pl.Series]) -> Fault:
    def fault(
        chance: np.random.Generator, verdicts: pl.DataFrame, liars: Liars, near: object
    ) -> Iterator[pl.DataFrame]:
        lie = pl.when(pl.col("domain").is_in(liars)).then(p(chance, verdicts).clip(_LEAST, 1.0)).otherwise("p")
        yield verdicts.with_columns(p=lie, evidence=-lie.log())

    return fault


def _largest(verdicts: pl.DataFrame) -> pl.Series:
    return verdicts.select(pl.col("evidence").max().over("domain")).to_series()


def _flood(chance: np.random.Generator, verdicts: pl.DataFrame, liars: Liars, near: object) -> Iterator[pl.DataFrame]:
    """What most of the liars see goes first: they vouch for each other."""
    rows = by_entity(verdicts)
    is_lying = pl.col("domain").is_in(liars)
    of_episode = rows.group_by(KEY).agg(
        others=pl.col("evidence").filter(~is_lying).max().fill_null(0.0),
        seen=pl.col("domain").filter(is_lying).n_unique(),
    )
    free = of_episode.filter((pl.col("others") < _STRANGE) & (pl.col("seen") > 0)).sort(KEY)
    drawn = free[chance.permutation(free.height)].unique(["kind", "name"], keep="first", maintain_order=True)
    chosen = drawn.sort("seen", descending=True, maintain_order=True)
    for many in _FLOODS:
        yield _raised(verdicts, rows, liars, chosen.head(many))


def _targeted(
    chance: np.random.Generator, verdicts: pl.DataFrame, liars: Liars, near: Sequence[Thing]
) -> Iterator[pl.DataFrame]:
    rows = by_entity(verdicts)
    spoken = set(rows.filter(pl.col("domain").is_in(liars)).select(KEY).unique().rows())
    within = [thing.episodes & spoken for thing in near if thing.episodes & spoken]
    for many in _TARGETS:
        chosen = sorted({episode for episodes in within[:many] for episode in episodes}, key=str)
        yield _raised(verdicts, rows, liars, pl.DataFrame(chosen, schema=rows.select(KEY).schema, orient="row"))


def _raised(verdicts: pl.DataFrame, rows: pl.DataFrame, liars: Liars, chosen: pl.DataFrame) -> pl.DataFrame:
    """Say 20 nats wherever the liars speak of chosen episodes."""
    seqs = rows.filter(pl.col("domain").is_in(liars)).join(chosen, on=KEY, how="semi")["seq"]
    is_raised = pl.col("domain").is_in(liars) & pl.col("seq").is_in(seqs.implode())
    evidence = pl.when(is_raised).then(LOUD).otherwise("evidence")
    return verdicts.with_columns(evidence=evidence, p=(-evidence).exp())


#: By name; the worst of the lies that one yields counts.
FAULTS: Mapping[str, Fault] = {
    "silent": _silent,
    "late": _late,
    "constant": _saying(lambda chance, verdicts: (-_largest(verdicts)).exp()),
    "random p": _saying(lambda chance, verdicts: pl.Series(chance.random(verdicts.height))),
    "random nats": _saying(lambda chance, verdicts: (-_largest(verdicts) * chance.random(verdicts.height)).exp()),
    "inverted": _saying(lambda chance, verdicts: 1.0 - verdicts["p"]),
    "flood": _flood,
    "targeted": _targeted,
}
#: Faults that are no lies.
HONEST = ("silent", "late")
LIES = tuple(fault for fault in FAULTS if fault not in HONEST)
