"""Calibration: how often benign events get a small p, beside how often p says they should.

    python -m benchmarks.calibration [--data ../shared/data] [--seeds 2] [--baseline calibrator.py] [--output plot.svg]

p is what fresh agents say of each benign set, which learn under their quota but calibrate in full. For each level:
share of events with p at or below it, divided by the level, with its 95 % interval (Wilson, JASA 1927, as though events
came independently); of all events, and `later`, of those after the first 2,000. 1 is as promised, up to 1.2 is asked
for; ! marks intervals wholly above 1.2. `--baseline` names another file with a `Calibrator`, an older one, whose p of
the same scores is shown beside. Below, nanoseconds an event over 1,000,000 scores, with and without ties, the fastest
of five runs. The estates are simulated without campaigns.
"""

import argparse
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.agent import Agent
from agents.recipe import recipe_of
from benchmarks.streams.dns import tunnel
from benchmarks.streams.frames import framed
from features.events import Domain
from features.logs import Events, read_logs
from models.calibrator import Calibrator
from training.simulation import simulate

LEVELS = (1e-2, 1e-3, 1e-4)
_FIRST, _LEAST_EVENTS, _ALLOWED, _NORMAL_95 = 2_000, 200, 1.2, 1.96
_BEGINS = datetime(2015, 1, 1, tzinfo=UTC)
_TUNNEL_SITE = "ggy666.tk"
_TIMED, _RUNS = 1_000_000, 5

Scores = NDArray[np.float64]


class Calibrating(Protocol):
    """What turns scores into tail probabilities."""

    def observe(self, score_B: Scores) -> Scores:
        """The probability of each score, learned from afterwards."""
        ...


Makers = Mapping[str, Callable[[], Calibrating]]


@dataclass(frozen=True)
class Measured:
    """The p of one benign set's domain, by the agent and by each calibrator of its scores."""

    name: str
    p: Mapping[str, Scores]


def main() -> None:
    """Print the tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--baseline", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if not arguments.data.exists():
        raise SystemExit(f"{arguments.data} is not here: name the shared data with --data")
    makers: dict[str, Callable[[], Calibrating]] = {}
    if arguments.baseline:
        makers["baseline"] = _loaded(arguments.baseline)
    measured = list(_measure(arguments.data, arguments.seeds, makers))
    console = Console(width=240)
    console.print(_table(measured, list(measured[0].p)))
    console.print(_speed({"now": Calibrator} | makers))
    if arguments.output:
        _plot(measured).savefig(arguments.output)


def _loaded(path: Path) -> Callable[[], Calibrating]:
    """The `Calibrator` of another file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"--baseline is {path}, expected a Python file with a Calibrator")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where its machine code, kept from before, looks for it
    spec.loader.exec_module(module)
    calibrator: Callable[[], Calibrating] = module.Calibrator
    return calibrator


def _measure(data: Path, seeds: int, makers: Makers) -> Iterator[Measured]:
    for name, read in track(_sets(data, seeds).items(), "sets"):
        for domain, events in read().items():
            if events.height < _LEAST_EVENTS:
                continue
            verdicts = Agent(recipe_of(domain)).observe(events.with_columns(seq=pl.int_range(pl.len())))
            score_B = verdicts["score"].to_numpy()
            told = {label: make().observe(score_B) for label, make in makers.items()}
            yield Measured(f"{name} {domain.value}", {"agent": verdicts["p"].to_numpy()} | told)


def _sets(data: Path, seeds: int) -> Mapping[str, Callable[[], Events]]:
    """The benign sets, by name: real ones, and an estate for each seed."""
    logs = {
        "ctu_sme11": "network/ctu_sme11_2023-02-20_benign",
        "iot23 4-1": "network/iot23/CTU-Honeypot-Capture-4-1-labeled.csv.gz",
        "iot23 5-1": "network/iot23/CTU-Honeypot-Capture-5-1-labeled.csv.gz",
        "ait intranet": "web/ait_intranet_benign_days",
    }
    real = {name: lambda path=data / path: read_logs([path]).events for name, path in logs.items()}
    estates = {f"estate {seed}": lambda seed=seed: _estate(seed) for seed in range(1, seeds + 1)}
    return real | {"lanl": lambda: logons(data), "graphtunnel": lambda: crawl(data)} | estates


def logons(data: Path) -> Events:
    """The first minutes of LANL's log of 2015: when, who, as whom, from where, where, and how."""
    path = data / "identity/lanl/lanl_auth_first50k.csv.gz"
    names = ["second", "actor", "user", "source", "target", "protocol", "type", "deed", "status"]
    rows = pl.read_csv(path, has_header=False, new_columns=names, null_values="?")
    events = framed(
        Domain.IDENTITY,
        rows,
        path,
        time=pl.lit(_BEGINS) + pl.duration(seconds="second"),
        activity_name=pl.col("deed").str.to_lowercase(),
        status=pl.col("status").str.to_lowercase(),
        actor_user_name=pl.col("actor").str.to_lowercase(),
        user_name=pl.col("user").str.to_lowercase(),
        src_endpoint_ip=pl.col("source").str.to_lowercase(),
        device_hostname=pl.col("target").str.to_lowercase(),
        auth_protocol=pl.col("protocol"),
        logon_type=pl.col("type"),
    )
    return {Domain.IDENTITY: events}


def crawl(data: Path) -> Events:
    """The crawl that tunnels are thinned into elsewhere, without the tunnel."""
    queries = tunnel(data, "iodine").events[Domain.DNS]
    return {Domain.DNS: queries.filter(~pl.col("query_hostname").str.ends_with(_TUNNEL_SITE))}


def _estate(seed: int) -> Events:
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=seed, play=0)
        return read_logs(sorted(Path(folder).glob("*.jsonl"))).events


def _table(measured: list[Measured], labels: list[str]) -> Table:
    """A row for each set and calibrator, and one for all sets; shares divided by their levels."""
    headings = [f"{level:g}{part}" for part in ("", " later") for level in LEVELS]
    table = Table("", "events", "p by", *headings, box=MARKDOWN)
    for one in measured:
        for label in labels:
            parts = [one.p[label], one.p[label][_FIRST:]]
            table.add_row(one.name, f"{one.p[label].size:,}", label, *_cells(parts))
    for label in labels:
        whole = np.concatenate([one.p[label] for one in measured])
        later = np.concatenate([one.p[label][_FIRST:] for one in measured])
        table.add_row("all", f"{whole.size:,}", label, *_cells([whole, later]))
    return table


def _cells(parts: list[Scores]) -> list[str]:
    return [_cell(p_B, level) for p_B in parts for level in LEVELS]


def _cell(p_B: Scores, level: float) -> str:
    """The share divided by the level, with its interval; empty where there are too few events to tell anything.

    >>> _cell(np.linspace(0.0005, 1, 1_000), 0.01)
    '1.00 [0.54, 1.83]'
    """
    if p_B.size < _LEAST_EVENTS:
        return ""
    share, spread = float((p_B <= level).mean()), _NORMAL_95**2 / p_B.size
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    low, high = max(0.0, middle - half), middle + half
    told = f"{share / level:.2f} [{low / level:.2f}, {high / level:.2f}]"
    return told + " !" if low > _ALLOWED * level else told


def _speed(makers: Makers) -> Table:
    table = Table("ns an event", *makers, box=MARKDOWN)
    score_B = np.random.default_rng(0).exponential(4.0, _TIMED)
    for name, some_B in (("continuous", score_B), ("ties", np.floor(score_B))):
        table.add_row(name, *(f"{_nanoseconds(make, some_B):.0f}" for make in makers.values()))
    return table


def _nanoseconds(make: Callable[[], Calibrating], score_B: Scores) -> float:
    make().observe(score_B[:10])  # its machine code is loaded once
    took = []
    for _ in range(_RUNS):
        calibrator = make()
        began = time.perf_counter()
        calibrator.observe(score_B)
        took.append(time.perf_counter() - began)
    return min(took) / score_B.size * 1e9


def _plot(measured: list[Measured]) -> Figure:
    """Share of later events at or below each p, a panel for each way to p, a line for each set."""
    labels = list(measured[0].p)
    figure = Figure(figsize=(5.0 * len(labels), 4.6), layout="constrained")
    panels = figure.subplots(1, len(labels), squeeze=False)
    levels = np.logspace(-5, 0, 101)
    for axes, label in zip(panels[0], labels, strict=True):
        axes.fill_between(levels, levels, _ALLOWED * levels, color="#d4d8df", label="20 % above what p says")
        for one in measured:
            p_B = np.sort(one.p[label][_FIRST:])
            if p_B.size >= _LEAST_EVENTS:
                share = np.searchsorted(p_B, levels, side="right") / p_B.size
                axes.plot(levels[share > 0], share[share > 0], linewidth=1.0, label=one.name)
        axes.set(title=label, xlabel="p", ylabel="share of events at or below p")
        axes.set(xscale="log", yscale="log", xlim=(1e-5, 1), ylim=(1e-5, 1.2))
    panels[0][0].legend(fontsize=6)
    return figure


if __name__ == "__main__":
    main()
