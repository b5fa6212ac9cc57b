"""Detectors that walk a matrix of features, spoken to by name, an event at a time, as River speaks."""

from abc import abstractmethod
from collections.abc import Hashable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from river import base


class ColumnarDetector(base.AnomalyDetector):
    """A detector of one compiled walk over rows.

    By name, features are fixed by the first event that is learned, in the order of their sorted names; a missing one
    counts as 0, others are not seen. Features lie in [0, 1].
    """

    def __init__(self) -> None:
        self.n_features = 0
        self._names: list[Hashable] | None = None

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """The score of one event; 0 before anything was learned."""
        return float(self._walked(self._row(x), np.ones(1), learn=False)[0])

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Count one event in."""
        if self._names is None:
            self._names = sorted(x, key=str)
        self._walked(self._row(x), np.ones(1), learn=True)

    def score_learn_many(
        self, x_BF: NDArray[np.float32 | np.float64], weight_B: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score each row, then learn it, in turn: (B,) float64; any cut into calls gives the same bits.

        `weight_B` in [0, 1] says how much of each row is learned, all of it by default; 0 changes no score to come.
        """
        weight_B = np.ones(len(x_BF)) if weight_B is None else weight_B
        return self._walked(np.ascontiguousarray(x_BF, np.float64), weight_B, learn=True)

    @abstractmethod
    def _plant(self, features: int) -> None:
        """Draw what depends on the number of features."""

    @abstractmethod
    def _walk(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        """The score of each row, which is then learned with its weight where `learn` says so."""

    def _begin(self, features: int) -> None:
        self.n_features = features
        self._plant(features)

    def _walked(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        if not self.n_features and not (learn and len(x_BF)):
            return np.zeros(len(x_BF))
        self._expect(x_BF)
        return self._walk(x_BF, weight_B, learn=learn)

    def _expect(self, x_BF: NDArray[np.float64]) -> None:
        """Begin with the first row that is learned, and refuse rows of another number of features."""
        if not self.n_features and len(x_BF):
            self._begin(x_BF.shape[1])
        if len(x_BF) and x_BF.shape[1] != self.n_features:
            raise ValueError(f"expected {self.n_features} features as in the events before, got {x_BF.shape[1]}")

    def _row(self, x: dict[Hashable, Any]) -> NDArray[np.float64]:
        names = sorted(x, key=str) if self._names is None else self._names
        return np.array([[float(x.get(name, 0.0)) for name in names]])


@njit(cache=True)
def whole(weight_B: NDArray[np.float64], owed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which events count for a detector that cannot learn in part, as 0 or 1: each time their weights come to 1.

    `owed` is the (1,) weight left over; it changes in place.
    """
    learned_B = np.zeros(weight_B.size, np.int64)
    for i in range(weight_B.size):
        owed[0] += weight_B[i]
        if owed[0] >= 1.0:
            owed[0] -= 1.0
            learned_B[i] = 1
    return learned_B
