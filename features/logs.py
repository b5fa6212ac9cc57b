"""Whole logs at once: every event of some files, by domain, in the order of time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.admission import SPELLINGS
from features.coverage import Coverage
from features.events import Domain
from features.reading import Chunk, read
from features.source import REFUSED

Events = Mapping[Domain, pl.DataFrame]

#: Texts copied out of the chunk that they are views of, so that it can be freed.
_OWN_TEXTS = pl.col(pl.String) + ""


@dataclass(frozen=True)
class Logs:
    """What some logs hold: events in the order of time, what was refused, and the order the logs came in.

    `places` has `source`, `member` and `place`, so that verdicts can be put back in the order of the input. `coverage`
    counts what no column holds; `spellings` has each entity's `kind` and `name` and `raw`, how it was first written.
    """

    events: Events
    refused: pl.DataFrame
    places: pl.DataFrame
    coverage: Coverage
    spellings: pl.DataFrame


def read_logs(
    paths: Sequence[str | Path], format: str = "auto", told: Callable[[Chunk], None] = lambda chunk: None
) -> Logs:
    """Read `paths` whole; `told` hears of each chunk. Raises what `features.reading.read` raises."""
    parts: dict[Domain, list[pl.DataFrame]] = {}
    refused, spellings, coverage = [pl.DataFrame(schema=REFUSED)], [pl.DataFrame(schema=SPELLINGS)], Coverage()
    places: dict[tuple[str, str | None], None] = {}
    for chunk in read(paths, format):
        told(chunk)
        refused.append(chunk.refused)
        spellings.append(chunk.spellings)
        if chunk.format:
            coverage.add(chunk.format, chunk.fields, chunk.unmapped)
        for domain, frame in chunk.events.items():
            parts.setdefault(domain, []).append(frame.with_columns(_OWN_TEXTS))
            places[frame["source"][0], frame["member"][0]] = None
    events = {domain: pl.concat(parts[domain]) for domain in Domain if domain in parts}
    ordered = {domain: frame.sort("time", maintain_order=True) for domain, frame in events.items()}
    named = pl.DataFrame(list(places), schema={"source": pl.String(), "member": pl.String()}, orient="row")
    written = pl.concat(spellings).unique(["kind", "name"], keep="first", maintain_order=True)
    return Logs(ordered, pl.concat(refused), named.with_row_index("place"), coverage, written)


def in_order(events: Events) -> pl.DataFrame:
    """The order of the log over all domains: `domain` and `row` of each event, by time, then domain, then row."""
    parts = [
        frame.select("time", domain=pl.lit(domain.value), d=pl.lit(d), row=pl.int_range(pl.len()))
        for d, domain in enumerate(Domain)
        if (frame := events.get(domain)) is not None and frame.height
    ]
    schema = {"domain": pl.String(), "row": pl.Int64()}
    return pl.concat(parts).sort("time", "d", "row").select(schema.keys()) if parts else pl.DataFrame(schema=schema)


def cut(events: Events, rows: int) -> Iterator[Events]:
    """The log in batches of `rows` events, in the order of `in_order`."""
    order = in_order(events)
    for start in range(0, order.height, rows):
        batch = order[start : start + rows]
        yield {domain: events[domain][_rows(batch, domain)] for domain in events if _rows(batch, domain).len()}


def _rows(order: pl.DataFrame, domain: Domain) -> pl.Series:
    return order.filter(pl.col("domain") == domain.value)["row"]
