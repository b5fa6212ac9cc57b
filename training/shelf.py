"""A past on disk: the events of each domain, given back in the order of time, slice by slice in bounded memory.

What logs hold is written in parts, each sorted by time. A slice is a stretch of time and takes from each part the rows
that lie in it, so that logs in any order cost as little as sorted ones. At one time there are in memory a part of at
most SLICE_ROWS events or SLICE_BYTES of text, or a slice of about as many, and one time in THINNING of each domain.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.events import Domain
from features.logs import Events
from features.mistakes import AskedWrong
from features.reading import Chunk, read
from training.lineage import Lineage

#: Most events and bytes of text in memory at once.
SLICE_ROWS, SLICE_BYTES = 1 << 17, 1 << 26
#: Of so many times one is kept in memory to find the slices by.
THINNING = 64
#: The first refusals that are told with their reasons; the rest is counted.
TOLD_REFUSALS = 5

_CONTENTS = "contents.json"
_OWN_TEXTS = pl.col(pl.String) + ""  # copied out of the chunk that they are views of, so that it can be freed

Refusal = tuple[str, int | None, str]


class NoSpan(AskedWrong):
    """What was asked for is no stretch of time."""


@dataclass(frozen=True)
class Span:
    """From `since` until before `until`, in UTC; None leaves a side open. Raises NoSpan where it is empty."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Look for a span of nothing."""
        if self.since and self.until and self.since >= self.until:
            raise NoSpan(f"--since {self.since.isoformat()} is not before --until {self.until.isoformat()}")

    def holds(self) -> pl.Expr:
        """Whether an event's time is in it."""
        tests = [pl.col("time") >= self.since] if self.since else []
        tests += [pl.col("time") < self.until] if self.until else []
        return pl.all_horizontal(pl.lit(True), *tests)


def span_of(since: str | None, until: str | None) -> Span:
    """The span between two ISO dates or times, in UTC where they name no zone. Raises NoSpan for what is none.

    >>> span_of("2026-03-02", "2026-03-02T12:00:00+01:00").until
    datetime.datetime(2026, 3, 2, 11, 0, tzinfo=datetime.timezone.utc)
    """
    return Span(_moment("--since", since), _moment("--until", until))


@dataclass(frozen=True)
class Shelf:
    """The events of some logs below `folder`.

    `rows` counts those of each domain that has any, `sizes` their bytes in memory, `seen` all before the span was
    looked at; `refused` counts the records that were refused, of which `refusals` are the first. What is later than
    `last`, in microseconds since 1970, is as if it were not there.
    """

    folder: Path
    rows: Mapping[Domain, int] = field(default_factory=dict)
    sizes: Mapping[Domain, int] = field(default_factory=dict)
    seen: int = 0
    refused: int = 0
    refusals: tuple[Refusal, ...] = ()
    last: int | None = None

    def slices(self, domain: Domain) -> Iterator[pl.DataFrame]:
        """The domain's events in the order of time, those of one time in the order of the logs."""
        parts = _parts(self.folder, domain)
        mean_size = self.sizes[domain] / max(self.rows[domain], 1)
        edges = _edges(parts, min(SLICE_ROWS, max(1, int(SLICE_BYTES / max(mean_size, 1)))))
        if self.last is not None:
            edges = np.append(edges[edges <= self.last], self.last + 1)
        places = np.stack([np.searchsorted(_times(part), edges) for part in parts])
        for begin, end, row_P, stop_P in zip(edges, edges[1:], places.T, places.T[1:], strict=False):
            pieces = [
                _piece(part, *rows) for part, *rows in zip(parts, row_P, stop_P, strict=True) if rows[0] < rows[1]
            ]
            if end - begin == 1:  # one moment may hold any number of events; they are in order as they are
                yield from (piece.collect() for piece in pieces)
            elif pieces:
                yield pl.concat([piece.collect() for piece in pieces]).sort("time", maintain_order=True)

    def lineage(self, domain: Domain) -> Lineage:
        """What `training.lineage.lineage_of` says of all the events at once."""
        digest, ends = hashlib.sha256(), list[datetime]()
        for events in self.slices(domain):
            digest.update(events["time"].to_physical().to_numpy().astype("<i8").tobytes())
            ends = [*ends[:1], *events["time"].gather([0, -1])]
        for at, uids in enumerate(self._uids(domain)):
            digest.update(("\n" if at else "").encode() + "\n".join(uids).encode())
        return Lineage(digest.hexdigest(), self.rows[domain], ends[0], ends[-1])

    def parted(self, newest: int) -> tuple["Shelf", Events]:
        """The older events, and at most `newest` newer ones over all domains; a moment is never parted."""
        parts = {domain: _parts(self.folder, domain) for domain in self.rows}
        latest = np.zeros(0, np.int64)
        for part in chain(*parts.values()):
            latest = np.sort(np.concatenate([latest, self._times(part)]))[-newest - 1 :]
        last = int(latest[0])
        newer = {domain: self._after(last, of) for domain, of in parts.items()}
        shares = {domain: 1 - newer[domain].height / rows for domain, rows in self.rows.items()}
        older = replace(
            self,
            rows={domain: rows - newer[domain].height for domain, rows in self.rows.items() if shares[domain]},
            sizes={domain: int(self.sizes[domain] * share) for domain, share in shares.items() if share},
            last=last,
        )
        return older, {domain: frame for domain, frame in newer.items() if frame.height}

    def _times(self, part: Path) -> NDArray[np.int64]:
        times = _times(part)
        return times if self.last is None else times[: np.searchsorted(times, self.last, side="right")]

    def _after(self, last: int, parts: Sequence[Path]) -> pl.DataFrame:
        """The events of some parts that are later."""
        pieces = []
        for part in parts:
            times = self._times(part)
            pieces.append(_piece(part, np.searchsorted(times, last, side="right"), times.size).collect())
        return pl.concat(pieces).sort("time", maintain_order=True)

    def _uids(self, domain: Domain) -> Iterator[list[str]]:
        """All uids by time, then in their own order: what shares the last time of a slice waits for the next."""
        held = pl.DataFrame()
        for events in self.slices(domain):
            known = pl.concat([held, events.select("time", "uid")]) if held.height else events.select("time", "uid")
            is_last = known["time"] == known["time"][-1]
            held, ripe = known.filter(is_last), known.filter(~is_last)
            if ripe.height:
                yield ripe.sort("time", "uid")["uid"].to_list()
        if held.height:
            yield held.sort("uid")["uid"].to_list()


def shelve(
    paths: Sequence[str | Path],
    folder: Path,
    *,
    format: str = "auto",
    span: Span | None = None,
    told: Callable[[Chunk], None] = lambda chunk: None,
) -> Shelf:
    """Write the events of `paths` that lie in `span` below `folder`; those that are there already whole are taken.

    `told` hears of each chunk that is read. Raises what `features.reading.read` raises, and OSError for want of room.
    """
    with suppress(FileNotFoundError):
        return _read_contents(folder)
    chunks = read(paths, format)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    writing = _Writing(folder, span or Span())
    for chunk in chunks:
        told(chunk)
        writing.take(chunk)
    return writing.ended()


def key_of(paths: Sequence[str | Path], format: str, span: Span) -> str:
    """A name for the shelf of these logs: another one as soon as a file has another size or was written to."""
    told: list[object] = [format, str(span)]
    for path in paths:
        for file in sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)]:
            if file.is_file():
                told.append((str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns))
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


class _Writing:
    """A shelf that is being filled."""

    def __init__(self, folder: Path, span: Span) -> None:
        self._folder, self._span = folder, span
        self._held: dict[Domain, list[pl.DataFrame]] = {}
        self._rows: dict[Domain, int] = {}
        self._sizes: dict[Domain, int] = {}
        self._numbers: dict[Domain, int] = {}
        self._seen, self._refused = 0, 0
        self._refusals: list[Refusal] = []

    def take(self, chunk: Chunk) -> None:
        """Hold a chunk's events, and write a part of each domain that has enough."""
        self._refused += chunk.refused.height
        left = TOLD_REFUSALS - len(self._refusals)
        self._refusals += chunk.refused.select("source", "line", "reason").head(left).rows()
        for domain, events in chunk.events.items():
            self._seen += events.height
            kept = events.filter(self._span.holds()).with_columns(_OWN_TEXTS)
            if kept.height:
                self._held.setdefault(domain, []).append(kept)
        for domain, frames in self._held.items():
            rows, size = sum(frame.height for frame in frames), sum(frame.estimated_size() for frame in frames)
            if rows >= SLICE_ROWS or size >= SLICE_BYTES:
                self._write(domain)

    def ended(self) -> Shelf:
        """Write what is held, and last of all what there is, so that a shelf cut short is none."""
        for domain in self._held:
            self._write(domain)
        told = {"rows": self._rows, "sizes": self._sizes, "seen": self._seen, "refused": self._refused}
        text = json.dumps(told | {"refusals": self._refusals})
        (self._folder / _CONTENTS).write_text(text, encoding="utf-8")
        return _read_contents(self._folder)

    def _write(self, domain: Domain) -> None:
        if not self._held[domain]:
            return
        part = pl.concat(self._held[domain]).sort("time", maintain_order=True)
        self._held[domain] = []
        self._rows[domain] = self._rows.get(domain, 0) + part.height
        self._sizes[domain] = self._sizes.get(domain, 0) + int(part.estimated_size())
        number = self._numbers[domain] = self._numbers.get(domain, -1) + 1
        (self._folder / domain).mkdir(exist_ok=True)
        part.write_parquet(self._folder / domain / f"{number:06}.parquet", compression="zstd", row_group_size=1 << 14)


def _read_contents(folder: Path) -> Shelf:
    told = json.loads((folder / _CONTENTS).read_text(encoding="utf-8"))
    rows = {domain: told["rows"][domain] for domain in Domain if domain in told["rows"]}
    sizes = {Domain(name): size for name, size in told["sizes"].items()}
    refusals = tuple((source, line, reason) for source, line, reason in told["refusals"])
    return Shelf(folder, rows, sizes, told["seen"], told["refused"], refusals)


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise NoSpan(f"{name} {text!r}: expected an ISO date or time, such as 2026-03-02 or 2026-03-02T08:30") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parts(folder: Path, domain: Domain) -> list[Path]:
    return sorted((folder / domain).glob("*.parquet"))


def _times(part: Path) -> NDArray[np.int64]:
    times: NDArray[np.int64] = pl.read_parquet(part, columns=["time"])["time"].to_physical().to_numpy()
    return times


def _edges(parts: Sequence[Path], rows: int) -> NDArray[np.int64]:
    """Times that cut the past into slices of about `rows` events; a moment of so many is a slice of its own."""
    sample = np.sort(np.concatenate([_times(part)[::THINNING] for part in parts]))
    step = max(1, rows // THINNING)
    heavy, counts = np.unique(sample, return_counts=True)
    alone = heavy[counts >= step]
    first, last = min(_times(part)[0] for part in parts), max(_times(part)[-1] for part in parts) + 1
    edges = np.unique(np.concatenate([[first, last], sample[step::step], alone, alone + 1]))
    kept: NDArray[np.int64] = edges[edges <= last]
    return kept


def _piece(part: Path, row: np.intp | int, stop: np.intp | int) -> pl.LazyFrame:
    return pl.scan_parquet(part).slice(int(row), int(stop - row))
