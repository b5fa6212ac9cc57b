"""Every online detector beside River's half-space trees in a Python loop, on real features, on one core.

    POLARS_MAX_THREADS=1 taskset -c 0 python -m benchmarks.detectors [--data ../shared/data] [--set darpa]
        [--rows 100000] [--looped 5000] [--rounds 5]

The features are those that all peers of `benchmarks.streams` see, of the first rows of a set of one domain. In each
round every detector scores and learns all rows afresh, its making included, and the loops of River's own the first few
thousand, one after the other; medians are printed. AUC and average precision are of scores of all rows, judged by the
set's first view; River's own trees walk them all once for theirs.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from river import anomaly

from benchmarks.streams.figures import figures
from benchmarks.streams.methods import Domained, domains
from benchmarks.streams.sets import SETS
from benchmarks.streams.stream import Stream
from models.guest import Guest
from models.half_space_trees import HalfSpaceTrees
from models.loda import Loda
from models.marginals import Marginals
from models.neighbours import Neighbours
from models.rs_hash import RSHash

Scores = NDArray[np.float64]
Scorer = Callable[[NDArray[np.float64]], Scores]

_TREES: dict[str, Any] = {"n_trees": 25, "height": 8, "seed": 1}


def _loop(x_BF: NDArray[np.float64]) -> Scores:
    trees: Any = anomaly.HalfSpaceTrees(**_TREES)
    score_B = np.empty(len(x_BF))
    for i, row in enumerate([dict(enumerate(row)) for row in x_BF.tolist()]):
        score_B[i] = trees.score_one(row)
        trees.learn_one(row)
    return score_B


_RIVER = "River HalfSpaceTrees 25 x 8 in a loop"
_SLOW: dict[str, Scorer] = {
    _RIVER: _loop,
    "the same as a guest": lambda x_BF: Guest(anomaly.HalfSpaceTrees(**_TREES)).score_learn_many(x_BF),
}
_FAST: dict[str, Scorer] = {
    "half-space trees 25 x 8": lambda x_BF: HalfSpaceTrees(**_TREES).score_learn_many(x_BF),
    "RS-Hash": lambda x_BF: RSHash().score_learn_many(x_BF),
    "LODA": lambda x_BF: Loda().score_learn_many(x_BF),
    "neighbours": lambda x_BF: Neighbours().score_learn_many(x_BF),
    "marginals": lambda x_BF: Marginals().score_learn_many(x_BF),
}


def main() -> None:
    """Print events per second of all, round by round in turn, as medians, and how well each orders the events."""
    arguments = _arguments()
    stream = SETS[arguments.set](arguments.data)
    (part,) = domains(stream)
    x_BF = part.x_BF[: arguments.rows]
    rates: dict[str, list[float]] = {name: [] for name in (*_SLOW, *_FAST)}
    for scorer in _FAST.values():
        scorer(x_BF[:1_000])  # its machine code is loaded once
    for _ in range(arguments.rounds):
        for name, scorer in _SLOW.items():
            rates[name].append(_rate(scorer, x_BF[: arguments.looped]))
        for name, scorer in _FAST.items():
            rates[name].append(_rate(scorer, x_BF))
    console = Console(width=160)
    console.print(f"{arguments.set}: {len(x_BF):,} events of {x_BF.shape[1]} features")
    _print(rates, {name: _judged(stream, part, scorer(x_BF)) for name, scorer in (_SLOW | _FAST).items()}, console)


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--set", default="darpa")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--looped", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _rate(scorer: Scorer, x_BF: NDArray[np.float64]) -> float:
    start = time.perf_counter()
    scorer(x_BF)
    return len(x_BF) / (time.perf_counter() - start)


def _judged(stream: Stream, part: Domained, score_B: Scores) -> dict[str, Any]:
    told = part.events[part.rows[: len(score_B)]]
    domain = pl.lit(part.domain.value)
    scored = told.with_columns(domain=domain, row=part.rows[: len(score_B)], score=pl.Series(score_B))
    return figures(stream.views[0], scored)


def _print(rates: dict[str, list[float]], told: dict[str, dict[str, Any]], console: Console) -> None:
    table = Table("detector", "events/s (median)", "lowest", "highest", "x River", "AUC", "precision", box=MARKDOWN)
    for name, some in rates.items():
        ratio = statistics.median(a / b for a, b in zip(some, rates[_RIVER], strict=True))
        speeds = (f"{rate:,.0f}" for rate in (statistics.median(some), min(some), max(some)))
        table.add_row(name, *speeds, f"{ratio:.1f}", f"{told[name]['auc']:.3f}", f"{told[name]['precision']:.3f}")
    console.print(table)
    console.print(f"cores: {len(os.sched_getaffinity(0))}, Polars threads: {pl.thread_pool_size()}")


if __name__ == "__main__":
    main()
