"""How long training takes, in how much memory, and how fast what was trained scores.

    OMP_NUM_THREADS=1 python -m benchmarks.training [--logs FOLDER] [--users 900] [--lsass FOLDER]

The past, a simulated estate's week unless logs are named, is written onto a shelf and learned from there in slices, the
largest domain last. Each domain is a process of its own, so that its peak of memory is its own; reading is one, too.
Then both models of all agents that learned from an estate's first half score its second, and those that learned from
the first half of the LSASS captures the second half of these: parsed frames to verdicts.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.agent import Agent
from agents.keeping import fresh_mesh
from agents.mesh import Mesh
from agents.recipe import recipe_of
from features.events import Domain
from features.logs import Events, read_logs
from training.counting import codes_of, count
from training.fitting import Settings, fit_counted
from training.learning import learn
from training.shelf import Shelf, shelve
from training.simulation import simulate
from training.watching import watch

_MIB = 1 << 20
_ROUNDS = 3

P = ParamSpec("P")
T = TypeVar("T")


def main() -> None:
    """Print a table of training and a table of scoring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, help="train on these instead of a simulated estate")
    parser.add_argument("--users", type=int, default=900, help="of the estate that is trained on, for a week")
    parser.add_argument("--lsass", type=Path, default=Path("../shared/data/endpoint/otrf/raw/compound"))
    arguments = parser.parse_args()
    console = Console(width=160)
    with TemporaryDirectory() as folder:
        logs = arguments.logs or _estate(Path(folder) / "estate", arguments.users)
        console.print(_trained(logs, Path(folder) / "shelf"))
        small = _estate(Path(folder) / "small", 60)
        captures = sorted(arguments.lsass.glob("LSASS_campaign_*")) if arguments.lsass.exists() else []
        console.print(
            _scored(
                {"simulated estate": sorted(small.glob("*.jsonl"))} | ({"LSASS captures": captures} if captures else {})
            )
        )
    console.print(f"cores: {len(os.sched_getaffinity(0))}, Polars threads: {pl.thread_pool_size()}")


def _estate(folder: Path, users: int) -> Path:
    _alone(simulate, folder, seed=2, users=users)
    return folder


def _trained(logs: Path, folder: Path) -> Table:
    table = Table("what", "events", "reading", "coding", "fitting", "watching", "peak MiB", box=MARKDOWN)
    paths = sorted(logs.glob("*.jsonl")) or [logs]
    began = time.perf_counter()
    shelf, peak = _alone(shelve, paths, folder)
    table.add_row("all", f"{sum(shelf.rows.values()):,}", f"{time.perf_counter() - began:.1f}", "", "", "", f"{peak}")
    for domain in sorted(shelf.rows, key=lambda domain: shelf.rows[domain]):
        seconds, peak = _alone(_learned, shelf, domain)
        table.add_row(domain, f"{shelf.rows[domain]:,}", "", *(f"{took:.1f}" for took in seconds), f"{peak}")
    return table


def _learned(shelf: Shelf, domain: Domain) -> tuple[float, float, float]:
    """Seconds of coding, fitting and watching."""
    recipe = recipe_of(domain)
    at = [time.perf_counter()]
    counted = count(codes_of(recipe, shelf.slices(domain)), shelf.rows[domain])
    at.append(time.perf_counter())
    fitted = fit_counted(counted, recipe.asks, Settings(), seed=0)
    at.append(time.perf_counter())
    watch(Agent(recipe, fitted.offline), shelf.slices(domain))
    at.append(time.perf_counter())
    return at[1] - at[0], at[2] - at[1], at[3] - at[2]


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
