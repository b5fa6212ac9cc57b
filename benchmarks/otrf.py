"""Detection on the OTRF Windows captures: process creations by AUC, and the attacked host of several.

    python -m benchmarks.otrf [--data ../shared/data/endpoint/otrf] [--folds 5]

Each capture is scored by agents that learned, without labels, from the captures of the other folds. Labels are read
here alone, after scoring. The naive figure beside it is online rarity of (image, parent), also counted on from the
other folds' captures.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import roc_auc_score

from agents.consensus.council import Council
from agents.mesh import Mesh
from features.events import Domain
from features.logs import Events, read_logs
from training.learning import learn_together


@dataclass(frozen=True)
class Result:
    """One capture: its process creations with labels and scores, and whether the attacked host came first."""

    capture: str
    creations: pl.DataFrame
    hosts: int
    attacked: str | None
    first: str | None
    busiest: str | None


def main() -> None:
    """Print the table of captures and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/endpoint/otrf"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the folds and of the encoders")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        raise SystemExit(f"{arguments.data} is not here: name the OTRF captures with --data")
    torch.set_num_threads(1)
    labels = pl.read_parquet(arguments.data / "labels.parquet")
    read = {name: read_logs([path]).events for name, path in track(captures(arguments.data, labels), "reading")}
    fold_of = folds(list(read), arguments.folds, arguments.seed)
    results = [
        result
        for fold in track(range(arguments.folds), "folds")
        for result in _fold(fold, fold_of, read, labels, arguments.seed)
    ]
    _print(results)


def captures(data: Path, labels: pl.DataFrame) -> list[tuple[str, Path]]:
    """Every labelled capture and its archive, oldest first."""
    archives = {str(path.relative_to(data / "raw")).split(".")[0]: path for path in (data / "raw").rglob("*.*")}
    oldest = labels.group_by("capture").agg(pl.col("ts").min()).sort("ts", "capture")["capture"]
    return [(name, archives[name]) for name in oldest]


def folds(captures: list[str], folds: int, seed: int) -> Mapping[str, int]:
    chance = np.random.default_rng(seed)
    return dict(zip(sorted(captures), (chance.permutation(len(captures)) % folds).tolist(), strict=True))


def _fold(
    fold: int, fold_of: Mapping[str, int], captures: Mapping[str, Events], labels: pl.DataFrame, seed: int
) -> list[Result]:
    """Learn from the other folds in the order of their captures, then score each capture of this one alone."""
    others = [events for name, events in captures.items() if fold_of[name] != fold]
    mesh = _taught(others, seed)
    known = mesh.state()
    naive = Counter(pair for events in others for pair in _pairs(_creations(events)))
    results = []
    for name, events in captures.items():
        if fold_of[name] == fold:
            mesh.restore(known)
            mesh.wake()
            results.append(_result(name, events, mesh.observe(events), labels, naive.copy()))
    return results


def _taught(captures: list[Events], seed: int) -> Mesh:
    frames = {domain: [events[domain] for events in captures if domain in events] for domain in Domain}
    return learn_together({domain: pl.concat(found) for domain, found in frames.items() if found}, seed=seed).mesh


def _result(name: str, events: Events, verdicts: pl.DataFrame, labels: pl.DataFrame, naive: Counter[str]) -> Result:
    truth = labels.filter(pl.col("capture") == name, ~pl.col("tail")).select("line", "mal")
    launches = _creations(events)
    scored = (
        launches.with_columns(naive=_naive(_pairs(launches), naive))
        .join(verdicts.filter(pl.col("domain") == "endpoint"), on=["member", "line"], nulls_equal=True)
        .join(truth, on="line")
        .select("naive", "evidence", "p_online", "p_offline", "mal")
    )
    council = Council()
    council.hear(verdicts)
    first = next(
        (entity.name for threat in council.rank() for entity in threat.entities if entity.kind == "host"), None
    )
    hosts = _hosts(events, labels.filter(pl.col("capture") == name, ~pl.col("tail")))
    attacked = hosts.filter(pl.col("mal") > 0).sort("mal", "host", descending=True)
    return Result(
        capture=name,
        creations=scored,
        hosts=hosts.height,
        attacked=attacked["host"][0] if attacked.height else None,
        first=first,
        busiest=hosts.sort("events", descending=True)["host"][0] if hosts.height else None,
    )


def _hosts(events: Events, truth: pl.DataFrame) -> pl.DataFrame:
    """Each host's labelled rows and malicious ones."""
    named = truth.filter(pl.col("host") != "")
    return named.group_by("host").agg(pl.len().alias("events"), pl.col("mal").sum()).sort("host")


def _creations(events: Events) -> pl.DataFrame:
    if Domain.ENDPOINT not in events:
        return pl.DataFrame(schema={"member": pl.String(), "line": pl.Int64(), "pair": pl.String()})
    codes = ["sysmon/1", "security/4688"]
    pair = pl.concat_str("process_file_path", "actor_process_file_path", separator="|", ignore_nulls=True)
    return events[Domain.ENDPOINT].filter(pl.col("event_code").is_in(codes)).select("member", "line", pair=pair)


def _pairs(launches: pl.DataFrame) -> list[str]:
    return launches["pair"].to_list()


def _naive(pairs: list[str], seen: Counter[str]) -> pl.Series:
    scores = []
    for pair in pairs:
        scores.append(-float(seen[pair]))
        seen[pair] += 1
    return pl.Series(scores, dtype=pl.Float64)


def _auc(result: Result, column: str) -> float | None:
    told = result.creations.filter(pl.col(column).is_not_null())
    return float(roc_auc_score(told["mal"], told[column])) if told["mal"].n_unique() == 2 else None


SCORES = {"naive": "naive", "online": "-p_online", "offline": "-p_offline", "both": "evidence"}


def _print(results: list[Result]) -> None:
    console = Console(width=220)
    table = Table("capture", "creations", "malicious", *SCORES, "hosts", "attacked", "first in ranking", box=MARKDOWN)
    columns: dict[str, list[float]] = {name: [] for name in SCORES}
    for result in sorted(results, key=lambda result: result.capture):
        frame = result.creations.with_columns((-pl.col("p_online", "p_offline")).name.prefix("-"))
        judged = Result(result.capture, frame, result.hosts, result.attacked, result.first, result.busiest)
        aucs = {name: _auc(judged, column) for name, column in SCORES.items()}
        for name, auc in aucs.items():
            columns[name] += [] if auc is None else [auc]
        shown = ["" if auc is None else f"{auc:.3f}" for auc in aucs.values()]
        counts = [str(frame.height), str(frame["mal"].sum())]
        table.add_row(result.capture, *counts, *shown, str(result.hosts), result.attacked or "", result.first or "")
    console.print(table)
    pooled = pl.concat([result.creations for result in results])
    for name, column in SCORES.items():
        sign = -1.0 if column.startswith("-") else 1.0
        scores: NDArray[np.float64] = sign * pooled[column.lstrip("-")].fill_null(1.0).to_numpy()
        mean = np.mean(columns[name])
        console.print(
            f"{name:8} mean AUC {mean:.3f} over {len(columns[name])} captures, "
            f"pooled {roc_auc_score(pooled['mal'], scores):.3f}"
        )
    several = [result for result in results if result.hosts > 1 and result.attacked]
    first = sum(result.first == result.attacked for result in several)
    busiest = sum(result.busiest == result.attacked for result in several)
    console.print(f"attacked host first: {first} of {len(several)} (busiest host: {busiest})")


if __name__ == "__main__":
    main()
