"""The docket: what was ranked last, kept whole, so that it can be explained and answered without scoring again."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from agents.consensus.council import Council, Cut
from agents.consensus.evidence import HELD
from features.admission import SPELLINGS
from features.featurizer import part, under
from features.memory import State
from features.mistakes import AskedWrong, FoundWrong
from features.whole_files import sync_folder, write_whole
from models import bundle
from serving.threats.framed import bytes_of, frame_from

#: Criticality in nats that people stated, by kind and name of an entity (see `Guidance`).
Criticality = Mapping[tuple[str, str], float]

_NEWEST = re.compile(rb"([12]) ([0-9a-f]{64})\n")
_SPELLINGS = "spellings"
_AGAIN = "rank the logs again with `secmesh rank`"


class NoDocket(AskedWrong):
    """Somebody asked for threats where none were ranked."""


class DocketRefused(FoundWrong):
    """The docket is not as it was kept; the text names the file and what was expected."""


@dataclass(frozen=True)
class Docket:
    """The council as it had heard all of some `events`, how its threats were asked for, and what goes with them.

    `spellings` has each entity's `kind` and `name` and `raw`, how a log wrote it.
    """

    council: Council
    spellings: pl.DataFrame
    criticality: Criticality
    events: int
    most: int
    cut: Cut


def keep(docket: Docket, var: Path) -> None:
    """Keep a docket below `var` in the place of the one before, which stays until this one is safely on disk.

    There are two folders that take turns, and a file that is replaced last says which one counts, and its seal.
    """
    folder = var / "docket"
    folder.mkdir(parents=True, exist_ok=True)
    arrays, frames = docket.council.state()
    mine = _of_entities(docket.spellings, frames)
    tables: State = {name: bytes_of(frame) for name, frame in (frames | {_SPELLINGS: mine}).items()}
    with _locked(folder, fcntl.LOCK_EX):
        turn = 2 if _newest(folder)[:1] == b"1" else 1
        shutil.rmtree(folder / str(turn), ignore_errors=True)
        sha256 = bundle.write(folder / str(turn), under("council", arrays) | under("frame", tables), _manifest(docket))
        sync_folder(folder / str(turn))
        sync_folder(folder)
        write_whole(folder / "newest", lambda file: file.write(f"{turn} {sha256}\n".encode()))


def kept(var: Path) -> Docket:
    """The docket kept below `var`. Raises NoDocket, and DocketRefused if one byte of it is not as it was written."""
    folder = var / "docket"
    if not _newest(folder):
        raise NoDocket(
            f"{folder}: no threats were ranked here yet; rank some with `secmesh rank`, or name their --home"
        )
    with _locked(folder, fcntl.LOCK_SH):
        read = _read(folder)
    try:
        return _docket_from(read)
    except (LookupError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DocketRefused(f"{folder}: expected a docket of this version ({error}); {_AGAIN}") from error


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Nobody writes while somebody reads; who comes second waits."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _newest(folder: Path) -> bytes:
    """What says which folder counts, and its sha256; nothing where nothing was kept."""
    path = folder / "newest"
    return path.read_bytes() if path.exists() else b""


def _read(folder: Path) -> bundle.Bundle:
    found = _NEWEST.fullmatch(_newest(folder))
    if found is None:
        raise DocketRefused(f"{folder / 'newest'}: expected 1 or 2 and a sha256; {_AGAIN}")
    inner = folder / found[1].decode()
    try:
        read = bundle.read(inner)
    except bundle.BundleRefused as error:
        raise DocketRefused(f"{error}; {_AGAIN}") from error
    if read.sha256.encode() != found[2]:
        raise DocketRefused(f"{inner}: expected the docket that {folder / 'newest'} speaks of; {_AGAIN}")
    return read


def _of_entities(spellings: pl.DataFrame, frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The spellings of those whom something is held of."""
    names = [
        frame.select(name=pl.col(kind)) for frame in frames.values() for kind in ("user", "host", "address", "peer")
    ]
    return spellings.join(pl.concat(names), on="name", how="semi", maintain_order="left")


def _manifest(docket: Docket) -> dict[str, bundle.JSON]:
    return {
        "kind": "docket",
        "events": docket.events,
        "most": docket.most,
        "alpha": docket.cut.alpha,
        "budget": docket.cut.budget,
        "criticality": [[kind, name, nats] for (kind, name), nats in docket.criticality.items()],
    }


def _docket_from(read: bundle.Bundle) -> Docket:
    told = read.manifest
    arrays = dict(read.arrays)
    tables = part(arrays, "frame")
    spellings = frame_from(_SPELLINGS, tables.pop(_SPELLINGS), SPELLINGS)
    frames = {name: frame_from(name, data_B, HELD) for name, data_B in tables.items()}
    council = Council()
    council.restore(part(arrays, "council"), frames)
    criticality = {(kind, name): nats for kind, name, nats in told["criticality"]}
    return Docket(council, spellings, criticality, told["events"], told["most"], Cut(told["alpha"], told["budget"]))
