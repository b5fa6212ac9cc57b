"""Half-space trees at columnar speed: River's detector over a matrix of features."""

import random
from collections.abc import Hashable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from river import base

from features.memory import State

_PADDING = 0.15


class HalfSpaceTrees(base.AnomalyDetector):
    """Streaming half-space trees (Tan, Ting & Liu, IJCAI 2011), with River's trees, seeds and scores.

    Features lie in [0, 1]; their names are fixed by the first event, a missing one counts as 0. The score lies in
    [0, 1], larger is stranger, and is 0 until the first window is full.

    Parameters
    ----------
    n_trees
        Number of trees.
    height
        Height of each tree.
    window_size
        Events after which the newest masses replace the older ones.
    seed
        Seed of the trees' splits.

    Examples
    --------
    >>> hst = HalfSpaceTrees(n_trees=5, height=3, window_size=3, seed=42)
    >>> for x in (0.5, 0.45, 0.43):
    ...     hst.learn_one({"x": x})
    >>> hst.score_one({"x": 0.0}) > hst.score_one({"x": 0.44})
    True
    """

    def __init__(self, n_trees: int = 25, height: int = 8, window_size: int = 250, seed: int = 0) -> None:
        self.n_trees = n_trees
        self.height = height
        self.window_size = window_size
        self.seed = seed
        self._names: list[Hashable] | None = None
        self._feature_TN = np.zeros((n_trees, 0), np.int32)
        self._threshold_TN = np.zeros((n_trees, 0))
        self._mass_TN = np.zeros((n_trees, 0), np.int32)
        self._newest_TN = np.zeros((n_trees, 0), np.int32)
        self._seen = np.zeros(1, np.int64)

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """The score of one event."""
        if self._names is None:
            return 0.0
        return float(self._walk(self._row(x), learn=False)[0])

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Count one event in."""
        if self._names is None:
            self._names = sorted(x, key=str)
        row_BF = self._row(x)
        self._plant(row_BF.shape[1])
        self._walk(row_BF, learn=True)

    def score_learn_many(self, x_BF: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score each row, then learn it, one after the other: (B,) float64; columns in the order of sorted names."""
        self._plant(x_BF.shape[1])
        return self._walk(x_BF.astype(np.float64), learn=True)

    def state(self) -> State:
        """Masses and count; the trees themselves follow from the seed."""
        return {"mass": self._mass_TN.copy(), "newest": self._newest_TN.copy(), "seen": self._seen.copy()}

    def restore(self, state: State, n_features: int) -> None:
        """Go on from `state`, over `n_features` columns."""
        self._plant(n_features)
        self._mass_TN[...] = state["mass"] if state["mass"].size else 0
        self._newest_TN[...] = state["newest"] if state["newest"].size else 0
        self._seen[...] = state["seen"]

    def _row(self, x: dict[Hashable, Any]) -> NDArray[np.float64]:
        return np.array([[float(x.get(name, 0.0)) for name in self._names or ()]])

    def _plant(self, n_features: int) -> None:
        if self._feature_TN.shape[1]:
            return
        chance = random.Random(self.seed)  # noqa: S311  # River's own generator, for River's own trees
        nodes = 2 ** (self.height + 1) - 1
        self._feature_TN = np.full((self.n_trees, nodes), -1, np.int32)
        self._threshold_TN = np.zeros((self.n_trees, nodes))
        self._mass_TN = np.zeros((self.n_trees, nodes), np.int32)
        self._newest_TN = np.zeros((self.n_trees, nodes), np.int32)
        for tree in range(self.n_trees):
            self._split(tree, 0, 0, [(0.0, 1.0)] * n_features, chance)

    def _split(
        self, tree: int, node: int, depth: int, limits: list[tuple[float, float]], chance: random.Random
    ) -> None:
        if depth == self.height:
            return
        feature = chance.choices(range(len(limits)), weights=[high - low for low, high in limits])[0]
        low, high = limits[feature]
        at = chance.uniform(low + _PADDING * (high - low), high - _PADDING * (high - low))
        self._feature_TN[tree, node] = feature
        self._threshold_TN[tree, node] = at
        for child, bounds in ((2 * node + 1, (low, at)), (2 * node + 2, (at, high))):
            self._split(tree, child, depth + 1, [*limits[:feature], bounds, *limits[feature + 1 :]], chance)

    def _walk(self, x_BF: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        return _walk(
            x_BF,
            self._feature_TN,
            self._threshold_TN,
            self._mass_TN,
            self._newest_TN,
            self._seen,
            self.height,
            self.window_size,
            learn,
        )


@njit(cache=True)
def _walk(
    x_BF: NDArray[np.float64],
    feature_TN: NDArray[np.int32],
    threshold_TN: NDArray[np.float64],
    mass_TN: NDArray[np.int32],
    newest_TN: NDArray[np.int32],
    seen: NDArray[np.int64],
    height: int,
    window: int,
    learn: bool,
) -> NDArray[np.float64]:
    """Window by window, tree by tree: masses that score are fixed within a window."""
    trees = feature_TN.shape[0]
    most = trees * window * (2 ** (height + 1) - 1)
    score_B = np.zeros(x_BF.shape[0])
    start = 0
    while start < x_BF.shape[0]:
        stop = min(x_BF.shape[0], start + window - seen[0] % window)
        warm = seen[0] >= window
        for tree in range(trees):
            for i in range(start, stop):
                node, power, scoring = 0, 1, warm
                for depth in range(height + 1):
                    if scoring:
                        mass = mass_TN[tree, node]
                        score_B[i] += mass * power
                        scoring = mass >= 0.1 * window
                    power *= 2
                    if learn:
                        newest_TN[tree, node] += 1
                    if depth < height:
                        right = x_BF[i, feature_TN[tree, node]] >= threshold_TN[tree, node]
                        node = 2 * node + 1 + right
        if warm:
            score_B[start:stop] = 1.0 - score_B[start:stop] / most
        if learn:
            seen[0] += stop - start
            if seen[0] % window == 0:
                mass_TN[...] = newest_TN
                newest_TN[...] = 0
        start = stop
    return score_B
