"""Logs as a folder of Parquet files, one for each domain that has events, in bounded memory."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from agents.terminal import Told
from features import parquet
from features.events import Domain
from features.reading import read
from features.source import REFUSED
from features.whole_files import sync
from serving.batch.outputs import Kept, check_folder, refused_list, whole_folder
from serving.batch.refusals import refuse_none

#: Events of a domain, and bytes of the logs they are from, that are written together.
_ROWS, _BYTES = 1 << 17, 64 << 20
#: Refused records that are held for who asked; all are listed.
_TOLD = 10_000


@dataclass(frozen=True)
class Converted:
    """How many events and refused records there were, the first of these, and where things are."""

    events: int
    refused: pl.DataFrame
    refused_count: int
    kept: Kept


def convert(
    paths: Sequence[str | Path],
    output: Path,
    *,
    format: str = "auto",
    called: Mapping[str, str] | None = None,
    told: Told = lambda step, done, whole: None,
    strict: bool = False,
) -> Converted:
    """Write the events of some logs into the new folder `output`, in the order of the input, whole or not at all.

    `called` gives paths another name in `source`. Raises UnusableOutput, UnreadablePath, UnknownFormat, and Refused for
    the first record refused if `strict`.
    """
    check_folder(output, paths)
    source = pl.col("source").replace(dict(called or {}))
    events, records, refused = 0, 0, pl.DataFrame(schema=REFUSED)
    with whole_folder(output) as folder, refused_list(output) as listed, ExitStack() as files:
        baskets: dict[Domain, _Basket] = {}
        for chunk in read(paths, format):
            if strict:
                refuse_none(chunk.refused, format)
            found = chunk.refused.with_columns(source)
            listed.add(found)
            refused = pl.concat([refused, found.head(_TOLD - refused.height)])
            for domain, frame in chunk.events.items():
                if domain not in baskets:
                    baskets[domain] = files.enter_context(_Basket(folder / f"{domain}.parquet", domain))
                baskets[domain].add(frame.with_columns(source), chunk.bytes)
                events += frame.height
            records += chunk.records
            told("converting", records, None)
    return Converted(events, refused, listed.count, listed.kept())


class _Basket:
    """Events of one domain on their way into its file; as a context, it ends the file."""

    def __init__(self, path: Path, domain: Domain) -> None:
        self._file = path.open("xb")
        self._writer = parquet.Writer(self._file, domain)
        self._frames: list[pl.DataFrame] = []
        self._rows = self._bytes = 0

    def add(self, events: pl.DataFrame, size: int) -> None:
        """Take events that are views of `size` bytes of a log."""
        self._frames.append(events)
        self._rows += events.height
        self._bytes += size
        if self._rows >= _ROWS or self._bytes >= _BYTES:
            self._write()

    def _write(self) -> None:
        if self._frames:
            self._writer.write(pl.concat(self._frames))
        self._frames, self._rows, self._bytes = [], 0, 0

    def __enter__(self) -> "_Basket":
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if failed is None:
                self._write()
            with self._writer:
                pass
            sync(self._file)
