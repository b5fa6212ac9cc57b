"""Gathers entities that are strange together, so that one campaign becomes one threat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.consensus.bonds import Bonds, score

_ABSORBED = 0.4  # share of an entity's weight that lies in a threat's things before the threat takes it in
_ROUNDS = 3
_TELLING = 0.1  # nats that a thing must weigh to be counted against someone
_TOLD = 0.8  # share of a threat's weight that the things it is told by make up


@dataclass(frozen=True)
class Gathered:
    """One threat in numbers: nats by domain, its entities with their weights, its things, and the few that tell it.

    Entities and the telling things come heaviest first; these are the fewest that make up 80 % of the weight.
    """

    nats_D: NDArray[np.float64]
    entities: list[tuple[int, float]]
    things: NDArray[np.int64]
    telling: NDArray[np.int64]


def gather(bonds: Bonds, most: int) -> list[Gathered]:
    """Up to `most` threats, heaviest first; every thing is in at most one.

    Again and again the heaviest entity is taken with all its things that are still free, and with every entity at
    least 40 % of whose weight lies in those things, up to three rounds.
    """
    free_T = np.ones(bonds.domain_T.size, np.bool_)
    mine = [bonds.of_entity(entity) for entity in range(len(bonds.names))]
    total_E = np.array([_total(bonds, bond_N, free_T) for bond_N in mine])
    fresh_E = np.ones(len(mine), np.bool_)
    threats: list[Gathered] = []
    while total_E.size and len(threats) < most:
        seed = int(np.argmax(total_E))
        if total_E[seed] <= 0.0:
            break
        if not fresh_E[seed]:
            total_E[seed], fresh_E[seed] = _total(bonds, mine[seed], free_T), True
            continue
        threat = _around(seed, bonds, mine, free_T)
        if not threat.things.size:
            total_E[seed] = 0.0
            continue
        threats.append(threat)
        free_T[threat.things] = False
        fresh_E[np.unique(bonds.entity_L[np.isin(bonds.thing_L, threat.things)])] = False
    return sorted(threats, key=lambda threat: -threat.nats_D.sum())


def _total(bonds: Bonds, bond_N: NDArray[np.int64], free_T: NDArray[np.bool_]) -> float:
    bond_N = bond_N[free_T[bonds.thing_L[bond_N]]]
    thing_N = bonds.thing_L[bond_N]
    return float(score(bonds.domain_T[thing_N], bonds.weight_L[bond_N]).sum())


def _around(seed: int, bonds: Bonds, mine: list[NDArray[np.int64]], free_T: NDArray[np.bool_]) -> Gathered:
    """The threat around one entity."""
    taken_T = np.zeros_like(free_T)
    members = [seed]
    _take(taken_T, bonds, mine[seed], free_T)
    for _ in range(_ROUNDS):
        near = np.unique(bonds.entity_L[taken_T[bonds.thing_L]])
        joining = [int(e) for e in near if e not in members and _share(bonds, mine[e], free_T, taken_T) >= _ABSORBED]
        if not joining:
            break
        members += joining
        for entity in joining:
            _take(taken_T, bonds, mine[entity], free_T)
    return _summed(members, bonds, mine, taken_T)


def _take(taken_T: NDArray[np.bool_], bonds: Bonds, bond_N: NDArray[np.int64], free_T: NDArray[np.bool_]) -> None:
    thing_N = bonds.thing_L[bond_N[bonds.weight_L[bond_N] >= _TELLING]]
    taken_T[thing_N[free_T[thing_N]]] = True


def _share(bonds: Bonds, bond_N: NDArray[np.int64], free_T: NDArray[np.bool_], taken_T: NDArray[np.bool_]) -> float:
    bond_N = bond_N[free_T[bonds.thing_L[bond_N]]]
    weight_N = bonds.weight_L[bond_N]
    whole = weight_N.sum()
    return float(weight_N[taken_T[bonds.thing_L[bond_N]]].sum() / whole) if whole > 0.0 else 0.0


def _summed(members: list[int], bonds: Bonds, mine: list[NDArray[np.int64]], taken_T: NDArray[np.bool_]) -> Gathered:
    """A thing weighs what it weighs against the member it speaks most against."""
    weight_T = np.zeros(taken_T.size)
    weights = []
    for entity in members:
        bond_N = mine[entity][taken_T[bonds.thing_L[mine[entity]]]]
        np.maximum.at(weight_T, bonds.thing_L[bond_N], bonds.weight_L[bond_N])
        weights.append((entity, float(bonds.weight_L[bond_N].sum())))
    (thing_N,) = taken_T.nonzero()
    nats_D = score(bonds.domain_T[thing_N], weight_T[thing_N])
    return Gathered(nats_D, sorted(weights, key=lambda pair: -pair[1]), thing_N, _telling(thing_N, weight_T))


def _telling(thing_N: NDArray[np.int64], weight_T: NDArray[np.float64]) -> NDArray[np.int64]:
    heaviest_N = thing_N[np.argsort(-weight_T[thing_N], kind="stable")]
    before_N = np.cumsum(weight_T[heaviest_N]) - weight_T[heaviest_N]
    telling_N: NDArray[np.int64] = heaviest_N[before_N < _TOLD * weight_T[thing_N].sum()]
    return telling_N
