"""Files that appear at once and whole, or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill `path`; what was there before stays until the new content is safely on disk."""
    path = path.resolve()
    growing = growing_beside(path)
    try:
        with growing.open("wb") as file:
            write(file)
            sync(file)
        growing.replace(path)
        sync_folder(path.parent)
    finally:
        growing.unlink(missing_ok=True)


def growing_beside(path: Path) -> Path:
    """Where something grows that will be put at `path` when it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def sync(file: IO[bytes]) -> None:
    """All that was written is safely on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in a folder are safely on disk, where its file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some network file systems cannot
        os.fsync(descriptor)
    os.close(descriptor)
