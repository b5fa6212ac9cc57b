"""Events per second from parsed frames to verdicts, on one core, beside River's half-space trees in a Python loop.

    POLARS_MAX_THREADS=1 taskset -c 0 python -m benchmarks.speed [--rounds 5]

Both models of all six agents score a simulated estate's second half after learning its first; the loop scores and
learns the same features of the same events with `river.anomaly.HalfSpaceTrees(n_trees=25, height=8)`. The two take
turns; medians are printed.
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from river.anomaly import HalfSpaceTrees

from agents.consensus.council import Council
from agents.mesh import Mesh
from agents.recipe import recipe_of
from features.events import Domain
from features.featurizer import Featurizer, squashed
from features.logs import Events, read_logs
from training.learning import learn_together
from training.simulation import simulate

_LOOPED = 5_000


def main() -> None:
    """Print events per second of both, round by round in turn, as medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=1)
        events = read_logs(sorted(Path(folder).glob("*.jsonl"))).events
    past, rest = _halves(events)
    mesh = learn_together(past, seed=0).mesh
    known = mesh.state()
    x_BF = _features(rest[Domain.ENDPOINT])
    ours, council, rivers = [], [], []
    for _ in range(rounds):
        mesh.restore(known)
        verdicts, rate = _timed(mesh, rest)
        ours.append(rate)
        council.append(_heard(verdicts))
        rivers.append(_looped(x_BF))
    _print(ours, council, rivers, sum(frame.height for frame in rest.values()))


def _halves(events: Events) -> tuple[Events, Events]:
    cut = {domain: frame.height // 2 for domain, frame in events.items()}
    return {d: f[: cut[d]] for d, f in events.items()}, {d: f[cut[d] :] for d, f in events.items()}


def _features(events: pl.DataFrame) -> NDArray[np.float64]:
    recipe = recipe_of(Domain.ENDPOINT)
    return squashed(Featurizer(recipe.fields, recipe.words).observe(events).x_BF)


def _timed(mesh: Mesh, events: Events) -> tuple[pl.DataFrame, float]:
    start = time.perf_counter()
    verdicts = mesh.observe(events)
    return verdicts, verdicts.height / (time.perf_counter() - start)


def _heard(verdicts: pl.DataFrame) -> float:
    start = time.perf_counter()
    Council().hear(verdicts)
    return verdicts.height / (time.perf_counter() - start)


def _looped(x_BF: NDArray[np.float64]) -> float:
    rows = [{str(f): float(value) for f, value in enumerate(row)} for row in x_BF[:_LOOPED]]
    trees: Any = HalfSpaceTrees(n_trees=25, height=8, seed=1)  # River has no types here
    start = time.perf_counter()
    for row in rows:
        trees.score_one(row)
        trees.learn_one(row)
    return len(rows) / (time.perf_counter() - start)


def _print(ours: list[float], council: list[float], rivers: list[float], events: int) -> None:
    table = Table("what", "events/s (median)", "lowest", "highest", box=MARKDOWN)
    for name, rates in (
        (f"six agents, both models, {events} events, frame to verdicts", ours),
        ("council hearing those verdicts", council),
        (f"River HalfSpaceTrees 25 x 8 in a loop, {_LOOPED} endpoint events, scores alone", rivers),
    ):
        table.add_row(name, f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}")
    console = Console(width=160)
    console.print(table)
    ratio = statistics.median(a / b for a, b in zip(ours, rivers, strict=True))
    console.print(f"ratio agents / loop, median of {len(ours)} rounds: {ratio:.1f}")
    console.print(f"cores: {len(os.sched_getaffinity(0))}, Polars threads: {pl.thread_pool_size()}")


if __name__ == "__main__":
    main()
