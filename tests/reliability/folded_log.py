"""A process that folds an event log and prints what came of it: `folded_log LOG HOME EVERY THREADS`.

Every so many entries it keeps a snapshot and goes on from it; never, if that is 0.
"""

import json
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numba
import torch

from models.home import Home
from models.registry import Registry
from serving.folding import snapshots
from serving.folding.fold import MOST, Fold
from serving.stream.log_reader import LogReader


def main() -> None:
    path, home, every, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    numba.set_num_threads(threads)
    fold = folded(path, Registry(Home.at(home)), every)
    arrays, about = fold.snapshot()
    told = {name: sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    ranking = msgspec.json.encode([threat.record() for threat in fold.council.rank(MOST)])
    print(json.dumps({"events": fold.place.events, "ranking": ranking.decode(), "about": about, "arrays": told}))


def folded(path: Path, registry: Registry, every: int) -> Fold:
    fold = Fold(registry)
    with closing(LogReader(path)) as log, TemporaryDirectory() as folder:
        while kept := log.read(fold.place, most_entries=every or 1000):
            fold.take(kept)
            if every:
                snapshots.keep(Path(folder), fold.place, *fold.snapshot())
                (newest, *_) = snapshots.newest(Path(folder), lambda place: True, print)
                fold = Fold(registry)
                fold.restore(newest)
    return fold


if __name__ == "__main__":
    main()
