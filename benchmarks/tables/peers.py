"""Fits a peer to a matrix and scores another, in a process and, where need be, an environment of its own.

    python peers.py METHOD SEED < ROWS.npz > SCORES.npz

Runs without the project. `past` and `later` come in, scores of `later` (larger is stranger) and seconds go out. All
settings are the packages' own, but a method that is slow in its rows is fitted to as many drawn ones as `MOST` says.
"""

import importlib
import io
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _from(module: str, name: str, **settings: Any) -> Any:
    return getattr(importlib.import_module(module), name)(**settings)


class _Scikit:
    """A detector of scikit-learn's, whose scores grow with what is normal."""

    def __init__(self, model: Any) -> None:
        self.fit = model.fit
        self.decision_function = lambda x_BF: -model.score_samples(x_BF)


class _Norm:
    """The naive one-liner: how far a row of standard scores lies from nought."""

    def fit(self, x_BF: NDArray[np.float64]) -> None:
        """Nothing is learned."""

    def decision_function(self, x_BF: NDArray[np.float64]) -> NDArray[np.float64]:
        squared_B: NDArray[np.float64] = np.square(x_BF).sum(axis=1)
        return squared_B


#: Method -> from the number of features and a seed to a detector.
METHODS: Mapping[str, Callable[[int, int], Any]] = {
    "naive": lambda *_: _Norm(),
    "PyOD IForest": lambda _, seed: _from("pyod.models.iforest", "IForest", random_state=seed),
    "PyOD ECOD": lambda *_: _from("pyod.models.ecod", "ECOD"),
    "PyOD COPOD": lambda *_: _from("pyod.models.copod", "COPOD"),
    "PyOD DeepSVDD": lambda features, seed: _from(
        "pyod.models.deep_svdd", "DeepSVDD", n_features=features, random_state=seed, verbose=0
    ),
    "PyOD AutoEncoder": lambda _, seed: _from("pyod.models.auto_encoder", "AutoEncoder", random_state=seed, verbose=0),
    "LOF": lambda *_: _Scikit(_from("sklearn.neighbors", "LocalOutlierFactor", novelty=True)),
    "OneClassSVM": lambda *_: _Scikit(_from("sklearn.svm", "OneClassSVM")),
}
#: Those whose scores depend on the seed.
CHANCY = frozenset(("PyOD IForest", "PyOD DeepSVDD", "PyOD AutoEncoder"))
#: The most rows that a slow one learns from.
MOST: Mapping[str, int] = {"PyOD DeepSVDD": 5_000, "PyOD AutoEncoder": 5_000, "LOF": 10_000, "OneClassSVM": 10_000}


def judge(
    method: str, past_BF: NDArray[np.float64], later_BF: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], float, float]:
    """Scores of the later rows, seconds of fitting, seconds of scoring."""
    drawn_B = np.random.default_rng(seed).permutation(len(past_BF))[: MOST.get(method, len(past_BF))]
    past_BF = past_BF[np.sort(drawn_B)]
    model = METHODS[method](past_BF.shape[1], seed)
    began = time.perf_counter()
    model.fit(past_BF)
    fitted = time.perf_counter()
    score_B = np.asarray(model.decision_function(later_BF), float)
    return score_B, fitted - began, time.perf_counter() - fitted


def main() -> None:
    """Score the rows that come in."""
    method, seed = sys.argv[1:]
    rows = np.load(io.BytesIO(sys.stdin.buffer.read()))
    to, sys.stdout = sys.stdout, sys.stderr  # some of them print
    score_B, fitting, scoring = judge(method, rows["past"], rows["later"], int(seed))
    kept = io.BytesIO()
    np.savez(kept, score=score_B, fitting=fitting, scoring=scoring)
    to.buffer.write(kept.getvalue())


if __name__ == "__main__":
    main()
