"""Right tails: how far out among recent events of its kind each feature of an event lies."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from river import base

from features.memory import State

_BINS = 64
_GROUPS = 256
_HUGE = 1e12


class RightTails(base.AnomalyDetector):
    """-log P(value or more) of each feature, from decaying histograms: a streaming ECOD (Li et al., TKDE 2022).

    Each event may belong to a group (its kind); a group that has seen n events answers by its own histogram with
    weight n and by that of all events with weight `prior`. Features lie in [0, 1], larger is stranger; by name they
    are fixed by the first event, and a missing one counts as 0. The score is the sum over the features, in nats.

    Parameters
    ----------
    half_life
        Events after which an event's weight has halved.
    prior
        Events that the histogram of all groups weighs in a group's answer.

    Examples
    --------
    >>> tails = RightTails()
    >>> for x in (0.1, 0.2, 0.15, 0.1):
    ...     tails.learn_one({"x": x})
    >>> round(tails.score_one({"x": 0.9}), 2)
    1.95
    """

    def __init__(self, half_life: int = 100_000, prior: float = 10.0) -> None:
        self.half_life = half_life
        self.prior = prior
        self._names: list[Hashable] | None = None
        self._mass_GFN = np.zeros((_GROUPS, 0, _BINS))
        self._weight_G = np.zeros(_GROUPS + 1)  # of the events of each group, and of the next event

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """The score of one event, in nats."""
        if self._names is None:
            return 0.0
        return float(self._walk(self._row(x), np.ones(1, np.uint64), learn=False).sum())

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Count one event in."""
        if self._names is None:
            self._names = sorted(x, key=str)
        self._walk(self._row(x), np.ones(1, np.uint64), learn=True)

    def score_learn_many(
        self, x_BF: NDArray[np.float32 | np.float64], kind_B: NDArray[np.uint64]
    ) -> NDArray[np.float64]:
        """Nats by feature, (B, F) float64: score a row, then learn it, in turn; `kind_B` is a hash of its kind."""
        return self._walk(x_BF.astype(np.float64), kind_B, learn=True)

    def state(self) -> State:
        """The histograms that hold anything, and the weights."""
        (held_H,) = self._weight_G[:_GROUPS].nonzero()
        return {"groups": held_H, "mass": self._mass_GFN[held_H], "weight": self._weight_G.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where its arrays do not fit together."""
        if state["mass"].shape[2:] != (_BINS,) or state["weight"].shape != (_GROUPS + 1,):
            raise ValueError(f"expected histograms of {_BINS} bins and {_GROUPS + 1} weights")
        self._mass_GFN = np.zeros((_GROUPS, state["mass"].shape[1], _BINS))
        self._mass_GFN[state["groups"]] = state["mass"]
        self._weight_G[:] = state["weight"]

    def _row(self, x: dict[Hashable, Any]) -> NDArray[np.float64]:
        return np.array([[float(x.get(name, 0.0)) for name in self._names or ()]])

    def _walk(self, x_BF: NDArray[np.float64], kind_B: NDArray[np.uint64], *, learn: bool) -> NDArray[np.float64]:
        if not self._weight_G[_GROUPS]:
            self._mass_GFN = np.zeros((_GROUPS, x_BF.shape[1], _BINS))
            self._weight_G[_GROUPS] = 1.0
        if x_BF.shape[1] != self._mass_GFN.shape[1]:
            raise ValueError(
                f"expected {self._mass_GFN.shape[1]} features as in the events before, got {x_BF.shape[1]}"
            )
        growth = 2.0 ** (1 / self.half_life)
        return _walk(x_BF, kind_B, self._mass_GFN, self._weight_G, self.prior, growth, learn)


@njit(cache=True)
def _walk(
    x_BF: NDArray[np.float64],
    kind_B: NDArray[np.uint64],
    mass_GFN: NDArray[np.float64],
    weight_G: NDArray[np.float64],
    prior: float,
    growth: float,
    learn: bool,
) -> NDArray[np.float64]:
    """Group 0 is all events. New events weigh ever more instead of old ones ever less, until the weights grow huge."""
    nats_BF = np.empty(x_BF.shape)
    groups, _, bins = mass_GFN.shape
    for i in range(x_BF.shape[0]):
        group = 1 + int(kind_B[i] % np.uint64(groups - 1))
        one = weight_G[groups]
        for f in range(x_BF.shape[1]):
            bin = min(bins - 1, max(0, int(x_BF[i, f] * bins)))
            among_all = (mass_GFN[0, f, bin:].sum() + one) / (weight_G[0] + one)
            own = mass_GFN[group, f, bin:].sum()
            p = (own + prior * one * among_all) / (weight_G[group] + prior * one)
            nats_BF[i, f] = -np.log(p)
            if learn:
                mass_GFN[0, f, bin] += one
                mass_GFN[group, f, bin] += one
        if learn:
            weight_G[0] += one
            weight_G[group] += one
            weight_G[groups] *= growth
            if weight_G[groups] > _HUGE:
                mass_GFN /= weight_G[groups]
                weight_G /= weight_G[groups]
    return nats_BF
