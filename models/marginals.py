"""Marginals: how unusual each feature of an event is by itself, among all recent events and among those of its kind."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State
from models.columnar import ColumnarDetector

_BINS = 64
_GROUPS = 256
_HUGE = 1e12
#: The three ways of asking: how far right among all events, how far right among its kind, how empty the place is.
VIEWS = 3
_THIN = 4.0  # events that an empty histogram is worth where emptiness is asked


@dataclass(frozen=True)
class Margins:
    """What `Marginals` says of B events of F features, in nats >= 0.

    `nats_BV` has a column for each way of asking, summed over the features; `nats_BF` is the mean over the ways.
    """

    nats_BV: NDArray[np.float64]
    nats_BF: NDArray[np.float64]


class Marginals(ColumnarDetector):
    """-log probability of each feature by decaying histograms, asked in three ways, each summed over the features.

    How far right: P(value or more) among all events, a streaming ECOD (Li et al., TKDE 2022); the same among the events
    of its kind, where a kind that has seen n events answers by its own histogram with weight n and by that of all with
    weight `prior`; and how empty: the share of the events in the value's bin, a streaming HBOS (Goldstein & Dengel, KI
    2012). Features lie in [0, 1], larger is stranger; one that was 0 in all events so far is not asked. Where no kinds
    are told, all events are of one; the score is the sum of the three.

    Parameters
    ----------
    half_life
        Events after which an event's weight has halved.
    prior
        Events that the histogram of all kinds weighs in a kind's answer.

    Examples
    --------
    >>> marginals = Marginals()
    >>> for x in (0.1, 0.2, 0.15, 0.1):
    ...     marginals.learn_one({"x": x})
    >>> marginals.score_one({"x": 0.9}) > marginals.score_one({"x": 0.1})
    True
    """

    def __init__(self, half_life: int = 100_000, prior: float = 10.0) -> None:
        super().__init__()
        self.half_life = half_life
        self.prior = prior
        self._right_GFN = np.zeros((_GROUPS, 0, _BINS))  # mass at a bin or right of it; bin 0 stays empty
        self._weight_G = np.zeros(_GROUPS + 1)  # of the events of each group, and of the next event

    def judge_learn_many(
        self, x_BF: NDArray[np.float64], kind_B: NDArray[np.uint64], weight_B: NDArray[np.float64]
    ) -> Margins:
        """Judge a row, then learn it with its weight in [0, 1], in turn; `kind_B` is a hash of its kind.

        Raises ValueError where the number of features is another than before.
        """
        self._expect(x_BF)
        return self._judged(x_BF, kind_B, weight_B)

    def state(self) -> State:
        """The histograms that hold anything, and the weights."""
        (held_H,) = self._weight_G[:_GROUPS].nonzero()
        return {"groups": held_H, "right": self._right_GFN[held_H], "weight": self._weight_G.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where its arrays do not fit together."""
        if state["right"].shape[2:] != (_BINS,) or state["weight"].shape != (_GROUPS + 1,):
            raise ValueError(f"expected histograms of {_BINS} bins and {_GROUPS + 1} weights")
        self._begin(state["right"].shape[1])
        self._right_GFN[state["groups"]] = state["right"]
        self._weight_G[:] = state["weight"]

    def _plant(self, features: int) -> None:
        self._right_GFN = np.zeros((_GROUPS, features, _BINS))
        self._weight_G[_GROUPS] = 1.0

    def _walk(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        weight_B = weight_B if learn else np.zeros_like(weight_B)
        nats_B: NDArray[np.float64] = self._judged(x_BF, np.ones(len(x_BF), np.uint64), weight_B).nats_BV.sum(axis=1)
        return nats_B

    def _judged(self, x_BF: NDArray[np.float64], kind_B: NDArray[np.uint64], weight_B: NDArray[np.float64]) -> Margins:
        growth = 2.0 ** (1 / self.half_life)
        margins = Margins(np.zeros((x_BF.shape[0], VIEWS)), np.zeros(x_BF.shape))
        _walk(x_BF, kind_B, weight_B, self._right_GFN, self._weight_G, self.prior, growth, *vars(margins).values())
        return margins


@njit(cache=True)
def _walk(
    x_BF: NDArray[np.float64],
    kind_B: NDArray[np.uint64],
    weight_B: NDArray[np.float64],
    right_GFN: NDArray[np.float64],
    weight_G: NDArray[np.float64],
    prior: float,
    growth: float,
    nats_BV: NDArray[np.float64],
    nats_BF: NDArray[np.float64],
) -> None:
    """Group 0 is all events. New events weigh ever more instead of old ones ever less, until the weights grow huge.

    Where nothing was learned yet, an event is as usual as can be.
    """
    groups, _, bins = right_GFN.shape
    for i in range(x_BF.shape[0]):
        group = 1 + int(kind_B[i] % np.uint64(groups - 1))
        one = weight_G[groups]
        learned = one * weight_B[i]
        for f in range(x_BF.shape[1]):
            bin = min(bins - 1, max(0, int(x_BF[i, f] * bins)))
            all_N = right_GFN[0, f]
            if bin == 0 and all_N[1] == 0.0:
                continue  # a feature that nobody has shown yet
            beyond = all_N[bin + 1] if bin + 1 < bins else 0.0
            here = (all_N[bin] if bin else weight_G[0]) - beyond
            if weight_G[0] > 0.0:
                empty = -np.log((max(0.0, here) + _THIN / bins * one) / (weight_G[0] + _THIN * one))
                nats_BV[i, 2] += max(0.0, empty)
                nats_BF[i, f] = max(0.0, empty) / VIEWS
            if bin == 0:
                continue
            among_all = (all_N[bin] + one) / (weight_G[0] + one)
            among_kind = (right_GFN[group, f, bin] + prior * one * among_all) / (weight_G[group] + prior * one)
            nats_BV[i, 0] -= np.log(among_all)
            nats_BV[i, 1] -= np.log(among_kind)
            nats_BF[i, f] -= np.log(among_all * among_kind) / VIEWS
            for below in range(1, bin + 1):
                all_N[below] += learned
                right_GFN[group, f, below] += learned
        weight_G[0] += learned
        weight_G[group] += learned
        weight_G[groups] *= growth ** weight_B[i]
        if weight_G[groups] > _HUGE:
            right_GFN /= weight_G[groups]
            weight_G /= weight_G[groups]
