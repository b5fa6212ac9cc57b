"""What an agent makes of its peers' word: how usual an event is given what they know of its entities."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.featurizer import part, under
from features.memory import State
from models.calibrator import Calibrator
from models.context import TOLD, Context
from models.reader import Reader, mismatch

_RECENT, _SURE = 1000.0, 4.0
_OWN = 2.0  # what an agent's own word weighs beside that of its peers, which weighs 1 at most
_ALARM, _SKILL, _EVENTS = range(3)


@dataclass(frozen=True)
class Heard:
    """Of B events: the nats that peers say, as they weigh, and how usual an event is by them and its own agent."""

    nats_B: NDArray[np.float64]
    p_B: NDArray[np.float64]


class Peers:
    """Weighs alarms of peers and what the reader finds amiss, and calibrates them with an agent's own nats.

    An alarm counts as far as it is above the mean of the last thousand events: what is so of everybody tells nobody
    apart. The word of the peers weighs 4 (s - 1/2), within 0 and 1, s being how often among the last thousand events
    the reader found an event nearer to its own context than to that of the event before: where contexts do not tell
    one from another, as on a host by itself or in a strange environment, nobody listens.
    """

    def __init__(self, domains: int) -> None:
        self._calibrators = {name: Calibrator() for name in ("alarm", "mismatch")}
        self._recent = np.array([0.0, 0.5, 0.0])
        self._last_DC = np.zeros((domains, TOLD), np.float32)

    def observe(
        self, context: Context, hidden_BH: NDArray[np.float32], reader: Reader, p_own_B: NDArray[np.float64]
    ) -> Heard:
        """Judge B events by their context; `p_own_B` is how usual their own agent finds them, (B,)."""
        alarm_B = context.alarm_ND.sum(axis=1, dtype=np.float64)
        amiss_B, other_B = mismatch(reader, hidden_BH, context.told_NDC, self._last_DC)
        self._last_DC = np.concatenate([self._last_DC[None], context.told_NDC])[-1].copy()
        weight_B = _weigh(alarm_B, amiss_B, other_B, self._recent)
        p_alarm_B = self._calibrators["alarm"].observe(alarm_B)
        p_mismatch_B = self._calibrators["mismatch"].observe(amiss_B)
        nats_B = weight_B * (0.0 - np.log(p_alarm_B) - np.log(p_mismatch_B))
        return Heard(nats_B, np.exp((_OWN * np.log(p_own_B) - nats_B) / (_OWN + weight_B)))

    def state(self) -> State:
        """All that was learned of how usual they are."""
        state: State = {"recent": self._recent.copy(), "last": self._last_DC.copy()}
        for name, calibrator in self._calibrators.items():
            state |= under(name, calibrator.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._recent[:] = state["recent"]
        self._last_DC = state["last"].astype(np.float32)
        for name, calibrator in self._calibrators.items():
            calibrator.restore(part(state, name))


@njit(cache=True)
def _weigh(
    alarm_B: NDArray[np.float64],
    amiss_B: NDArray[np.float64],
    other_B: NDArray[np.float64],
    recent: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The weight of the peers' word at each event; of alarms only what is above the recent mean is left."""
    weight_B = np.empty(alarm_B.size)
    for i in range(alarm_B.size):
        alarm, usual = alarm_B[i], recent[_ALARM]
        weight_B[i] = min(max(0.0, _SURE * (recent[_SKILL] - 0.5)), 1.0)
        alarm_B[i] = max(0.0, alarm - usual)
        recent[_EVENTS] = min(recent[_EVENTS] + 1.0, _RECENT)
        told = 1.0 if amiss_B[i] < other_B[i] else (0.5 if amiss_B[i] == other_B[i] else 0.0)
        recent[_ALARM] += (alarm - usual) / recent[_EVENTS]
        recent[_SKILL] += (told - recent[_SKILL]) / (recent[_EVENTS] + 1.0)
    return weight_B
