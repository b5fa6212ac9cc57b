"""Logs in, frames of events out: every format, every packing, every refused line accounted for."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

import features.sources
from features import parquet
from features.admission import SPELLINGS, admit, shown, within_limits
from features.ahead import ahead
from features.events import Domain
from features.files import Member, check_paths, members
from features.mistakes import AskedWrong
from features.source import Source, refusal
from features.unpacking import Damaged

#: Lines, at most, and characters of each that a source sees to recognise its format.
HEAD_LINES, _HEAD_CHARS = 40, 1 << 16

_EMPTY = "the log is empty; expected at least one record"
_PACKED_PARQUET = "Parquet is read as a whole file of its own, neither out of an archive nor while logs are followed"

#: A row of refusals.
Refusal = tuple[str | int | None, ...]


class UnknownFormat(AskedWrong):
    """A format was asked for that no source reads."""


@dataclass(frozen=True)
class Chunk:
    """Some lines of one log, read.

    `events` holds a frame for each domain that has any, with exactly the columns of `schema(domain)`, in the order
    of the lines. `refused` has `source`, `member`, `line` (null: the whole log), `field`, `value` and `reason`.
    `records` counts the lines that hold something, `bytes` their unpacked size. Of the `fields` in these records of
    the given `format`, `unmapped` counts by name those that no column reads. `spellings` says how entities were written
    (see `features.admission.Admitted`).
    """

    events: dict[Domain, pl.DataFrame]
    refused: pl.DataFrame
    records: int
    bytes: int
    format: str | None = None
    fields: int = 0
    unmapped: Mapping[str, int] = field(default_factory=dict)
    spellings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SPELLINGS))


def read(paths: Sequence[str | Path], format: str = "auto") -> Iterator[Chunk]:
    """Read logs, folders and archives in the order given, in bounded memory.

    Each log's format is found from its content unless `format` names it. Raises UnreadablePath for a path that
    does not exist and UnknownFormat for a format nobody reads, both at once. Whatever is wrong inside a file is
    refused by line, or by file, and what is good around it comes through.

    >>> for chunk in read([]):
    ...     print(chunk.records, chunk.refused["reason"].to_list())
    """
    candidates = candidates_of(format)
    check_paths(paths)
    return _read(paths, candidates)


def candidates_of(format: str) -> list[Source[Any]]:
    """The sources among which a log's is found; one that is named takes every log. Raises UnknownFormat."""
    known = sources()
    if format == "auto":
        return list(known.values())
    if format not in known:
        raise UnknownFormat(f"format {format!r} is not known; known are auto, {', '.join(known)}")
    return [replace(known[format], recognises=lambda _head: True)]


def sources() -> Mapping[str, Source[Any]]:
    """Every source there is by its name: the modules of `features.sources`, in order of name."""
    names = sorted(module.name for module in pkgutil.iter_modules(features.sources.__path__))
    found = [importlib.import_module(f"features.sources.{name}").SOURCE for name in names]
    return {source.name: source for source in found}


def _read(paths: Sequence[str | Path], candidates: Sequence[Source[Any]]) -> Iterator[Chunk]:
    for member in members(paths):
        frames = _Frames(member.lines())
        try:
            yield from _read_rows(member) if is_parquet(member) else _read_member(member, frames, candidates)
        except Damaged as damage:
            yield refused_whole(member.source, member.member, "file", None, str(damage))


def _read_member(member: Member, frames: "_Frames", candidates: Sequence[Source[Any]]) -> Iterator[Chunk]:
    head = head_of(next(frames.ahead(), None))
    if not head:
        frames.raise_damage()
        yield refused_whole(member.source, member.member, "file", None, _EMPTY)
        return
    source = recognised(head, candidates)
    if source is None:
        yield unknown_format(member.source, member.member, head, candidates)
        return
    said: set[Refusal] = set()
    for chunk in ahead(_steps(member, frames, source)):
        yield unsaid(chunk, said)


def _steps(member: Member, frames: "_Frames", source: Source[Any]) -> Iterator[Callable[[], Chunk]]:
    """What is to be done for each frame."""
    context = source.begin(member.name, frames.ahead())
    for lines in frames:
        yield partial(chunk_of, lines, source, context, member.source, member.member)
        context = source.goes_on(within_limits(lines)[0], context)


def chunk_of(lines: pl.DataFrame, source: Source[Any], context: Any, path: str, member: str | None) -> Chunk:
    """What a source and the door make of a frame of lines of the log at `path`."""
    held, unfit = within_limits(lines)
    drafts = source.parse(held, context)
    admitted = admit(replace(drafts, refused=pl.concat([unfit, drafts.refused])), path, member)
    size = int(lines["text"].str.len_bytes().sum()) + lines.height
    records = held.height + unfit.height
    return Chunk(
        *(admitted.events, admitted.refused, records, size),
        *(source.name, drafts.total, drafts.unmapped, admitted.spellings),
    )


def unsaid(chunk: Chunk, said: set[Refusal]) -> Chunk:
    """The same chunk; what is refused of a log as a whole, and was `said` before, is left out."""
    is_whole = chunk.refused["line"].is_null()
    if not is_whole.any():
        return chunk
    new = [row not in said for row in chunk.refused.filter(is_whole).iter_rows()]
    said |= set(chunk.refused.filter(is_whole).iter_rows())
    kept = pl.concat([chunk.refused.filter(is_whole).filter(pl.Series(new)), chunk.refused.filter(~is_whole)])
    return replace(chunk, refused=kept)


def recognised(head: Sequence[str], candidates: Sequence[Source[Any]]) -> Source[Any] | None:
    """The first of the candidates that knows these first lines as its own."""
    return next((source for source in candidates if source.recognises(head)), None)


def head_of(lines: pl.DataFrame | None) -> list[str]:
    """The first lines of a log that hold something, as sources see them."""
    if lines is None:
        return []
    written = lines["text"].filter(lines["text"].str.contains(r"\S"))
    return written.head(HEAD_LINES).str.slice(0, _HEAD_CHARS).to_list()


def refused_whole(path: str, member: str | None, field: str, value: str | None, reason: str) -> Chunk:
    """A log that is refused as a whole."""
    return Chunk({}, shown(refusal(field, value, reason), path, member), 0, 0)


def unknown_format(path: str, member: str | None, head: Sequence[str], candidates: Sequence[Source[Any]]) -> Chunk:
    """A log that none of the candidates knows as its own."""
    if head[0].startswith(parquet.MAGIC.decode()):
        return refused_whole(path, member, "file", None, _PACKED_PARQUET)
    known = ", ".join(source.name for source in candidates)
    return refused_whole(path, member, "format", head[0], f"no known log format; expected one of {known}")


def is_parquet(member: Member) -> bool:
    """Whether it is a Parquet file, which is read from its end, so that it cannot lie in an archive."""
    with suppress(OSError):
        return member.member is None and parquet.is_parquet(Path(member.source))
    return False


def _read_rows(member: Member) -> Iterator[Chunk]:
    try:
        for rows in parquet.rows(Path(member.source), member.source):
            events = {rows.domain: rows.events} if rows.events.height else {}
            form = f"secmesh events of {rows.domain}"
            yield Chunk(events, rows.refused, rows.count, rows.bytes, form, spellings=rows.spellings)
    except parquet.NotEvents as wrong:
        raise Damaged(str(wrong)) from wrong


class _Frames:
    """A member's frames of lines, of which some can be looked at ahead; damage waits until they are used up."""

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._frames = frames
        self._kept: list[pl.DataFrame] = []
        self._damage: Damaged | None = None

    def ahead(self) -> Iterator[pl.DataFrame]:
        """The frames from where we are, kept for later."""
        position = 0
        while position < len(self._kept) or self._keep_one():
            yield self._kept[position]
            position += 1

    def raise_damage(self) -> None:
        """Say what ended the frames, if it was not their end."""
        if self._damage:
            raise self._damage

    def __iter__(self) -> Iterator[pl.DataFrame]:
        while self._kept or self._keep_one():
            yield self._kept.pop(0)
        self.raise_damage()

    def _keep_one(self) -> bool:
        try:
            frame = next(self._frames, None)
        except Damaged as damage:
            frame, self._damage = None, damage
        if frame is not None:
            self._kept.append(frame)
        return frame is not None
