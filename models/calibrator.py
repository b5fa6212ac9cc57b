"""From any score to the probability that something recent and normal scores as much."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State

_PER_OCTAVE = 128  # bins in a factor 2 of (1 + score)
_BINS = 8 * _PER_OCTAVE
_MOST = 2.0**8 - 1.0  # what a score is learned as at most
_HUGE = 1e12
_TAIL = 0.02  # share of the scores that the tail is fitted to, at most twice this,
_LEAST = 10  # and how many of them there must be, in as many bins
_RANKED = 10.0  # scores as high: from here on the tail may not fall below their share
_LOWEST, _HIGHEST = -0.5, 0.5  # a tail's shape
_EXPECTED, _EXPECTED_WEIGHT = 0.1, 20.0  # shape, and how many excesses that is worth
_UNSURE = 2.0  # how much heavier one excess makes the tail than the shape fitted to infinitely many

_ONE, _ALL, _EVER = 0, 1, 2  # weight of the next score, of those remembered, of all there were, none forgotten


class Calibrator:
    """A streaming tail probability: rank among recent scores, beyond them a generalised Pareto tail.

    Ranks come from a decaying histogram: with n scores, p = (those as high + 1) / (n + 1), so that p is super-uniform
    on a stationary stream whatever its distribution, ties included. Above a threshold that the highest 2 to 4 % pass,
    k excesses follow a generalised Pareto law (peaks over threshold, Siffer et al., KDD 2017), fitted by
    probability-weighted moments (Hosking and Wallis, Technometrics 1987), its shape within [-0.5, 0.5], drawn to 0.1
    where k is small, and made heavier by 2 / k, as not knowing it does to what is predicted. That law is believed
    but for one part in k + 1, which stays with the rank, so no p is below `least`.

    Old scores weigh less: by half for each `half_life` of later ones, and, since a stream's first events are stranger
    than what follows, at first even less, the i-th score weighing i. `count` is the n above, so weighed: half of the
    scores, until a half-life is reached. Scores learned with less weight count for less, too, so n never says more
    than is known, and p is then right for the stream as it was learned. Scores are >= 0, learned as at most 255.

    Examples
    --------
    >>> calibrator = Calibrator()
    >>> calibrator.observe(np.array([5.0, 1.0, 9.0])).round(2).tolist()
    [1.0, 1.0, 0.5]
    >>> calibrator.count, round(calibrator.least, 2)
    (1.5, 0.4)
    """

    def __init__(self, half_life: int = 100_000) -> None:
        self._fade = 2.0 ** (1 / half_life) - 1.0
        self._mass_N = np.zeros(_BINS)
        self._sum_N = np.zeros(_BINS)
        self._tree_N = np.zeros(_BINS + 1)  # Fenwick's, of masses from the highest bin down
        self._weight = np.array([1.0, 0.0, 0.0])

    @property
    def count(self) -> float:
        """How many scores the answers rest on now, each by the weight it was learned with and has kept."""
        return float(self._weight[_ALL] / self._weight[_ONE])

    @property
    def least(self) -> float:
        """The smallest p that any score could get now: 1 / (n + 1), k + 1 times less where a tail has k excesses."""
        _, k, scale, _ = _fit(self._mass_N, self._sum_N, self._weight)
        return 1.0 / (self.count + 1.0) / (k + 1.0 if scale > 0.0 else 1.0)

    def observe(self, score_B: NDArray[np.float64], weight_B: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Tail probability of each score in (0, 1], (B,) float64: look first, remember second.

        `weight_B` in [0, 1] says how much of each score is learned, all of it by default; 0 changes nothing.
        """
        weight_B = np.ones(score_B.size) if weight_B is None else weight_B
        return _walk(score_B, weight_B, self._mass_N, self._sum_N, self._tree_N, self._weight, self._fade)

    def state(self) -> State:
        """Histogram, sums of scores by bin, sums of bins, weights."""
        return {
            "mass": self._mass_N.copy(),
            "sum": self._sum_N.copy(),
            "tree": self._tree_N.copy(),
            "weight": self._weight.copy(),
        }

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where its arrays are not of this calibrator's sizes."""
        if state["mass"].shape != (_BINS,) or state["weight"].shape != self._weight.shape:
            raise ValueError(f"expected a histogram of {_BINS} bins and {self._weight.size} weights")
        self._mass_N[:] = state["mass"]
        self._sum_N[:] = state["sum"]
        self._tree_N[:] = state["tree"]
        self._weight[:] = state["weight"]


@njit(cache=True)
def _walk(
    score_B: NDArray[np.float64],
    weight_B: NDArray[np.float64],
    mass_N: NDArray[np.float64],
    sum_N: NDArray[np.float64],
    tree_N: NDArray[np.float64],
    weight: NDArray[np.float64],
    fade: float,
) -> NDArray[np.float64]:
    """New scores weigh ever more instead of old ones ever less, until the weights grow huge."""
    p_B = np.empty(score_B.size)
    for i in range(score_B.size):
        score = max(0.0, score_B[i])
        bin = _bin(score)
        p_B[i] = _probability(score, bin, mass_N, sum_N, tree_N, weight)
        learned = weight_B[i] * weight[_ONE]
        if learned > 0.0:
            mass_N[bin] += learned
            sum_N[bin] += min(score, _MOST) * learned
            _add(tree_N, bin, learned)
            weight[_ALL] += learned
            weight[_EVER] += weight_B[i]
            weight[_ONE] *= 1.0 + weight_B[i] * max(fade, 1.0 / weight[_EVER])
        if weight[_ONE] > _HUGE:
            mass_N /= weight[_ONE]
            sum_N /= weight[_ONE]
            tree_N /= weight[_ONE]
            weight[:_EVER] /= weight[_ONE]
    return p_B


@njit(cache=True)
def _probability(
    score: float,
    bin: int,
    mass_N: NDArray[np.float64],
    sum_N: NDArray[np.float64],
    tree_N: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> float:
    above, everything = _above(tree_N, bin), weight[_ALL] + weight[_ONE]  # the event itself among them
    p = (above + weight[_ONE]) / everything
    if above < _TAIL * weight[_ALL]:
        start, k, scale, shape = _fit(mass_N, sum_N, weight)
        if scale > 0.0:
            doubt = 1.0 / (k + 1.0)
            beyond = (k + 1.0 - doubt) * _beyond(max(0.0, score - start) / scale, shape + _UNSURE / k) + doubt
            p = beyond * weight[_ONE] / everything
            if above >= _RANKED * weight[_ONE]:
                p = max(p, above / everything)
    answer: float = min(1.0, p)  # sums in another order may end a bit above 1
    return answer


@njit(cache=True)
def _fit(
    mass_N: NDArray[np.float64], sum_N: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Threshold, number of excesses, scale and shape of the tail; the scale is 0 where there is none.

    a is the mean excess, b that of excess x share of excesses above it: shape = 2 - a / (a - 2 b). Where the shape is
    not left as fitted, the scale keeps the mean.
    """
    wanted, one = _TAIL * weight[_ALL], weight[_ONE]
    first, held, mass, total, lower, paired = _BINS, 0, 0.0, 0.0, 0.0, 0.0
    while first > 0 and mass < wanted and mass + mass_N[first - 1] < 2.0 * wanted:
        first -= 1
        if mass_N[first] > 0.0:
            higher = mass + max(0.0, mass_N[first] - one) / 2.0
            paired += sum_N[first] * higher
            lower += mass_N[first] * higher
            mass += mass_N[first]
            total += sum_N[first]
            held += 1
    start = 2.0 ** (first // _PER_OCTAVE) * (1.0 + (first % _PER_OCTAVE) / _PER_OCTAVE) - 1.0
    k = mass / one
    if k < _LEAST or held < _LEAST:
        return start, k, 0.0, 0.0
    a = total / mass - start
    b = (paired - start * lower) / (mass * (mass - one))
    shape = 2.0 - a / max(a - 2.0 * b, 1e-9 * a)
    shape = (k * shape + _EXPECTED_WEIGHT * _EXPECTED) / (k + _EXPECTED_WEIGHT)
    shape = min(_HIGHEST, max(_LOWEST, shape))
    return start, k, a * (1.0 - shape), shape


@njit(cache=True)
def _beyond(excess: float, shape: float) -> float:
    """Share of a generalised Pareto law of scale 1 that is above `excess`."""
    if abs(shape) < 1e-9:
        return math.exp(-excess)
    left = 1.0 + shape * excess
    return float(left ** (-1.0 / shape)) if left > 0.0 else 0.0


@njit(cache=True)
def _bin(score: float) -> int:
    """Bins split each factor of two of 1 + score evenly, as the bits of a float do."""
    half, octave = math.frexp(1.0 + min(score, _MOST))  # 1 + score = half x 2^octave, half in [0.5, 1)
    return min(_BINS - 1, (octave - 1) * _PER_OCTAVE + int((2.0 * half - 1.0) * _PER_OCTAVE))


@njit(cache=True)
def _above(tree_N: NDArray[np.float64], bin: int) -> float:
    """The mass of a bin and all above it."""
    mass, node = 0.0, _BINS - bin
    while node > 0:
        mass += tree_N[node]
        node -= node & -node
    return mass


@njit(cache=True)
def _add(tree_N: NDArray[np.float64], bin: int, mass: float) -> None:
    node = _BINS - bin
    while node <= _BINS:
        tree_N[node] += mass
        node += node & -node
