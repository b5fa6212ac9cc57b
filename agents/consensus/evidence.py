"""The evidence held: the strongest verdict of every distinct strange thing."""

import polars as pl

from agents.verdicts import VERDICTS

#: What makes two verdicts the same thing seen twice: domain, activity, strangest field with its value, and who.
SAME = ("domain", "activity", "field", "value", "user", "host", "address")

#: A verdict worth holding, with the top reason beside it, how often its like was seen, and from when to when.
HELD = pl.Schema(
    VERDICTS
    | {"field": pl.String(), "value": pl.String(), "count": pl.Int64(), "first_time": VERDICTS["time"]}
    | {"last_time": VERDICTS["time"]}
)

#: Evidence in nats from which a verdict is worth holding.
FLOOR = 3.0

_BLOCK = 8192


class Evidence:
    """At most `most` distinct strange things, heard from verdicts of at least `FLOOR` nats.

    What is held depends on the log alone, not on the batches it came in: the weakest are dropped at fixed places.
    """

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._held = pl.DataFrame(schema=HELD)
        self._waiting = pl.DataFrame(schema=HELD)

    def hear(self, noted: pl.DataFrame) -> None:
        """Hold the strange ones among verdicts as `noted` gives them."""
        self._waiting = pl.concat([self._waiting, noted.filter(pl.col("evidence") >= FLOOR)])
        while self._waiting.height >= _BLOCK:
            self._held = _merged(pl.concat([self._held, self._waiting[:_BLOCK]])).head(self._most)
            self._waiting = self._waiting[_BLOCK:]

    def held(self) -> pl.DataFrame:
        """All distinct strange things, strongest first."""
        return _merged(pl.concat([self._held, self._waiting]))

    def state(self) -> dict[str, pl.DataFrame]:
        """What is held, and what waits to be merged."""
        return {"held": self._held, "waiting": self._waiting}

    def restore(self, state: dict[str, pl.DataFrame]) -> None:
        """Go on from `state`."""
        self._held, self._waiting = state["held"], state["waiting"]


def noted(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Verdicts in the order of the log, as things each seen once."""
    first = pl.col("reasons").list.first()
    return (
        verdicts.sort("seq")
        .with_columns(
            field=first.struct.field("field"),
            value=first.struct.field("value"),
            count=pl.lit(1, pl.Int64),
            first_time="time",
            last_time="time",
        )
        .select(HELD.names())
    )


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
