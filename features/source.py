"""What a log format is to the mesh: how to recognise it, and how its lines become drafts of events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import polars as pl

from features.events import Domain

Context = TypeVar("Context")

#: One refused record: where, which field, its value, and what was wrong and expected in plain words.
REFUSED = pl.Schema(
    {
        "source": pl.String(),
        "member": pl.String(),
        "line": pl.Int64(),
        "field": pl.String(),
        "value": pl.String(),
        "reason": pl.String(),
    }
)

#: A refusal before it is known which log it is about.
NAMELESS = pl.Schema({name: kind for name, kind in REFUSED.items() if name not in ("source", "member")})


@dataclass(frozen=True)
class Drafts:
    """What a source made of some lines, before the door has looked.

    Each frame of `events` has `line`, `text` (of the record), `time` (a Datetime, or null) and any columns of its
    domain's schema, as text or as their own type. `refused` has `line`, `field`, `value` and `reason`. Of the `total`
    of fields in the records, `unmapped` counts by name those that no column reads: a format that drifts shows there.
    """

    events: dict[Domain, pl.DataFrame] = field(default_factory=dict)
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NAMELESS))
    unmapped: Mapping[str, int] = field(default_factory=dict)
    total: int = 0


@dataclass(frozen=True)
class Source(Generic[Context]):
    """One log format. A module of `features.sources` offers it under the name SOURCE.

    - `recognises`: do these first lines of a log (blank ones left out) look like this format? The first line of its
      docstring says, for people, what a log is known by.
    - `begin`: the context a member is read in. It gets the member's name and its frames of lines; it may look at
      as many as it needs, and they are kept for `parse`, so it must stop early.
    - `parse`: a frame of lines (`line`, `text`) and its context, into drafts. Several frames are parsed at once.
    - `goes_on`: a frame and its context, into the context of the next frame; quickly. As a rule it stays the same.
    """

    name: str
    recognises: Callable[[Sequence[str]], bool]
    begin: Callable[[str, Iterator[pl.DataFrame]], Context]
    parse: Callable[[pl.DataFrame, Context], Drafts]
    goes_on: Callable[[pl.DataFrame, Context], Context] = lambda _lines, context: context


def refusals(lines: pl.DataFrame, field: str, reason: str, shown: str = "text") -> pl.DataFrame:
    """Refuse every row of `lines` for its `field`, whose value is in the column `shown`."""
    if lines.is_empty():
        return pl.DataFrame(schema=NAMELESS)
    return lines.select(
        pl.col("line").cast(pl.Int64),
        pl.lit(field).alias("field"),
        pl.col(shown).cast(pl.String).alias("value"),
        pl.lit(reason).alias("reason"),
    )


def refusal(field: str, value: str | None, reason: str) -> pl.DataFrame:
    """Refuse a whole log: one row without a line."""
    return pl.DataFrame([(None, field, value, reason)], schema=NAMELESS, orient="row")
