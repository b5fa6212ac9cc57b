"""A threat: entities that are strange together, ranked, with the reasons."""

from dataclasses import asdict, dataclass
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
    activity: str
    field: str | None
    value: str | None
    nats: float
    process: str | None
    user: str | None
    host: str | None
    address: str | None


@dataclass(frozen=True)
class Threat:
    """One line of the ranking; `evidence` holds the verdicts behind it, strongest first."""

    rank: int
    score: float
    entities: tuple[Entity, ...]
    first_time: datetime
    last_time: datetime
    domains: dict[str, float]
    tactics: tuple[str, ...]
    reasons: tuple[Reason, ...]
    evidence: pl.DataFrame

    def record(self) -> dict[str, Any]:
        """The threat as plain values for JSON; times are ISO 8601 in UTC."""
        plain = asdict(self) | {"evidence": self.evidence.to_dicts()}
        return _plain(plain)  # type: ignore[no-any-return]  # a dict comes out as a dict


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
