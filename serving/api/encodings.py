"""Content encodings: a body unpacked as it comes, in pieces that stay small however much is packed into little."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import zstandard

_PIECE = 1 << 18
_FED = 256  # a block of Zstandard is at least 4 bytes, and at most 128 KB unpacked: this makes no more than 8 MB
_WINDOW = 8 << 20


class BadEncoding(Exception):
    """What came is not whole data of its encoding; the text says why."""


class Unpacker:
    """Unpacks a body, block after block; one or more packed parts, one after another.

    >>> import gzip
    >>> body = Unpacker("gzip")
    >>> b"".join(body.unpack(gzip.compress(b"one ") + gzip.compress(b"two"))), body.end()
    (b'one two', None)
    """

    def __init__(self, encoding: str) -> None:
        self._begin, self._step = ENCODINGS[encoding]
        self._part: Any = None

    def unpack(self, block: bytes) -> Iterator[bytes]:
        """What the next block of the body holds, in pieces of at most 8 MB.

        Raises BadEncoding.
        """
        rest, more = memoryview(block), False
        while rest or more:
            if self._part is None or self._part.eof:
                self._part = self._begin()
            try:
                piece, taken = self._step(self._part, rest)
            except (zlib.error, zstandard.ZstdError) as error:
                raise BadEncoding(str(error)) from error
            yield piece
            rest, more = rest[taken:], len(piece) == _PIECE and not self._part.eof

    def end(self) -> None:
        """Nothing more comes. Raises BadEncoding if something should."""
        if self._part is not None and not self._part.eof:
            raise BadEncoding("it ends early")


class _Plain:
    eof = True


def _plain(part: Any, block: memoryview) -> tuple[bytes, int]:
    return bytes(block), len(block)


def _gunzipped(part: Any, block: memoryview) -> tuple[bytes, int]:
    piece = part.decompress(block, _PIECE)
    return piece, len(block) - len(part.unconsumed_tail or part.unused_data)


def _unzstd(part: Any, block: memoryview) -> tuple[bytes, int]:
    fed = block[:_FED]
    piece = part.decompress(fed)
    return piece, len(fed) - len(part.unused_data or b"")


#: What begins a packed part, and what makes a piece of it and tells how many bytes that took; by Content-Encoding.
ENCODINGS: Mapping[str, tuple[Callable[[], Any], Callable[[Any, memoryview], tuple[bytes, int]]]] = {
    "gzip": (lambda: zlib.decompressobj(wbits=31), _gunzipped),
    "zstd": (lambda: zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(), _unzstd),
    "identity": (_Plain, _plain),
}
