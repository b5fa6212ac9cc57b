"""Ranked threats out of scored logs, as values, as a file, and in words."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import IO

import polars as pl

from agents.consensus.council import CUT, Council, Cut
from agents.consensus.guidance import NOTHING_SAID, Guidance
from agents.consensus.threats import Reason, Threat
from agents.wording import doer, shown, worded
from serving.batch.outputs import Kept, keep_beside
from serving.batch.scoring import Scored
from serving.threats.docket import Criticality, Docket

#: The columns of `in_words`.
HEADINGS = ("rank", "score", "who, when and why")

_SHOWN = 5


def rank(scored: Scored, most: int = 50, alpha: float = CUT.alpha, budget: int = CUT.budget) -> list[Threat]:
    """The `most` threats that weigh most, as of the newest event; the verdicts are heard in the order of the log.

    Listed are those within a share `alpha` of false threats and a `budget` a day.
    """
    return threats_of(docket_of(scored, most, Cut(alpha, budget)))


def docket_of(
    scored: Scored, most: int = 50, cut: Cut = CUT, criticality: Criticality = MappingProxyType({})
) -> Docket:
    """What the council heard, and how its threats are to be ranked (see `rank`)."""
    council = Council()
    council.hear(scored.verdicts.sort("seq"))
    return Docket(council, scored.spellings, criticality, scored.verdicts.height, most, cut)


def threats_of(docket: Docket, guidance: Guidance = NOTHING_SAID) -> list[Threat]:
    """The threats on a docket as `guidance` has them."""
    threats = docket.council.rank(docket.most, guidance, docket.cut)
    return [spelled(threat, docket.spellings) for threat in threats]


def keep_threats(threats: Sequence[Threat], scored: Scored, output: Path) -> Kept:
    """Write the threats as JSON, and the refused records beside them; all text is ASCII, so it is safe to print."""
    page = json.dumps([threat.record() for threat in threats], indent=1, allow_nan=False) + "\n"

    def write(file: IO[bytes]) -> None:
        file.write(page.encode())

    return keep_beside(scored.refused, output, write)


def spelled(threat: Threat, spellings: pl.DataFrame) -> Threat:
    """The same threat, each entity with the name that people will find in the log."""
    wanted = pl.DataFrame({"name": [entity.name for entity in threat.entities]})
    rows = spellings.join(wanted, on="name", how="semi").rows()
    written = {(kind, name): raw for kind, name, raw in rows}
    entities = (replace(one, written=written.get((one.kind, one.name))) for one in threat.entities)
    return replace(threat, entities=tuple(entities))


def in_words(threat: Threat) -> tuple[list[str], ...]:
    """A threat as people read it: its rank (in brackets below the cut) and id, its score, and who, when and why."""
    why = [_told(reason) for reason in threat.reasons[:_SHOWN]]
    rank = str(threat.rank) if threat.listed else f"({threat.rank})"
    next_ = [f"likely next: {tactic} ({chance:.0%})" for tactic, chance in threat.expected[:1]]
    return [rank, threat.id], [f"{threat.score:.1f}"], [who_of(threat), when_of(threat), *next_, *why]


def who_of(threat: Threat) -> str:
    """Who or what a threat is about, the strangest first."""
    return ", ".join(f"{entity.kind} {shown(entity.written or entity.name)}" for entity in threat.entities[:_SHOWN])


def when_of(threat: Threat) -> str:
    """From when to when, and what it shows of tactics."""
    when = f"{threat.first_time:%Y-%m-%d %H:%M:%S} to {threat.last_time:%Y-%m-%d %H:%M:%S} UTC"
    return ", ".join([when, *threat.tactics])


def _told(reason: Reason) -> str:
    who = doer(reason)
    return f"{reason.nats:4.1f}  {worded(reason)}" + (f" ({who})" if who else "")
