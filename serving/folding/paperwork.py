"""A file for every threat that is listed, written again when the threat has changed, in a process of its own."""

import os
import re
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from features.whole_files import write_whole
from models.home import Home
from serving.folding.last_ranking import RankingRefused, kept
from serving.folding.messages import Said, detectors_end, is_stopped

#: Seconds between two looks at the ranking.
LOOK_SECONDS = 2.0
#: Most files of one kind that are kept; of threats that are not listed any more, the oldest go first.
MOST = 500

_NICE = 10

#: What is written of a threat, from its record as JSON.
Write = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of paper: the folder below `var`, and how the names of its files end."""

    folder: str
    ending: str


REPORTS, PROPOSALS = Kind("reports", ".md"), Kind("proposals", ".json")

_ID = re.compile("[0-9a-f]{10}")


def written(var: Path, kind: Kind, id: str) -> bytes | None:
    """What is written below `var` of the threat of that id, which may be any text; None where nothing is."""
    path = var / kind.folder / f"{id}{kind.ending}"
    with suppress(FileNotFoundError):
        return path.read_bytes() if _ID.fullmatch(id) else None
    return None


class Papers:
    """The files of one kind in a folder, which follow the ranking below `var`."""

    def __init__(self, var: Path, kind: Kind, write: Write) -> None:
        self._var, self._folder, self._ending, self._write = var, var / kind.folder, kind.ending, write
        self._position = 0
        self._records: dict[str, bytes] = {}

    def look(self) -> int:
        """Write what has changed; how many files. Raises RankingRefused, and OSError if there is no room."""
        ranked = kept(self._var)
        if ranked is None or ranked.position == self._position:
            return 0
        self._folder.mkdir(parents=True, exist_ok=True)
        listed = {id: record for id, _, is_listed, record in ranked.threats if is_listed}
        changed = [id for id, record in listed.items() if self._records.get(id) != record]
        count = sum(self._renew(id, self._write(listed[id])) for id in changed)
        self._position, self._records = ranked.position, listed
        self._remove(listed)
        return count

    def _renew(self, id: str, content: bytes) -> bool:
        path = self._folder / f"{id}{self._ending}"
        if path.exists() and path.read_bytes() == content:
            return False
        write_whole(path, lambda file: file.write(content))
        return True

    def _remove(self, listed: Iterable[str]) -> None:
        names = {f"{id}{self._ending}" for id in listed}
        others = [path for path in self._folder.glob(f"*{self._ending}") if path.name not in names]
        others.sort(key=lambda path: path.stat().st_mtime_ns)
        for path in others[: max(0, len(others) + len(names) - MOST)]:
            path.unlink()


def work(home: Path, descriptor: int, kind: Kind, write: Write) -> None:
    """Follow the ranking of a home until the other end of a socket says so, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this hears it, and tells
    os.nice(_NICE)
    line = detectors_end(Connection(descriptor))
    papers = Papers(Home.at(home).var, kind, write)
    said = ""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while not is_stopped(line, LOOK_SECONDS):
            try:
                papers.look()
            except (RankingRefused, OSError) as error:
                if str(error) != said:
                    line.send(Said([said := str(error)], "warning"))
