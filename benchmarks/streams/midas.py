"""MIDAS (Bhatia et al., AAAI 2020; TKDD 2022) re-stated: an edge and its two ends, each counted now and in all."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TABLE = 1 << 20


def midas(
    source_B: NDArray[np.uint64], target_B: NDArray[np.uint64], tick_B: NDArray[np.int64], decay: float = 0.5
) -> NDArray[np.float64]:
    """MIDAS-R's score of every edge, (B,) float64: the highest chi-squared of the edge, its source and its target.

    Counts of the current tick fade by `decay` at each tick in place of being reset; exact but for collisions among 2^20
    places. An edge is counted before it is scored, as published.
    """
    return _walk(source_B, target_B, tick_B - tick_B.min() + 1 if tick_B.size else tick_B, decay)


@njit(cache=True)
def _walk(
    source_B: NDArray[np.uint64], target_B: NDArray[np.uint64], tick_B: NDArray[np.int64], decay: float
) -> NDArray[np.float64]:
    now_KT, all_KT, when_KT = np.zeros((3, _TABLE)), np.zeros((3, _TABLE)), np.zeros((3, _TABLE), np.int64)
    score_B = np.zeros(source_B.size)
    for i in range(source_B.size):
        edge = (source_B[i] * np.uint64(0x9E3779B97F4A7C15)) ^ (target_B[i] + np.uint64(0x632BE59BD9B4E019))
        for k, key in enumerate((edge, source_B[i], target_B[i])):
            at = int((key ^ (key >> np.uint64(31))) % np.uint64(_TABLE))
            now_KT[k, at] *= decay ** (tick_B[i] - when_KT[k, at])
            when_KT[k, at] = tick_B[i]
            now_KT[k, at] += 1.0
            all_KT[k, at] += 1.0
            score_B[i] = max(score_B[i], _chi_squared(now_KT[k, at], all_KT[k, at], tick_B[i]))
    return score_B


@njit(cache=True)
def _chi_squared(now: float, total: float, tick: int) -> float:
    if tick <= 1:
        return 0.0
    return float((now - total / tick) ** 2 * tick * tick / (total * (tick - 1)))
