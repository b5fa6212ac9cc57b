"""RS-Hash at columnar speed: how little was seen before near an event, in grids over random subspaces."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State
from models.columnar import ColumnarDetector
from models.fading_mass import FadingMass

_SLOT_BITS = 12


class RSHash(ColumnarDetector):
    """Randomised subspace hashing (Sathe & Aggarwal, ICDM 2016), over a stream, with counts that fade.

    Each grid has a random width and offset and cells in at most `n_dims` random features; a cell's count lies where
    its hash says (a sketch of one row, where the paper has four of which the least count: the grids are many, and
    a collision makes an event a little less strange in one). The score is the mean over the grids of -log of the
    share of events in the same cell: nats, larger is stranger.

    Parameters
    ----------
    n_grids
        Number of grids.
    n_dims
        The most features of one.
    finest
        Least width of a cell.
    coarsest
        Largest width of a cell.
    half_life
        Events after which an event's weight has halved.
    seed
        Seed of the grids.

    Examples
    --------
    >>> grids = RSHash()
    >>> for x in (0.1, 0.2, 0.15, 0.1):
    ...     grids.learn_one({"x": x})
    >>> round(grids.score_one({"x": 0.9}), 2)
    1.61
    """

    def __init__(
        self,
        n_grids: int = 64,
        n_dims: int = 6,
        finest: float = 0.02,
        coarsest: float = 0.2,
        half_life: int = 100_000,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.n_grids = n_grids
        self.n_dims = n_dims
        self.finest = finest
        self.coarsest = coarsest
        self.half_life = half_life
        self.seed = seed
        self._mass = FadingMass(n_grids, 2**_SLOT_BITS, half_life)

    def state(self) -> State:
        """The cells' masses; the grids follow from the seed."""
        return self._mass.state() | {"features": np.array([self.n_features])}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of other grids."""
        self._mass.restore(state)
        self._begin(int(state["features"][0]))

    def _plant(self, features: int) -> None:
        """Draw the grids; where a grid has fewer than the most features, -1 stands for none."""
        chance = np.random.default_rng(self.seed)
        most = min(self.n_dims, features)
        self._feature_TK = np.full((self.n_grids, most), -1)
        self._width_T = chance.uniform(self.finest, self.coarsest, self.n_grids)
        self._offset_TK = chance.uniform(0.0, 1.0, (self.n_grids, most))  # in cells
        for grid in range(self.n_grids if features else 0):
            dims = int(chance.integers(1, most + 1))
            self._feature_TK[grid, :dims] = chance.permutation(features)[:dims]

    def _walk(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        cell_TB = _cells(np.ascontiguousarray(x_BF.T), self._feature_TK, self._offset_TK, self._width_T)
        return self._mass.walk(cell_TB, weight_B, learn=learn)


@njit(cache=True)
def _cells(
    x_FB: NDArray[np.float64],
    feature_TK: NDArray[np.int64],
    offset_TK: NDArray[np.float64],
    width_T: NDArray[np.float64],
) -> NDArray[np.uint32]:
    """Where the count of each row's cell lies: a hash of its place in each feature of the grid."""
    tables, rows = feature_TK.shape[0], x_FB.shape[1]
    cell_TB = np.empty((tables, rows), np.uint32)
    for table in range(tables):
        cell_B, scale = cell_TB[table], 1.0 / width_T[table]
        cell_B[:] = 0
        for k in range(feature_TK.shape[1]):
            if feature_TK[table, k] >= 0:
                x_B, offset = x_FB[feature_TK[table, k]], offset_TK[table, k]
                for i in range(rows):
                    place = np.uint32(min(1.0, max(0.0, x_B[i])) * scale + offset)
                    mixed = np.uint32((cell_B[i] ^ place) * np.uint32(0x9E3779B1))
                    cell_B[i] = np.uint32(mixed ^ (mixed >> np.uint32(15)))
        for i in range(rows):
            cell_B[i] = np.uint32(np.uint32(cell_B[i] * np.uint32(0x85EBCA6B)) >> np.uint32(32 - _SLOT_BITS))
    return cell_TB
