"""Files that appear whole or not at all, with the refused records of a run beside them."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from features.mistakes import AskedWrong
from features.whole_files import growing_beside, sync, sync_folder, write_whole


class UnusableOutput(AskedWrong):
    """The caller named an output that cannot be written, or must not be."""


@dataclass(frozen=True)
class Kept:
    """The files a run left: the one asked for and, where records were refused, the one that lists them.

    `removed` is whether an older list of refused records was taken away, because now there are none.
    """

    output: Path
    refused: Path | None
    removed: bool

    def in_words(self) -> str:
        """Where things are now."""
        beside = refused_beside(self.output)
        listed = f"refused records are listed in {beside}" if self.refused else "no record was refused"
        return f"wrote {self.output}; {listed}" + (f"; the older {beside} is gone" if self.removed else "")


def check_output(output: Path, paths: Sequence[str | Path]) -> None:
    """Raise UnusableOutput before any work is done for a file that could not be kept; its folder is made."""
    if output.is_dir():
        raise UnusableOutput(f"{output}: is a folder; name a file in it as --output")
    for target in (output, refused_beside(output)):
        if target.exists() and not target.is_file():
            raise UnusableOutput(f"{target}: not a regular file; name another --output")
        if any(target.exists() and target.samefile(path) for path in paths if Path(path).exists()):
            raise UnusableOutput(f"{target}: is one of the logs to read; name another --output")
    _check_parent(output)


def check_folder(output: Path, paths: Sequence[str | Path]) -> None:
    """Raise UnusableOutput for a folder that is there already, or that a reader of `paths` would come through."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UnusableOutput(f"{output}: is there already; name a new folder as --output")
    for path in paths:
        if Path(path).is_dir() and output.resolve().is_relative_to(Path(path).resolve()):
            raise UnusableOutput(f"{output}: is in {path}, which is read; name a folder elsewhere as --output")
    beside = refused_beside(output)
    if any(beside.exists() and beside.samefile(path) for path in paths if Path(path).exists()):
        raise UnusableOutput(f"{beside}: is one of the logs to read; name another --output")
    _check_parent(output)


def _check_parent(output: Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableOutput(f"{output.parent}: no folder can be made ({error.strerror}); name another") from error
    if not os.access(output.parent, os.W_OK):
        raise UnusableOutput(f"{output.parent}: not writable for this user; name another --output")


def keep_beside(refused: pl.DataFrame, output: Path, write: Callable[[IO[bytes]], object]) -> Kept:
    """Have `write` fill `output`, and list `refused` beside it; a list from before goes if there is nothing to list."""
    beside = refused_beside(output)
    removed = refused.is_empty() and beside.exists()
    if refused.is_empty():
        beside.unlink(missing_ok=True)
    else:
        write_whole(beside, refused.write_ndjson)
    write_whole(output, write)
    return Kept(output, None if refused.is_empty() else beside, removed)


def refused_beside(output: Path) -> Path:
    """Where the refused records of a run are listed.

    >>> refused_beside(Path("out/verdicts.parquet")).name
    'verdicts.refused.ndjson'
    """
    return output.with_name(f"{output.stem}.refused.ndjson")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to work in, which is put at `folder` once the work is done, or is not there at all."""
    folder = folder.resolve()
    growing = growing_beside(folder)
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir()
    try:
        yield growing
        sync_folder(growing)
        growing.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(growing, ignore_errors=True)


class RefusedList:
    """The list of refused records beside an output, as it grows."""

    def __init__(self, output: Path, file: IO[bytes]) -> None:
        self.count = 0
        self._output, self._file = output, file
        self._is_older = refused_beside(output).exists()

    def add(self, refused: pl.DataFrame) -> None:
        """List some more."""
        self.count += refused.height
        self._file.write(refused.write_ndjson().encode())

    def kept(self) -> Kept:
        """What is there when the run is over."""
        beside = refused_beside(self._output)
        return Kept(self._output, beside if self.count else None, self._is_older and not self.count)


@contextmanager
def refused_list(output: Path) -> Iterator[RefusedList]:
    """A list that appears whole at the end; if there is nothing on it, one from before goes."""
    beside = refused_beside(output).resolve()
    growing = growing_beside(beside)
    try:
        with growing.open("wb") as file:
            yield (listed := RefusedList(output, file))
            sync(file)
        if listed.count:
            growing.replace(beside)
        else:
            beside.unlink(missing_ok=True)
    finally:
        growing.unlink(missing_ok=True)
