"""Whole lines of text that still grows."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from features.files import CHUNK_BYTES, LINE_BYTES
from features.lines import lines_of
from features.positions import Position
from features.sights import read_at

NO_LINES = pl.DataFrame(schema={"line": pl.Int64, "text": pl.String, "kind": pl.UInt8})


def grown(file: io.FileIO, position: Position, size: int) -> Iterator[tuple[pl.DataFrame, Position]]:
    """Frames of whole lines from `position` up to the byte `size`, and the position behind each."""
    while position.offset < size:
        block = read_at(file, position.offset, min(CHUNK_BYTES, size - position.offset))
        chunk, step, is_inside_line = _whole_lines(block, position.is_inside_line)
        if not step:
            return
        text = chunk.removeprefix(codecs.BOM_UTF8) if position.offset == 0 else chunk
        lines = lines_of(text, position.line) if chunk else NO_LINES
        offset, line = position.offset + step, position.line + lines.height
        position = replace(position, offset=offset, line=line, is_inside_line=is_inside_line)
        yield lines, position


def _whole_lines(block: bytes, is_inside_line: bool) -> tuple[bytes, int, bool]:
    """What of a block is whole lines, how many bytes to step on, and whether that is within a line too long to hold."""
    if is_inside_line:
        end = block.find(b"\n") + 1
        return b"", end or len(block), not end
    end = block.rfind(b"\n") + 1
    if not end and len(block) > LINE_BYTES:
        return block[: LINE_BYTES + 1], len(block), True
    return block[:end], end, False
