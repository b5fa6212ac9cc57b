"""The offline detector of tables against PyOD and scikit-learn: AUC, average precision, mean rank, speed.

    python -m benchmarks.tables [--data ../shared/data] [--only SET ...] [--methods NAME ...] [--seeds 5]
        [--peers PYTHON] [--output results.json] [--join results.json ...]

Every method learns from one half of a set without labels, and scores the other. secmesh takes the fields as they are,
with one configuration for all sets; the peers take numbers: texts one-hot (the 50 commonest values) and as -log of
their share, all as standard scores, and run with their packages' own settings in the environment of `--peers`
(`pip install pyod torch tqdm` there). The slow ones learn from 5,000 (DeepSVDD, AutoEncoder) or 10,000 (LOF,
OneClassSVM) drawn rows where a set has more. `naive` is the squared length of the standard scores. Methods without
chance run once and have no interval.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.tables.figures import Figures, show
from benchmarks.tables.methods import METHODS, PeerAbsent, figures
from benchmarks.tables.sets import SETS
from benchmarks.tables.table import Table


def main() -> None:
    """Measure what was asked for, keep the figures, print the tables."""
    arguments = _arguments()
    console = Console(width=240)
    results = [Figures(**row) for path in arguments.join for row in json.loads(path.read_text())]
    names = [name for name in SETS if not arguments.only or name.startswith(tuple(arguments.only))]
    for name in names:
        table = _table(name, arguments.data, console)
        for method in METHODS:
            if table and (not arguments.methods or method in arguments.methods):
                results += _measure(table, method, arguments, console)
                _keep(results, arguments.output)
    show(results, console)


def _table(name: str, data: Path, console: Console) -> Table | None:
    """The data set, or None, said aloud, where its files are absent."""
    try:
        return SETS[name](data)
    except OSError as missing:
        console.print(f"{name} is skipped, its data is not here: {missing}")
        return None


def _measure(table: Table, method: str, arguments: Any, console: Console) -> Sequence[Figures]:
    seeds = range(arguments.seeds if METHODS[method] else 1)
    try:
        return [figures(table, method, seed, arguments.peers) for seed in seeds]
    except PeerAbsent as reason:
        console.print(f"{method} is skipped on {table.name}: {reason}")
        return []


def _keep(results: Sequence[Figures], path: Path | None) -> None:
    if path:
        path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--join", type=Path, nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
