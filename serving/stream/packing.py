"""Batches of events as bytes: Arrow streams, one for each domain, packed together with Zstandard."""

import io
import struct

import polars as pl
import pyarrow as pa
import zstandard

from features.events import Domain, schema
from features.logs import Events
from features.mistakes import FoundWrong

#: Most bytes of a batch when it is unpacked.
BATCH_BYTES = 1 << 30

#: The format, before anything else.
_MAGIC = b"SME1"
_PART = struct.Struct("<BQ")
_DOMAINS = tuple(Domain)
_FAULTS = (pa.ArrowException, OSError, ValueError, KeyError)


class NoBatch(FoundWrong):
    """Bytes are no packed batch of events."""


def packed(events: Events) -> bytes:
    """Events as bytes. Raises ValueError if they are more than BATCH_BYTES, or their columns not those of a domain."""
    parts = []
    for domain in Domain:
        if domain in events and events[domain].height:
            stream = _stream(events[domain], domain)
            parts += [_PART.pack(_DOMAINS.index(domain), len(stream)), stream]
    content = b"".join(parts)
    if len(content) > BATCH_BYTES:
        raise ValueError(f"a batch of {len(content)} bytes; at most {BATCH_BYTES} are packed together")
    return _MAGIC + zstandard.ZstdCompressor(write_checksum=True).compress(content)


def unpacked(payload: bytes) -> Events:
    """The events that were packed, of those domains that have any. Raises NoBatch."""
    content = _content(payload)
    events: dict[Domain, pl.DataFrame] = {}
    start = 0
    while start < len(content):
        number, size = _PART.unpack_from(content, start) if len(content) - start >= _PART.size else (255, 0)
        start += _PART.size
        if number >= len(_DOMAINS) or _DOMAINS[number] in events or len(content) - start < size:
            raise NoBatch(f"expected the events of a domain at byte {start}")
        events[_DOMAINS[number]] = _frame(content[start : start + size], _DOMAINS[number])
        start += size
    return events


def _stream(frame: pl.DataFrame, domain: Domain) -> bytes:
    if frame.schema != schema(domain):
        raise ValueError(f"expected the columns of {domain}, not {frame.columns}")
    stream = io.BytesIO()
    # Texts as one buffer: as views they would bring along all of the chunk that they are cut from.
    frame.rechunk().write_ipc_stream(stream, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def _content(payload: bytes) -> memoryview:
    packed_content = memoryview(payload)[len(_MAGIC) :]
    if payload[: len(_MAGIC)] != _MAGIC:
        raise NoBatch(f"expected {_MAGIC!r} before all")
    try:
        size = zstandard.frame_content_size(packed_content)
        if not 0 <= size <= BATCH_BYTES:
            raise NoBatch(f"expected at most {BATCH_BYTES} bytes unpacked, not {size}")
        content = zstandard.ZstdDecompressor().decompress(packed_content, allow_extra_data=False) if size else b""
    except zstandard.ZstdError as error:
        raise NoBatch(f"cannot be unpacked ({error})") from error
    return memoryview(content)


def _frame(stream: memoryview, domain: Domain) -> pl.DataFrame:
    try:
        table = pa.ipc.open_stream(stream).read_all()
        table.validate(full=True)
    except _FAULTS as error:
        raise NoBatch(f"the events of {domain} cannot be read ({error})") from error
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame) or frame.schema != schema(domain):
        raise NoBatch(f"expected the columns of {domain}, not {table.schema.names}")
    return frame
