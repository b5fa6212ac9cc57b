"""The evidence held: the strongest verdict of every distinct strange thing in every ten minutes."""

import polars as pl

from agents.consensus.testimony import HABITS, TESTIMONY
from features.events import Domain

#: What makes two verdicts the same thing seen twice.
SAME = ("domain", "activity", "field", "value", "user", "host", "address", "peer", "start")

#: Testimony worth holding, with its entities' habits, how often its like was seen, and from when to when.
HELD = pl.Schema(
    TESTIMONY
    | dict.fromkeys(HABITS, pl.Float64())
    | {"count": pl.Int64(), "first_time": TESTIMONY["time"], "last_time": TESTIMONY["time"]}
)

#: Evidence in nats from which a verdict is worth holding.
FLOOR = 2.0

#: Evidence in nats that a verdict counts for at most.
MOST = 20.0

_BLOCK = 8192
_ALIKE = ("domain", "activity", "field")


class Evidence:
    """At most `most` distinct strange things, heard from verdicts of at least `FLOOR` nats.

    What is held depends on the log alone, not on the batches it came in: things are dropped at fixed places. Those that
    make room are the weakest, and of a flood of one sort (domain, activity and field) its weakest first: the k-th of a
    sort counts for log k nats less. The strongest of each domain, a sixth of what is held, stay whatever others flood.
    """

    def __init__(self, most: int = 32_768) -> None:
        self._most = most
        self._held = pl.DataFrame(schema=HELD)
        self._waiting = pl.DataFrame(schema=HELD)

    def hear(self, told: pl.DataFrame) -> None:
        """Hold the strange things in testimony with habits, which comes in the order of the log."""
        strange = told.filter(pl.col("evidence") >= FLOOR).with_columns(
            count=pl.lit(1, pl.Int64), first_time="time", last_time="time"
        )
        self._waiting = pl.concat([self._waiting, strange.select(HELD.names())])
        while self._waiting.height >= _BLOCK:
            merged = _merged(pl.concat([self._held, self._waiting[:_BLOCK]]))
            self._held = _strongest(merged, self._most)
            self._waiting = self._waiting[_BLOCK:]

    def held(self) -> pl.DataFrame:
        """All distinct strange things, in the order of the log."""
        return _merged(pl.concat([self._held, self._waiting])).sort("seq")

    def state(self) -> dict[str, pl.DataFrame]:
        """What is held, and what waits to be merged."""
        return {"held": self._held, "waiting": self._waiting}

    def restore(self, state: dict[str, pl.DataFrame]) -> None:
        """Go on from `state`."""
        self._held, self._waiting = state["held"], state["waiting"]


def _strongest(things: pl.DataFrame, most: int) -> pl.DataFrame:
    claimed = things.with_columns(claim=_claim())
    is_own = pl.col("claim").rank("ordinal", descending=True).over("domain") <= most // len(Domain)
    ordered = claimed.sort(is_own, "claim", descending=True, maintain_order=True)
    return ordered.head(most).drop("claim")


def _claim() -> pl.Expr:
    """How good a claim each thing has to be held, in nats."""
    place = pl.col("evidence").rank("ordinal", descending=True).over(_ALIKE)
    return pl.col("evidence").clip(0.0, MOST) - place.log()


def _merged(things: pl.DataFrame) -> pl.DataFrame:
    """One row a distinct thing: its strongest verdict, earliest of equals."""
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
