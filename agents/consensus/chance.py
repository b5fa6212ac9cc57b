"""How much stranger a record is than chance and its peers make it."""

import numpy as np
from numpy.typing import NDArray

#: A record counts an entity's different things by how strange they were, half a nat a level, and all its verdicts.
LEVELS = 32
PER_NAT = 2.0

_PEERS = 6  # fewer than these say nothing about what is usual
_USUAL = 0.95


def excess(
    level_NL: NDArray[np.float64], all_N: NDArray[np.float64], group_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Nats by which each of N records exceeds what is usual in its group (kind of entity and domain), (N,) float64.

    The largest over levels t of k log(k / m) - (k - m), k the different things with p <= e^-t and m those expected:
    the Poisson form of Berk & Jones's statistic (1979). Chance alone would bring n e^-t. Where a group has six
    others, n counts all of an entity's verdicts and chance is multiplied by what 95 % of the others stay below
    (an empirical null; Efron 2004), so that the sort of entity that is always odd gets no better chance than
    another. Where it has fewer, nothing is known of what is usual, and n counts different things alone.
    """
    tail_NL = np.cumsum(level_NL[:, ::-1], axis=1)[:, ::-1]
    chance_L = np.exp(-np.arange(LEVELS) / PER_NAT)
    nats_N = np.zeros(all_N.size)
    for group in np.unique(group_N):
        (mine_M,) = (group_N == group).nonzero()
        has_peers = mine_M.size > _PEERS
        n_M = all_N[mine_M] if has_peers else tail_NL[mine_M, 0]
        expected_ML = np.maximum(n_M, 1.0)[:, None] * chance_L
        if has_peers:
            expected_ML *= np.maximum(_usual(tail_NL[mine_M] / expected_ML), 1.0)
        nats_N[mine_M] = _poisson(tail_NL[mine_M], expected_ML)[:, 1:].max(axis=1)
    return nats_N


def _usual(ratio_ML: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each entity and level, what 95 % of the other entities stay at or below."""
    others = ratio_ML.shape[0] - 1
    place = int(np.ceil(_USUAL * others)) - 1
    sorted_ML = np.sort(ratio_ML, axis=0)
    usual_ML: NDArray[np.float64] = np.where(ratio_ML <= sorted_ML[place], sorted_ML[place + 1], sorted_ML[place])
    return usual_ML


def _poisson(count_ML: NDArray[np.float64], expected_ML: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio_ML = np.maximum(count_ML / expected_ML, 1.0)
    nats_ML: NDArray[np.float64] = count_ML * np.log(ratio_ML) - (count_ML - expected_ML)
    return np.where(ratio_ML > 1.0, nats_ML, 0.0)
