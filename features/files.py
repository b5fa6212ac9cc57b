"""Logs as people point at them (files, archives, folders), streamed as lines in bounded memory."""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.lines import lines_of
from features.mistakes import AskedWrong
from features.unpacking import Blocks, Damaged, broken, contents, peek

#: Bytes of text in one frame of lines, and the longest line that is kept whole.
CHUNK_BYTES = 32 << 20
LINE_BYTES = 1 << 20

#: How a whole JSON document of records begins: an array of objects, or CloudTrail's object around one.
_DOCUMENT = re.compile(rb'\s*(?:\[\s*\{|(\{)\s*"Records"\s*:\s*\[)')
_TAB, _LINE_END, _RETURN, _SPACE, _QUOTE, _COMMA, _BACKSLASH = b'\t\n\r ",\\'
_OPEN_LIST, _CLOSE_LIST, _OPEN_OBJECT, _CLOSE_OBJECT = b"[]{}"


class UnreadablePath(AskedWrong):
    """A path the caller gave does not exist."""


@dataclass(frozen=True)
class Member:
    """One log: a file, or one member of an archive. Read it, once, before asking for the next one."""

    source: str
    member: str | None
    blocks: Blocks

    @property
    def name(self) -> str:
        """The innermost file name, without its folders."""
        return (self.member or self.source).replace("\\", "/").rpartition("/")[2]

    def lines(self) -> Iterator[pl.DataFrame]:
        """Frames of `line` (0-based), `text` and its `kind` (see `features.lines`), each of about CHUNK_BYTES.

        Of a JSON document of records (an array, or `{"Records": [...]}`) each record is a line, however written.
        Bytes that are no UTF-8 show as U+FFFD; UTF-16 with a byte-order mark is understood. A line far above
        LINE_BYTES loses its middle, but stays above it, so that the door can tell. Raises Damaged after the last
        good frame.
        """
        first_line = 0
        for chunk in _cut_at_line_ends(_record_a_line(_as_utf8(self.blocks))):
            frame = lines_of(chunk, first_line)
            first_line += frame.height
            yield frame


def check_paths(paths: Sequence[str | Path]) -> None:
    """Raise UnreadablePath for the first path that does not exist."""
    for path in paths:
        if not Path(path).exists():
            raise UnreadablePath(f"{path}: no such file or folder; check the path")


def members(paths: Sequence[str | Path]) -> Iterator[Member]:
    """Every log below `paths`, folders in order of name; `source` is a path that can be opened."""
    for path in paths:
        for file in _files(Path(path)):
            yield from _members_of(file, str(path) if file == Path(path) else str(file))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path


def _members_of(file: Path, source: str) -> Iterator[Member]:
    try:
        for member, blocks in contents(file):
            yield Member(source, member, blocks)
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); make it readable for this user"
        yield Member(source, None, broken(reason))


def _as_utf8(blocks: Blocks) -> Blocks:
    head, blocks = peek(blocks, 3)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _transcoded(blocks, "utf-16")
    if head.startswith(codecs.BOM_UTF8):
        return _transcoded(blocks, "utf-8-sig")
    return blocks


def _transcoded(blocks: Blocks, encoding: str) -> Blocks:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in blocks:
        yield decoder.decode(block).encode()


def _record_a_line(blocks: Blocks) -> Blocks:
    """A JSON document of records as lines, block by block, so that its size does not matter; other text as it is."""
    head, blocks = peek(blocks, 1024)
    document = _DOCUMENT.match(head)
    return _records(blocks, records_depth=2 if document[1] else 1) if document else blocks


def _records(blocks: Blocks, records_depth: int) -> Blocks:
    place = np.zeros(3, dtype=np.int64)
    for block in blocks:
        yield _lined_up(np.frombuffer(block, dtype=np.uint8), records_depth, place).tobytes()


@njit(cache=True)
def _lined_up(block_N: NDArray[np.uint8], records_depth: int, place: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The records in a block, a line end for the comma between two and a space for each line end inside one.

    `place` is where the block before ended: how deep, whether in a string, whether behind a backslash. A string never
    spans lines in JSON: one that does ends there, with a tab that no reader takes, so that it spoils no other record.
    """
    depth, in_string, is_escaped = place
    lines_N = np.empty_like(block_N)
    size = 0
    for byte in block_N:
        is_line_end = byte in (_LINE_END, _RETURN)
        if in_string:
            in_string = not is_line_end and (byte != _QUOTE or is_escaped)
            is_escaped = byte == _BACKSLASH and not is_escaped
            byte = _TAB if is_line_end else byte
        elif byte == _QUOTE:
            in_string = True
        elif is_line_end or byte == _TAB:
            byte = _SPACE
        elif byte in (_OPEN_LIST, _OPEN_OBJECT):
            depth += 1
            if depth == records_depth:
                continue
        elif byte == _CLOSE_LIST and depth == records_depth:
            depth -= 1
            lines_N[size] = _LINE_END
            size += 1
        elif byte in (_CLOSE_LIST, _CLOSE_OBJECT) and depth != records_depth:
            depth = max(depth - 1, 0)
        if depth == records_depth and not in_string:
            if byte == _SPACE:
                continue
            byte = _LINE_END if byte == _COMMA else byte
        if depth >= records_depth:
            lines_N[size] = byte
            size += 1
    place[:] = depth, in_string, is_escaped
    return lines_N[:size]


def _cut_at_line_ends(blocks: Iterable[bytes]) -> Blocks:
    """Chunks that end where a line ends; an endless line is cut, and the line that damage cut is left out."""
    parts: list[bytes] = []
    size = 0
    damage: Damaged | None = None
    try:
        for block in blocks:
            parts.append(block)
            size += len(block)
            if size < CHUNK_BYTES:
                continue
            whole, rest = _parted(parts)
            parts = [rest[: LINE_BYTES + 1]]
            size = len(parts[0])
            if whole:
                yield whole
    except Damaged as error:
        damage = error
        parts = [_parted(parts)[0]]
    if any(parts):
        yield b"".join(parts)
    if damage:
        raise damage


def _parted(parts: list[bytes]) -> tuple[bytes, bytes]:
    """What ends with the last line end, and the rest, each copied once."""
    for last in range(len(parts) - 1, -1, -1):
        after = parts[last].rfind(b"\n") + 1
        if after:
            rest = b"".join([parts[last][after:], *parts[last + 1 :]])
            return b"".join([*parts[:last], parts[last][:after]]), rest
    return b"", b"".join(parts)
