"""Small binary Windows event logs for tests, written after libevtx's description of the format."""

import struct
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

HEADER_BYTES, CHUNK_BYTES, CHUNK_HEADER_BYTES = 4096, 65536, 512
RECORD = b"\x2a\x2a\0\0"
_EOF, _CLOSE_START, _CLOSE_EMPTY, _END = b"\0", b"\x02", b"\x03", b"\x04"
_OPEN, _VALUE, _ATTRIBUTE = 0x01, 0x05, 0x06
_FRAGMENT, _TEMPLATE = b"\x0f\x01\x01\0", b"\x0c\x01"
_MORE = 0x40
_NO_DEPENDENCY = b"\xff\xff"
_TEXT, _UINT16, _UINT32, _UINT64, _GUID, _FILETIME, _SID, _HEX64 = 1, 6, 8, 10, 15, 17, 19, 21
_UNITS_IN_TOKEN = 1000
_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"


@dataclass(frozen=True)
class Value:
    """What an element or attribute holds: its type in binary XML, its bytes, and how it is written as text."""

    kind: int
    data: bytes
    written: str


def text(written: str) -> Value:
    """A string."""
    return Value(_TEXT, written.encode("utf-16-le", "surrogatepass"), written)


def _number(kind: int, layout: str, value: int, written: str | None = None) -> Value:
    return Value(kind, struct.pack(layout, value), str(value) if written is None else written)


def _moment(time: datetime) -> Value:
    return _number(_FILETIME, "<Q", filetime(time), time.isoformat(timespec="microseconds").replace("+00:00", "Z"))


def _sid(written: str) -> Value:
    _, revision, authority, *parts = written.split("-")
    head = struct.pack(">BBHI", int(revision), len(parts), 0, int(authority))
    return Value(_SID, head + struct.pack(f"<{len(parts)}I", *map(int, parts)), written)


def guid(written: str) -> Value:
    """A GUID in its binary form, as Sysmon writes those of processes."""
    return Value(_GUID, uuid.UUID(written).bytes_le, written)


def filetime(time: datetime) -> int:
    """Tenths of a microsecond since 1601."""
    since = time - datetime(1601, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10


@dataclass(frozen=True)
class Element:
    """An XML element; text comes before the elements inside it."""

    name: str
    attributes: dict[str, Value] = field(default_factory=dict)
    value: Value | None = None
    inside: Sequence["Element"] = ()


@dataclass(frozen=True)
class Event:
    """One event: its data are named or nameless, and `user_data` is the element it has in their place."""

    code: int
    channel: str
    data: Sequence[tuple[str | None, str | Value]] = ()
    provider: str = "Microsoft-Windows-Security-Auditing"
    computer: str = "WS1.corp.com"
    time: datetime = datetime(2020, 10, 19, 12, 0, 0, 500_000, UTC)
    keywords: int = 0x8020000000000000
    user_id: str = "S-1-5-18"
    process: int = 4321
    user_data: Element | None = None

    def xml(self, record: int) -> Element:
        """The event as XML, under this record number."""
        system = [
            Element("Provider", {"Name": text(self.provider)}),
            Element("EventID", value=_number(_UINT16, "<H", self.code)),
            Element("Version", value=_number(_UINT16, "<H", 2)),
            Element("Keywords", value=_number(_HEX64, "<Q", self.keywords, hex(self.keywords))),
            Element("TimeCreated", {"SystemTime": _moment(self.time)}),
            Element("EventRecordID", value=_number(_UINT64, "<Q", record)),
            Element("Execution", {name: _number(_UINT32, "<I", self.process) for name in ("ProcessID", "ThreadID")}),
            Element("Channel", value=text(self.channel)),
            Element("Computer", value=text(self.computer)),
            Element("Security", {"UserID": _sid(self.user_id)}),
        ]
        parts = [Element("System", inside=system), Element("EventData", inside=[*map(_datum, self.data)])]
        if self.user_data:
            parts[1] = Element("UserData", inside=[self.user_data])
        return Element("Event", {"xmlns": text(_NAMESPACE)}, inside=parts)


def _datum(datum: tuple[str | None, str | Value]) -> Element:
    name, value = datum
    attributes = {} if name is None else {"Name": text(name)}
    return Element("Data", attributes, value if isinstance(value, Value) else text(value))


def evtx(events: Sequence[Event], *, templates: bool = True, chunk_events: int = 1000, spare: int = 0) -> bytes:
    """A log of these events, numbered from 1, so many to a chunk, and `spare` chunks that were never used."""
    cuts = range(0, len(events), chunk_events)
    chunks = [_chunk(events[at : at + chunk_events], at + 1, templates) for at in cuts]
    return file_header(len(chunks), len(events) + 1) + b"".join(chunks) + bytes(spare * CHUNK_BYTES)


def file_header(chunks: int, next_record: int) -> bytes:
    """The first block of a log with so many chunks."""
    sizes = struct.pack("<IHHHH", 128, 1, 3, HEADER_BYTES, chunks)
    summed = b"ElfFile\0" + struct.pack("<QQQ", 0, max(chunks - 1, 0), next_record) + sizes + bytes(76)
    return (summed + struct.pack("<II", 0, zlib.crc32(summed))).ljust(HEADER_BYTES, b"\0")


def records_of(log: bytes) -> list[tuple[int, int]]:
    """Where each record of a log begins, and its size."""
    found = []
    for chunk in range(HEADER_BYTES, len(log), CHUNK_BYTES):
        at = chunk + CHUNK_HEADER_BYTES
        while log[at : at + 4] == RECORD:
            size = int.from_bytes(log[at + 4 : at + 8], "little")
            found.append((at, size))
            at += size
    return found


def overwritten(log: bytes, at: int, content: bytes) -> bytes:
    """The log with other bytes at a place."""
    return log[:at] + content + log[at + len(content) :]


def _chunk(events: Sequence[Event], first: int, templates: bool) -> bytes:
    writer = _ChunkWriter()
    last_at = CHUNK_HEADER_BYTES
    for number, event in enumerate(events, first):
        last_at = len(writer.out)
        writer.record(number, event, templates)
    content = bytes(writer.out)
    assert len(content) <= CHUNK_BYTES, "the events do not fit into one chunk"
    numbers = (first, first + len(events) - 1) * 2
    checksum = zlib.crc32(content[CHUNK_HEADER_BYTES:])
    head = b"ElfChnk\0" + struct.pack("<QQQQIIII", *numbers, 128, last_at, len(content), checksum) + bytes(64)
    tables = bytes(CHUNK_HEADER_BYTES - 128)
    header = head + struct.pack("<II", 0, zlib.crc32(head + tables)) + tables
    return (header + content[CHUNK_HEADER_BYTES:]).ljust(CHUNK_BYTES, b"\0")


class _ChunkWriter:
    """Records of one chunk, as bytes; a name or template is written where it is first used and pointed to later."""

    def __init__(self) -> None:
        self.out = bytearray(CHUNK_HEADER_BYTES)
        self._names: dict[str, int] = {}
        self._templates: dict[str, int] = {}

    def record(self, number: int, event: Event, templates: bool) -> None:
        """Add one record."""
        start = len(self.out)
        self.out += RECORD + struct.pack("<IQQ", 0, number, filetime(event.time)) + _FRAGMENT
        xml = event.xml(number)
        if templates:
            self._template_instance(xml)
        else:
            self._element(xml, self._value_text, b"")
        self.out += _EOF
        self.out += bytes(-(len(self.out) + 4 - start) % 8)
        size = len(self.out) + 4 - start
        struct.pack_into("<I", self.out, start + 4, size)
        self.out += struct.pack("<I", size)

    def _template_instance(self, xml: Element) -> None:
        shape, values = _shape(xml), list(_values(xml))
        known = self._templates.get(shape)
        self.out += _TEMPLATE + struct.pack("<II", zlib.crc32(shape.encode()), known or len(self.out) + 10)
        if not known:
            self._templates[shape] = len(self.out)
            self._template(xml, shape)
        self.out += struct.pack("<I", len(values))
        self.out += b"".join(struct.pack("<HBB", len(value.data), value.kind, 0) for value in values)
        self.out += b"".join(value.data for value in values)

    def _template(self, xml: Element, shape: str) -> None:
        self.out += bytes(4) + uuid.uuid5(uuid.NAMESPACE_OID, shape).bytes_le
        with_size = self._sized()
        self.out += _FRAGMENT
        slots = iter(range(len(shape)))
        self._element(xml, lambda value, more: self._substitution(next(slots), value), _NO_DEPENDENCY)
        self.out += _EOF
        with_size()

    def _sized(self) -> Callable[[], None]:
        """Leave room for a size, and fill it in when called."""
        at = len(self.out)
        self.out += bytes(4)
        return lambda: struct.pack_into("<I", self.out, at, len(self.out) - at - 4)

    def _element(self, element: Element, put: Callable[[Value, bool], None], dependency: bytes) -> None:
        """An element; only one in a template names the value it depends on."""
        self.out += bytes([_OPEN | (_MORE if element.attributes else 0)]) + dependency
        with_size = self._sized()
        self._name(element.name)
        if element.attributes:
            self._attributes(element.attributes, put)
        if element.value is None and not element.inside:
            self.out += _CLOSE_EMPTY
        else:
            self.out += _CLOSE_START
            if element.value is not None:
                put(element.value, bool(element.inside))
            for inner in element.inside:
                self._element(inner, put, dependency)
            self.out += _END
        with_size()

    def _attributes(self, attributes: dict[str, Value], put: Callable[[Value, bool], None]) -> None:
        with_size = self._sized()
        for left, (name, value) in zip(range(len(attributes) - 1, -1, -1), attributes.items(), strict=True):
            self.out += bytes([_ATTRIBUTE | (_MORE if left else 0)])
            self._name(name)
            put(value, False)
        with_size()

    def _name(self, name: str) -> None:
        known = self._names.get(name)
        self.out += struct.pack("<I", known or len(self.out) + 4)
        if not known:
            self._names[name] = len(self.out)
            self.out += struct.pack("<IHH", 0, _hash(name), len(name)) + name.encode("utf-16-le") + b"\0\0"

    def _value_text(self, value: Value, more: bool) -> None:
        """Written out as text, whatever its type; a long one in several tokens."""
        written = value.written.encode("utf-16-le", "surrogatepass")
        pieces = [written[at : at + 2 * _UNITS_IN_TOKEN] for at in range(0, len(written), 2 * _UNITS_IN_TOKEN)] or [b""]
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            token = _VALUE | (_MORE if left or more else 0)
            self.out += bytes([token, _TEXT]) + struct.pack("<H", len(piece) // 2) + piece

    def _substitution(self, slot: int, value: Value) -> None:
        self.out += b"\x0d" + struct.pack("<HB", slot, value.kind)


def _hash(name: str) -> int:
    summed = 0
    for character in name:
        summed = (summed * 65599 + ord(character)) & 0xFFFFFFFF
    return summed & 0xFFFF


def _values(element: Element) -> Iterator[Value]:
    """The values in the order in which they are written."""
    yield from element.attributes.values()
    if element.value is not None:
        yield element.value
    for inner in element.inside:
        yield from _values(inner)


def _shape(element: Element) -> str:
    """What elements share that fit into one template."""
    attributes = "".join(f" {name}={value.kind}" for name, value in element.attributes.items())
    inside = "".join(map(_shape, element.inside))
    return f"<{element.name}{attributes}>{element.value and element.value.kind}{inside}</>"
