"""Logs as people point at them (files, archives, folders), streamed as lines in bounded memory."""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.mistakes import AskedWrong
from features.unpacking import Blocks, Damaged, broken, contents, peek

#: Bytes of text in one frame of lines, and the longest line that is kept whole.
CHUNK_BYTES = 16 << 20
LINE_BYTES = 1 << 20


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
        """Frames of `line` (0-based, blank lines count) and `text`, each of about CHUNK_BYTES.

        Bytes that are no UTF-8 show as U+FFFD; UTF-16 with a byte-order mark is understood. A line far above
        LINE_BYTES loses its middle, but stays above it, so that the door can tell. Raises Damaged after the last
        good frame.
        """
        first_line = 0
        for chunk in _cut_at_line_ends(_as_utf8(self.blocks)):
            frame = _split(chunk, first_line)
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


def _cut_at_line_ends(blocks: Iterable[bytes]) -> Blocks:
    """Chunks that end where a line ends; an endless line is cut, and the line that damage cut is left out."""
    parts: list[bytes] = []
    damage: Damaged | None = None
    try:
        for block in blocks:
            parts.append(block)
            if sum(map(len, parts)) < CHUNK_BYTES:
                continue
            whole, line_end, rest = b"".join(parts).rpartition(b"\n")
            parts = [rest[: LINE_BYTES + 1]]
            if line_end:
                yield whole + line_end
    except Damaged as error:
        damage = error
        parts = list(b"".join(parts).rpartition(b"\n")[:2])
    if any(parts):
        yield b"".join(parts)
    if damage:
        raise damage


def _split(chunk: bytes, first_line: int) -> pl.DataFrame:
    try:
        lines = pl.read_lines(chunk, name="text")
    except pl.exceptions.ComputeError:
        lines = pl.read_lines(chunk.decode("utf-8", "replace").encode(), name="text")
    return lines.with_row_index("line", first_line).with_columns(pl.col("line").cast(pl.Int64))
