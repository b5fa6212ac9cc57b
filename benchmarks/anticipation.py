"""The next ATT&CK tactic of campaign families held out, named by the others: accuracy, log loss and reliability.

    python -m benchmarks.anticipation

The question is which tactic comes next that has not come yet, at every step of a chain from its second tactic on. Each
of the simulator's ten families is held out in turn and foretold by what the other nine taught, also how fast voices
fade and how much is smoothed. Beside it, learned from the same nine: the most frequent tactic and a first-order chain,
both as they are and told which tactics have come (`open`: they choose among the rest).
Intervals: 95 %, of 2,000 bootstraps of whole families.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.consensus.anticipation import Anticipation, known
from agents.consensus.tactics import kill_chain

Chain = tuple[str, ...]
Chances = Callable[[Sequence[str]], NDArray[np.float64]]
Learn = Callable[[list[Chain]], Chances]

_BOOTSTRAPS = 2000
_SHUFFLES = 200
_OURS = "anticipation"


@dataclass(frozen=True)
class Answers:
    """For every step of the chains held out: its family, the chance of every tactic, and the place of the true one."""

    family_N: NDArray[np.int64]
    chance_NT: NDArray[np.float64]
    truth_N: NDArray[np.int64]

    def right(self, most: int = 1) -> NDArray[np.float64]:
        """One where the true tactic is among the `most` likeliest."""
        likeliest_NT = np.argsort(-self.chance_NT, axis=1, kind="stable")[:, :most]
        return np.asarray((likeliest_NT == self.truth_N[:, None]).any(axis=1), np.float64)

    def loss(self) -> NDArray[np.float64]:
        """Log loss of every step, in nats."""
        return np.asarray(-np.log(self.chance_NT[np.arange(self.truth_N.size), self.truth_N]))


def main() -> None:
    """Print the accuracies, the reliability, and how far held-out chains come."""
    console = Console(width=150)
    given = {name: answers(learn) for name, learn in RULES.items()}
    _compare(console, given)
    _reliability(console, given[_OURS])
    _progress(console)


def frequent(chains: list[Chain]) -> Chances:
    """How often each tactic comes next, one added."""
    chance_T = np.ones(len(kill_chain()))
    for chain in chains:
        for tactic in chain[1:]:
            chance_T[kill_chain().index(tactic)] += 1.0
    return lambda seen: chance_T / chance_T.sum()


def first_order(chains: list[Chain]) -> Chances:
    """How often each tactic follows the last one, towards how often it comes next at all."""
    anywhere_T = frequent(chains)(())
    came_TT = np.tile(anywhere_T * anywhere_T.size, (anywhere_T.size, 1))
    for chain in chains:
        for last, tactic in pairwise(chain):
            came_TT[kill_chain().index(last), kill_chain().index(tactic)] += 1.0
    chance_TT = came_TT / came_TT.sum(axis=1, keepdims=True)
    return lambda seen: np.asarray(chance_TT[kill_chain().index(seen[-1])])


def told_what_came(learn: Learn) -> Learn:
    """The same, choosing among the tactics that have not come."""

    def learned(chains: list[Chain]) -> Chances:
        chances = learn(chains)

        def among_the_rest(seen: Sequence[str]) -> NDArray[np.float64]:
            chance_T = chances(seen) * [name not in seen for name in kill_chain()]
            return np.asarray(chance_T / chance_T.sum())

        return among_the_rest

    return learned


def ours(chains: list[Chain]) -> Chances:
    learned = Anticipation.learned(chains)

    def chances(seen: Sequence[str]) -> NDArray[np.float64]:
        named = dict(learned.anticipated(seen))
        return np.array([named.get(name, 0.0) for name in kill_chain()])

    return chances


RULES: dict[str, Learn] = {
    "most frequent": frequent,
    "most frequent, open": told_what_came(frequent),
    "first-order chain": first_order,
    "first-order chain, open": told_what_came(first_order),
    _OURS: ours,
}


def held_out() -> Iterator[tuple[Chain, list[Chain]]]:
    """The chain of each family, with the chains of all the others."""
    for family, chain in known().items():
        yield chain, [other for name, other in known().items() if name != family]


def answers(learn: Learn) -> Answers:
    """Hold out each family in turn, learn from the others, and ask at every step."""
    asked = [
        (family, chances(chain[:n]), kill_chain().index(chain[n]))
        for family, (chain, others) in enumerate(held_out())
        for chances in [learn(others)]
        for n in range(1, len(chain))
    ]
    families, chances_of, truth = zip(*asked, strict=True)
    return Answers(np.array(families), np.array(chances_of), np.array(truth))


def _compare(console: Console, given: dict[str, Answers]) -> None:
    mine = given[_OURS]
    gains = "ours better by (top 1)", "ours better by (top 3)", "ours better by (nats)"
    rows = Table("rule", "top 1", "top 3", "log loss", *gains, box=MARKDOWN)
    for name, theirs in given.items():
        figures = (f"{figure.mean():.3f}" for figure in (theirs.right(), theirs.right(3), theirs.loss()))
        better = mine.right() - theirs.right(), mine.right(3) - theirs.right(3), theirs.loss() - mine.loss()
        rows.add_row(name, *figures, *("" if name == _OURS else _mean(gain, mine.family_N) for gain in better))
    console.print(f"{len(known())} families, {mine.truth_N.size} steps")
    console.print(rows)


def _mean(value_N: NDArray[np.float64], family_N: NDArray[np.int64]) -> str:
    """The mean with its 95 % interval over families."""
    _, family_N = np.unique(family_N, return_inverse=True)
    sum_F, count_F = np.bincount(family_N, value_N), np.bincount(family_N)
    drawn_BF = np.random.default_rng(0).integers(0, count_F.size, (_BOOTSTRAPS, count_F.size))
    low, high = np.quantile(sum_F[drawn_BF].sum(axis=1) / count_F[drawn_BF].sum(axis=1), [0.025, 0.975])
    return f"{value_N.mean():.3f} ({low:.3f} to {high:.3f})"


def _reliability(console: Console, given: Answers) -> None:
    """The chance that was named beside how often the tactic came: of the likeliest, and of every tactic still open."""
    rows = Table("chance named for", "answers", "named", "came (95 %)", box=MARKDOWN)
    likeliest = given.chance_NT.max(axis=1), given.right(), given.family_N
    step, tactic = np.nonzero(given.chance_NT)
    every = given.chance_NT[step, tactic], (given.truth_N[step] == tactic).astype(np.float64), given.family_N[step]
    for title, (named_N, came_N, family_N), parts in (("the likeliest", likeliest, 3), ("any open tactic", every, 5)):
        for n, part in enumerate(np.array_split(np.argsort(named_N, kind="stable"), parts), start=1):
            told = _mean(came_N[part], family_N[part])
            rows.add_row(f"{title}, part {n} of {parts}", str(part.size), f"{named_N[part].mean():.3f}", told)
    console.print("\nreliability, in equal parts from the smallest chance to the largest")
    console.print(rows)


def _progress(console: Console) -> None:
    """Nats of progress of chains held out: as they were, the other way round, and shuffled."""
    chance = np.random.default_rng(0)
    nats: dict[str, list[float]] = {"as it was": [], "the other way round": [], "shuffled": []}
    for chain, others in held_out():
        progress = Anticipation.learned(others).progress
        nats["as it was"].append(progress(chain))
        nats["the other way round"].append(progress(chain[::-1]))
        nats["shuffled"] += [progress([chain[n] for n in chance.permutation(len(chain))]) for _ in range(_SHUFFLES)]
    rows = Table("order", "chains", "mean", "median", "share above 2 nats", box=MARKDOWN)
    for name, each in nats.items():
        figures = np.mean(each), np.median(each), np.mean(np.array(each) > 2.0)
        rows.add_row(name, str(len(each)), *(f"{figure:.2f}" for figure in figures))
    console.print("\nprogress of families held out, in nats")
    console.print(rows)


if __name__ == "__main__":
    main()
