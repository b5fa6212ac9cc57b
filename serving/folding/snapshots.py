"""Snapshots of the fold: all that was made of the log up to a place, so that a restart need not begin with its start.

Each is a folder named by its position. A damaged one, or one of another log, is passed over for the one before it.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.memory import State
from features.whole_files import sync_folder
from models import bundle
from serving.stream.log_entries import Place

#: How many are kept: one may be damaged.
KEPT = 3

_GROWING = ".growing"


@dataclass(frozen=True)
class Snapshot:
    """What was kept behind `place`: arrays, and what else is to be known of them."""

    place: Place
    arrays: State
    about: Mapping[str, Any]


def keep(folder: Path, place: Place, arrays: State, about: Mapping[str, bundle.JSON]) -> None:
    """Keep a snapshot, whole or not at all; the oldest beyond KEPT go."""
    target = folder / f"{place.position:012}"
    growing = folder / f"{target.name}{_GROWING}"
    for left in (growing, target):  # of a run that was cut off, or of another log
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    of_place: dict[str, bundle.JSON] = {"position": place.position, "events": place.events, "chain": place.chain.hex()}
    bundle.write(growing, arrays, {"kind": "snapshot", "about": about, **of_place})
    sync_folder(growing)
    growing.rename(target)
    sync_folder(folder)
    for old in _all(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def newest(folder: Path, is_of_log: Callable[[Place], bool], say: Callable[[str], None]) -> Iterator[Snapshot]:
    """The snapshots that are whole and of this log, the newest first; `say` hears of each that is passed over."""
    for path in _all(folder):
        try:
            read = bundle.read(path)
        except bundle.BundleRefused as error:
            say(f"{error}; an older snapshot is taken")
            continue
        place = Place(read.manifest["position"], read.manifest["events"], bytes.fromhex(read.manifest["chain"]))
        if is_of_log(place):
            yield Snapshot(place, dict(read.arrays), read.manifest["about"])
        else:
            say(f"{path}: is of another log; an older snapshot is taken")


def _all(folder: Path) -> list[Path]:
    """Newest first."""
    found = (path for path in folder.glob("*") if path.name.isdecimal()) if folder.exists() else ()
    return sorted(found, key=lambda path: int(path.name), reverse=True)
