"""Which ATT&CK tactic is likely next, and how far a threat has come along the order that intrusions take."""

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.consensus.tactics import kill_chain

_CHAINS = Path(__file__).with_name("chains.toml")
_FADES = (0.0, 0.25, 0.5, 0.75, 1.0)  # what a tactic weighs beside the one that came after it; 0 is a first-order chain
_BELIEFS = (1.0, 2.0, 4.0, 8.0, 16.0)  # how often a tactic must have come before what followed it is half believed


@dataclass(frozen=True)
class Anticipation:
    """What was learned of the order in which intrusions first show their tactics.

    The next tactic is one of those that have not come yet. Each that came says how often which came next after it, the
    last says it loudest, and the counts are smoothed towards how often a tactic comes next at all. How fast the voices
    fade and how much is smoothed is what foretells each chain best from the others.
    """

    _counted: NDArray[np.float64]
    _fade: float
    _belief: float

    @classmethod
    def learned(cls, chains: Iterable[Sequence[str]]) -> "Anticipation":
        """From chains of tactics in the order of time; a tactic counts where it first comes.

        Raises ValueError if a tactic is none of the kill chain's.
        """
        known = [_numbers(chain) for chain in chains]
        fade, belief = min(product(_FADES, _BELIEFS), key=lambda pair: _loss(known, *pair))
        return cls(_counts_of_all(known, fade), fade, belief)

    def anticipated(self, seen: Sequence[str]) -> tuple[tuple[str, float], ...]:
        """Every tactic that is not among those `seen`, in the order of time, with its probability of coming next.

        The likeliest comes first; probabilities sum to one. It is empty when no tactic was seen, or every one.
        Raises ValueError if one is none of the kill chain's.
        """
        numbers = _numbers(seen)
        if not numbers:
            return ()
        chance_T = self._chances(numbers)
        order = np.argsort(-chance_T, kind="stable")
        return tuple((kill_chain()[n], float(chance_T[n])) for n in order if chance_T[n] > 0.0)

    def progress(self, seen: Sequence[str]) -> float:
        """How much likelier tactics come in this order in an intrusion than by chance, in nats, never below 0.

        It never falls as a chain goes on and is below log 13! (22.6). Were every order as likely as any other, it
        would ever reach x with a probability of at most e^-x (Ville 1939). Which tactic came first counts nothing.
        """
        numbers = _numbers(seen)
        steps = [self._chances(numbers[:n])[numbers[n]] * (len(kill_chain()) - n) for n in range(1, len(numbers))]
        return float(np.max(np.cumsum(np.log(steps)), initial=0.0))

    def _chances(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        return _chances(self._counted, self._fade, self._belief, numbers)


def expected(seen: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """`Anticipation.anticipated` by what is learned of the campaign families in chains.toml."""
    return _of_families().anticipated(seen)


@cache
def _of_families() -> Anticipation:
    return Anticipation.learned(known().values())


@cache
def known() -> Mapping[str, tuple[str, ...]]:
    """The chain of each campaign family in chains.toml, in the order of time."""
    names = {name.partition(" ")[2].lower().replace(" ", "-"): name for name in kill_chain()}
    told = tomllib.loads(_CHAINS.read_text(encoding="utf-8"))
    return {family: tuple(names[tactic] for tactic in chain) for family, chain in told.items()}


def _numbers(chain: Sequence[str]) -> list[int]:
    """The place in the kill chain of every tactic, where it first comes."""
    places = {name: n for n, name in enumerate(kill_chain())}
    for tactic in chain:
        if tactic not in places:
            raise ValueError(f"tactic {tactic!r} is unknown, expected one such as {kill_chain()[0]!r}")
    return list(dict.fromkeys(places[tactic] for tactic in chain))


def _counts(numbers: Sequence[int], fade: float) -> NDArray[np.float64]:
    """How often each tactic came next, and could have: (2, T + 1, T), after each of T tactics, and anywhere at last."""
    size = len(kill_chain())
    counted = np.zeros((2, size + 1, size))
    for n in range(1, len(numbers)):
        rows = [*numbers[:n], size]
        weight_N = np.append(_weights(n, fade), 1.0)
        counted[0, rows, numbers[n]] += weight_N
        counted[1, rows] += weight_N[:, None] * _open(numbers[:n])
    return counted


def _counts_of_all(known: Iterable[Sequence[int]], fade: float) -> NDArray[np.float64]:
    return sum((_counts(numbers, fade) for numbers in known), start=_counts((), fade))


def _weights(count: int, fade: float) -> NDArray[np.float64]:
    """What each of the tactics that came weighs: the last 1, each before it `fade` times the next."""
    weight_N: NDArray[np.float64] = np.power(fade, np.arange(count)[::-1], dtype=np.float64)
    return weight_N


def _open(numbers: Sequence[int]) -> NDArray[np.float64]:
    """One for each tactic that has not come yet, (T,)."""
    open_T = np.ones(len(kill_chain()))
    open_T[list(numbers)] = 0.0
    return open_T


def _chances(counted: NDArray[np.float64], fade: float, belief: float, numbers: Sequence[int]) -> NDArray[np.float64]:
    """The probability of every tactic of coming next after those numbers, (T,); all are 0 when every one has come."""
    came, could = counted
    worth_T = (came[-1] + 0.5) / (could[-1] + 0.5 * came[-1].size)
    after_NT = (came[numbers] + belief * worth_T) / (could[numbers] + belief)
    chance_T: NDArray[np.float64] = _weights(len(numbers), fade) @ after_NT * _open(numbers)
    return chance_T / chance_T.sum() if chance_T.any() else chance_T


def _loss(known: Sequence[Sequence[int]], fade: float, belief: float) -> float:
    """Log loss of all chains in nats, each foretold by the others; the same whatever their order."""
    whole = _counts_of_all(known, fade)
    others = [whole - _counts(numbers, fade) for numbers in known]
    return math.fsum(
        -math.log(_chances(counted, fade, belief, numbers[:n])[numbers[n]])
        for numbers, counted in zip(known, others, strict=True)
        for n in range(1, len(numbers))
    )
