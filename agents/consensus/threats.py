"""A threat: entities that are strange together, ranked, with the reasons."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Entity:
    """Who or what a threat is about, how many nats speak against it, and how a log wrote the name, if otherwise."""

    kind: str
    name: str
    evidence: float
    written: str | None = None


@dataclass(frozen=True)
class Reason:
    """What was strange: `value` for `field`, as evidence in nats; and who did it where, as far as is known."""

    domain: str
    activity: str | None
    field: str | None
    value: str | None
    nats: float
    process: str | None
    user: str | None
    host: str | None
    address: str | None


@dataclass(frozen=True)
class Threat:
    """One line of the ranking.

    `id` stays as the threat grows; `merged` names those it has taken in. `score` is the nats of its strangest episode,
    faded, how critical people hold what it is about to be (`criticality`), and half a nat for each tactic after the
    first; `domains` shares it out among the agents. `answer` is whether people found it to be true, if they did.
    `p` is how likely a threat of earlier days would be as strange, None where too few are known, and `listed` whether
    it is within the cut and the budget of its day. `expected` are the tactics likeliest to come next, with their
    probabilities.
    `evidence` holds the verdicts that tell of it, heaviest first; `timeline` its episodes, oldest first: kind, name,
    start, score.
    """

    id: str
    rank: int
    score: float
    entities: tuple[Entity, ...]
    first_time: datetime
    last_time: datetime
    domains: dict[str, float]
    tactics: tuple[str, ...]
    reasons: tuple[Reason, ...]
    evidence: pl.DataFrame
    timeline: pl.DataFrame
    merged: tuple[str, ...] = ()
    p: float | None = None
    techniques: tuple[str, ...] = ()
    expected: tuple[tuple[str, float], ...] = ()
    listed: bool = True
    answer: bool | None = None
    criticality: float = 0.0

    def record(self) -> dict[str, Any]:
        """The threat as plain values for JSON; times are ISO 8601 in UTC."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, pl.DataFrame):
        return _rows(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Entity | Reason):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of plain values; all but times are plain as they are, and rows are many."""
    rows = frame.to_dicts()
    for name in (name for name, kind in frame.schema.items() if kind == pl.Datetime):
        for row in rows:
            row[name] = _plain(row[name])
    return rows
