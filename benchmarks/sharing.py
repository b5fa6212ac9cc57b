"""What sharing adds: attacks found by each model alone, by both, and with what the other agents know.

    python -m benchmarks.sharing [--seeds 31 32 33 34 35] [--data ../shared/data/endpoint/otrf]

Per seed a simulated estate with three campaigns; agents learn, without labels, from what comes before the first
attack, once each by itself and once together, and score the rest. With `--data`, the OTRF captures whose labels are in
three or more domains, each scored by agents that learned from the captures of other folds (the first seed's). Average
precision of attack events by p, over all domains at once and as the mean over the domains; labels are read afterwards.
"""

import argparse
from collections.abc import Iterator
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
from scipy.stats import t
from sklearn.metrics import average_precision_score

from agents.mesh import Mesh
from benchmarks.campaigns import lived
from benchmarks.otrf import captures, folds
from features.events import Domain
from features.logs import Events, read_logs
from training.learning import learn_together

_METHODS = ("online alone", "offline alone", "both", "both, with sharing")
_DOMAINS = 3


@dataclass(frozen=True)
class Row:
    """The figures of one stream: for each method average precision over all, and the mean over the domains."""

    name: str
    attacks: int
    events: int
    whole_M: NDArray[np.float64]
    domains_M: NDArray[np.float64]


def main() -> None:
    """Print the table of streams, and what sharing adds with its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[31, 32, 33, 34, 35])
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=160)
    _show([_estate(seed) for seed in track(arguments.seeds, "estates")], console, each=True)
    if arguments.data:
        _show(list(_captures(arguments.data, arguments.seeds[0])), console, each=False)


def _estate(seed: int) -> Row:
    past, rest, campaigns = lived(seed)
    attacks = pl.Series([uid for campaign in campaigns for uid in campaign["uids"]])
    verdicts = [
        mesh.observe(rest).with_columns(bad=pl.col("uid").is_in(attacks.implode())) for mesh in _both(past, seed)
    ]
    return _row(f"estate {seed}", *verdicts)


def _captures(data: Path, seed: int) -> Iterator[Row]:
    labels = pl.read_parquet(data / "labels.parquet").filter(~pl.col("tail"))
    wide = (
        labels.filter("mal").group_by("capture").agg(pl.col("domain").n_unique()).filter(pl.col("domain") >= _DOMAINS)
    )
    read = {name: read_logs([path]).events for name, path in track(captures(data, labels), "reading")}
    fold_of = folds(list(read), 5, seed)
    for fold in track(range(5), "folds"):
        others = [events for name, events in read.items() if fold_of[name] != fold]
        past = {d: pl.concat(frames) for d in Domain if (frames := [events[d] for events in others if d in events])}
        meshes = _both(past, seed)
        known = [mesh.state() for mesh in meshes]
        for name in (name for name in wide["capture"].sort() if fold_of[name] == fold):
            truth = labels.filter(pl.col("capture") == name).select("line", bad="mal")
            verdicts = []
            for mesh, state in zip(meshes, known, strict=True):
                mesh.restore(state)
                mesh.wake()
                verdicts.append(mesh.observe(read[name]).join(truth, on="line"))
            yield _row(name, *verdicts)


def _both(past: Events, seed: int) -> list[Mesh]:
    """A mesh whose agents learned each by itself, and one whose agents share."""
    return [learn_together(past, seed=seed, shares=shares).mesh for shares in (False, True)]


def _row(name: str, alone: pl.DataFrame, shared: pl.DataFrame) -> Row:
    columns = [(alone, "p_online"), (alone, "p_offline"), (alone, "p"), (shared, "p")]
    figures = [
        _precisions(verdicts.select("domain", "bad", p=pl.col(column).fill_null(1.0))) for verdicts, column in columns
    ]
    whole_M, domains_M = np.array(figures).T
    return Row(name, int(alone["bad"].sum()), alone.height, whole_M, domains_M)


def _precisions(verdicts: pl.DataFrame) -> tuple[float, float]:
    """Average precision over all, and the mean over the domains that have attacks."""
    domains = [part for _, part in verdicts.group_by("domain", maintain_order=True) if part["bad"].any()]
    return _precision(verdicts), float(np.mean([_precision(part) for part in domains]))


def _precision(verdicts: pl.DataFrame) -> float:
    return float(average_precision_score(verdicts["bad"].to_numpy(), -verdicts["p"].to_numpy()))


def _show(rows: list[Row], console: Console, *, each: bool) -> None:
    table = Table("stream", "attacks / events", *_METHODS, box=MARKDOWN)
    for row in rows if each else ():
        told = [f"{whole:.3f} ({mean:.3f})" for whole, mean in zip(row.whole_M, row.domains_M, strict=True)]
        table.add_row(row.name, f"{row.attacks:,} / {row.events:,}", *told)
    wholes, means = np.array([row.whole_M for row in rows]), np.array([row.domains_M for row in rows])
    table.add_row(
        f"mean of {len(rows)}", "", *(f"{w:.3f} ({d:.3f})" for w, d in zip(wholes.mean(0), means.mean(0), strict=True))
    )
    console.print(table)
    console.print(f"sharing adds {interval(wholes[:, 3] - wholes[:, 2])} ({interval(means[:, 3] - means[:, 2])})")


def interval(difference_R: NDArray[np.float64]) -> str:
    """The mean of paired differences and its 95 % interval by Student's t."""
    half = t.ppf(0.975, difference_R.size - 1) * difference_R.std(ddof=1) / difference_R.size**0.5
    return f"{difference_R.mean():+.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
