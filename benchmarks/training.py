"""How long training takes, in how much memory, and how fast what was trained scores.

    OMP_NUM_THREADS=1 python -m benchmarks.training [--logs FOLDER] [--users 900] [--lsass FOLDER]

The past, a simulated estate's week unless logs are named, is written onto a shelf and a mesh learns from there in
slices. Then an estate of a quarter of the people, and this one, are learned from both ways, from a shelf and in memory:
the most memory that each way took, with one epoch, as more make no difference to it. Last, both models of all agents
that learned from an estate's first half score its second, and those that learned from the first half of the LSASS
captures the second half of these: parsed frames to verdicts. Each figure comes from a process of its own.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.keeping import fresh_mesh
from agents.mesh import Mesh
from agents.recipe import recipe_of
from features.events import Domain
from features.logs import Events, read_logs
from training.counting import Counted
from training.fitting import EPOCHS, Fit, Settings, fit_counted
from training.learning import learn, learn_together
from training.shelf import Shelf, shelve
from training.simulation import simulate

_MIB = 1 << 20
_ROUNDS = 3

P = ParamSpec("P")
T = TypeVar("T")


def main() -> None:
    """Print a table of training, one of memory and one of scoring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, help="train on these instead of a simulated estate")
    parser.add_argument("--users", type=int, default=900, help="of the estate that is trained on, for a week")
    parser.add_argument("--lsass", type=Path, default=Path("../shared/data/endpoint/otrf/raw/compound"))
    arguments = parser.parse_args()
    console = Console(width=160)
    with TemporaryDirectory() as name:
        folder = Path(name)
        logs = _logs(arguments.logs or _estate(folder / "estate", arguments.users))
        console.print(_trained(logs, folder / "shelf"))
        if not arguments.logs:
            console.print(_remembered([_logs(_estate(folder / "quarter", arguments.users // 4)), logs], folder))
        captures = sorted(arguments.lsass.glob("LSASS_campaign_*")) if arguments.lsass.exists() else []
        small = {"simulated estate": _logs(_estate(folder / "small", 60))}
        console.print(_scored(small | ({"LSASS captures": captures} if captures else {})))
    console.print(f"cores: {len(os.sched_getaffinity(0))}, Polars threads: {pl.thread_pool_size()}")


def _estate(folder: Path, users: int) -> Path:
    _alone(simulate, folder, seed=2, users=users)
    return folder


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl")) or [folder]


@dataclass
class Laps:
    """Seconds that each domain's events were counted and its encoder was fitted, and those of all else."""

    began: float = field(default_factory=time.perf_counter)
    coding: dict[Domain, float] = field(default_factory=dict)
    fitting: dict[Domain, float] = field(default_factory=dict)
    watching: float = 0.0

    def teach(self, epochs: int, domain: Domain, counted: Counted) -> Fit:
        """Fit, between two looks at the clock."""
        self.coding[domain] = self._lap()
        fitted = fit_counted(counted, recipe_of(domain).asks, Settings(epochs=epochs), seed=0)
        self.fitting[domain] = self._lap()
        return fitted

    def end(self) -> None:
        """All domains were fitted and watched."""
        self.watching = self._lap()

    def _lap(self) -> float:
        began, self.began = self.began, time.perf_counter()
        return self.began - began


def _trained(logs: Sequence[Path], folder: Path) -> Table:
    table = Table("what", "events", "reading", "coding", "fitting", "watching", "peak MiB", box=MARKDOWN)
    began = time.perf_counter()
    shelf, peak = _alone(shelve, logs, folder)
    rows = f"{sum(shelf.rows.values()):,}"
    table.add_row("shelf", rows, f"{time.perf_counter() - began:.1f}", "", "", "", f"{peak}")
    laps, peak = _alone(_learned, shelf, EPOCHS)
    for domain, events in shelf.rows.items():
        table.add_row(domain, f"{events:,}", "", f"{laps.coding[domain]:.1f}", f"{laps.fitting[domain]:.1f}", "", "")
    totals = (sum(laps.coding.values()), sum(laps.fitting.values()), laps.watching)
    table.add_row("mesh", rows, "", *(f"{seconds:.1f}" for seconds in totals), f"{peak}")
    return table


def _remembered(estates: Sequence[Sequence[Path]], folder: Path) -> Table:
    table = Table("events", "peak MiB, from a shelf", "peak MiB, in memory", box=MARKDOWN)
    for number, logs in enumerate(estates):
        shelf, writing = _alone(shelve, logs, folder / f"shelf {number}")
        _, learning = _alone(_learned, shelf, 1)
        _, in_memory = _alone(_learned_in_memory, logs, 1)
        table.add_row(f"{sum(shelf.rows.values()):,}", f"{max(writing, learning)}", f"{in_memory}")
    return table


def _learned(past: Events | Shelf, epochs: int) -> Laps:
    laps = Laps()
    learn_together(past, seed=0, teach=partial(laps.teach, epochs))
    laps.end()
    return laps


def _learned_in_memory(logs: Sequence[Path], epochs: int) -> Laps:
    return _learned(read_logs(logs).events, epochs)


def _scored(logs: dict[str, list[Path]]) -> Table:
    table = Table("what", "events", "events/s (median)", "lowest", "highest", box=MARKDOWN)
    for name, paths in logs.items():
        (events, rates), _ = _alone(_rates, paths)
        figures = (statistics.median(rates), min(rates), max(rates))
        table.add_row(f"six agents, both models, {name}", f"{events:,}", *(f"{rate:,.0f}" for rate in figures))
    return table


def _rates(paths: list[Path]) -> tuple[int, list[float]]:
    """How many events are scored, and how many a second, after learning as many."""
    events = read_logs(paths).events
    past = {domain: frame[: frame.height // 2] for domain, frame in events.items()}
    rest = {domain: frame[frame.height // 2 :] for domain, frame in events.items()}
    mesh = Mesh(fresh_mesh().agents | {d: learn(recipe_of(d), frame, seed=0).agent for d, frame in past.items()})
    known, rows = mesh.state(), sum(frame.height for frame in rest.values())
    rates = []
    for _ in range(_ROUNDS):
        mesh.restore(known)
        rates.append(rows / _seconds(mesh, rest))
    return rows, rates


def _seconds(mesh: Mesh, events: Events) -> float:
    start = time.perf_counter()
    mesh.observe(events)
    return time.perf_counter() - start


def _alone(work: Callable[P, T], *told: P.args, **named: P.kwargs) -> tuple[T, int]:
    """What `work` gives in a fresh process, and the most memory that this had, in MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, told, named))


def _measured(work: Callable[..., T], told: tuple[object, ...], named: dict[str, object]) -> tuple[T, int]:
    done = work(*told, **named)
    return done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // _MIB


if __name__ == "__main__":
    main()
