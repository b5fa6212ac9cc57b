"""What verdicts testify: which witness saw which strange thing, who was in it, and in which ten minutes."""

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.verdicts import ENTITY_KINDS, VERDICTS
from features.events import Domain
from features.hashing import hash64

#: Entity kinds that threats gather around, and the kind they count as; an address is one wherever it stands.
ANCHORS = {"user": "user", "host": "host", "address": "address", "peer": "address"}

#: How long an episode is.
EPISODE = timedelta(minutes=10)

#: The activity of another detector's finding.
ALERT = "alert"

#: By name, how busy each of a row's entities is by habit.
HABITS = tuple(f"habit_{kind}" for kind in ANCHORS)

#: A verdict with what makes it the same thing seen twice: its strangest field and value, and the start of its episode.
#: `witness` is who says so: the agent or, of another detector's alert, which alert it is.
TESTIMONY = pl.Schema(
    VERDICTS | {"field": pl.String(), "value": pl.String(), "witness": pl.String(), "start": VERDICTS["time"]}
)

#: Seeds of different kinds differ in all bytes: short names that differ in one letter would have the same hash else.
_APART = 0x9E3779B97F4A7C15

#: Domains whose host is the one that serves: every act there names it, so threats do not gather around it.
_SERVING = [Domain.WEB.value]


def testimony(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Verdicts in the order of the log, each with what it says and who says it.

    What an alert says is which alert it is, even where something else about it was stranger.
    """
    is_alert = pl.col("activity") == ALERT
    of_alert = pl.element().filter(pl.element().struct.field("field").str.starts_with(ALERT))
    first = pl.coalesce(
        pl.when(is_alert).then(pl.col("reasons").list.eval(of_alert).list.first()), pl.col("reasons").list.first()
    )
    told = verdicts.sort("seq").with_columns(first=first).unnest("first").drop("nats")
    rule = pl.when(is_alert).then(pl.col("value"))
    return told.with_columns(
        witness=pl.concat_str("domain", rule, separator=" ", ignore_nulls=True),
        start=pl.col("time").dt.truncate(EPISODE),
    ).select(TESTIMONY.names())


def anchors(told: pl.DataFrame) -> NDArray[np.uint64]:
    """A hash of each entity that a threat can gather around, (N, 4) uint64 in the order of `ANCHORS`, 0 for none."""
    key_NE = np.zeros((told.height, len(ANCHORS)), np.uint64)
    for e, (kind, anchor) in enumerate(ANCHORS.items()):
        names = told.select(named(kind)).to_series()
        is_named_N = names.is_not_null().to_numpy()
        key_NE[is_named_N, e] = hash64(names.drop_nulls(), seed=_APART * (1 + ENTITY_KINDS.index(anchor)))
    key_NE[key_NE[:, 3] == key_NE[:, 2], 3] = 0  # the same address at both ends
    return key_NE


def episode(told: pl.DataFrame) -> NDArray[np.float64]:
    """The number of each row's episode, (N,)."""
    numbers = told["start"].dt.epoch("us") // (EPISODE // EPISODE.resolution)
    return numbers.to_numpy().astype(np.float64)


def deeds(told: pl.DataFrame) -> NDArray[np.uint64]:
    """A hash of what was done, whoever did it and whatever was strange about it: domain, activity and value."""
    deed = pl.concat_str("domain", "activity", "value", separator="\n", ignore_nulls=True)
    return hash64(told.select(deed).to_series())


def named(kind: str) -> pl.Expr:
    """The entity of one kind that a threat can gather around, null where there is none."""
    name = pl.col(kind)
    return (pl.when(~pl.col("domain").is_in(_SERVING)).then(name) if kind == "host" else name).alias(kind)
