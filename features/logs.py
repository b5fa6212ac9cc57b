"""Whole logs at once: every event of some files, by domain, in the order of time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from features.admission import SPELLINGS
from features.coverage import Coverage
from features.events import Domain
from features.reading import Chunk, read
from features.source import REFUSED

Events = Mapping[Domain, pl.DataFrame]

_ORDER = pl.Schema({"domain": pl.String(), "row": pl.Int64()})
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


def renamed(logs: Logs, called: Mapping[str, str]) -> Logs:
    """The same logs, their sources under the names that people know them by."""
    if not called:
        return logs
    source = pl.col("source").replace(dict(called))
    events = {domain: frame.with_columns(source) for domain, frame in logs.events.items()}
    return replace(
        logs, events=events, refused=logs.refused.with_columns(source), places=logs.places.with_columns(source)
    )


def in_order(events: Events) -> pl.DataFrame:
    """The order of the log over all domains: `domain` and `row` of each event, by time, then domain, then row."""
    parts = [
        frame.select("time", domain=pl.lit(domain.value), d=pl.lit(d), row=pl.int_range(pl.len()))
        for d, domain in enumerate(Domain)
        if (frame := events.get(domain)) is not None and frame.height
    ]
    return pl.concat(parts).sort("time", "d", "row").select(_ORDER.names()) if parts else pl.DataFrame(schema=_ORDER)


def one_after_another(batches: Sequence[Events]) -> tuple[Events, pl.DataFrame]:
    """Batches as one, and its order, which is as `in_order` has it within each batch, but batch after batch."""
    rows: dict[str, int] = {}
    orders = [pl.DataFrame(schema=_ORDER)]
    for batch in batches:
        before = pl.col("domain").replace_strict(rows, default=0, return_dtype=pl.Int64) if rows else pl.lit(0)
        orders.append(in_order(batch).with_columns(row=pl.col("row") + before))
        for domain, frame in batch.items():
            rows[domain.value] = rows.get(domain.value, 0) + frame.height
    parts = {domain: [batch[domain] for batch in batches if domain in batch] for domain in Domain}
    whole = {domain: pl.concat(frames) for domain, frames in parts.items() if frames}
    # In one piece: rows picked by an index of many pieces are as many, and Polars has panicked over these.
    return whole, pl.concat(orders, rechunk=True)


def cut(events: Events, rows: int) -> Iterator[Events]:
    """The log in batches of `rows` events, in the order of `in_order`."""
    order = in_order(events)
    for start in range(0, order.height, rows):
        batch = order[start : start + rows]
        yield {domain: events[domain][_rows(batch, domain)] for domain in events if _rows(batch, domain).len()}


def _rows(order: pl.DataFrame, domain: Domain) -> pl.Series:
    return order.filter(pl.col("domain") == domain.value)["row"]
