"""Context: what each agent knows of an entity, so that its peers can read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from features.memory import (
    WAYS,
    Memory,
    State,
    empty_memory,
    faded,
    find,
    inlined,
    kernel,
    memory_state,
    restore_memory,
    touch,
)

#: Length of the vector that an agent makes of an event.
WIDTH = 8
#: What is told of an entity by each peer: the mean of its events' vectors, and the log of how many there were.
TOLD = WIDTH + 1

_SLOTS = 1 << 17
_DULL = 3.0  # nats that anybody's events have now and then
_LOUDEST = 8.0  # deviations that one peer's alarm counts at most
_LONG = 0.999  # what a look leaves of the ones before, where the usual alarm is counted
_USUAL, _USUAL_SQUARE, _LEAST_VARIANCE = 2.0, 6.0, 0.5
_WEIGHT, _ALARM, _LOOKS, _SUM, _SQUARES, _MEAN = range(6)


class Acquaintances:
    """What one agent knows of at most 131,072 entities: what their events were like of late, and how strange.

    For each entity the decayed mean of its events' vectors, their decayed count, its alarm, which is the strangest of
    its events faded since, and what that alarm usually was whenever somebody looked.
    """

    def __init__(self, half_life: timedelta = timedelta(hours=8)) -> None:
        seconds = half_life.total_seconds()
        self.memory = empty_memory(_SLOTS, seconds, seconds, kept=_MEAN + WIDTH - 2)
        self._now = np.zeros(1)

    @property
    def now(self) -> float:
        """The active second of the newest event that was taken in."""
        return float(self._now[0])

    def state(self) -> State:
        """All that is known."""
        return {"now": self._now.copy()} | memory_state(self.memory, "entities")

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._now[:] = state["now"]
        restore_memory(self.memory, state, "entities")

    def move_to(self, second: float) -> None:
        """Take what is known as of this active second: nothing of it has faded since."""
        in_use = slice(int(self.memory.size[0]) * WAYS)
        self.memory.when_S[in_use] += np.where(self.memory.keys_S[in_use] == 0, 0.0, second - self.now)
        self._now[0] = second

    def reached(self, second: float) -> None:
        """Everything up to this active second was taken in."""
        self._now[0] = max(second, self.now)


@dataclass(frozen=True)
class Context:
    """What N events' entities are known for, by domain; a domain says nothing of its own events.

    `told_NDC` (N, D, TOLD) float32: vector and log count of the entity that the peer knows best; `alarm_ND` (N, D)
    float32 >= 0: by how many deviations an entity's alarm is above its usual one, that of the loudest entity.
    """

    told_NDC: NDArray[np.float32]
    alarm_ND: NDArray[np.float32]

    def of(self, rows: NDArray[np.int64]) -> "Context":
        """The context of some of the events."""
        return Context(self.told_NDC[rows], self.alarm_ND[rows])


def share(
    known: Sequence[Acquaintances],
    entity_NE: NDArray[np.uint64],
    domain_N: NDArray[np.int64],
    active_N: NDArray[np.float64],
    vector_NW: NDArray[np.float32],
    nats_N: NDArray[np.float64],
) -> Context:
    """For each event, in order, what the peers know of its entities; then its own domain takes it in.

    `entity_NE` names up to E entities an event, 0 for none; `domain_N` is the place of its domain in `known`;
    `active_N` its active second, never going back; `vector_NW` (N, WIDTH) what its agent makes of it, `nats_N` how
    strange it is.
    """
    events, domains = domain_N.size, len(known)
    context = Context(np.zeros((events, domains, TOLD), np.float32), np.zeros((events, domains), np.float32))
    memories = tuple(one.memory for one in known)
    _share(memories, entity_NE, domain_N, active_N, vector_NW, nats_N, context.told_NDC, context.alarm_ND)
    for one in known if events else ():
        one.reached(float(active_N[-1]))
    return context


@kernel
def _share(
    memories: tuple[Memory, ...],
    entity_NE: NDArray[np.uint64],
    domain_N: NDArray[np.int64],
    active_N: NDArray[np.float64],
    vector_NW: NDArray[np.float32],
    nats_N: NDArray[np.float64],
    told_NDC: NDArray[np.float32],
    alarm_ND: NDArray[np.float32],
) -> None:
    for i in range(domain_N.size):
        for e in range(entity_NE.shape[1]):
            if entity_NE[i, e] != 0:
                for d in range(len(memories)):
                    if d != domain_N[i]:
                        alarm = _ask(memories[d], entity_NE[i, e], active_N[i], told_NDC, i, d)
                        alarm_ND[i, d] = max(alarm_ND[i, d], min(alarm, _LOUDEST))
        for e in range(entity_NE.shape[1]):
            if entity_NE[i, e] != 0:
                _take_in(memories[domain_N[i]], entity_NE[i, e], active_N[i], vector_NW, i, nats_N[i])


@inlined
def _ask(memory: Memory, entity: np.uint64, now: float, told_NDC: NDArray[np.float32], i: int, d: int) -> float:
    """Have told what is known of `entity` unless more is told already; by how much its alarm is above the usual."""
    slot = find(memory, entity)
    if slot < 0:
        return 0.0
    left = faded(max(0.0, now - memory.when_S[slot]), memory.half_lives_C[0])
    weight = memory.counts_SC[slot, _WEIGHT] * left
    if np.log1p(weight) > told_NDC[i, d, WIDTH]:
        told_NDC[i, d, WIDTH] = np.log1p(weight)
        for w in range(WIDTH):
            told_NDC[i, d, w] = memory.counts_SC[slot, _MEAN + w] * weight / (weight + 1.0)
    return _above_usual(memory, slot, memory.counts_SC[slot, _ALARM] * left)


@inlined
def _above_usual(memory: Memory, slot: int, alarm: float) -> float:
    """The alarm in deviations from its usual one, which is learned afterwards."""
    known_SC = memory.counts_SC
    mean = (known_SC[slot, _SUM] + _USUAL) / (known_SC[slot, _LOOKS] + 1.0)
    variance = (known_SC[slot, _SQUARES] + _USUAL_SQUARE) / (known_SC[slot, _LOOKS] + 1.0) - mean * mean
    known_SC[slot, _LOOKS] = known_SC[slot, _LOOKS] * _LONG + 1.0
    known_SC[slot, _SUM] = known_SC[slot, _SUM] * _LONG + alarm
    known_SC[slot, _SQUARES] = known_SC[slot, _SQUARES] * _LONG + alarm * alarm
    above: float = (alarm - mean) / np.sqrt(max(variance, _LEAST_VARIANCE))
    return above


@inlined
def _take_in(
    memory: Memory, entity: np.uint64, now: float, vector_NW: NDArray[np.float32], i: int, nats: float
) -> None:
    """One event more of `entity`."""
    slot = touch(memory, entity, now)
    known_SC = memory.counts_SC
    known_SC[slot, _WEIGHT] += 1.0
    known_SC[slot, _ALARM] = max(known_SC[slot, _ALARM], max(0.0, nats - _DULL))
    for w in range(WIDTH):
        known_SC[slot, _MEAN + w] += (vector_NW[i, w] - known_SC[slot, _MEAN + w]) / known_SC[slot, _WEIGHT]
