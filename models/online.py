"""The online detectors of one agent as one: marginals, those its recipe names, and what speaks for itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from river.base import AnomalyDetector

from features.featurizer import part, under
from features.memory import State
from models.calibrator import Calibrator
from models.fusion import Fusion, sound
from models.guest import hosted
from models.marginals import Marginals

_VIEWS = (0.4, 0.4, 0.2)  # shares of the marginals' three ways of asking
_FURTHER = 0.25  # share of each further detector


@dataclass(frozen=True)
class Strangeness:
    """How strange B events are: `score_B` in nats, and what each of F features adds to it, roughly, `nats_BF`."""

    score_B: NDArray[np.float64]
    nats_BF: NDArray[np.float64]


class Online:
    """Scores features before it learns them.

    Some features are judged by how usual they are: by the marginals and by further detectors, each of whose scores is
    taken as -log of its tail probability, fused. Others speak for themselves: `added` are the weights with which the
    first of them are added on top, and the score is not below any of the last, by the weights `at_least`.
    """

    def __init__(
        self, detectors: Sequence[AnomalyDetector], added: Sequence[float] = (), at_least: Sequence[float] = ()
    ) -> None:
        self._added_A, self._least_L = np.array(added), np.array(at_least)
        self._marginals = Marginals()
        self._further = [hosted(detector) for detector in detectors]
        self._calibrators = [Calibrator() for _ in detectors]
        self._fusion = Fusion([*_VIEWS, *(_FURTHER for _ in detectors)])

    @property
    def agreements(self) -> NDArray[np.float64]:
        """How much the marginals' three views and each further detector agree with the rest, 0 to 1."""
        return self._fusion.agreement_D

    def observe(
        self,
        places_BF: NDArray[np.float64],
        alone_BA: NDArray[np.float32],
        kind_B: NDArray[np.uint64],
        weight_B: NDArray[np.float64],
    ) -> Strangeness:
        """The strangeness of events; each is then learned with its weight in [0, 1].

        `places_BF` are the judged features, squashed to [0, 1), `alone_BA` the others in nats.
        """
        margins = self._marginals.judge_learn_many(places_BF, kind_B, weight_B)
        further = [
            -np.log(calibrator.observe(sound(detector.score_learn_many(places_BF, weight_B)), weight_B))
            for detector, calibrator in zip(self._further, self._calibrators, strict=True)
        ]
        fused_B = self._fusion.observe(np.column_stack([margins.nats_BV, *further]))
        return self._raised(fused_B, margins.nats_BF, alone_BA.astype(np.float64))

    def state(self) -> State:
        """All that was learned."""
        state = under("marginals", self._marginals.state()) | under("fusion", self._fusion.state())
        for d, (detector, calibrator) in enumerate(zip(self._further, self._calibrators, strict=True)):
            state |= under(f"detector {d}", detector.state()) | under(f"calibrator {d}", calibrator.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._marginals.restore(part(state, "marginals"))
        self._fusion.restore(part(state, "fusion"))
        for d, (detector, calibrator) in enumerate(zip(self._further, self._calibrators, strict=True)):
            detector.restore(part(state, f"detector {d}"))
            calibrator.restore(part(state, f"calibrator {d}"))

    def _raised(
        self, fused_B: NDArray[np.float64], nats_BF: NDArray[np.float64], alone_BA: NDArray[np.float64]
    ) -> Strangeness:
        """The score with the features that speak for themselves."""
        added_BA = alone_BA[:, : self._added_A.size] * self._added_A
        least_BL = alone_BA[:, self._added_A.size :] * self._least_L
        score_B = fused_B + added_BA.sum(axis=1)
        told_BL = np.where(least_BL > score_B[:, None], least_BL, 0.0)
        raised_B = np.maximum(score_B, told_BL.max(axis=1, initial=0.0))
        return Strangeness(raised_B, np.concatenate([nats_BF, added_BA, told_BL], axis=1))
