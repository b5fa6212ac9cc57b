"""The lock that the one writer of a log holds, and in it the last place that it acknowledged.

The place is written without waiting for the disk, after each commit that did wait. So it is never ahead of the log, and
a log that is behind it has lost what was acknowledged: a write-ahead log whose tail no longer fits its checksums, or an
older copy of the file, would else look like a log that is whole.
"""

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from serving.stream.log_entries import START, LogInUse, Place, digest

_PLACE = struct.Struct("<QQ32s")
_SIZE = _PLACE.size + 32


class Acknowledged:
    """The lock beside a log, as long as it is open. Raises LogInUse if another process has it."""

    def __init__(self, log: Path) -> None:
        self._file = os.open(_beside(log), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise LogInUse(f"{log}: another process writes it; stop that one first") from error

    def tell(self, place: Place) -> None:
        """Note a place whose commit is on disk."""
        content = _PLACE.pack(place.position, place.events, place.chain)
        with suppress(OSError):  # what was committed stays acknowledged
            os.pwrite(self._file, content + digest(content), 0)

    def close(self) -> None:
        """Let another process write."""
        os.close(self._file)


def acknowledged(log: Path) -> Place:
    """The last place noted beside a log; the start if there is none, or a power cut tore it."""
    try:
        content = _beside(log).read_bytes()
    except FileNotFoundError:
        return START
    if len(content) != _SIZE or digest(content[: _PLACE.size]) != content[_PLACE.size :]:
        return START
    return Place(*_PLACE.unpack(content[: _PLACE.size]))


def _beside(log: Path) -> Path:
    return log.with_name(f"{log.name}.lock")
