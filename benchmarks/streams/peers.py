"""Scores a matrix of features by a peer's own package, in a process and, where need be, an environment of its own.

    python peers.py METHOD FEATURES.npy SCORES.npz SEED SECONDS

Runs without the project. An online method scores each row before it learns it; where the stream would take longer
than SECONDS, judging by its first rows, every n-th row alone is walked. A batch method is fitted on all rows first.
"""

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PROBED, _LEAST, _PROBING = 1_000, 20, 0.15


def _from(module: str, name: str, **settings: Any) -> Any:
    return getattr(importlib.import_module(module), name)(**settings)


class _River:
    """A River detector over rows."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def score_learn(self, row_F: NDArray[np.float64]) -> float:
        row = dict(enumerate(row_F.tolist()))
        score = float(self.model.score_one(row))
        self.model.learn_one(row)
        return score


class _PySad:
    """A PySAD detector over rows."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.seen = 0

    def score_learn(self, row_F: NDArray[np.float64]) -> float:
        score = float(np.ravel(self.model.score_partial(row_F))[0]) if self.seen else 0.0
        self.model.fit_partial(row_F)
        self.seen += 1
        return score


#: Online methods: features' number and a seed to a fresh detector, all settings the package's own.
ONLINE: dict[str, Callable[[int, int], Any]] = {
    "River HST": lambda _, seed: _River(_from("river.anomaly", "HalfSpaceTrees", n_trees=25, height=8, seed=seed)),
    "River LODA": lambda _, seed: _River(_from("river.anomaly", "LODA", seed=seed)),
    "River OneClassSVM": lambda *_: _River(_from("river.anomaly", "OneClassSVM")),
    "PySAD xStream": lambda _, seed: _PySad(_from("pysad.models", "xStream", random_state=seed)),
    "PySAD RRCF": lambda _, seed: _PySad(_from("pysad.models", "RobustRandomCutForest", random_state=seed)),
    "PySAD RSHash": lambda features, seed: _PySad(
        _from(
            "pysad.models", "RSHash", feature_mins=[0.0] * features, feature_maxes=[1.0] * features, random_state=seed
        )
    ),
    "PySAD KitNet": lambda _, seed: _PySad(_from("pysad.models", "KitNet", random_state=seed)),
}

#: Batch methods, fitted on the whole stream before any of it is scored.
BATCH: dict[str, Callable[[int], Any]] = {
    "PyOD IForest": lambda seed: _from("pyod.models.iforest", "IForest", random_state=seed),
    "PyOD ECOD": lambda seed: _from("pyod.models.ecod", "ECOD"),
    "PyOD COPOD": lambda seed: _from("pyod.models.copod", "COPOD"),
}


def walk(method: str, x_BF: NDArray[np.float64], seed: int, seconds: float) -> tuple[NDArray[np.float64], int, float]:
    """Scores (NaN where a row was left out), the stride that was walked, and seconds taken."""
    score_B = np.full(len(x_BF), np.nan)
    if method in BATCH:
        model = BATCH[method](seed)
        began = time.perf_counter()
        model.fit(x_BF)
        return np.asarray(model.decision_scores_, float), 1, time.perf_counter() - began
    stride = _stride(method, x_BF, seed, seconds)
    kept_BF = x_BF[::stride]
    detector = ONLINE[method](x_BF.shape[1], seed)
    began = time.perf_counter()
    score_B[::stride] = [detector.score_learn(row_F) for row_F in kept_BF]
    return score_B, stride, time.perf_counter() - began


def _stride(method: str, x_BF: NDArray[np.float64], seed: int, seconds: float) -> int:
    """Every how many-eth row there is time for, going by the first rows: a share of the time is spent on them.

    The very first is not counted: many a detector is built on it, which would thin a short stream to nothing.
    """
    detector, walked = ONLINE[method](x_BF.shape[1], seed), 0
    detector.score_learn(x_BF[0])
    began = time.perf_counter()
    for row_F in x_BF[1:_PROBED]:
        detector.score_learn(row_F)
        walked += 1
        if walked >= _LEAST and time.perf_counter() - began > seconds * _PROBING:
            break
    taken = (time.perf_counter() - began) / max(1, walked)
    return max(1, int(np.ceil(len(x_BF) * taken / seconds)))


def main() -> None:
    """Score the rows that the command names."""
    method, rows, scores, seed, seconds = sys.argv[1:]
    score_B, stride, taken = walk(method, np.load(rows).astype(np.float64), int(seed), float(seconds))
    np.savez(scores, score=score_B, stride=stride, seconds=taken)


if __name__ == "__main__":
    main()
