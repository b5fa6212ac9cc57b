"""From any score to the probability that something recent and normal scores as much."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State

_BINS = 512
_PER_NAT = 80.0  # bins in a factor e of (1 + score)
_HUGE = 1e12
_TAIL = 0.02  # share of the scores that the tail is fitted to,
_LEAST = 10.0  # and how many of them there must be


class Calibrator:
    """A streaming tail probability: rank among recent scores, beyond them an exponential tail.

    p = P(score or more) by a decaying histogram, counting the event itself, so that p is super-uniform on a
    stationary stream up to the tail's fit. Past the highest 2 % of scores, where ranks run out, the excess follows an
    exponential law of unknown mean: with k scores there, p = (k + 1) / (n + 1) (1 + excess / (k mean))^-k, the
    predictive (Lomax) tail, which promises little while k is small. Scores that many events share are left out of
    the tail, and while it would have fewer than ten scores p is the rank alone. Scores are >= 0.
    """

    def __init__(self, half_life: int = 100_000) -> None:
        self._growth = 2.0 ** (1 / half_life)
        self._mass_N = np.zeros(_BINS)
        self._sum_N = np.zeros(_BINS)
        self._weight = np.array([1.0, 0.0])  # of the next score, of all before it

    def observe(self, score_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tail probability of each score in (0, 1], (B,) float64: look first, remember second."""
        return _tail(score_B, self._mass_N, self._sum_N, self._weight, self._growth)

    def state(self) -> State:
        """Histogram, sums of scores by bin, weights."""
        return {"mass": self._mass_N.copy(), "sum": self._sum_N.copy(), "weight": self._weight.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._mass_N[:] = state["mass"]
        self._sum_N[:] = state["sum"]
        self._weight[:] = state["weight"]


@njit(cache=True)
def _tail(
    score_B: NDArray[np.float64],
    mass_N: NDArray[np.float64],
    sum_N: NDArray[np.float64],
    weight: NDArray[np.float64],
    growth: float,
) -> NDArray[np.float64]:
    p_B = np.empty(score_B.size)
    bins = mass_N.size
    for i in range(score_B.size):
        score = score_B[i]
        bin = min(bins - 1, int(np.log1p(score) * _PER_NAT))
        above = mass_N[bin:].sum() / weight[0]
        count = weight[1] / weight[0]
        p = (above + 1.0) / (count + 1.0)
        if above < _TAIL * count and _TAIL * count >= _LEAST:
            p = min(p, max(_beyond(score, mass_N, sum_N, weight), above / (count + 1.0)))
        p_B[i] = min(1.0, p)  # sums in another order may end a bit above 1
        mass_N[bin] += weight[0]
        sum_N[bin] += score * weight[0]
        weight[1] += weight[0]
        weight[0] *= growth
        if weight[0] > _HUGE:
            mass_N /= weight[0]
            sum_N /= weight[0]
            weight /= weight[0]
    return p_B


@njit(cache=True)
def _beyond(
    score: float, mass_N: NDArray[np.float64], sum_N: NDArray[np.float64], weight: NDArray[np.float64]
) -> float:
    """The predictive tail above the highest bins that hold 2 % of the scores, or nearly; 1 where there is none."""
    wanted = _TAIL * weight[1]
    first, mass, total = mass_N.size, 0.0, 0.0
    while mass < wanted and mass + mass_N[first - 1] < 2.0 * wanted:
        first -= 1
        mass += mass_N[first]
        total += sum_N[first]
    start = np.expm1(first / _PER_NAT)
    k = mass / weight[0]
    if k <= 1.0 or score < start:
        return 1.0
    mean = max(total / mass - start, 1e-9)
    tail: float = (k + 1.0) / (weight[1] / weight[0] + 1.0) * (1.0 + (score - start) / (k * mean)) ** -k
    return tail
