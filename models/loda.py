"""LODA at columnar speed: how little was seen before of what an event is in many random mixtures of its features."""

import random

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State
from models.columnar import ColumnarDetector
from models.fading_mass import FadingMass


class Loda(ColumnarDetector):
    """Lightweight on-line detector of anomalies (Pevny, Machine Learning 102, 2016), with River's projections.

    Each projection mixes the square root of the features' number of them, drawn as `river.anomaly.LODA` draws them.
    River's histograms have ten bins that move, remember everything, and ask for density; these have `n_bins` of one
    width, fade, and ask for mass, so that a value that is seen again and again, as counts are, is usual. The score is
    the mean over the projections of -log of the share of events in the same bin: nats, larger is stranger.

    Parameters
    ----------
    n_bins
        Bins of each histogram.
    n_random_cuts
        Number of random projections.
    half_life
        Events after which an event's weight has halved.
    seed
        Seed of the projections.

    Examples
    --------
    >>> loda = Loda()
    >>> for x in (0.1, 0.2, 0.15, 0.1):
    ...     loda.learn_one({"x": x})
    >>> round(loda.score_one({"x": 0.9}), 2)
    1.61
    """

    def __init__(self, n_bins: int = 256, n_random_cuts: int = 64, half_life: int = 100_000, seed: int = 0) -> None:
        super().__init__()
        self.n_bins = n_bins
        self.n_random_cuts = n_random_cuts
        self.half_life = half_life
        self.seed = seed
        self._mass = FadingMass(n_random_cuts, n_bins, half_life)

    def state(self) -> State:
        """The histograms; the projections follow from the seed."""
        return self._mass.state() | {"features": np.array([self.n_features])}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of other histograms."""
        self._mass.restore(state)
        self._begin(int(state["features"][0]))

    def _plant(self, features: int) -> None:
        chance = random.Random(self.seed)  # noqa: S311  # River's own generator, for River's own projections
        mixed = max(1, int(features**0.5)) if features else 0
        self._feature_TK = np.zeros((self.n_random_cuts, mixed), np.int64)
        self._factor_TK = np.zeros((self.n_random_cuts, mixed))
        for cut in range(self.n_random_cuts):
            self._feature_TK[cut] = chance.sample(range(features), mixed)
            self._factor_TK[cut] = [chance.gauss(0.0, 1.0) for _ in range(mixed)]

    def _walk(self, x_BF: NDArray[np.float64], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        cell_TB = _bins(np.ascontiguousarray(x_BF.T), self._feature_TK, self._factor_TK, self.n_bins)
        return self._mass.walk(cell_TB, weight_B, learn=learn)


@njit(cache=True)
def _bins(
    x_FB: NDArray[np.float64], feature_TK: NDArray[np.int64], factor_TK: NDArray[np.float64], bins: int
) -> NDArray[np.uint32]:
    """The bin of each projection, between the least and the most that features in [0, 1] can come to."""
    tables, rows = feature_TK.shape[0], x_FB.shape[1]
    cell_TB = np.empty((tables, rows), np.uint32)
    for table in range(tables):
        factor_K = factor_TK[table]
        least, scale = np.minimum(factor_K, 0.0).sum(), bins / np.abs(factor_K).sum()
        at_B = np.full(rows, -least * scale)
        for k in range(factor_K.size):
            x_B, factor = x_FB[feature_TK[table, k]], factor_K[k] * scale
            for i in range(rows):
                at_B[i] += factor * x_B[i]
        cell_B = cell_TB[table]
        for i in range(rows):
            cell_B[i] = np.uint32(min(bins - 1.0, max(0.0, at_B[i])))
    return cell_TB
