"""Neighbours: how far an event lies from the part of what was seen before that is nearest to it."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State
from models.columnar import ColumnarDetector

_NOWHERE = 1e6  # where a prototype lies that stands for nothing yet
_HALVINGS = 32  # after which all masses are scaled down, exactly
_HUGE = 2.0 ** (_HALVINGS - 0.5)  # unless events weighed little
_FEW = 8  # neighbours that are looked for one by one, before all are put in order
_SLOWEST = 0.01  # a prototype goes at least this share of the way to what it takes in


class Neighbours(ColumnarDetector):
    """A bounded memory of prototypes, each with the fading mass of the events that it stands for.

    An event within `radius` of its nearest prototype moves it and adds to its mass; another becomes a prototype in
    place of the faintest, as in DenStream (Cao et al., SDM 2006). The score is the mean distance to the nearest `share`
    of all mass: the distance to a measure (Chazal, Cohen-Steiner & Merigot, Found. Comput. Math. 11, 2011), a distance
    to the k-th neighbour that a few strange neighbours do not fool. 0 and more, larger is stranger; events that lie
    beyond [0, 1] count as at its ends.

    Parameters
    ----------
    n_prototypes
        The most prototypes.
    radius
        Distance within which an event belongs to a prototype.
    share
        The part of all mass to which the distance is taken.
    half_life
        Events after which an event's weight has halved.

    Examples
    --------
    >>> near = Neighbours()
    >>> for x in (0.1, 0.2, 0.15, 0.1):
    ...     near.learn_one({"x": x})
    >>> round(near.score_one({"x": 0.9}), 2)
    0.7
    """

    def __init__(
        self, n_prototypes: int = 256, radius: float = 0.05, share: float = 0.01, half_life: int = 100_000
    ) -> None:
        super().__init__()
        self.n_prototypes = n_prototypes
        self.radius = radius
        self.share = share
        self.half_life = half_life
        self._mass_M = np.zeros(n_prototypes)
        self._weight_2 = np.array([0.0, 1.0])  # of all events so far, and of the next
        self._seen = np.zeros(1, np.int64)
        self._plant(0)

    def state(self) -> State:
        """The prototypes and their masses."""
        prototypes = {"centre": self._centre_FM.copy(), "mass": self._mass_M.copy()}
        return prototypes | {"weight": self._weight_2.copy(), "seen": self._seen.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of another number of prototypes."""
        if {state["mass"].size, state["centre"].shape[1]} != {self.n_prototypes}:
            raise ValueError(f"expected {self.n_prototypes} prototypes, got {state['mass'].size}")
        self._begin(len(state["centre"]))
        self._centre_FM[:], self._mass_M[:] = state["centre"], state["mass"]
        self._weight_2[:], self._seen[:] = state["weight"], state["seen"]

    def _plant(self, features: int) -> None:
        self._centre_FM = np.full((features, self.n_prototypes), _NOWHERE)

    def _walk(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        memory = self._centre_FM, self._mass_M, self._weight_2, self._seen
        return _walk(np.clip(x_BF, 0.0, 1.0), weight_B, *memory, self.radius, self.share, self.half_life, learn)


@njit(cache=True)
def _walk(
    x_BF: NDArray[np.float64],
    weight_B: NDArray[np.float64],
    centre_FM: NDArray[np.float64],
    mass_M: NDArray[np.float64],
    weight_2: NDArray[np.float64],
    seen: NDArray[np.int64],
    radius: float,
    share: float,
    half_life: int,
    learn: bool,
) -> NDArray[np.float64]:
    """New events weigh ever more instead of old ones ever less."""
    score_B = np.zeros(x_BF.shape[0])
    squared_M = np.empty(mass_M.size)
    growth, period = 2.0 ** (1.0 / half_life), half_life * _HALVINGS
    for i in range(x_BF.shape[0]):
        _measure(x_BF[i], centre_FM, squared_M)
        nearest = _least(squared_M)
        distance = squared_M[nearest] ** 0.5
        total, one = weight_2
        if total > 0.0:
            score_B[i] = _mean_distance(squared_M, mass_M, share * total)
        if learn:
            if weight_B[i] > 0.0:
                learned = one * weight_B[i]
                _learn(x_BF[i], nearest if distance <= radius else -1, centre_FM, mass_M, learned)
                weight_2[0], weight_2[1] = total + learned, one * growth ** weight_B[i]
            seen[0] += 1
            if seen[0] % period == 0 and weight_2[1] > _HUGE:
                mass_M *= 0.5**_HALVINGS
                weight_2 *= 0.5**_HALVINGS
    return score_B


@njit(cache=True)
def _measure(x_F: NDArray[np.float64], centre_FM: NDArray[np.float64], squared_M: NDArray[np.float64]) -> None:
    """The squared distances to all prototypes."""
    squared_M[:] = 0.0
    for f in range(x_F.size):
        x, centre_M = x_F[f], centre_FM[f]
        for m in range(squared_M.size):
            away = x - centre_M[m]
            squared_M[m] += away * away


@njit(cache=True)
def _mean_distance(squared_M: NDArray[np.float64], mass_M: NDArray[np.float64], wanted: float) -> float:
    """The mean distance to the nearest `wanted` mass; `squared_M` is used up."""
    got, far = 0.0, 0.0
    for _ in range(_FEW):
        nearest = _least(squared_M)
        some = min(mass_M[nearest], wanted - got)
        got, far = got + some, far + some * squared_M[nearest] ** 0.5
        if got >= wanted:
            return float(far / wanted)
        squared_M[nearest] = np.inf
    for nearest in np.argsort(squared_M):
        some = min(mass_M[nearest], wanted - got)
        if some > 0.0:
            got, far = got + some, far + some * squared_M[nearest] ** 0.5
    return float(far / wanted)


@njit(cache=True)
def _learn(
    x_F: NDArray[np.float64],
    nearest: int,
    centre_FM: NDArray[np.float64],
    mass_M: NDArray[np.float64],
    one: float,
) -> None:
    """The prototype `nearest` takes the event in, or, where it is -1, the faintest gives way to it."""
    if nearest >= 0:
        mass_M[nearest] += one
        step = max(_SLOWEST, one / mass_M[nearest])
        for f in range(x_F.size):
            centre_FM[f, nearest] += step * (x_F[f] - centre_FM[f, nearest])
    else:
        faintest = _least(mass_M)
        mass_M[faintest] = one
        centre_FM[:, faintest] = x_F


@njit(cache=True, fastmath={"nnan", "nsz"})  # a least value the compiler can look for in several places at once
def _least(value_M: NDArray[np.float64]) -> int:
    least = value_M[0]
    for m in range(value_M.size):
        least = min(least, value_M[m])
    for m in range(value_M.size):
        if value_M[m] == least:
            return m
    return 0
