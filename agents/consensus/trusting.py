"""Trusting: how much each agent's word and each sort of things weighs, learned from what analysts answered."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from agents.consensus.answers import Answer, standing
from agents.consensus.guidance import Guidance, Sort
from models.aggregation import agreed

_LIARS = 1  # of those who answer, how many may lie


@dataclass(frozen=True)
class Sway:
    """How far answers move what an agent's nats, or those of a sort of things, are multiplied by.

    One analyst takes away at most the share `alone`, however often he answers; what one more than may lie agree on
    takes at most the share `agreed` besides. Never is more than `1 - low` taken, and nothing is ever added.
    An analyst's word is full where what he found false outweighs what he found true by so many whole threats (`full`).
    """

    alone: float
    agreed: float
    full: float
    low: float

    def __post_init__(self) -> None:
        for name, share in (("alone", self.alone), ("agreed", self.agreed)):
            if not 0.0 <= share < 1.0:
                raise ValueError(f"{name} {share}: expected a share from 0 to below 1")
        if not self.full > 0.0:
            raise ValueError(f"full {self.full}: expected more than 0 threats")
        if not 0.0 < self.low <= 1.0:
            raise ValueError(f"low {self.low}: expected a factor above 0, at most 1")


#: As measured in benchmarks/feedback.py.
DOMAIN, SORT = Sway(alone=0.0, agreed=0.3, full=2.0, low=0.5), Sway(alone=0.05, agreed=0.5, full=0.5, low=0.4)


@dataclass(frozen=True)
class Moved:
    """By what factor answers weigh a whole domain, or one of its sorts of things, and whose they are.

    `true` and `false` are how many answers found so what it had told; `doubt` is the word of each analyst, from -1
    (true) to 1 (false).
    """

    domain: str
    sort: Sort | None
    factor: float
    true: int
    false: int
    doubt: Mapping[str, float]


def guided_by(answers: Iterable[Answer], domain: Sway = DOMAIN, sort: Sway = SORT) -> Guidance:
    """What the answers that stand ask of the council: the same whatever their order, and what was taken back aside."""
    counted = standing(answers)
    told = moved(counted, domain, sort)
    return Guidance(
        trust=MappingProxyType({one.domain: one.factor for one in told if one.sort is None}),
        sorts=MappingProxyType({one.sort: one.factor for one in told if one.sort is not None}),
        answers=MappingProxyType(_verdicts(counted)),
    )


def moved(answers: Iterable[Answer], domain: Sway = DOMAIN, sort: Sway = SORT) -> tuple[Moved, ...]:
    """Every domain and sort whose weight the answers lower, domains first, what is lowered most before the rest."""
    words: dict[tuple[str, Sort | None], list[tuple[Answer, float]]] = defaultdict(list)
    for answer in standing(answers):
        for name, share in answer.domains.items():
            words[name, None].append((answer, share))
        for told, share in _shares(answer):
            words[told[0], told].append((answer, share))
    weighed = [_moved(name, of, said, domain if of is None else sort) for (name, of), said in words.items()]
    return tuple(sorted((one for one in weighed if one.factor < 1.0), key=_order))


def _shares(answer: Answer) -> Iterator[tuple[Sort, float]]:
    """The share of each sort in the nats of all."""
    whole = sum(nats for *_, nats in answer.sorts)
    for domain, activity, field, nats in answer.sorts:
        yield (domain, activity, field), nats / whole


def _moved(domain: str, sort: Sort | None, said: list[tuple[Answer, float]], sway: Sway) -> Moved:
    sums: dict[str, float] = defaultdict(float)
    for answer, share in said:
        sums[answer.analyst] += -share if answer.is_true else share
    doubt = {analyst: float(np.clip(nats / sway.full, -1.0, 1.0)) for analyst, nats in sorted(sums.items())}
    true = sum(answer.is_true is True for answer, _ in said)
    return Moved(domain, sort, _factor(doubt, sway), true, len(said) - true, MappingProxyType(doubt))


def _factor(doubt: Mapping[str, float], sway: Sway) -> float:
    doubt_S = np.array(list(doubt.values()))
    together = max(0.0, float(agreed(doubt_S[:, None], _LIARS).score_N[0])) if doubt_S.size > _LIARS else 0.0
    kept: float = (1.0 - sway.alone) ** max(0.0, float(doubt_S.sum())) * (1.0 - sway.agreed) ** together
    return max(sway.low, kept)


def _order(one: Moved) -> tuple[bool, float, str]:
    return one.sort is not None, one.factor, repr((one.domain, one.sort))


def _verdicts(counted: Iterable[Answer]) -> dict[str, bool]:
    """By threat, whether most of those who answered found it true; where as many did as did not, nothing is said."""
    ayes: dict[str, int] = defaultdict(int)
    for answer in counted:
        ayes[answer.threat] += 1 if answer.is_true else -1
    return {threat: votes > 0 for threat, votes in ayes.items() if votes != 0}
