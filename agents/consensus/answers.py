"""Answers: what analysts said of threats, with what the threats rested on when they said it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from agents.consensus.guidance import Sort
from agents.consensus.testimony import testimony
from agents.consensus.threats import Threat


@dataclass(frozen=True)
class Answer:
    """One analyst's word on one threat: whether it is true, None to take an earlier word back.

    `domains` is the share of each domain in what spoke for the threat at that `time`, `sorts` what told it: domain,
    activity, field, and the nats of the strongest of its things. So an answer stands whatever becomes of the threat.
    """

    threat: str
    is_true: bool | None
    analyst: str
    time: datetime
    reason: str
    domains: Mapping[str, float]
    sorts: tuple[tuple[*Sort, float], ...]

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise ValueError(f"time {self.time}: expected a time with its zone")

    def record(self) -> dict[str, Any]:
        """The answer as plain values for JSON, which `read` takes back."""
        plain = {"domains": dict(self.domains), "sorts": [list(sort) for sort in self.sorts]}
        return vars(self) | plain | {"time": self.time.isoformat()}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Answer":
        """The answer that `record` wrote down."""
        sorts = tuple((domain, activity, field, nats) for domain, activity, field, nats in record["sorts"])
        return cls(**{**record, "time": datetime.fromisoformat(record["time"]), "sorts": sorts})


def answer_to(threat: Threat, is_true: bool | None, analyst: str, time: datetime, reason: str) -> Answer:
    """An analyst's word on a threat as it stands in the ranking."""
    whole = sum(threat.domains.values())
    domains = {domain: nats / whole for domain, nats in threat.domains.items() if nats > 0}
    sorts = testimony(threat.evidence).group_by("domain", "activity", "field").agg(pl.col("evidence").max())
    told = sorts.sort("evidence", "domain", "activity", "field", descending=[True, False, False, False])
    return Answer(threat.id, is_true, analyst, time, reason, domains, tuple(told.iter_rows()))


def standing(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """The answers that count, by threat and analyst: the latest word of each on each, those taken back left out.

    Of two words of the same time that counts which is later as text, so the order of `answers` does not matter.
    """
    latest: dict[tuple[str, str], Answer] = {}
    for answer in sorted(answers, key=_age):
        latest[answer.threat, answer.analyst] = answer
    return tuple(latest[key] for key in sorted(latest) if latest[key].is_true is not None)


def _age(answer: Answer) -> tuple[datetime, str]:
    return answer.time, json.dumps(answer.record(), sort_keys=True)
