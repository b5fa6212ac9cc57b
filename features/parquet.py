"""Events of one domain as a Parquet file, and what such a file holds as events again, in bounded memory.

Its columns are exactly those of `features.events.schema`, so that nothing but they tell its domain. `source`, `member`
and `line` say where an event was first read; a row that is refused is named by its place in the file at hand. Text is
read as a dictionary with views into it: a value that stands in a million rows is in memory once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.admission import SPELLINGS, admit, passes_as_is, shown
from features.events import ORIGIN, TIME, Domain, schema
from features.files import LINE_BYTES
from features.source import REFUSED, Drafts, refusal, refusals
from features.unpacking import FREE_BYTES, MOST_RATIO

#: The first and the last bytes of every Parquet file.
MAGIC = b"PAR1"
#: Most unpacked bytes and rows of a row group that is read, and the rows that are looked at together.
GROUP_BYTES, GROUP_ROWS, BATCH_ROWS = 1 << 30, 1 << 24, 1 << 16

_REMEDY = "write it again with `secmesh convert`"
#: None of these can make much of little but by repeating whole values, which are held once.
_ENCODINGS = frozenset(("PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"))
_ARROW = {pl.String(): pa.large_string(), pl.Int64(): pa.int64(), pl.Int32(): pa.int32(), pl.Float64(): pa.float64()}
_ARROW |= {TIME: pa.timestamp("us", tz="UTC")}
_FAULTS = (pa.ArrowException, OSError, ValueError, KeyError)


class NotEvents(Exception):
    """A file is no Parquet file of events, or its rest cannot be read; the text says what was expected."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a file: events of one source and member, or what was refused; with spellings (see `admit`)."""

    domain: Domain
    events: pl.DataFrame
    refused: pl.DataFrame
    spellings: pl.DataFrame
    count: int
    bytes: int


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class Writer:
    """Writes events of one domain, each frame as row groups of its own; as a context, it ends the file."""

    def __init__(self, file: IO[bytes], domain: Domain) -> None:
        columns = pa.schema([(name, _ARROW[kind]) for name, kind in schema(domain).items()])
        self._writer = pq.ParquetWriter(file, columns, compression="zstd", write_page_checksum=True)

    def write(self, events: pl.DataFrame) -> None:
        """Append events, in their order."""
        table = events.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._writer.write_table(table.cast(self._writer.schema), row_group_size=BATCH_ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


@dataclass(frozen=True)
class Passed:
    """Rows past the door, with the origin they had, the `place` of each in its frame, what was refused, spellings."""

    events: pl.DataFrame
    place: pl.Series
    refused: pl.DataFrame
    spellings: pl.DataFrame


def domain_of(file: Path | IO[bytes]) -> Domain:
    """The domain whose columns a Parquet file has. Raises NotEvents, with what is wrong with them."""
    return domain_by(_opened(file).schema_arrow)


def domain_by(columns: pa.Schema) -> Domain:
    """The domain that has these columns. Raises NotEvents, with what is wrong with them."""
    found = {field.name: field.type for field in columns}
    nearest = max(Domain, key=lambda domain: len(found.keys() & schema(domain).keys() - ORIGIN.keys()))
    wanted = {name: _ARROW[kind] for name, kind in schema(nearest).items()}
    faults = [f"column {name!r} is missing" for name in wanted if name not in found]
    faults += [f"column {name!r} is none of theirs" for name in found if name not in wanted]
    faults += [
        f"column {name!r} has the type {kind}, not {wanted[name]}"
        for name, kind in found.items()
        if name in wanted and not _fits(kind, wanted[name])
    ]
    if faults or len(columns) != len(wanted):
        which = "; ".join(faults[:1]) or "a column is there twice"
        raise NotEvents(f"expected the columns of secmesh events, nearest of {nearest}; {which}")
    return nearest


def frames(file: Path | IO[bytes]) -> Iterator[pl.DataFrame]:
    """The rows of a file as they were written, by at most BATCH_ROWS. Raises NotEvents behind the last good ones."""
    opened = _opened(file)
    wanted, left = schema(domain_by(opened.schema_arrow)), opened.metadata.num_rows
    for group in range(opened.metadata.num_row_groups):
        try:
            # What is wrong with a column's metadata is an error here, and in `_check_group` the end of the process.
            if next(opened.iter_batches(1, [group], use_threads=False), None) is None:
                continue
            _check_group(opened.metadata.row_group(group), group)
            for batch in opened.iter_batches(BATCH_ROWS, [group], use_threads=False):
                left -= batch.num_rows
                yield pl.DataFrame([_series(name, batch.column(name), kind) for name, kind in wanted.items()])
        except _FAULTS as error:
            raise NotEvents(f"row group {group} cannot be read ({_line(error)}); {_REMEDY}") from error
    if left:
        raise NotEvents(
            f"its row groups hold {opened.metadata.num_rows - left:,} rows, not {opened.metadata.num_rows:,}"
        )


def rows(path: Path, source: str) -> Iterator[Rows]:
    """What the door makes of the rows of a file that is called `source`. Raises NotEvents behind the last good ones."""
    domain, first, left = domain_of(path), 0, path.stat().st_size * MOST_RATIO + FREE_BYTES
    for frame in frames(path):
        left -= int(frame.select(_size()).to_series().sum())
        if left < 0:
            raise NotEvents(f"holds more than {MOST_RATIO} times its size, as no events do; {_REMEDY}")
        yield from _admitted(frame, domain, source, first)
        first += frame.height


# Opening


def _opened(file: Path | IO[bytes]) -> pq.ParquetFile:
    try:
        names = pq.read_schema(file, memory_map=False)
        texts = [field.name for field in names if pa.types.is_large_string(field.type) or _is_text(field.type)]
        return pq.ParquetFile(file, read_dictionary=texts, page_checksum_verification=True)
    except _FAULTS as error:
        raise NotEvents(f"is no whole Parquet file ({_line(error)}); copy it again") from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    return bool(_is_text(found) if _is_text(wanted) else found == wanted)


def _check_group(group: pq.RowGroupMetaData, number: int) -> None:
    if group.num_rows > GROUP_ROWS or group.total_byte_size > GROUP_BYTES:
        size = f"{group.num_rows:,} rows and {group.total_byte_size:,} bytes"
        most = f"{GROUP_ROWS:,} and {GROUP_BYTES:,} that are read"
        raise NotEvents(f"row group {number} has {size}, more than the {most}; write smaller ones")
    used = {encoding for at in range(group.num_columns) for encoding in group.column(at).encodings}
    if odd := sorted(used - _ENCODINGS):
        raise NotEvents(f"row group {number} is encoded as {', '.join(odd)}; {_REMEDY}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


# Rows


def _series(name: str, column: pa.Array, kind: pl.DataType) -> pl.Series:
    """A column that was checked from end to end: nothing outside its buffers, all text UTF-8."""
    column.validate(full=True)
    if not pa.types.is_dictionary(column.type):
        return _from_arrow(column).cast(kind).alias(name)
    values, places = _from_arrow(column.dictionary).cast(kind), _from_arrow(column.indices)
    return values.gather(places).alias(name)


def _from_arrow(column: pa.Array) -> pl.Series:
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)  # noqa: S101  # what an array gives; the signature says either
    return series


def _admitted(frame: pl.DataFrame, domain: Domain, source: str, first: int) -> Iterator[Rows]:
    """Rows past the door, those of each log together; and the refused ones."""
    found = passed(frame, domain, source, first)
    size = int(frame.select(_size()).to_series().sum())
    nothing = found.events.clear()
    yield Rows(domain, nothing, found.refused, found.spellings, found.refused.height, size)
    for log in found.events.partition_by("source", "member", maintain_order=True):
        yield Rows(domain, log, found.refused.clear(), found.spellings.clear(), log.height, 0)


def passed(frame: pl.DataFrame, domain: Domain, source: str, first: int = 0) -> Passed:
    """What the door makes of rows, which have the columns of `domain`; `line` of refused ones counts from `first`."""
    holds = frame.select(check.alias(column) for column, check, _ in _CHECKS)
    if all(column.all() for column in holds.get_columns()) and passes_as_is(frame, domain):
        return Passed(frame, pl.int_range(frame.height, eager=True), _NOTHING_REFUSED, _NOTHING_SPELLED)
    numbered = frame.with_columns(line=pl.int_range(pl.len(), dtype=pl.Int64) + first, text=pl.lit(None, pl.String))
    is_good, refused = _whole(numbered, holds)
    admitted = admit(Drafts({domain: numbered.filter(is_good)}), source, None)
    events = admitted.events.get(domain, pl.DataFrame(schema=schema(domain)))
    place = events["line"] - first
    refused = pl.concat([shown(refused, source, None), admitted.refused]).sort("line", maintain_order=True)
    return Passed(events.with_columns(frame[place].select(ORIGIN.keys())), place, refused, admitted.spellings)


def _whole(numbered: pl.DataFrame, holds: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
    """Which rows are of a size that a line may have and say what they are and where from; refusals of the others."""
    is_good, refused = pl.repeat(True, numbered.height, eager=True), [_NO_REFUSAL]
    for column, _, reason in _CHECKS:
        if not holds[column].all():
            refused.append(refusals(numbered.filter(is_good & ~holds[column]), column, reason))
            is_good &= holds[column]
    return is_good, pl.concat(refused)


def _size() -> pl.Expr:
    """Bytes of text in a row."""
    return pl.sum_horizontal(pl.col(pl.String).str.len_bytes().fill_null(0).cast(pl.Int64))


_CHECKS = (
    ("row", _size() <= LINE_BYTES, f"expected at most {LINE_BYTES} bytes in a row"),
    ("source", pl.col("source").is_not_null(), "expected the name of the log that this event is from"),
    ("line", pl.col("line").is_between(0, 2**53).fill_null(False), "expected the number of the line that it is from"),
    ("uid", pl.col("uid").is_not_null(), "expected the name of this event"),
)
_NO_REFUSAL = refusal("", None, "").clear()
_NOTHING_REFUSED, _NOTHING_SPELLED = pl.DataFrame(schema=REFUSED), pl.DataFrame(schema=SPELLINGS)
