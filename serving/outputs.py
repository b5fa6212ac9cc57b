"""Files that appear whole or not at all, with the refused records of a run beside them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from features.mistakes import AskedWrong
from features.whole_files import write_whole


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
