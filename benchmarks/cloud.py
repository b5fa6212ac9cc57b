"""Cloud: the techniques of a real attack emulation, told from the building up and clearing away around each of them.

    python -m benchmarks.cloud [--data ../shared/data/cloud/aws]

Every event is scored in the order of time by an agent that starts from nothing. An event counts as an attack where
`labels.csv` gives it the phase `detonate`. The phases were read off the user agent, and names spell the tool and its
techniques, so both are masked before anything is scored: the user agent is null in every event, and in every other
text column but those of the API's own words (service, operation, activity) each name (a run of letters, digits, `_`,
`-` and `.`) in which a tool, a phase or a technique is named becomes the one word `masked`, whatever else it says.

Printed: the average precision of the attack's events by secmesh's score, beside isolation forest's over the same
features (it sees the whole log before it scores any of it) and River's half-space trees', naive (the sum of -log
share so far of the operation, and of the operation among its user's), and what the clock alone would give: the attack
ends long before the clearing away, so whatever prefers early events looks good. Then how many techniques have an
event among the fifty highest by each.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from agents.agent import Agent
from agents.recipe import recipe_of
from features.events import Domain
from features.featurizer import Featurizer, squashed
from features.logs import read_logs
from features.texts import joined

_TOOLS = ("stratus", "red-?team", "terraform", "hashicorp", "pacu", "warm-?up", "clean-?up")
_UNMASKED = ("source", "member", "uid", "event_code", "activity_name", "api_service_name", "api_operation")
_TOP = 50


def main() -> None:
    """Print how many events there are and are the attack's, the average precisions, and the techniques found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cloud/aws"))
    data = parser.parse_args().data
    if not data.exists():
        raise SystemExit(f"{data} is not here: name the CloudTrail log and its labels with --data")
    labels = pl.read_csv(data / "labels.csv")
    events = masked(read_logs([data / "cloudtrail.jsonl.gz"]).events[Domain.CLOUD], labels)
    attack = labels.filter(phase="detonate").select(uid="eventID", technique="stratus_technique")
    technique_B = events.join(attack, on="uid", how="left", maintain_order="left")["technique"]
    is_attack_B = technique_B.is_not_null().to_numpy()
    recipe = recipe_of(Domain.CLOUD)
    x_BF = squashed(Featurizer(recipe.fields, recipe.words).observe(events).x_BF)
    print(f"{events.height:,} events, {is_attack_B.sum():,} of them the attack's: base rate {is_attack_B.mean():.3f}")
    for name, score_B in (
        ("secmesh", _scores(events)),
        ("isolation forest", -IsolationForest(random_state=0).fit(x_BF).score_samples(x_BF)),
        ("River half-space trees", _trees(x_BF)),
        ("naive", _naive(events)),
        ("the clock alone", -np.arange(events.height)),
    ):
        precision = average_precision_score(is_attack_B, score_B)
        found = technique_B[np.argsort(-score_B, kind="stable")[:_TOP]].drop_nulls().n_unique()
        print(f"{name}: average precision {precision:.3f}, techniques {found} of {technique_B.drop_nulls().n_unique()}")


def masked(events: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """The events without user agents, and without names that give the tool, the phase or the technique away."""
    techniques = labels["stratus_technique"].drop_nulls().unique().sort().str.extract(r"([^.]+)$")
    words = "|".join((*_TOOLS, *labels["phase"].unique().sort(), *techniques))
    texts = [name for name, kind in events.schema.items() if kind == pl.String and name not in _UNMASKED]
    hidden = pl.col(texts).str.replace_all(rf"(?i)[\w.-]*(?:{words})[\w.-]*", "masked")
    return events.with_columns(hidden).with_columns(http_request_user_agent=pl.lit(None, pl.String))


def _scores(events: pl.DataFrame) -> NDArray[np.float64]:
    numbered = events.with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64))
    return Agent(recipe_of(Domain.CLOUD)).observe(numbered)["score"].to_numpy()


def _trees(x_BF: NDArray[np.float64]) -> NDArray[np.float64]:
    trees: Any = HalfSpaceTrees(n_trees=25, height=8, seed=1)  # River has no types here
    scores = []
    for row_F in x_BF:
        row = {str(f): float(value) for f, value in enumerate(row_F)}
        scores.append(trees.score_one(row))
        trees.learn_one(row)
    return np.array(scores)


def _naive(events: pl.DataFrame) -> NDArray[np.float64]:
    """Both shares count the event itself."""
    operation = joined(pl.col("api_service_name"), pl.col("api_operation"))
    user = pl.col("actor_user_name").fill_null("")
    counted = events.select(operation=operation, user=user, one=1).with_columns(
        seen=pl.col("one").cum_sum(),
        so_often=pl.col("one").cum_sum().over("operation"),
        by_user=pl.col("one").cum_sum().over("user"),
        so_often_by_user=pl.col("one").cum_sum().over("user", "operation"),
    )
    shares = pl.col("so_often") / pl.col("seen") * pl.col("so_often_by_user") / pl.col("by_user")
    return counted.select(-shares.log()).to_series().to_numpy()


if __name__ == "__main__":
    main()
