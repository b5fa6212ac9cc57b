"""Ranked threats out of scored logs, as values, as a file, and in words."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from agents.consensus.council import Council
from agents.consensus.threats import Reason, Threat
from serving.scoring import Kept, Scored, keep_beside

#: The columns of `in_words`.
HEADINGS = ("rank", "score", "who, when and why")

_SHOWN = 5


def rank(scored: Scored, most: int = 50) -> list[Threat]:
    """The `most` threats that weigh most, as of the newest event; the verdicts are heard in the order of the log."""
    council = Council()
    council.hear(scored.verdicts.sort("seq"))
    return council.rank(most)


def keep_threats(threats: Sequence[Threat], scored: Scored, output: Path) -> Kept:
    """Write the threats as JSON, and the refused records beside them; all text is ASCII, so it is safe to print."""
    page = json.dumps([threat.record() for threat in threats], indent=1, allow_nan=False) + "\n"

    def write(file: IO[bytes]) -> None:
        file.write(page.encode())

    return keep_beside(scored.refused, output, write)


def in_words(threat: Threat) -> tuple[list[str], ...]:
    """A threat as people read it: the lines of its rank, its score, and who, when and why."""
    who = ", ".join(f"{entity.kind} {entity.name}" for entity in threat.entities[:_SHOWN])
    when = f"{threat.first_time:%Y-%m-%d %H:%M:%S} to {threat.last_time:%Y-%m-%d %H:%M:%S} UTC"
    why = [f"- {reason_in_words(reason)}" for reason in threat.reasons[:_SHOWN]]
    return [str(threat.rank)], [f"{threat.score:.1f}"], [who, ", ".join([when, *threat.tactics]), *why]


def reason_in_words(reason: Reason) -> str:
    """What was strange, as an analyst says it.

    >>> reason_in_words(Reason("dns", "query", "site", "evil.example", 5.0, None, None, "ws7", None))
    'query on ws7: unusual site, evil.example (dns, 5.0 nats)'
    """
    link = " of " if reason.activity == "launch" else " by "  # a launch names the process it brings to life
    deed = link.join(word for word in (reason.activity, reason.process) if word) or "an event"
    place = f" on {reason.host}" if reason.host else f" from {reason.address}" if reason.address else ""
    strange = ", ".join(word for word in (f"unusual {reason.field or 'as a whole'}", reason.value) if word)
    return f"{deed}{place}: {strange} ({reason.domain}, {reason.nats:.1f} nats)"
