"""A guest: any anomaly detector of River's, an event at a time, kept as arrays."""

from collections.abc import Hashable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from river import anomaly, base

from features.memory import State
from models.columnar import whole
from models.telling import heard, told

Model: TypeAlias = base.AnomalyDetector | base.SupervisedAnomalyDetector


class Guest(base.AnomalyDetector):
    """A detector of River's in the slow lane: every event passes through Python, about a hundred times as slow.

    A scorer of single values (`anomaly.GaussianScorer`, `anomaly.StandardAbsoluteDeviation`) has a clone for every
    feature, whose mean is the score. Columns of a matrix are named 0, 1, ... where `columns` does not name them.

    Parameters
    ----------
    model
        The detector, as a recipe would name it; it stays as it is, a clone of it learns.
    columns
        Names of the columns of a matrix.

    Examples
    --------
    >>> guest = Guest(anomaly.HalfSpaceTrees(n_trees=5, height=3, window_size=3, seed=42))
    >>> guest.score_learn_many(np.array([[0.5], [0.45], [0.43], [0.0]])).round(2).tolist()
    [0.0, 0.0, 0.0, 0.85]
    """

    def __init__(self, model: Model, columns: tuple[Hashable, ...] | None = None) -> None:
        self.model = model
        self.columns = columns
        self._owed = np.zeros(1)
        self._within = self._newcomer()

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """The score of one event, as River gives it."""
        return float(self._within.score_one(x))

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Let the guest learn one event."""
        self._within.learn_one(x)

    def score_learn_many(
        self, x_BF: NDArray[np.float32 | np.float64], weight_B: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score each row, then learn it, in turn: (B,) float64; whole rows, as many as their weights come to."""
        taught_B = whole(np.ones(len(x_BF)) if weight_B is None else weight_B, self._owed)
        names = self.columns or tuple(range(x_BF.shape[1]))
        score_B = np.empty(len(x_BF))
        for i, row in enumerate(x_BF.astype(np.float64).tolist()):
            event = dict(zip(names, row, strict=True))
            score_B[i] = self._within.score_one(event)
            if taught_B[i]:
                self._within.learn_one(event)
        return score_B

    def state(self) -> State:
        """Its numbers, and a text of where they belong; raises Untold where something is neither."""
        return told(self._within, self._newcomer(), repr(self.model)) | {"owed": self._owed.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of another model."""
        self._within = heard(state, self._newcomer(), repr(self.model))
        self._owed[:] = state["owed"]

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"model": anomaly.HalfSpaceTrees(seed=1)}

    def _newcomer(self) -> Any:
        """The guest as its parameters make it: the functions in it need not be told."""
        fresh = self.model.clone()
        return ByFeature(fresh) if isinstance(fresh, base.SupervisedAnomalyDetector) else fresh


def hosted(detector: Model) -> Any:
    """A fresh clone that learns whole matrices: the detector's own kind where it can, a guest where it cannot."""
    return detector.clone() if hasattr(detector, "score_learn_many") else Guest(detector)


class ByFeature:
    """A scorer of single values for every feature; the score is the mean of theirs."""

    def __init__(self, scorer: base.SupervisedAnomalyDetector) -> None:
        self._scorer = scorer
        self._scorers: dict[Hashable, Any] = {}

    def score_one(self, x: dict[Hashable, Any]) -> float:
        scores = [self._scorers[name].score_one(None, value) for name, value in x.items() if name in self._scorers]
        return sum(scores) / len(scores) if scores else 0.0

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        for name, value in x.items():
            if name not in self._scorers:
                self._scorers[name] = self._scorer.clone()
            self._scorers[name].learn_one(None, value)
