"""Web: a real scanner's hour replayed into two real days of an intranet.

    python -m benchmarks.web [--data ../shared/data/web]

The Acunetix scan of the ocatak set is moved into the second of the AIT intranet's benign days; the agent has seen the
first day. Printed: the average precision of the scan's requests, beside isolation forest's over the same features and
River's half-space trees', and the rank of the scanner's address.
"""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from agents.consensus.council import Council
from agents.keeping import fresh_mesh
from agents.mesh import Mesh
from agents.recipe import recipe_of
from features.events import Domain
from features.featurizer import Featurizer, squashed
from features.logs import read_logs
from training.learning import learn


def main() -> None:
    """Print the three average precisions and the scanner's rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/web"))
    data = parser.parse_args().data
    if not data.exists():
        raise SystemExit(f"{data} is not here: name the web logs with --data")
    torch.set_num_threads(1)
    past, rest, is_scan = _days(data)
    agent = learn(recipe_of(Domain.WEB), past, seed=0).agent
    verdicts = Mesh(fresh_mesh().agents | {Domain.WEB: agent}).observe({Domain.WEB: rest})
    council = Council()
    council.hear(verdicts)
    scanner = rest.filter(is_scan)["src_endpoint_ip"][0]
    ranks = [t.rank for t in council.rank() if t.entities[0].name == scanner]
    old_BF, new_BF = _features(past, rest)
    print(
        f"{rest.height:,} requests, {is_scan.sum():,} of them the scan's; scanner's rank: {ranks[0] if ranks else '-'}"
    )
    for name, score_B in (
        ("secmesh", verdicts["score"].to_numpy()),
        ("isolation forest", -IsolationForest(random_state=0).fit(old_BF).score_samples(new_BF)),
        ("River half-space trees", _trees(old_BF, new_BF)),
    ):
        print(f"average precision, {name}: {average_precision_score(is_scan.to_numpy(), score_B):.3f}")


def _days(data: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.Series]:
    """The first day, the second with the scan in it, and which of its requests are the scan's."""
    benign = read_logs([data / "ait_intranet_benign_days"]).events[Domain.WEB]
    scan = read_logs([data / "ocatak_scans"]).events[Domain.WEB]
    begins = benign["time"][0] + timedelta(hours=26)
    moved = scan.with_columns(time=pl.col("time") - scan["time"][0] + begins)
    next_day = pl.col("time") >= benign["time"][0] + timedelta(hours=24)
    rest = pl.concat([benign.filter(next_day), moved]).sort("time", maintain_order=True)
    return benign.filter(~next_day), rest, rest["source"].str.contains("ocatak")


def _features(past: pl.DataFrame, rest: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    recipe = recipe_of(Domain.WEB)
    featurizer = Featurizer(recipe.fields, recipe.words)
    return squashed(featurizer.observe(past).x_BF), squashed(featurizer.observe(rest).x_BF)


def _trees(old_BF: NDArray[np.float64], new_BF: NDArray[np.float64]) -> NDArray[np.float64]:
    trees: Any = HalfSpaceTrees(n_trees=25, height=8, seed=1)  # River has no types here
    scores = []
    for row_F in np.concatenate([old_BF, new_BF]):
        row = {str(f): float(value) for f, value in enumerate(row_F)}
        scores.append(trees.score_one(row))
        trees.learn_one(row)
    return np.array(scores[len(old_BF) :])


if __name__ == "__main__":
    main()
