"""DARPA's edges of June 1998 from source, target and minute alone: how well floods are found, and at what rate.

    POLARS_MAX_THREADS=1 python -m benchmarks.edges [--data ../shared/data] [--rounds 3]

The words of floods in the network recipe (`at_least`) by themselves, from a frame of events to scores; the whole agent
of that recipe, from events to verdicts; and MIDAS re-stated over the same codes, from codes to scores. All on one
core; rates are medians of rounds in turn. Labels are read after scoring.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from agents.agent import Agent
from agents.recipe import recipe_of
from benchmarks.streams.midas import midas
from benchmarks.streams.sets import SETS
from features.events import Domain
from features.featurizer import Featurizer

_RECIPE = recipe_of(Domain.NETWORK)
_TICK_US = 60_000_000

Scores = NDArray[np.float64]


def main() -> None:
    """Print how each orders the edges, and how fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    stream = SETS["darpa"](arguments.data)
    events = stream.events[Domain.NETWORK].with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64))
    ways: dict[str, Callable[[], Scores]] = {
        "secmesh, words of floods": lambda: _floods(events),
        "secmesh, whole agent": lambda: _agent(events),
        "MIDAS re-stated": _midas(events),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    scores = {name: way() for name, way in ways.items()}  # its machine code is loaded once
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    bad_B = stream.views[0].judge(events.with_columns(score=0.0))["bad"].to_numpy()
    table = Table("", "AUC", "average precision", "edges/s", box=MARKDOWN)
    for name, score_B in scores.items():
        rate = events.height / float(np.median(seconds[name]))
        figures = roc_auc_score(bad_B, score_B), average_precision_score(bad_B, score_B)
        table.add_row(name, *(f"{figure:.3f}" for figure in figures), f"{rate:,.0f}")
    Console(width=120).print(table)


def _floods(events: pl.DataFrame) -> Scores:
    """The largest of the words below whose nats no event is."""
    words, weights = zip(*_RECIPE.at_least, strict=True)
    needed = {name for word in words for name in word.needs}
    fields = {name: expression for name, expression in _RECIPE.fields.items() if name in needed}
    x_BF = Featurizer(fields, words).observe(events).x_BF
    score_B: Scores = (x_BF * np.array(weights)).max(axis=1)
    return score_B


def _agent(events: pl.DataFrame) -> Scores:
    return Agent(_RECIPE).observe(events)["score"].to_numpy()


def _midas(events: pl.DataFrame) -> Callable[[], Scores]:
    codes = Featurizer(_RECIPE.fields, ()).observe(events).codes
    ticks_B = events["time"].to_physical().to_numpy() // _TICK_US
    return lambda: midas(codes["source"], codes["peer"], ticks_B)


if __name__ == "__main__":
    main()
