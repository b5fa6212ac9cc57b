"""Peers: how seldom those who behave like an entity show this value."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import Memory, State, empty_memory, memory_state, mix, restore_memory, touch
from features.word import Look

_ROLES, _BINS = 8, 16
#: An entity whose cosine with every role is lower founds one, while there are roles left.
_ALIKE = 0.6
#: What the overall share weighs in a role's answer, and what being of no known role weighs against an entity's past.
_PRIOR, _DOUBT = 10.0, 5.0
#: How often an entity's value counts, before half-lives let it count again.
_ENOUGH = 16.0
_FORGOTTEN = 1e-3
_WIDE = 1 << 18
_STEP = 1e-3
_MASS, _FRESH, _WHEN = range(3)
_COUNT, _ADDED = range(2)
_PAST, _ROLE = range(2)


class Crowd(NamedTuple):
    """What is known of all together; the arrays change in place.

    `whole_3` holds the mass of all values, the mass of those that were new, and the active time of all masses here;
    `mass_R` each role's mass, `centre_RN` the mean direction of its entities' sketches.
    """

    whole_3: NDArray[np.float64]
    mass_R: NDArray[np.float64]
    centre_RN: NDArray[np.float64]


@dataclass(frozen=True)
class Peers:
    """Surprisal in nats of `field`'s value among the entities, values of `of`, that have the role of this one.

    An entity's n-th event with a value counts 1/n, and none after the sixteenth, so that values count by how many show
    them, not by how often; what it counted itself in its role is taken out again, so that no past of its own, however
    long, makes a value usual for it. A sketch of its values in sixteen bins gives its role: the nearest of eight
    centres that move along (spherical k-means, MacQueen's online form); one unlike all founds a new one. The overall
    p = r + (1 - r) m / (M + 1), r being the share of new values, weighs ten in a role's answer, and five against what
    an entity has shown, so that one never seen is judged by all, then by its role. Counts halve every `half_life` of
    active time.
    """

    field: str
    of: str
    half_life: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `operation among peers of user`."""
        return f"{self.field} among peers of {self.of}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field, and the one that names entities."""
        return (self.field, self.of)

    def watch(self, slots: int) -> "PeersWatch":
        """A fresh memory of at most `slots` entities, 262,144 of them, values of each, and values of each role."""
        return PeersWatch(self, slots)


class PeersWatch:
    """Past, role and sketch of entities, counts of what they showed, and the roles."""

    def __init__(self, word: Peers, slots: int) -> None:
        self._word = word
        slots = min(slots, _WIDE)
        half_life = word.half_life.total_seconds()
        self._tables = {
            "entities": empty_memory(slots, half_life, np.inf),
            "sketches": empty_memory(slots, half_life, *[np.inf] * _BINS),
            "shown": empty_memory(slots, half_life, half_life),
            "values": empty_memory(slots, half_life),
        }
        self._crowd = Crowd(np.zeros(3), np.zeros(_ROLES), np.zeros((_ROLES, _BINS)))

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Nats of surprise, (B,) float64."""
        value_B, of_B = look.codes[self._word.field], look.codes[self._word.of]
        entities, sketches, shown, values = self._tables.values()
        return _surprise(value_B, of_B, look.active_B, entities, sketches, shown, values, self._crowd)

    def state(self) -> State:
        """All counts, and the roles."""
        state: State = {f"crowd.{name}": array.copy() for name, array in self._crowd._asdict().items()}
        for name, table in self._tables.items():
            state |= memory_state(table, name)
        return state

    def restore(self, state: State) -> None:
        """Go on from these counts and roles."""
        for name, array in self._crowd._asdict().items():
            array[:] = state[f"crowd.{name}"]
        for name, table in self._tables.items():
            restore_memory(table, state, name)


@njit(cache=True)
def _surprise(
    value_B: NDArray[np.uint64],
    of_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    entities: Memory,
    sketches: Memory,
    shown: Memory,
    values: Memory,
    crowd: Crowd,
) -> NDArray[np.float64]:
    nats_B = np.zeros(value_B.size)
    for i in range(value_B.size):
        if value_B[i] == 0:
            continue
        now, value = active_B[i], value_B[i]
        _fade(crowd, now, entities.half_lives_C[0])
        entity = entities.counts_SC[touch(entities, of_B[i], now)]
        role = int(entity[_ROLE])
        pair = mix(of_B[i], value)
        own = shown.counts_SC[touch(shown, mix(pair, np.uint64(role)), now)]
        overall = values.counts_SC[touch(values, mix(value, np.uint64(_ROLES)), now), 0]
        among = values.counts_SC[touch(values, mix(value, np.uint64(role)), now), 0]
        p_all = _overall(overall, own[_ADDED], crowd)
        nats_B[i] = max(0.0, -np.log(_among(among, own[_ADDED], entity[_PAST], p_all, crowd.mass_R[role])))
        entity[_PAST] += 1.0
        if own[_COUNT] <= _ENOUGH - 1.0:
            weight = 1.0 / (1.0 + own[_COUNT])
            sketch = sketches.counts_SC[touch(sketches, of_B[i], now)]
            entity[_ROLE] = _place(sketch, value, weight, crowd)
            _teach(pair, value, int(entity[_ROLE]), weight, now, shown, values)
            crowd.whole_3[_MASS] += weight
            crowd.whole_3[_FRESH] += weight if overall < _FORGOTTEN else 0.0
    return nats_B


@njit(cache=True)
def _fade(crowd: Crowd, now: float, half_life: float) -> None:
    """Halve the masses every half-life, in a thousand steps."""
    if now - crowd.whole_3[_WHEN] > _STEP * half_life:
        left = 0.5 ** ((now - crowd.whole_3[_WHEN]) / half_life)
        crowd.whole_3[:2] *= left
        crowd.mass_R[:] *= left
        crowd.whole_3[_WHEN] = now


@njit(cache=True)
def _nearest(sketch_N: NDArray[np.float64], crowd: Crowd) -> int:
    """The role whose centre is nearest in direction, or the next free one where none is near."""
    length = _product(sketch_N, sketch_N)
    nearest, best = 0, -1.0
    for role in range(_ROLES):
        centre_N = crowd.centre_RN[role]
        size = _product(centre_N, centre_N)
        if size == 0.0:
            return role if best < _ALIKE else nearest
        cosine = _product(sketch_N, centre_N) / np.sqrt(size * length)
        if cosine > best:
            nearest, best = role, cosine
    return nearest


@njit(cache=True)
def _product(one_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> float:
    total = 0.0
    for at in range(_BINS):
        total += one_N[at] * other_N[at]
    return total


@njit(cache=True)
def _overall(count: float, own: float, crowd: Crowd) -> float:
    """The probability of a value by what others showed."""
    mass = max(0.0, crowd.whole_3[_MASS] - own)
    fresh = min(1.0, (crowd.whole_3[_FRESH] + 0.5) / (mass + 1.0))
    p: float = fresh + (1.0 - fresh) * max(0.0, count - own) / (mass + 1.0)
    return p


@njit(cache=True)
def _among(count: float, own: float, past: float, p_all: float, mass: float) -> float:
    """The probability of a value in a role, drawn towards all the more the less is known."""
    p_role = (max(0.0, count - own) + _PRIOR * p_all) / (max(0.0, mass - own) + _PRIOR)
    share = past / (past + _DOUBT)
    p: float = share * p_role + (1.0 - share) * p_all
    return p


@njit(cache=True)
def _place(sketch: NDArray[np.float64], value: np.uint64, weight: float, crowd: Crowd) -> int:
    """Count a value in an entity's sketch, which starts with what is left of it; its role moves towards it."""
    sketch_N = sketch[1:]
    for at in range(_BINS):
        sketch_N[at] *= sketch[0]
    sketch[0] = 1.0
    sketch_N[int(mix(value, np.uint64(0)) % np.uint64(_BINS))] += weight
    role = _nearest(sketch_N, crowd)
    crowd.mass_R[role] += weight
    step, length = weight / crowd.mass_R[role], np.sqrt(_product(sketch_N, sketch_N))
    for at in range(_BINS):
        crowd.centre_RN[role, at] += step * (sketch_N[at] / length - crowd.centre_RN[role, at])
    return role


@njit(cache=True)
def _teach(
    pair: np.uint64, value: np.uint64, role: int, weight: float, now: float, shown: Memory, values: Memory
) -> None:
    """Count a value in among all and in the role, and what of that the entity did."""
    own = shown.counts_SC[touch(shown, mix(pair, np.uint64(role)), now)]
    own[_COUNT] += 1.0
    own[_ADDED] += weight
    for where in (role, _ROLES):
        values.counts_SC[touch(values, mix(value, np.uint64(where)), now), 0] += weight
