"""How well scores put attacks before all the rest, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: False alarms, as a share of what is no attack, at which recall is told.
ALARMS = 0.01
#: The measures, each with the words that a reader sees.
MEASURES: Mapping[str, str] = {
    "average_precision": "average precision",
    "auc": "AUC",
    "recall": f"recall at {ALARMS:.0%} false positives",
}

#: Fewer attacks, or others, say too little of how another time would go.
FEWEST = 5

_TIMES = 1000


@dataclass(frozen=True)
class Ranking:
    """Places from the highest score down: how many attacks and how many others are there, (S,) float64 each.

    Equal scores share a place, and so do all scores between those of two attacks, whose order no measure asks.
    """

    attacks_S: NDArray[np.float64]
    others_S: NDArray[np.float64]

    @property
    def share(self) -> float:
        """The share of attacks, which is the precision of chance."""
        attacks = self.attacks_S.sum()
        return float(attacks / (attacks + self.others_S.sum()))


@dataclass(frozen=True)
class Measured:
    """A measure, and the bounds that hold 95 of 100 repetitions; None where there is too little to tell them."""

    value: float
    bounds: tuple[float, float] | None

    def in_words(self) -> str:
        """The measure and its bounds, for a table.

        >>> Measured(0.5, (0.25, 0.7504)).in_words()
        '0.500 (0.250 to 0.750)'
        """
        return f"{self.value:.3f} ({f'{self.bounds[0]:.3f} to {self.bounds[1]:.3f}' if self.bounds else 'too few'})"


def ranking(is_attack_B: NDArray[np.bool_], score_B: NDArray[np.float64]) -> Ranking:
    """The ranking of some events, at least one.

    >>> ranking(np.array([True, False, False, False]), np.array([3.0, 1.0, 2.0, 3.0]))
    Ranking(attacks_S=array([1., 0.]), others_S=array([1., 2.]))
    """
    _, rank_B = np.unique(-score_B, return_inverse=True)
    attacks_R = np.bincount(rank_B, weights=is_attack_B)
    others_R = np.bincount(rank_B) - attacks_R
    begins_S = np.flatnonzero((attacks_R > 0) | (np.roll(attacks_R, 1) > 0) | (np.arange(attacks_R.size) == 0))
    return Ranking(np.add.reduceat(attacks_R, begins_S), np.add.reduceat(others_R, begins_S))


def curve(ranks: Ranking) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of all that scores at least so high, (S,) each, from the highest score down."""
    found_S = np.cumsum(ranks.attacks_S)
    return found_S / (found_S + np.cumsum(ranks.others_S)), found_S / found_S[-1]


def measure(ranks: Ranking, chance: np.random.Generator) -> dict[str, Measured]:
    """Each of `MEASURES`; empty where there is no attack, or nothing else.

    The bounds are those of a bootstrap in which every event counts Poisson(1) times (Hanley and MacGibbon 2006), which
    takes events as independent: attacks that come in bursts are less sure than this says. Fewer than `FEWEST` attacks,
    or others, have none.
    """
    fewest = min(ranks.attacks_S.sum(), ranks.others_S.sum())
    if not fewest:
        return {}
    bounds = _bounds(ranks, chance) if fewest >= FEWEST else (None,) * len(MEASURES)
    told = zip(MEASURES, values(ranks), bounds, strict=True)
    return {name: Measured(value, bound) for name, value, bound in told}


def _bounds(ranks: Ranking, chance: np.random.Generator) -> tuple[tuple[float, float] | None, ...]:
    again_TM = np.array([values(_resampled(ranks, chance)) for _ in range(_TIMES)])
    low_M, high_M = np.nanquantile(again_TM, (0.025, 0.975), axis=0).tolist()
    return tuple(zip(low_M, high_M, strict=True))


def values(ranks: Ranking) -> tuple[float, float, float]:
    """`MEASURES` alone, without bounds; not a number where there is no attack, or nothing else."""
    found_S, alarms_S = np.cumsum(ranks.attacks_S), np.cumsum(ranks.others_S)
    attacks, others = found_S[-1], alarms_S[-1]
    if not attacks or not others:
        return float("nan"), float("nan"), float("nan")
    precision_S = found_S / np.maximum(found_S + alarms_S, 1)
    average = float((precision_S * ranks.attacks_S).sum() / attacks)
    behind_S = others - alarms_S + ranks.others_S / 2
    within = int(np.searchsorted(alarms_S, ALARMS * others, side="right"))
    recall = float(found_S[within - 1] / attacks) if within else 0.0
    return average, float((behind_S * ranks.attacks_S).sum() / (attacks * others)), recall


def _resampled(ranks: Ranking, chance: np.random.Generator) -> Ranking:
    """The ranking if each event had come Poisson(1) times."""
    return Ranking(*(chance.poisson(counts).astype(np.float64) for counts in (ranks.attacks_S, ranks.others_S)))
