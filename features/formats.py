"""Says which format each log has, and by what it was known."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from features import parquet
from features.admission import within_limits
from features.files import Member, check_paths, members
from features.reading import head_of, is_parquet, recognised, sources
from features.source import Source
from features.unpacking import Damaged

_SHOWN_CHARS = 80
_HEAD_RECORDS = 1000


@dataclass(frozen=True)
class Seen:
    """A log, the name of its format or none, why it was taken for that, and how its first line begins.

    `unmapped` is the share of the fields of its first records that no column holds; none where that cannot be told.
    """

    source: str
    member: str | None
    format: str | None
    why: str
    begins: str
    unmapped: float | None = None


def formats(paths: Sequence[str | Path]) -> Iterator[Seen]:
    """What every log at `paths` is taken for, by its first lines alone; raises UnreadablePath at once."""
    check_paths(paths)
    return map(_seen, members(paths))


def _known_by(source: Source[Any]) -> str:
    return (inspect.getdoc(source.recognises) or "").splitlines()[0].rstrip(".")


def _seen(member: Member) -> Seen:
    if is_parquet(member):
        return _seen_rows(member)
    known = sources()
    try:
        lines = next(member.lines(), None)
        head = head_of(lines)
    except Damaged as damage:
        return Seen(member.source, member.member, None, str(damage), "")
    if lines is None or not head:
        return Seen(member.source, member.member, None, "it is empty", "")
    source = recognised(head, list(known.values()))
    begins = head[0][:_SHOWN_CHARS]
    if source is None:
        return Seen(member.source, member.member, None, f"it shows no sign of {', '.join(known)}", begins)
    unmapped = _unmapped(source, member.name, within_limits(lines.head(_HEAD_RECORDS))[0])
    return Seen(member.source, member.member, source.name, _known_by(source), begins, unmapped)


def _seen_rows(member: Member) -> Seen:
    try:
        domain = parquet.domain_of(Path(member.source))
    except parquet.NotEvents as wrong:
        return Seen(member.source, member.member, None, str(wrong), "")
    why = "Parquet with exactly the columns of events of that domain"
    return Seen(member.source, member.member, f"secmesh events of {domain}", why, "")


def _unmapped(source: Source[Any], name: str, lines: pl.DataFrame) -> float | None:
    drafts = source.parse(lines, source.begin(name, iter([lines])))
    return sum(drafts.unmapped.values()) / drafts.total if drafts.total else None
