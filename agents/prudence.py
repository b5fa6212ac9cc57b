"""How much an agent lets each event teach it, and what it makes of a stream that moves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.notices import Notice, of_divergence, of_shift
from features.featurizer import part, under
from features.memory import State
from models.drift import Drift
from models.quota import Quota
from models.reference import Reference

#: Events, counted from the first of the stream, after which what was noticed takes effect.
BLOCK = 4096


class Prudence:
    """A quota of learning, a watch for drift and a frozen reference over one agent's features.

    What leaves the reference, or creeps with one entity, holds the quota: nothing may become more usual than it is.
    Where the world is seen to move, the quota is released and the reference frozen anew. Either takes effect from
    the next block of 4,096 events on, so that no cut of the stream matters; callers never observe across one.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._quota, self._drift, self._reference = Quota(len(names)), Drift(len(names)), Reference(len(names))
        self._seen = 0
        self._relaxes = False

    def until_block(self) -> int:
        """How many more events there are in this block."""
        return BLOCK - self._seen % BLOCK

    def weigh(self, x_BF: NDArray[np.float64], kind_B: NDArray[np.uint64]) -> NDArray[np.float64]:
        """How much each event teaches, (B,) float64 in [0, 1]; features in [0, 1], `kind_B` the hash of its kind."""
        if self._relaxes and self._seen % BLOCK == 0:
            self._quota.release()
            self._reference.freeze()
            self._relaxes = False
        return self._quota.observe(x_BF, kind_B)

    def notice(
        self, x_BF: NDArray[np.float64], score_B: NDArray[np.float64], entity_B: NDArray[np.uint64]
    ) -> list[Notice]:
        """What is to be said of the same events once they have their scores in nats."""
        self._seen += len(x_BF)
        shifts = [of_shift(shift, self._names) for shift in self._drift.observe(x_BF, score_B, entity_B)]
        strays = [of_divergence(one, self._names) for one in self._reference.observe(x_BF, entity_B)]
        found = sorted([*strays, *shifts], key=lambda notice: notice.event)
        for notice in found:
            if notice.learning == "held":
                self._quota.hold(-(-self._seen // BLOCK) * BLOCK)
        self._relaxes |= any(notice.learning == "relaxed" for notice in found)
        return found

    def state(self) -> State:
        """All that is remembered."""
        own: State = {"seen": np.array([self._seen, self._relaxes])}
        parts = under("quota", self._quota.state()) | under("drift", self._drift.state())
        return own | parts | under("reference", self._reference.state())

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._quota.restore(part(state, "quota"))
        self._drift.restore(part(state, "drift"))
        self._reference.restore(part(state, "reference"))
        self._seen, self._relaxes = int(state["seen"][0]), bool(state["seen"][1])
