"""Binary Windows event logs as lines of flat JSON, chunk by chunk, so that a log's size does not matter.

A log is a header and chunks of 64 KiB, each whole in itself: every record, name and template it uses lies inside.
libevtx's "Windows XML Event Log (EVTX) format" describes them.
"""

import io
import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from evtx import PyEvtxParser

#: How a binary log begins.
SIGNATURE = b"ElfFile\0"

_HEADER_BYTES, _CHUNK_BYTES, _CHUNK_HEADER_BYTES, _SMALLEST_RECORD = 4096, 65536, 512, 28
_CHUNK_SIGNATURE, _RECORD_SIGNATURE = b"ElfChnk\0", b"\x2a\x2a\0\0"
_CHUNK_HEAD = struct.Struct("<8sQQ24xII")
_RECORD_HEAD, _RECORD_TIME, _RECORD_TIME_AT = struct.Struct("<4sI"), struct.Struct("<Q"), 16
#: The end of the year 9999 in tenths of a microsecond since 1601; the parser stops at a record written later.
_LAST_MOMENT = 2_650_467_743_999_999_999
_CHUNK_COUNT_AT, _FLAGS_AT, _NO_CHECKSUMS = 42, 120, 4
#: A log's header for one chunk, so that a garbled one spoils nothing.
_LONE_HEADER = struct.pack("<8sQQQIHHHH4052x", SIGNATURE, 0, 0, 1, 128, 1, 3, _HEADER_BYTES, 1)
#: Where a chunk keeps pointers to its names and templates. The parser can do without, and never ends if they go round.
_TABLES = slice(128, _CHUNK_HEADER_BYTES)
_REASON_CHARS = 160
_EARLY = "it ends early"

#: Our names for the attributes of the elements in a record's System part.
_ATTRIBUTES = {
    "Provider": {"Name": "ProviderName", "Guid": "ProviderGuid", "EventSourceName": "EventSourceName"},
    "EventID": {"Qualifiers": "Qualifiers"},
    "TimeCreated": {"SystemTime": "@timestamp"},
    "Correlation": {"ActivityID": "ActivityID", "RelatedActivityID": "RelatedActivityID"},
    "Execution": {"ProcessID": "ExecutionProcessID", "ThreadID": "ExecutionThreadID"},
    "Security": {"UserID": "UserID"},
}
#: Names in an event's own data that would pass for the record's envelope, or for another exporter's nesting.
_NOT_FOR_DATA = {"Hostname", "winlog", "event_data", "EventData", "EventData_dynamic"}
_GUID_NAMES = ("Guid", "GUID")

Fields = dict[str, Any]


class Stream(Protocol):
    """Bytes that are read once, from the first to the last."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer only at the end."""


def event_lines(log: Stream) -> Generator[bytes, None, str]:
    """Each record as one line of JSON, some lines at a time; returns what could not be read, "" if all could.

    The fields of System and of EventData or UserData lie side by side, as NXLog exports them. A field of the data
    that has a name of System's is kept under that name behind "EventData". Nameless data are param1, param2 and
    so on. What a garbled record, chunk or end leaves intact comes out.
    """
    header = log.read(_HEADER_BYTES)
    is_cut = len(header) < _HEADER_BYTES
    header = header.ljust(_HEADER_BYTES, b"\0")
    promised = max(int.from_bytes(header[_CHUNK_COUNT_AT : _CHUNK_COUNT_AT + 2], "little"), is_cut)
    is_summed = not header[_FLAGS_AT] & _NO_CHECKSUMS
    losses = _Losses()
    number = 0
    while content := log.read(_CHUNK_BYTES):
        yield _lines(content, losses, is_summed, is_promised=number < promised)
        number += 1
    losses.count("missing chunks", promised - number, _EARLY)
    return losses.told()


@dataclass
class _Losses:
    """What is lost so far, and the first reason."""

    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    def count(self, what: str, number: int, reason: str) -> None:
        """So many more of these."""
        if number > 0:
            self.counts[what] = self.counts.get(what, 0) + number
            self.reason = self.reason or " ".join(reason.split())[:_REASON_CHARS]

    def told(self) -> str:
        """All of it in a sentence."""
        lost = ", ".join(f"{what}: {number:,}" for what, number in self.counts.items())
        return lost and f"the binary event log has {lost} (first: {self.reason}); copy it again"


def _lines(content: bytes, losses: _Losses, is_summed: bool, is_promised: bool) -> bytes:
    """The good records of one chunk; one that was never used is empty."""
    is_cut = len(content) < _CHUNK_BYTES
    if not content.startswith(_CHUNK_SIGNATURE):
        is_lost = is_cut or (is_promised and any(content))
        losses.count("unreadable chunks", int(is_lost), "a chunk does not begin like one")
        return b""
    chunk = bytearray(content.ljust(_CHUNK_BYTES, b"\0"))
    _, first, last, end, checksum = _CHUNK_HEAD.unpack_from(chunk)
    is_altered = is_summed and zlib.crc32(memoryview(chunk)[_CHUNK_HEADER_BYTES:end]) != checksum
    chunk[_TABLES] = bytes(_CHUNK_HEADER_BYTES - _TABLES.start)
    _bridge_gaps(chunk, min(end, _CHUNK_BYTES))
    lines, faults = _read(bytes(chunk))
    missing = last - first + 1 - len(lines) if last - first < _CHUNK_BYTES // _SMALLEST_RECORD else 0
    unread = max(len(faults), missing)
    fault = next(iter(faults), "a record is not where it should be")
    losses.count("unreadable records", unread, _EARLY if is_cut else fault)
    garbled = int(is_altered and not unread)
    losses.count("chunks with garbled values", garbled, _EARLY if is_cut else "a checksum is wrong")
    return b"".join(lines)


def _bridge_gaps(chunk: bytearray, end: int) -> None:
    """Give what is no record the head of one, for the parser stops at such and would lose all that come after."""
    at = _CHUNK_HEADER_BYTES
    while at < end:
        size = _size_of_record(chunk, at)
        if not size:
            following = _next_record(chunk, at + _SMALLEST_RECORD, end)
            if following is None:
                return
            size = following - at
            _RECORD_HEAD.pack_into(chunk, at, _RECORD_SIGNATURE, size)
        if _RECORD_TIME.unpack_from(chunk, at + _RECORD_TIME_AT)[0] > _LAST_MOMENT:
            _RECORD_TIME.pack_into(chunk, at + _RECORD_TIME_AT, 0)
        at += size


def _size_of_record(chunk: bytearray, at: int) -> int:
    """The size of the record that begins here, which its last four bytes repeat; 0 if none does."""
    if at + _SMALLEST_RECORD > _CHUNK_BYTES:
        return 0
    signature, size = _RECORD_HEAD.unpack_from(chunk, at)
    is_record = signature == _RECORD_SIGNATURE and _SMALLEST_RECORD <= size <= _CHUNK_BYTES - at
    return size if is_record and chunk[at + size - 4 : at + size] == chunk[at + 4 : at + 8] else 0


def _next_record(chunk: bytearray, at: int, end: int) -> int | None:
    """Where the next record begins."""
    while (at := chunk.find(_RECORD_SIGNATURE, at, end)) >= 0:
        if _size_of_record(chunk, at):
            return at
        at += 1
    return None


def _read(chunk: bytes) -> tuple[list[bytes], list[str]]:
    """The good records of a chunk as lines, and what is wrong with the others."""
    lines, faults = [], []
    for record in _records(_LONE_HEADER + chunk):
        if isinstance(record, str):
            faults.append(record)
            continue
        try:
            lines.append(_ENCODER.encode(_flat(record)) + b"\n")
        except (msgspec.MsgspecError, RecursionError) as error:
            faults.append(f"record {record['event_record_id']} is no event ({error})")
    return lines, faults


def _records(log: bytes) -> Iterator[dict[str, Any] | str]:
    """What the parser says of each record, or why it cannot read it."""
    records = PyEvtxParser(io.BytesIO(log), number_of_threads=1, indent=False).records_json()
    while True:
        try:
            record = next(records, None)
        except RuntimeError as error:
            yield str(error)
            continue
        if record is None:
            return
        yield record


# Flattening

_ENCODER = msgspec.json.Encoder()


class _Event(msgspec.Struct):
    System: Fields
    EventData: Fields | None = None
    UserData: Fields | None = None
    ProcessingErrorData: Fields | None = None


class _Document(msgspec.Struct):
    Event: _Event


_DECODER = msgspec.json.Decoder(_Document)


def _flat(record: dict[str, Any]) -> Fields:
    event = _DECODER.decode(record["data"]).Event
    fields = _system(event.System)
    fields.setdefault("RecordNumber", record["event_record_id"])
    fields.setdefault("@timestamp", record["timestamp"].removesuffix(" UTC"))
    if "ProviderName" in fields:
        fields.setdefault("Channel", fields["ProviderName"])
    data: Fields = {}
    for part in (event.EventData, event.UserData, event.ProcessingErrorData):
        if part:
            _gather(part, data)
    for name in [name for name in data if name in fields or name in _NOT_FOR_DATA]:
        data[f"EventData{name}"] = data.pop(name)
    return fields | data


def _system(system: Fields) -> Fields:
    """The envelope: an element's text under its own name, attributes under ours."""
    fields: Fields = {}
    for name, value in system.items():
        if isinstance(value, dict):
            _name_attributes(name, value.get("#attributes"), fields)
            value = value.get("#text")
        if value is not None:
            fields[name] = value
    if "EventRecordID" in fields:
        fields["RecordNumber"] = fields.pop("EventRecordID")
    return fields


def _name_attributes(element: str, attributes: Any, fields: Fields) -> None:
    if isinstance(attributes, dict):
        for name, ours in _ATTRIBUTES.get(element, {}).items():
            if name in attributes:
                fields[ours] = attributes[name]


def _gather(element: Fields, fields: Fields) -> None:
    """Every text inside an element by the name of the innermost element or attribute; the first of a name stays."""
    for name, value in element.items():
        if isinstance(value, dict):
            _gather_inner(name, value, fields)
        elif value is not None:
            fields.setdefault(name, _in_braces(value) if name.endswith(_GUID_NAMES) else value)


def _gather_inner(name: str, element: Fields, fields: Fields) -> None:
    texts = element.pop("#text", None)
    if name == "Data" and texts is not None:
        numbered = texts if isinstance(texts, list) else [texts]
        _gather({f"param{place}": value for place, value in enumerate(numbered, 1)}, fields)
    elif name == "#attributes":
        element = {name: value for name, value in element.items() if not name.startswith("xmlns")}
    else:
        _gather({name: texts}, fields)
    _gather(element, fields)


def _in_braces(value: Any) -> Any:
    """A GUID as Windows shows it, so that a process has one name whoever exports its events."""
    is_bare = isinstance(value, str) and len(value) == 36
    return f"{{{value.lower()}}}" if is_bare else value
