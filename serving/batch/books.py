"""The files that a run over growing logs leaves, bound together so that it goes on exactly where it stopped.

Verdicts and refused records are appended to two files of lines. What was done is kept as of one moment: how long these
files were, what the mesh knew with what it still held, and how far the logs were read. The mesh is kept in two folders
that take turns, and the positions, replaced last and at once, say which one counts. A run that goes on cuts the two
files back to that moment.
"""

import fcntl
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import polars as pl
from numpy.typing import NDArray

from features.positions import DamagedPositions, Positions
from features.whole_files import sync, sync_folder
from models import bundle
from serving.batch.outputs import UnusableOutput, refused_beside


@dataclass(frozen=True)
class Done:
    """The moment that the positions are of: bytes of verdicts and refused records, and the mesh's folder and seal."""

    output: int = 0
    refused: int = 0
    turn: int = 0
    sha256: str | None = None


class Journal:
    """A file of lines that is only appended to, by one process at a time. Raises UnusableOutput if another one does."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise UnusableOutput(f"{path}: another run appends to it; name another --output") from error

    def cut(self, size: int) -> None:
        """Leave its first `size` bytes alone. Raises UnusableOutput if it is shorter."""
        if (found := self._file.tell()) < size:
            remedy = "put it back or name another --output"
            raise UnusableOutput(f"{self._path}: has {found} bytes where {size} were written; {remedy}")
        self._file.truncate(size)
        self._file.seek(size)

    def append(self, rows: pl.DataFrame) -> None:
        """Append rows as NDJSON."""
        self._file.write(rows.write_ndjson().encode())

    def settle(self) -> int:
        """Have all of it safely on disk; how many bytes there are."""
        sync(self._file)
        return self._file.tell()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


class Books:
    """The files that a run leaves: verdicts, refused records, the mesh, and the positions that bind them together.

    One process at a time has them, as a context. Raises UnusableOutput and DamagedPositions.
    """

    def __init__(self, output: Path) -> None:
        self._path = output
        self._folders = tuple(output.with_name(f"{output.stem}.mesh-{turn}") for turn in (1, 2))
        self.positions = Positions(output.with_name(f"{output.stem}.positions.json"))
        inside = [folder / name for folder in self._folders for name in bundle.CAPS]
        self.files = (output, refused_beside(output), *inside)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self.output = Journal(self._path)
            opened.callback(self.output.close)
            self.refused = Journal(refused_beside(self._path))
            opened.callback(self.refused.close)
            self._done = self._began()
            self.output.cut(self._done.output)
            self.refused.cut(self._done.refused)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def mesh(self) -> bundle.Bundle | None:
        """What was kept last, if anything was. Raises BundleRefused if it is not what the positions speak of."""
        if self._done.sha256 is None:
            return None
        folder = self._folders[self._done.turn]
        kept = bundle.read(folder)
        if kept.sha256 != self._done.sha256:
            raise bundle.BundleRefused(f"{folder}: expected the mesh that {self.positions.path} was kept with")
        return kept

    def keep(self, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, bundle.JSON]) -> None:
        """Keep all of it as one moment: until the positions are replaced, the one before stays."""
        turn = 1 - self._done.turn
        folder = self._folders[turn]
        shutil.rmtree(folder, ignore_errors=True)
        sha256 = bundle.write(folder, arrays, about)
        sync_folder(folder)
        sync_folder(folder.parent)
        self._done = Done(self.output.settle(), self.refused.settle(), turn, sha256)
        self.positions.note = msgspec.to_builtins(self._done)
        self.positions.save()

    def _began(self) -> Done:
        """What was done before; a first run says that nothing was, before it does anything."""
        path = self.positions.path
        if path.exists():
            self.positions.logs, self.positions.note = (kept := Positions.load(path)).logs, kept.note
            try:
                return msgspec.convert(self.positions.note, Done)
            except msgspec.ValidationError as error:
                remedy = "remove it and the output to start over"
                raise DamagedPositions(f"{path}: does not say what was done ({error}); {remedy}") from error
        if self._path.stat().st_size:
            remedy = "name another --output, or remove it to start over"
            raise UnusableOutput(f"{self._path}: is there already, and no {path.name} beside it; {remedy}")
        self.positions.note = msgspec.to_builtins(Done())
        self.positions.save()
        return Done()
