"""Reads an audit, in any process, while another one writes it: all of it to verify, or one page of it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from serving.access.audit_lines import (
    LINE_BYTES,
    START,
    AuditRefused,
    Head,
    Line,
    Mark,
    read_head,
    spelled,
    without_head,
)

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of an audit, in order, behind the first `after`, and how far all of it goes."""

    mark: Mark
    after: int
    lines: list[Line]


def verify(path: Path, key: Path, held: Mark = START) -> Mark:
    """How far the audit at `path` goes, if all of it is as it was written; somebody may be writing meanwhile.

    `held` is a mark from before that was kept elsewhere. Raises AuditRefused with the first line that is changed, cut,
    moved or not ours; KeyRefused where the public key at `key` is not good.
    """
    head = read_head(path, key)
    chain = _Chain(path, held)
    while True:
        begun = chain.read_on()
        before, head = head, read_head(path, key)
        if head == before:
            break
    if head is None and (chain.mark != START or begun):
        raise without_head(path)
    if head is not None:
        chain.check_head(head, begun)
    chain.check_held()
    return chain.mark


def page(path: Path, key: Path, after: int, most: int) -> Page:
    """At most so many lines behind the first `after`, each checked against the one before, and the last with the head.

    Raises AuditRefused where these are not as they were written, whatever is wrong elsewhere; KeyRefused as `verify`.
    """
    head = read_head(path, key)
    if head is None:
        if path.exists() and path.stat().st_size:
            raise without_head(path)
        return Page(START, after, [])
    wanted = min(most, head.lines - after)
    if wanted <= 0:
        return Page(head.mark, after, [])
    chain = _Chain(path, START)
    lines = chain.some(after, wanted)
    if chain.mark.lines < min(after + wanted, head.lines - 1):
        raise chain.refused(f"cut off from here on; {head.lines} lines were signed", beyond=1)
    if chain.mark.lines == head.lines and chain.mark != head.mark:
        raise chain.refused("not the line that was signed")
    return Page(head.mark, after, lines)


class _Chain:
    """The lines of the file at `path` as far as they were read; each is checked as it comes."""

    def __init__(self, path: Path, held: Mark) -> None:
        self.mark = START
        self._path, self._held = path, held
        self._size, self._last = 0, b""

    def read_on(self) -> bytes:
        """Read to the end; the answer is the beginning of a line that is not whole yet."""
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(self._size)
            while (line := file.readline(LINE_BYTES)).endswith(b"\n"):
                self._follow(line[:-1])
        if len(line) == LINE_BYTES:
            raise self.refused("expected an entry, which is shorter", beyond=1)
        return line

    def some(self, after: int, wanted: int) -> list[Line]:
        """At most so many lines behind the first `after`, the last of which is taken as it is."""
        lines: list[Line] = []
        if not self._path.exists():
            return lines
        with self._path.open("rb") as file:
            if after:
                _skip(file, after - 1)
                self.mark = Mark(after - 1, "")
                if not (line := file.readline(LINE_BYTES)).endswith(b"\n"):
                    return lines
                self.mark = Mark(after, self._decoded(line[:-1]).hash)
            while len(lines) < wanted and (line := file.readline(LINE_BYTES)).endswith(b"\n"):
                lines.append(self._follow(line[:-1]))
        return lines

    def check_head(self, head: Head, begun: bytes) -> None:
        """Raise AuditRefused unless the lines end as the head says, or lack what is left to write of the last."""
        follows = msgspec.json.decode(head.last, type=Line).prev == self.mark.hash
        if head.lines == self.mark.lines + 1 and follows and head.end.startswith(begun):
            return
        if self.mark.lines < head.lines:
            raise self.refused(f"cut off from here on; {head.lines} lines were signed", beyond=1)
        if self.mark.lines > head.lines or begun:
            raise AuditRefused(self._path, head.lines + 1, f"not ours; {head.lines} lines were signed")
        if self._last != head.last.encode():
            raise self.refused("not the line that was signed")

    def check_held(self) -> None:
        """Raise AuditRefused if the lines end before the mark that is held."""
        if self.mark.lines < self._held.lines:
            raise self.refused(f"cut off from here on; the mark of line {self._held.lines} is held", beyond=1)

    def refused(self, why: str, beyond: int = 0) -> AuditRefused:
        """What is wrong with the last line that was read, or so many beyond it."""
        return AuditRefused(self._path, self.mark.lines + beyond, why)

    def _follow(self, line: bytes) -> Line:
        found = self._decoded(line)
        if spelled(found, found.prev) != (found.hash, line):
            raise self.refused("it was changed", beyond=1)
        if found.prev != self.mark.hash:
            raise self.refused("does not follow the line before: one was changed, moved or taken out", beyond=1)
        self.mark, self._last = Mark(self.mark.lines + 1, found.hash), line
        self._size += len(line) + 1
        if self.mark.lines == self._held.lines and self.mark != self._held:
            raise self.refused("not the line whose mark is held")
        return found

    def _decoded(self, line: bytes) -> Line:
        try:
            return msgspec.json.decode(line, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.refused(f"expected an entry: {error}", beyond=1) from error


def _skip(file: IO[bytes], lines: int) -> None:
    """Go on behind so many lines, or at the end."""
    while lines and (block := file.read(_BLOCK_BYTES)):
        found = block.count(b"\n")
        if found < lines:
            lines -= found
            continue
        end = -1
        for _ in range(lines):
            end = block.index(b"\n", end + 1)
        file.seek(end + 1 - len(block), os.SEEK_CUR)
        return
