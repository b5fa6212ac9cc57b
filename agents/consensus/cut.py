"""The cut: which threats are listed, so that few of those listed are false."""

import numpy as np
from numpy.typing import NDArray

_FEWEST = 50  # threats of earlier days from which something is known of the usual
_TAIL = 0.9  # quantile of theirs from which a tail is fitted
_NARROWEST = 0.2  # nats


def chances(usual_N: NDArray[np.float64], score_M: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely a threat of earlier days would score as much as each of `score_M`, (M,) float64; NaN below 50 of them.

    Up to their 90th percentile u by rank, (those as high + 1) / (N + 1); beyond it, with k of them above u, by
    (k + 1) / (N + 1) (1 + (s - u) / (h m))^-h: what is predicted of the next where excesses are exponential with mean
    m, known from h. m is their median / log 2, so that earlier attacks among them do not hide later ones; a median
    knows as much as half as many would in the mean: h = k / 2.
    """
    if usual_N.size < _FEWEST:
        return np.full(score_M.size, np.nan)
    threshold = np.quantile(usual_N, _TAIL)
    excess_K = usual_N[usual_N > threshold] - threshold
    known = max(1.0, excess_K.size / 2.0)
    mean = max(_NARROWEST, np.median(excess_K) / np.log(2.0)) if excess_K.size else _NARROWEST
    as_high_M = usual_N.size - np.searchsorted(np.sort(usual_N), score_M)
    beyond_M = np.maximum(score_M - threshold, 0.0) / (known * mean)
    tail_M = (excess_K.size + 1.0) * (1.0 + beyond_M) ** -known
    p_M: NDArray[np.float64] = np.where(score_M > threshold, tail_M, as_high_M + 1.0) / (usual_N.size + 1.0)
    return np.minimum(p_M, 1.0)


def discovered(p_M: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
    """Which of M threats are found at level `alpha`, (M,): of these at most that share is expected to be false.

    Benjamini & Hochberg (1995), for p that are independent or positively dependent. NaN are not found.
    """
    known_N = np.sort(p_M[~np.isnan(p_M)])
    (passing_N,) = (known_N <= alpha * np.arange(1, known_N.size + 1) / max(1, known_N.size)).nonzero()
    level = known_N[passing_N[-1]] if passing_N.size else -1.0
    found_M: NDArray[np.bool_] = p_M <= level
    return found_M


def judged(
    score_N: NDArray[np.float64],
    first_N: NDArray[np.int64],
    last_N: NDArray[np.int64],
    answer_N: NDArray[np.int8],
    alpha: float,
    budget: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each threat's p against the threats that ended before its day, and whether it is listed among its day's.

    Days are numbers: those on which N threats of `score_N` began and ended. Those of the first day of all are not
    asked, for everything is new then, nor are those that people found to be true (`answer_N` 1), for they are not
    usual. What people found to be false (-1) is not listed. A day's list has those found at level `alpha`, the highest
    `budget` of them; where nothing is known of earlier days yet, all of them up to the `budget`.
    """
    p_N, is_listed_N = np.empty(score_N.size), np.zeros(score_N.size, np.bool_)
    was_new_N = first_N == first_N.min(initial=np.iinfo(np.int64).max)  # there may be none at all
    for day in np.unique(first_N):
        (today_M,) = (first_N == day).nonzero()
        p_N[today_M] = chances(score_N[(last_N < day) & ~was_new_N & (answer_N < 1)], score_N[today_M])
        is_known = not np.isnan(p_N[today_M]).any()
        found_M = today_M[discovered(p_N[today_M], alpha)] if is_known else today_M
        open_M = found_M[answer_N[found_M] >= 0]
        is_listed_N[open_M[np.argsort(-score_N[open_M], kind="stable")][:budget]] = True
    return p_N, is_listed_N
