"""The last ranking, kept as a file for whoever reads it beside the detector."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from features.mistakes import FoundWrong
from features.whole_files import write_whole
from serving.folding.messages import Ranked

#: Seconds between two rankings that are kept; of those between them, none is.
EVERY_SECONDS = 2.0

_SEAL = 32  # bytes


class RankingRefused(FoundWrong):
    """The file is not as it was written; the text names it."""


def keep(ranked: Ranked, var: Path) -> None:
    """Keep a ranking below `var` in the place of the one before."""
    content = msgspec.msgpack.encode(ranked)

    def write(file: IO[bytes]) -> None:
        file.write(_seal(content))
        file.write(content)

    write_whole(path_in(var), write)


def kept(var: Path) -> Ranked | None:
    """The ranking kept below `var`, if any was. Raises RankingRefused if one byte of it is not as it was written."""
    path = path_in(var)
    if not path.exists():
        return None
    found = path.read_bytes()
    if _seal(found[_SEAL:]) != found[:_SEAL]:
        raise RankingRefused(f"{path}: not as it was written; the next ranking replaces it")
    try:
        return msgspec.msgpack.decode(found[_SEAL:], type=Ranked)
    except msgspec.MsgspecError as error:
        raise RankingRefused(f"{path}: expected a ranking of this version ({error})") from error


def path_in(var: Path) -> Path:
    """Where the last ranking is."""
    return var / "ranking"


class Keeping:
    """Keeps the newest ranking, in a thread of its own, so that whoever ranks never waits for the disk."""

    def __init__(self, var: Path) -> None:
        self._var = var
        self._newest: Ranked | None = None
        self._changed, self._is_over = threading.Condition(), threading.Event()

    def renew(self, ranked: Ranked) -> None:
        """There is a newer one."""
        with self._changed:
            self._newest = ranked
            self._changed.notify()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Keep until the end of the context, the last one in any case."""
        thread = threading.Thread(target=self._run, name="last ranking", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            with self._changed:
                self._changed.notify()
            thread.join()

    def _run(self) -> None:
        while (newest := self._next()) is not None:
            with suppress(OSError):  # no room; the log tells of it, and the next one may find some
                keep(newest, self._var)
            self._is_over.wait(EVERY_SECONDS)

    def _next(self) -> Ranked | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._is_over.is_set())
            newest, self._newest = self._newest, None
            return newest


def _seal(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
