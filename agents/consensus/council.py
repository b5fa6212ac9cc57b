"""The council: hears every agent's verdicts and ranks what people should look at."""

from datetime import timedelta

import numpy as np
import polars as pl

from agents.consensus.bonds import Bonds, bonds_of
from agents.consensus.evidence import Evidence, noted
from agents.consensus.gathering import Gathered, gather
from agents.consensus.records import DOER, Records
from agents.consensus.tactics import tactics_of
from agents.consensus.threats import Entity, Reason, Threat
from features.events import Domain
from features.memory import State

_REASONS = 10
_OF_ONE = 3
_WITNESSES = 50


class Council:
    """Holds evidence of all domains and gathers it into threats; evidence fades by half every `half_life`."""

    def __init__(self, half_life: timedelta = timedelta(days=30)) -> None:
        self._half_life = half_life
        self._evidence = Evidence()
        self._records = Records()

    def hear(self, verdicts: pl.DataFrame) -> None:
        """Take note of a batch of verdicts."""
        heard = noted(verdicts)
        self._records.enter(heard)
        self._evidence.hear(heard)

    def rank(self, most: int = 50) -> list[Threat]:
        """The `most` threats that weigh most as of the newest thing held."""
        things = self._evidence.held()
        if things.is_empty():
            return []
        age = (things["last_time"].max() - things["last_time"]) / self._half_life
        bonds = bonds_of(things, np.power(0.5, age.to_numpy()), self._records)
        return [self._threat(n, found, bonds, things) for n, found in enumerate(gather(bonds, most), start=1)]

    def state(self) -> tuple[State, dict[str, pl.DataFrame]]:
        """All that was heard, as arrays and frames."""
        return self._records.state(), self._evidence.state()

    def restore(self, arrays: State, frames: dict[str, pl.DataFrame]) -> None:
        """Go on from `state`."""
        self._records.restore(arrays)
        self._evidence.restore(frames)

    def _threat(self, rank: int, found: Gathered, bonds: Bonds, things: pl.DataFrame) -> Threat:
        witnesses = things[found.telling]
        domains = {d.value: round(float(nats), 3) for d, nats in zip(Domain, found.nats_D, strict=True) if nats}
        return Threat(
            rank=rank,
            score=round(float(found.nats_D.sum()), 3),
            entities=tuple(Entity(*bonds.names[entity], round(nats, 3)) for entity, nats in found.entities),
            first_time=witnesses["first_time"].min(),  # type: ignore[arg-type]  # a datetime column
            last_time=witnesses["last_time"].max(),  # type: ignore[arg-type]  # a datetime column
            domains=dict(sorted(domains.items(), key=lambda item: -item[1])),
            tactics=tactics_of(witnesses),
            reasons=_reasons(witnesses.with_columns(odd=pl.Series(self._records.oddness(witnesses)))),
            evidence=witnesses.head(_WITNESSES).drop("field", "value"),
        )


def _reasons(witnesses: pl.DataFrame) -> tuple[Reason, ...]:
    """What the oddest doers did, at most three things of each; a doer's strangest things first."""
    doer = pl.coalesce(DOER).alias("doer")
    ordered = witnesses.with_columns(doer).sort("odd", "doer", "evidence", descending=True, maintain_order=True)
    few = ordered.filter(pl.int_range(pl.len()).over("doer") < _OF_ONE).head(_REASONS)
    told = few.select("domain", "activity", "field", "value", "evidence", "process", "user", "host", "address")
    return tuple(Reason(*row) for row in told.iter_rows())
