"""Arrow streams of events, as they are posted.

What is in a stream is as large as the stream: compressed buffers, dictionaries and views, which make much of little,
are refused.
"""

import struct
from pathlib import Path

import pyarrow as pa

from features.mistakes import FoundWrong

_KINDS = ("schema", "record batch")
_HEADER, _COMPRESSION = 2, 3  # fields of the tables Message and RecordBatch in Arrow's Message.fbs
_FAULTS = (pa.ArrowException, OSError, ValueError, KeyError, struct.error)


class NoStream(FoundWrong):
    """A file is no Arrow stream that can be taken; the text says what was expected."""


def read(path: Path) -> pa.Table:
    """The columns of a stream in a file, checked from end to end. Raises NoStream."""
    try:
        _check(path)
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
            table.validate(full=True)
        if table.nbytes > path.stat().st_size:
            raise NoStream("has columns that share bytes; expected each to have its own")
    except _FAULTS as error:
        raise NoStream(f"is no whole Arrow stream ({str(error).splitlines()[0][:200]})") from error
    return table


def _check(path: Path) -> None:
    with pa.OSFile(str(path)) as file:
        for message in pa.ipc.MessageReader.open_stream(file):
            if message.type not in _KINDS:
                raise NoStream(f"holds a {message.type}; expected plain columns")
            if message.type == "record batch" and _is_compressed(bytes(message.metadata)):
                raise NoStream("holds compressed buffers; expected plain ones, and Content-Encoding for all of it")
            if message.type == "schema":
                _check_types(pa.ipc.read_schema(message))


def _check_types(schema: pa.Schema) -> None:
    for column in schema:
        kind = column.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (is_text or (pa.types.is_primitive(kind) and not pa.types.is_null(kind))):
            raise NoStream(f"column {column.name!r} is {kind}; expected texts, numbers and times")


def _is_compressed(metadata: bytes) -> bool:
    (root,) = struct.unpack_from("<I", metadata, 0)
    header = _field(metadata, root, _HEADER)
    batch = header + struct.unpack_from("<I", metadata, header)[0]
    return _field(metadata, batch, _COMPRESSION) != 0


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where a field of a table of FlatBuffers is, 0 if it has none."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    size, at = struct.unpack_from("<H", metadata, vtable)[0], 4 + 2 * number
    offset = struct.unpack_from("<H", metadata, vtable + at)[0] if at < size else 0
    return table + offset if offset else 0
