"""Fusion: several detectors' scores as one, by what they agree on, without labels."""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State

_NOISE, _SOUND = 0.05, 0.35  # a detector's agreement with the others at which it starts to count, and counts in full
_OFFLINE = 2.0  # what the offline p weighs beside the online one
_PRIOR = (0.0, 0.0, 1.0, 1.0, 0.9)  # the agreement of one event, before any was seen


class Fusion:
    """The weighted mean of D detectors' scores in nats, times what the shares sum to.

    A detector counts by its share and by its agreement with the others: the decaying correlation of log(1 + score) with
    its mean over the others, 0 below .05 and 1 above .35. So one that is stuck, random or upside down loses its say
    to the others, and none that is sound is worth more than its share (cf. SELECT, Rayana & Akoglu, TKDD 2016). A score
    that is no number counts as 0.
    """

    def __init__(self, share_D: Sequence[float], half_life: int = 100_000) -> None:
        self._fade = 0.5 ** (1 / half_life)
        self._share_D = np.array(share_D)
        self._moments_DM = np.tile(_PRIOR, (len(share_D), 1))
        self._count = np.zeros(1)
        self.agreement_D = np.ones(len(share_D))

    def observe(self, nats_BD: NDArray[np.float64]) -> NDArray[np.float64]:
        """The fused score of each event, (B,) float64 >= 0: look first, remember second."""
        return _fuse(sound(nats_BD), self._share_D, self._moments_DM, self._count, self.agreement_D, self._fade)

    def state(self) -> State:
        """Agreements, and what they were found from."""
        moments: State = {"moments": self._moments_DM.copy(), "count": self._count.copy()}
        return moments | {"agreement": self.agreement_D.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._moments_DM[:] = state["moments"]
        self._count[:] = state["count"]
        self.agreement_D[:] = state["agreement"]


def joint(p_online_B: NDArray[np.float64], p_offline_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """One p of two, (B,): their geometric mean, the offline one counting twice.

    No second calibration: that of the sum of nats is no better than its tail, where few events are (it lost to the
    offline p alone on estates). The mean of dependent p is larger than either deserves where both are small.
    """
    return np.exp((np.log(p_online_B) + _OFFLINE * np.log(p_offline_B)) / (1.0 + _OFFLINE))


def sound(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores >= 0, 0 for what is no number."""
    return np.where(np.isfinite(scores), np.maximum(scores, 0.0), 0.0)


@njit(cache=True)
def _fuse(
    nats_BD: NDArray[np.float64],
    share_D: NDArray[np.float64],
    moments_DM: NDArray[np.float64],
    count: NDArray[np.float64],
    agreement_D: NDArray[np.float64],
    fade: float,
) -> NDArray[np.float64]:
    """`moments_DM`: means of a detector and of the rest, their squares about these, and their product."""
    rows, detectors = nats_BD.shape
    fused_B, whole = np.empty(rows), share_D.sum()
    for i in range(rows):
        total, weight, logs = 0.0, 0.0, 0.0
        for d in range(detectors):
            own = share_D[d] * agreement_D[d]
            weight += own
            total += own * nats_BD[i, d]
            logs += own * np.log1p(nats_BD[i, d])
        fused_B[i] = whole * total / max(weight, 1e-9)
        count[0] = count[0] * fade + 1.0
        for d in range(detectors):
            own = share_D[d] * agreement_D[d]
            log = np.log1p(nats_BD[i, d])
            _agree(moments_DM[d], log, (logs - own * log) / max(weight - own, 1e-9), count[0], fade)
        for d in range(detectors):
            found = moments_DM[d, 4] / np.sqrt(moments_DM[d, 2] * moments_DM[d, 3] + 1e-12)
            agreement_D[d] = min(1.0, max(0.0, (found - _NOISE) / (_SOUND - _NOISE)))
    return fused_B


@njit(cache=True)
def _agree(moments_M: NDArray[np.float64], one: float, other: float, count: float, fade: float) -> None:
    moments_M[0] += (one - moments_M[0]) / count
    moments_M[1] += (other - moments_M[1]) / count
    moments_M[2] = moments_M[2] * fade + (one - moments_M[0]) ** 2
    moments_M[3] = moments_M[3] * fade + (other - moments_M[1]) ** 2
    moments_M[4] = moments_M[4] * fade + (one - moments_M[0]) * (other - moments_M[1])
