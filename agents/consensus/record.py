"""The record: how many verdicts each agent has given lately, and so how much of an alarm one can be at most."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.consensus.evidence import MOST
from features.events import Domain
from features.memory import State

_DAYS = 64
_HALF = 30.0  # half-life of a verdict in the record, in days
_SLACK = 2.0  # nats more than the record allows by itself
_BEFORE = 10_000.0  # verdicts that an agent is taken to have given before it is known
_DAY = 86_400_000_000
_NAMES = [domain.value for domain in Domain]


class Record:
    """Verdicts by agent and day, of the latest 64 days; it depends on the log alone, not on the batches it came in."""

    def __init__(self) -> None:
        self._count_DW = np.zeros((len(_NAMES), _DAYS), np.int64)
        self._newest = np.array([-1], np.int64)

    def enter(self, verdicts: pl.DataFrame) -> None:
        """Count verdicts, in the order of the log."""
        days = pl.col("time").dt.epoch("us") // _DAY
        told = verdicts.select(day=days, agent=pl.col("domain").replace_strict(_NAMES, range(len(_NAMES))))
        counted = told.group_by("agent", "day").len().filter(pl.col("day") > self._move_on(told["day"].max()))
        agent_K, day_K, count_K = (counted[name].to_numpy() for name in counted.columns)
        self._count_DW[agent_K, day_K % _DAYS] += count_K

    def share(self, things: pl.DataFrame) -> NDArray[np.float64]:
        """How much of its evidence each held thing is worth, (N,) float64 in [0, 1].

        Of n verdicts of an agent that is calibrated, the k-th strangest has a p of about k / n. So a thing that is its
        agent's k-th counts log((n + 1) / k) nats at most, and 2 more; of equals each is the last. An agent that cries
        wolf, whatever it says, is believed no more than one that is right as seldom as it speaks.
        """
        age_W = (self._newest[0] - np.arange(_DAYS)) % _DAYS
        known_D = _BEFORE + self._count_DW @ np.exp2(-age_W / _HALF)
        evidence = pl.col("evidence").clip(upper_bound=MOST)
        place = evidence.rank("max", descending=True).over("domain")
        known = pl.col("domain").replace_strict(_NAMES, known_D)
        most = ((known + 1.0) / place).log() + _SLACK
        found = things.select(pl.min_horizontal(1.0, most.clip(0.0) / pl.col("evidence").clip(1e-9)))
        share_N: NDArray[np.float64] = found.to_series().to_numpy()
        return share_N

    def state(self) -> State:
        """The counts, and the newest day."""
        return {"record": self._count_DW.copy(), "record.newest": self._newest.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._count_DW[:] = state["record"]
        self._newest[:] = state["record.newest"]

    def _move_on(self, day: object) -> int:
        """Come to a day, forgetting those that are too old; the last one that is."""
        newest = int(self._newest[0])
        if isinstance(day, int) and day > newest:
            gone_W = np.arange(max(newest + 1, day - _DAYS + 1), day + 1) % _DAYS
            self._count_DW[:, gone_W] = 0
            self._newest[0] = newest = day
        return newest - _DAYS
