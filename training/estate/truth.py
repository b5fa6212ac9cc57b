"""What really happened: the answers that lie beside the simulated logs, never in them."""

from collections.abc import Callable
from typing import Any

import polars as pl

from features import entities
from features.events import ENTITIES
from training.estate.campaigns import Campaign
from training.estate.casting import Cast, Played
from training.estate.inhabitants import when
from training.estate.records import CLASSES, PATHS, column

_WRITTEN: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "user": entities.user,
    "host": entities.host,
    "address": entities.address,
    "peer": entities.address,
    "process": entities.path,
}


def examine(campaign: Campaign, cast: Cast, run: list[Played]) -> dict[str, Any]:
    """One campaign as `truth.json` tells it."""
    roles = {role.name for role in campaign.roles}
    return {
        "name": campaign.title,
        "file": campaign.file,
        "family": campaign.family,
        "stealth": campaign.stealth,
        "start": when(min(int(played.events["time"][0]) for played in run)).isoformat(),
        "end": when(max(int(played.events["time"][-1]) for played in run)).isoformat(),
        "techniques": sorted({step.technique for step in campaign.steps}),
        "tactics": list(dict.fromkeys(step.tactic for step in campaign.steps)),
        "cast": {name: who for name, who in cast.fixed.items() if name in roles or name.startswith("attacker.")},
        "entities": _entities(run),
        "steps": [_step_truth(played) for played in run],
        "uids": [uid for played in run for uid in played.events["metadata.uid"]],
    }


def _step_truth(played: Played) -> dict[str, Any]:
    step, events = played.step, played.events
    return {
        "number": step.number,
        "technique": step.technique,
        "tactic": step.tactic,
        "domain": step.domain,
        "class_uid": CLASSES[step.domain][step.class_name],
        "activity": step.activity,
        "start": when(int(events["time"][0])).isoformat(),
        "end": when(int(events["time"][-1])).isoformat(),
        "uids": events["metadata.uid"].to_list(),
    }


def _entities(run: list[Played]) -> dict[str, list[str]]:
    """Kind of entity -> those the campaign's events name, written as the door writes them."""
    named: dict[str, set[str]] = {}
    for played in run:
        paths = {column(path): path for path in PATHS[played.step.domain] if path in played.events.columns}
        named_by = [(kind, name) for kind, names in ENTITIES[played.step.domain].items() for name in names]
        for kind, name in named_by:
            if name in paths:
                seen = played.events.select(_WRITTEN[kind](pl.col(paths[name]))).to_series().drop_nulls()
                named.setdefault(kind, set()).update(seen)
    return {kind: sorted(names) for kind, names in named.items()}
