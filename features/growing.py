"""Logs that still grow, read: their new lines as events, each log in its own format and context."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, get_type_hints

import msgspec
import polars as pl

from features.admission import within_limits
from features.following import Appended, Follower, Log
from features.positions import DamagedPositions
from features.reading import (
    HEAD_LINES,
    Chunk,
    Refusal,
    chunk_of,
    head_of,
    recognised,
    refused_whole,
    unknown_format,
    unsaid,
)
from features.source import Source


@dataclass
class _Known:
    """What is known of a log: its format, none if nobody reads it, the context of its next line, and what was said."""

    source: Source[Any] | None
    context: Any = None
    said: set[Refusal] = field(default_factory=set)

    def note(self) -> dict[str, Any]:
        return {"format": self.source and self.source.name, "context": msgspec.to_builtins(self.context)}


#: The note of a log whose lines are too few to tell its format: they will be read again with those that follow.
_WAITING = {"waiting": True}


class Growing:
    """Reads what a Follower follows. What a format must know of the lines before is noted in the positions.

    A log whose lines are too few for any of `candidates` to know it waits for more; if none come, it is refused when it
    is let go.
    """

    def __init__(self, follower: Follower, candidates: Sequence[Source[Any]]) -> None:
        self._follower = follower
        self._candidates = candidates
        self._known: dict[Log, _Known] = {}
        self._waiting: dict[Log, tuple[str, list[str]]] = {}

    def poll(self) -> Iterator[Chunk]:
        """Look once; what is given after this chunk was asked for can be taken with `taken`."""
        for appended in self._follower.poll():
            if appended.lines.height:
                yield from self._read(appended)
            if appended.damage:
                yield refused_whole(appended.source, appended.member, "file", None, appended.damage)
        yield from self._forget()

    def taken(self) -> None:
        """All chunks so far are safe."""
        waiting = dict.fromkeys(self._waiting, _WAITING)
        self._follower.taken({log: known.note() for log, known in self._known.items()} | waiting)

    def _read(self, appended: Appended) -> Iterator[Chunk]:
        known, lines = self._known.get(appended.log), appended.lines
        if known is None:
            known, lines = self._begun(appended)
        if known is None:
            return
        self._known[appended.log] = known
        if known.source is not None:
            chunk = chunk_of(lines, known.source, known.context, appended.source, appended.member)
            known.context = known.source.goes_on(within_limits(lines)[0], known.context)
            yield unsaid(chunk, known.said)
        elif self._waiting.pop(appended.log, None):
            yield unknown_format(appended.source, appended.member, head_of(lines), self._candidates)

    def _begun(self, appended: Appended) -> tuple[_Known | None, pl.DataFrame]:
        """What is known of a log from now on, if its lines tell, and its lines that were not read yet."""
        was_waiting = appended.log in self._waiting or appended.note == _WAITING
        if not was_waiting and appended.note and (known := self._noted(appended.note)):
            return known, appended.lines
        above = [*self._follower.before(appended)]
        lines = pl.concat([*above, appended.lines])
        source = recognised(head_of(lines), self._candidates) if head_of(lines) else None
        if source is None:
            self._waiting[appended.log] = appended.source, head_of(lines)
            return (_Known(None) if len(head_of(lines)) >= HEAD_LINES else None), lines
        self._waiting.pop(appended.log, None)
        context = source.begin(_dated(appended), iter([lines]))
        if was_waiting or not above:
            return _Known(source, context), lines
        for frame in above:
            context = source.goes_on(within_limits(frame)[0], context)
        return _Known(source, context), appended.lines

    def _noted(self, note: Any) -> _Known | None:
        """What was known when the last run ended; none of a format that is not asked for any more."""
        try:
            name, plain = note["format"], note["context"]
            source = next((source for source in self._candidates if source.name == name), None)
            if source is None:
                return _Known(None) if name is None else None
            return _Known(source, msgspec.convert(plain, get_type_hints(source.begin)["return"]))
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise DamagedPositions(f"the positions hold no note of a format ({error}); remove them") from error

    def _forget(self) -> Iterator[Chunk]:
        """Let go of logs of which nothing more comes; those that nobody recognised are refused."""
        followed = self._follower.followed()
        for log in [log for log in self._waiting if log[0] not in followed]:
            source, head = self._waiting.pop(log)
            if head:
                yield unknown_format(source, log[1], head, self._candidates)
        self._known = {log: known for log, known in self._known.items() if log[0] in followed}


def _dated(appended: Appended) -> str:
    """The name of a log as rotation would call it: a format that writes no year finds it there.

    A day later than the last change, as that is in UTC and the log may be in a zone that is ahead.
    """
    return f"{appended.name}.{appended.changed + timedelta(days=1):%Y%m%d}"
