"""Campaigns of the simulated estate: at which rank each attack comes, seed by seed.

    python -m benchmarks.campaigns [--seeds 15]

As in `secmesh demo`, but for the report and the registry: each seed simulates an estate with three of the ten
campaigns, learns without labels from what comes before the first attack, scores the rest, and ranks. A campaign is
found at the rank of the first threat at least half of whose evidence belongs to it. Beside it, naive: users, hosts and
addresses ranked by how many of their events are rare (a value that fewer than one event in a thousand has).
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.consensus.council import Council
from agents.recipe import recipe_of
from features.events import Domain
from features.logs import Events, read_logs
from training.learning import learn_together
from training.simulation import simulate, split_time

_TOP = 10


def main() -> None:
    """Print each seed's campaigns with their ranks, and how many are among the ten highest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=15)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    rows = [row for seed in track(range(1, seeds + 1), "seeds") for row in _seed(seed)]
    table = Table("seed", "campaign", "rank", "naive rank", box=MARKDOWN)
    for seed, campaign, rank, naive in rows:
        table.add_row(str(seed), campaign, str(rank or "-"), str(naive or "-"))
    console = Console(width=120)
    console.print(table)
    found = sum(rank is not None and rank <= _TOP for _, _, rank, _ in rows)
    naive = sum(rank is not None and rank <= _TOP for _, _, _, rank in rows)
    console.print(f"among the {_TOP} highest: {found} of {len(rows)} campaigns (naive: {naive})")


def lived(seed: int) -> tuple[Events, Events, list[dict[str, Any]]]:
    """An estate's events before its first attack, the rest of them, and its campaigns as `truth.json` has them."""
    with TemporaryDirectory() as folder:
        summary = simulate(Path(folder), seed=seed)
        events = read_logs(sorted(Path(folder).glob("*.jsonl"))).events
        campaigns = json.loads((Path(folder) / "truth.json").read_text())["campaigns"]
    at = pl.lit(split_time(summary))
    past = {domain: frame.filter(pl.col("time") < at) for domain, frame in events.items()}
    rest = {domain: frame.filter(pl.col("time") >= at) for domain, frame in events.items()}
    return past, rest, campaigns


def _seed(seed: int) -> list[tuple[int, str, int | None, int | None]]:
    past, rest, campaigns = lived(seed)
    verdicts = learn_together(past, seed=seed).mesh.observe(rest)
    council = Council()
    council.hear(verdicts)
    whose = {uid: campaign["name"] for campaign in campaigns for uid in campaign["uids"]}
    ranked = _ranks([threat.evidence["uid"].to_list() for threat in council.rank()], whose)
    naive = _ranks(_naive(past, rest), whose)
    names = [campaign["name"] for campaign in campaigns]
    return [(seed, name, ranked.get(name), naive.get(name)) for name in names]


def _ranks(evidence: list[list[str]], whose: Mapping[str, str]) -> dict[str, int]:
    """The first rank whose evidence belongs to each campaign by half or more."""
    ranks: dict[str, int] = {}
    for rank, uids in enumerate(evidence, start=1):
        counted = Counter(whose.get(uid, "") for uid in uids)
        name, count = counted.most_common(1)[0]
        if name and 2 * count >= len(uids):
            ranks.setdefault(name, rank)
    return ranks


def _naive(past: Events, rest: Events) -> list[list[str]]:
    """Users, hosts and addresses by their number of rare events, most first, with those events."""
    rare = []
    for domain in Domain:
        fields = recipe_of(domain).fields
        seen = past[domain].select(expression.alias(name) for name, expression in fields.items())
        new = rest[domain].select(
            "uid",
            *(pl.col(name) for name in ("actor_user_name", "device_hostname", "src_endpoint_ip")),
            *(expression.alias(f"={name}") for name, expression in fields.items()),
        )
        is_rare = pl.any_horizontal(~pl.col(f"={name}").is_in(_common(seen[name]).implode()) for name in fields)
        rare.append(new.filter(is_rare).select("uid", "actor_user_name", "device_hostname", "src_endpoint_ip"))
    entities = pl.concat(rare).unpivot(index="uid", value_name="entity").drop_nulls("entity")
    counted = (
        entities.group_by("variable", "entity").agg(pl.col("uid"), pl.len()).sort("len", "entity", descending=True)
    )
    return counted["uid"].head(50).to_list()


def _common(values: pl.Series) -> pl.Series:
    """The values that at least one event in a thousand has."""
    counted = values.value_counts()
    return counted.filter(pl.col("count") * 1000 >= values.len())[values.name]


if __name__ == "__main__":
    main()
