"""Half-space trees at columnar speed: River's detector over a matrix of features."""

import random

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State
from models.columnar import ColumnarDetector, whole

_PADDING, _LEAST = 0.15, 0.1  # of River, and of the paper


class HalfSpaceTrees(ColumnarDetector):
    """Streaming half-space trees (Tan, Ting & Liu, IJCAI 2011), with River's trees, seeds and scores to the last bit.

    The score lies in [0, 1], larger is stranger, and is 0 until the first window is full. River counts at every node
    that an event passes, and adds up masses on the way; here the leaves alone count, and what the path to each leaf
    scores is added up once a window. An event counts whole or not at all: of weight 1/n every n-th does. Where a
    feature is missing, River follows the crowd; here it is 0.

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
    >>> trees = HalfSpaceTrees(n_trees=5, height=3, window_size=3, seed=42)
    >>> for x in (0.5, 0.45, 0.43):
    ...     trees.learn_one({"x": x})
    >>> trees.score_one({"x": 0.0}) > trees.score_one({"x": 0.44})
    True
    """

    def __init__(self, n_trees: int = 25, height: int = 8, window_size: int = 250, seed: int = 0) -> None:
        super().__init__()
        self.n_trees = n_trees
        self.height = height
        self.window_size = window_size
        self.seed = seed
        self._seen = np.zeros(1, np.int64)
        self._owed = np.zeros(1)  # weight of events that is not yet one that counts
        self._mass_TL, self._newest_TL, self._path_TL = (np.zeros((n_trees, 2**height), np.int64) for _ in range(3))

    def state(self) -> State:
        """The leaves' masses and how many events counted; the trees follow from the seed."""
        masses = {"mass": self._mass_TL.copy(), "newest": self._newest_TL.copy()}
        seen = {"seen": self._seen.copy(), "owed": self._owed.copy()}
        return masses | seen | {"features": np.array([self.n_features])}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of other trees."""
        if {state["mass"].shape, state["newest"].shape} != {self._mass_TL.shape}:
            raise ValueError(f"expected masses of {self.n_trees} trees of {2**self.height} leaves")
        self._begin(int(state["features"][0]))
        self._mass_TL[:], self._newest_TL[:], self._seen[:] = state["mass"], state["newest"], state["seen"]
        self._owed[:] = state["owed"]
        _add_paths(self._mass_TL, _LEAST * self.window_size, self._path_TL)

    def _plant(self, features: int) -> None:
        """Draw the trees; the children of node n are 2n and 2n + 1, the root is 1."""
        self._feature_TN = np.zeros((self.n_trees, 2**self.height), np.int32)
        self._threshold_TN = np.zeros((self.n_trees, 2**self.height))
        chance = random.Random(self.seed)  # noqa: S311  # River's own generator, for River's own trees
        for tree in range(self.n_trees if features else 0):
            self._split(tree, 1, [(0.0, 1.0)] * features, chance)

    def _split(self, tree: int, node: int, limits: list[tuple[float, float]], chance: random.Random) -> None:
        if node >= 2**self.height:
            return
        feature = chance.choices(range(len(limits)), weights=[high - low for low, high in limits])[0]
        low, high = limits[feature]
        at = chance.uniform(low + _PADDING * (high - low), high - _PADDING * (high - low))
        self._feature_TN[tree, node], self._threshold_TN[tree, node] = feature, at
        for child, bounds in ((2 * node, (low, at)), (2 * node + 1, (at, high))):
            self._split(tree, child, [*limits[:feature], bounds, *limits[feature + 1 :]], chance)

    def _walk(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        trees, masses = (self._feature_TN, self._threshold_TN), (self._mass_TL, self._newest_TL, self._path_TL)
        return _walk(x_BF, weight_B, *trees, *masses, self._seen, self._owed, self.height, self.window_size, learn)


@njit(cache=True)
def _walk(
    x_BF: NDArray[np.float64],
    weight_B: NDArray[np.float64],
    feature_TN: NDArray[np.int32],
    threshold_TN: NDArray[np.float64],
    mass_TL: NDArray[np.int64],
    newest_TL: NDArray[np.int64],
    path_TL: NDArray[np.int64],
    seen: NDArray[np.int64],
    owed: NDArray[np.float64],
    height: int,
    window: int,
    learn: bool,
) -> NDArray[np.float64]:
    """Window by window, tree by tree: masses that score are fixed within a window."""
    most = feature_TN.shape[0] * window * (2 ** (height + 1) - 1)
    score_B = np.zeros(x_BF.shape[0])
    start = 0
    while start < x_BF.shape[0]:
        stop = min(x_BF.shape[0], start + window - seen[0] % window)
        x_FW, sum_W = np.ascontiguousarray(x_BF[start:stop].T), np.zeros(stop - start, np.int64)
        learned_W = whole(weight_B[start:stop], owed) if learn else np.zeros(stop - start, np.int64)
        for tree in range(feature_TN.shape[0]):
            leaf_W = _leaves(x_FW, feature_TN[tree], threshold_TN[tree], height)
            _count(leaf_W, path_TL[tree], newest_TL[tree], sum_W, learned_W)
        if seen[0] >= window:
            score_B[start:stop] = 1.0 - sum_W / most
        if learned_W.any():
            seen[0] += learned_W.sum()
            if seen[0] % window == 0:
                mass_TL[:] = newest_TL
                newest_TL[:] = 0
                _add_paths(mass_TL, _LEAST * window, path_TL)
        start = stop
    return score_B


@njit(cache=True)
def _leaves(
    x_FW: NDArray[np.float64], feature_N: NDArray[np.int32], threshold_N: NDArray[np.float64], height: int
) -> NDArray[np.uint32]:
    """The leaf of each row, level by level, so that the compiler can take many rows at once."""
    rows, x = x_FW.shape[1], x_FW.ravel()
    at_N = (feature_N * rows).astype(np.uint32)
    node_W = np.ones(rows, np.int32)
    for _ in range(height):
        for i in range(rows):
            node = np.uint32(node_W[i])  # unsigned, so that no index is asked whether it counts from the end
            node_W[i] = 2 * node_W[i] + np.int32(x[at_N[node] + np.uint32(i)] >= threshold_N[node])
    return (node_W - feature_N.size).astype(np.uint32)


@njit(cache=True)
def _count(
    leaf_W: NDArray[np.uint32],
    path_L: NDArray[np.int64],
    newest_L: NDArray[np.int64],
    sum_W: NDArray[np.int64],
    learned_W: NDArray[np.int64],
) -> None:
    for i in range(leaf_W.size):
        sum_W[i] += path_L[leaf_W[i]]
    for i in range(leaf_W.size):
        newest_L[leaf_W[i]] += learned_W[i]


@njit(cache=True)
def _add_paths(mass_TL: NDArray[np.int64], least: float, path_TL: NDArray[np.int64]) -> None:
    """What the path to each leaf scores: mass times 2 ** depth, down to the first node of less than `least`."""
    trees, leaves = mass_TL.shape
    mass_N, path_N, open_N = (
        np.zeros(2 * leaves, np.int64),
        np.zeros(2 * leaves, np.int64),
        np.ones(2 * leaves, np.int64),
    )
    for tree in range(trees):
        mass_N[leaves:] = mass_TL[tree]
        for node in range(leaves - 1, 0, -1):
            mass_N[node] = mass_N[2 * node] + mass_N[2 * node + 1]
        first = 1
        while first <= leaves:
            for node in range(first, 2 * first):
                up = node >> 1
                path_N[node] = path_N[up] + mass_N[node] * first * open_N[up]
                open_N[node] = open_N[up] & np.int64(mass_N[node] >= least)
            first *= 2
        path_TL[tree] = path_N[leaves:]
