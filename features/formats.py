"""Says which format each log has, and by what it was known."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.files import Member, check_paths, members
from features.reading import head_of, recognised, sources
from features.source import Source
from features.unpacking import Damaged

_SHOWN_CHARS = 80


@dataclass(frozen=True)
class Seen:
    """A log, the name of its format or none, why it was taken for that, and how its first line begins."""

    source: str
    member: str | None
    format: str | None
    why: str
    begins: str


def formats(paths: Sequence[str | Path]) -> Iterator[Seen]:
    """What every log at `paths` is taken for, by its first lines alone; raises UnreadablePath at once."""
    check_paths(paths)
    return map(_seen, members(paths))


def _known_by(source: Source[Any]) -> str:
    return (inspect.getdoc(source.recognises) or "").splitlines()[0].rstrip(".")


def _seen(member: Member) -> Seen:
    known = sources()
    try:
        head = head_of(next(member.lines(), None))
    except Damaged as damage:
        return Seen(member.source, member.member, None, str(damage), "")
    if not head:
        return Seen(member.source, member.member, None, "it is empty", "")
    source = recognised(head, list(known.values()))
    why = _known_by(source) if source else f"it shows no sign of {', '.join(known)}"
    return Seen(member.source, member.member, source.name if source else None, why, head[0][:_SHOWN_CHARS])
