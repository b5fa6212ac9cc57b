"""Bytes out of gzip, zstandard, tar, zip and evtx, block by block; what is good before damage comes first."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, Self

import zstandard

from features import evtx

_READ_BYTES = 1 << 18
_GZIP_FEED = 1 << 14
_ZSTD_FEED = 1 << 10
_ZIP_HEADER = struct.Struct("<4sHHHHHIIIHH")
_GZIP, _ZSTD, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PK\x05\x06"
_GARBLED_HEADER = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined] # not in typeshed
_UNPACKING_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)

Blocks = Iterator[bytes]


class Damaged(Exception):
    """The rest of a file or member cannot be read; what came before it was good."""


def contents(file: Path) -> Iterator[tuple[str | None, Blocks]]:
    """What a file holds: its own unpacked bytes under no name, or each member of an archive under its name.

    Kinds are told by the first bytes. Read each one's blocks before asking for the next; they raise Damaged where
    the good part ends. Raises OSError if the file cannot be opened.
    """
    with file.open("rb") as stream:
        start = stream.read(4)
    if start in (_ZIP, _EMPTY_ZIP):
        yield from _zip_members(file)
        return
    head, blocks = peek(_unpacked(_file_blocks(file)), 512)
    if head[257:262] == b"ustar":
        yield from _tar_members(blocks)
    else:
        yield None, blocks


def peek(blocks: Blocks, size: int) -> tuple[bytes, Blocks]:
    """The first bytes, and the same blocks again; damage met while looking comes out when they are read."""
    seen: list[bytes] = []
    damage: Damaged | None = None
    try:
        while sum(map(len, seen)) < size and (block := next(blocks, None)) is not None:
            seen.append(block)
    except Damaged as error:
        damage = error
    return b"".join(seen)[:size], _replay(seen, damage, blocks)


def broken(reason: str) -> Blocks:
    """No blocks, only damage."""
    return _replay([], Damaged(reason), iter(()))


def _file_blocks(file: Path) -> Blocks:
    with file.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            yield block


# Compression


def _unpacked(blocks: Blocks) -> Blocks:
    """The bytes inside gzip or zstandard, however often wrapped; a binary event log as lines; others as they are."""
    head, blocks = peek(blocks, len(evtx.SIGNATURE))
    if head.startswith(_GZIP):
        return _unpacked(_decompressed(blocks, lambda: zlib.decompressobj(wbits=31), _GZIP_FEED, "gzip"))
    if head.startswith(_ZSTD):
        return _unpacked(_decompressed(blocks, zstandard.ZstdDecompressor().decompressobj, _ZSTD_FEED, "zstandard"))
    if head.startswith(evtx.SIGNATURE):
        return _event_lines(blocks)
    return blocks


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _decompressed(blocks: Blocks, decoder: Callable[[], _Decoder], feed: int, kind: str) -> Blocks:
    """Feed small pieces, so that a bomb stays small too; several frames may follow each other."""
    codec: _Decoder | None = None
    for piece in _pieces(blocks, feed):
        while piece:
            codec = codec or decoder()
            try:
                yield codec.decompress(piece)
            except (zlib.error, zstandard.ZstdError) as error:
                raise Damaged(f"garbled {kind} data ({error}); copy the file again") from error
            piece = codec.unused_data
            codec = None if codec.eof else codec
    if codec is not None:
        raise Damaged(f"the {kind} data ends early; copy the file again")


def _pieces(blocks: Blocks, size: int) -> Blocks:
    for block in blocks:
        for at in range(0, len(block), size):
            yield block[at : at + size]


def _event_lines(blocks: Blocks) -> Blocks:
    stream = _BlockReader(blocks)
    unreadable = yield from evtx.event_lines(stream)
    if stream.damage or unreadable:
        raise Damaged("; ".join(str(reason) for reason in (stream.damage, unreadable) if reason))


def _replay(seen: list[bytes], damage: Damaged | None, rest: Blocks) -> Blocks:
    yield from seen
    if damage:
        raise damage
    yield from rest


# Archives


def _tar_members(blocks: Blocks) -> Iterator[tuple[str | None, Blocks]]:
    stream = _BlockReader(blocks)
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Entry) as archive:
            for entry in archive:
                if entry.isfile():
                    yield entry.name, _unpacked(_tar_blocks(archive, entry, stream))
    except tarfile.TarError as error:
        stream.damage = stream.damage or Damaged(f"garbled tar archive ({error}); copy the file again")
    if stream.damage and not stream.told:
        yield None, broken(str(stream.damage))


class _Entry(tarfile.TarInfo):
    """A member's header; one that is garbled is an error and not, as tarfile has it, the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """The next header. Raises ReadError if it is none."""
        try:
            return super().fromtarfile(tarfile_)
        except _GARBLED_HEADER as error:
            raise tarfile.ReadError(str(error)) from error


def _tar_blocks(archive: tarfile.TarFile, entry: tarfile.TarInfo, stream: "_BlockReader") -> Blocks:
    content = archive.extractfile(entry)
    try:
        while content and (block := content.read(_GZIP_FEED)):
            yield block
    except tarfile.TarError:
        stream.damage = stream.damage or Damaged("the tar archive ends early; copy the file again")
    if stream.damage:
        stream.told = True
        raise stream.damage


class _BlockReader(io.RawIOBase):
    """Blocks as a file; ends at damage and remembers it, so that no good byte is lost."""

    def __init__(self, blocks: Blocks) -> None:
        self.damage: Damaged | None = None
        self.told = False
        self._blocks = blocks
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        parts, missing = [], size
        while missing > 0 and (self._left or self._fill()):
            parts.append(self._left[:missing])
            missing -= len(parts[-1])
            self._left = self._left[len(parts[-1]) :]
        return b"".join(parts)

    def _fill(self) -> bool:
        try:
            self._left = next((block for block in self._blocks if block), b"")
        except Damaged as error:
            self.damage = error
        return bool(self._left)


def _zip_members(file: Path) -> Iterator[tuple[str | None, Blocks]]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        yield from _salvaged(file)
        return
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        for entry in entries:
            yield entry.filename, _unpacked(_zip_blocks(archive, entry))
    if not entries:
        yield None, broken("the zip archive is empty; pack the logs again")


def _zip_blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Blocks:
    try:
        with archive.open(entry) as content:
            while block := content.read(_GZIP_FEED):
                yield block
    except _UNPACKING_ERRORS as error:
        raise Damaged(f"cannot be unpacked ({error}); unpack it by hand or copy the file again") from error


def _salvaged(file: Path) -> Iterator[tuple[str | None, Blocks]]:
    """Members of a zip archive whose end, with its table of contents, is lost: walked from header to header."""
    with file.open("rb") as stream:
        while len(header := stream.read(_ZIP_HEADER.size)) == _ZIP_HEADER.size and header.startswith(_ZIP):
            *_, method, _, _, _, packed, _, name_size, extra_size = _ZIP_HEADER.unpack(header)
            name = stream.read(name_size).decode("utf-8", "replace")
            stream.seek(extra_size, io.SEEK_CUR)
            content = stream.tell()
            if method != zipfile.ZIP_DEFLATED:
                break
            yield name, _unpacked(_inflated(file, content))
            stream.seek(content + (packed or _packed_size(file, content)))
    yield None, broken("the zip archive is cut short or garbled; copy the file again")


def _inflated(file: Path, at: int) -> Blocks:
    inflate = zlib.decompressobj(wbits=-15)
    with file.open("rb") as stream:
        stream.seek(at)
        while not inflate.eof and (piece := stream.read(_GZIP_FEED)):
            try:
                yield inflate.decompress(piece)
            except zlib.error as error:
                raise Damaged(f"garbled zip data ({error}); copy the file again") from error
    if not inflate.eof:
        raise Damaged("the zip data ends early; copy the file again")


def _packed_size(file: Path, at: int) -> int:
    """Bytes of a deflated member whose header does not tell, with the 16 bytes of counts behind it."""
    inflate = zlib.decompressobj(wbits=-15)
    with file.open("rb") as stream:
        stream.seek(at)
        try:
            while not inflate.eof and (piece := stream.read(_GZIP_FEED)):
                inflate.decompress(piece)
        except zlib.error:
            stream.seek(0, io.SEEK_END)
        return stream.tell() - len(inflate.unused_data) - at + 16
