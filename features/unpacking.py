"""Bytes out of gzip, zstandard, tar, zip and evtx, block by block; what is good before damage comes first."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self

import zstandard

from features import evtx
from features.harmless import harmless

#: What comes out of a file is at most so many times its size, and so many bytes beyond that; a log whose lines repeat
#: packs 200 times. So often may packed things be inside each other.
MOST_RATIO, FREE_BYTES, MOST_LAYERS = 1000, 64 << 20, 4

#: Characters of a member's name, bytes of a tar archive's header, and reads beyond its end, at most.
_NAME_CHARS, _HEADER_BYTES, _READS_BEYOND = 1024, 1 << 20, 8

_READ_BYTES = 1 << 18
_GZIP_FEED = 1 << 14
_ZSTD_FEED = 1 << 10
_ZIP_HEADER = struct.Struct("<4sHHHHHIIIHH")
_GZIP, _ZSTD, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PK\x05\x06"
_GARBLED_HEADER = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined] # not in typeshed
_UNPACKING_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, OSError, ValueError, OverflowError),
)
_TAR_ERRORS = (tarfile.TarError, RecursionError, ValueError, OverflowError)
_TAR_HEADERS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)

Blocks = Iterator[bytes]


class Damaged(Exception):
    """The rest of a file or member cannot be read; what came before it was good."""


def contents(file: Path) -> Iterator[tuple[str | None, Blocks]]:
    """What a file holds: its own unpacked bytes under no name, or each member of an archive under its name.

    Kinds are told by the first bytes. Read each one's blocks before asking for the next; they raise Damaged where
    the good part ends, and where more comes out than any log packs (see MOST_RATIO). Names are harmless to look at.
    Raises OSError if the file cannot be opened.
    """
    with file.open("rb") as stream:
        start = stream.read(4)
    members = _zip_members(file, _Free()) if start in (_ZIP, _EMPTY_ZIP) else _file_or_tar_members(file, _Free())
    for name, blocks in members:
        yield None if name is None else harmless(name[:_NAME_CHARS]), blocks


def _file_or_tar_members(file: Path, free: "_Free") -> Iterator[tuple[str | None, Blocks]]:
    allowance = _Allowance(file.stat().st_size * MOST_RATIO, free)
    head, blocks = peek(_unpacked(_file_blocks(file), allowance), 512)
    if head[257:262] == b"ustar":
        yield from _tar_members(blocks, free)
    else:
        yield None, blocks


def peek(blocks: Blocks, size: int) -> tuple[bytes, Blocks]:
    """The first bytes, and the same blocks again; damage met while looking comes out when they are read."""
    seen: list[bytes] = []
    missing = size
    damage: Damaged | None = None
    try:
        while missing > 0 and (block := next(blocks, None)) is not None:
            if block:
                seen.append(block)
                missing -= len(block)
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


# Bombs


@dataclass
class _Free:
    """Bytes that may come out of a file beyond its allowances; all that is in it shares them."""

    left: int = FREE_BYTES


@dataclass
class _Allowance:
    """Bytes that may still come out of something packed, by its size."""

    left: int
    free: _Free

    def spent(self, blocks: Blocks) -> Blocks:
        """The same blocks. Raises Damaged once they are more than allowed and nothing is free."""
        for block in blocks:
            beyond = max(len(block) - self.left, 0)
            self.left -= len(block) - beyond
            self.free.left -= beyond
            if beyond and self.free.left < 0:
                raise Damaged(f"unpacks to more than {MOST_RATIO} times its size; if it is a log, unpack it by hand")
            yield block


# Compression


def _unpacked(blocks: Blocks, allowance: _Allowance, layers: int = MOST_LAYERS) -> Blocks:
    """The bytes inside gzip or zstandard, however often wrapped; a binary event log as lines; others as they are."""
    head, blocks = peek(blocks, len(evtx.SIGNATURE))
    if head.startswith(evtx.SIGNATURE):
        return allowance.spent(_event_lines(blocks))
    if not head.startswith((_GZIP, _ZSTD)):
        return blocks
    if layers == 0:
        return broken(f"packed more than {MOST_LAYERS} times over; if it is a log, unpack it by hand")
    if head.startswith(_GZIP):
        inside = _decompressed(blocks, lambda: zlib.decompressobj(wbits=31), _GZIP_FEED, "gzip")
    else:
        inside = _decompressed(blocks, zstandard.ZstdDecompressor().decompressobj, _ZSTD_FEED, "zstandard")
    return _unpacked(allowance.spent(inside), allowance, layers - 1)


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


def _tar_members(blocks: Blocks, free: _Free) -> Iterator[tuple[str | None, Blocks]]:
    stream = _TarReader(blocks)
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Entry) as archive:
            for entry in archive:
                archive.members.clear()  # type: ignore[attr-defined] # not in typeshed; it would keep every header
                if entry.isfile():
                    allowance = _Allowance(entry.size * MOST_RATIO, free)
                    yield entry.name, _unpacked(_tar_blocks(archive, entry, stream), allowance)
    except _TAR_ERRORS as error:
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

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """A header of one block. Raises ReadError if it wants others behind it that are too long to be read whole."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.size < 0 or (entry.type in _TAR_HEADERS and entry.size > _HEADER_BYTES):
            raise tarfile.ReadError(f"a header of {entry.size} bytes")
        return entry

    def _not_read(self, *_: Any) -> NoReturn:
        """Holes take no bytes in an archive and any number outside. Raises ReadError."""
        raise tarfile.ReadError("a sparse file, which is not read")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _not_read


def _tar_blocks(archive: tarfile.TarFile, entry: tarfile.TarInfo, stream: "_TarReader") -> Blocks:
    content = archive.extractfile(entry)
    try:
        while content and (block := content.read(_GZIP_FEED)):
            yield block
    except _TAR_ERRORS:
        stream.damage = stream.damage or Damaged("the tar archive ends early; copy the file again")
    if stream.damage:
        stream.told = True
        raise stream.damage


class _BlockReader(io.RawIOBase):
    """Blocks as a file; ends at damage and remembers it, so that no good byte is lost."""

    def __init__(self, blocks: Blocks) -> None:
        self.damage: Damaged | None = None
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


class _TarReader(_BlockReader):
    """Blocks as a file for tarfile, which reads beyond the end of it for as long as a member claims to be."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self.told = False
        self._beyond = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end. Raises ReadError when it is asked for more again and again."""
        found = super().read(size)
        self._beyond += not found
        if self._beyond > _READS_BEYOND:
            raise tarfile.ReadError("unexpected end of data")
        return found


def _zip_members(file: Path, free: _Free) -> Iterator[tuple[str | None, Blocks]]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        yield from _salvaged(file, free)
        return
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
        if sum(entry.compress_size for entry in entries) > file.stat().st_size:
            yield None, broken("the members of the zip archive lie over each other; pack the logs again")
            return
        for entry in entries:
            allowance = _Allowance(entry.compress_size * MOST_RATIO, free)
            yield entry.filename, _unpacked(allowance.spent(_zip_blocks(archive, entry)), allowance)
    if not entries:
        yield None, broken("the zip archive is empty; pack the logs again")


def _zip_blocks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Blocks:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile unpacks others without a bound
        raise Damaged("is packed by a method that is not read; pack it with deflate, the usual one")
    try:
        with archive.open(entry) as content:
            while block := content.read(_GZIP_FEED):
                yield block
    except _UNPACKING_ERRORS as error:
        raise Damaged(f"cannot be unpacked ({error}); unpack it by hand or copy the file again") from error


def _salvaged(file: Path, free: _Free) -> Iterator[tuple[str | None, Blocks]]:
    """Members of a zip archive whose end, with its table of contents, is lost: walked from header to header."""
    allowance = _Allowance(file.stat().st_size * MOST_RATIO, free)
    with file.open("rb") as stream:
        while len(header := stream.read(_ZIP_HEADER.size)) == _ZIP_HEADER.size and header.startswith(_ZIP):
            *_, method, _, _, _, packed, _, name_size, extra_size = _ZIP_HEADER.unpack(header)
            name = stream.read(name_size).decode("utf-8", "replace")
            stream.seek(extra_size, io.SEEK_CUR)
            content = stream.tell()
            if method != zipfile.ZIP_DEFLATED:
                break
            yield name, _unpacked(allowance.spent(_inflated(file, content)), allowance)
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
