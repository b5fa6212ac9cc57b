"""How far logs that still grow were read, kept from run to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from features.mistakes import FoundWrong
from features.whole_files import write_whole


class DamagedPositions(FoundWrong):
    """The file that should hold positions holds something else."""


@dataclass(frozen=True)
class Position:
    """How far a log was read, and how to know it again.

    `source` is the path it was first seen at, `offset` the first byte and `line` the first line that were not given;
    `head` and `tail` are hashes of the first and the last HEAD_BYTES before `offset`. Of a log that is read whole
    `offset` is its packed size, and `is_finished` says that all its lines were given. `is_inside_line`: the offset is
    in a line that was too long, whose beginning was given. `note` is the consumer's.
    """

    source: str
    device: int
    inode: int
    offset: int = 0
    line: int = 0
    head: str = ""
    tail: str = ""
    is_whole: bool = False
    is_finished: bool = False
    is_inside_line: bool = False
    note: Any = None

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode


@dataclass(frozen=True)
class _Kept:
    """What the file holds."""

    logs: tuple[Position, ...]
    note: Any = None


@dataclass
class Positions:
    """The positions of all logs, and a note of their consumer on what he made of them, in a small JSON file.

    It is replaced at once and whole, or not at all.
    """

    path: Path
    logs: tuple[Position, ...] = ()
    note: Any = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """The positions kept at `path`; none if there is no such file. Raises DamagedPositions."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return cls(path)
        except msgspec.MsgspecError as error:
            remedy = "remove it to read the logs from their start"
            raise DamagedPositions(f"{path}: holds no positions of logs ({error}); {remedy}") from error
        return cls(path, kept.logs, kept.note)

    def save(self) -> None:
        """Keep them; what was kept before stays until these are safely on disk."""
        content = msgspec.json.format(msgspec.json.encode(_Kept(self.logs, self.note)))

        def write(file: IO[bytes]) -> None:
            file.write(content)

        write_whole(self.path, write)
