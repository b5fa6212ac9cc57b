"""Answering: what an analyst's word on a threat would change, worked out before it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from agents.consensus.answers import Answer, answer_to, standing
from agents.consensus.explaining import FEWEST, Explanation, Move, UnknownThreat, explained, found, moves
from agents.consensus.guidance import Guidance, Sort
from agents.consensus.threats import Threat
from agents.consensus.trusting import guided_by
from serving.threats.docket import Docket
from serving.threats.ranking import spelled, threats_of

#: What an analyst can say of a threat; `withdraw` takes an earlier word back.
Said = Literal["true", "false", "withdraw"]

#: By what an agent's nats, or those of a sort of things, are multiplied before and after.
Factor = tuple[str, float, float] | tuple[Sort, float, float]

Named = TypeVar("Named")


@dataclass(frozen=True)
class Effect:
    """What an answer changes: the places of the threat itself and of the listed ones, and the factors that do."""

    answer: Answer
    moves: tuple[Move, ...]
    factors: tuple[Factor, ...]


def guidance(docket: Docket, answers: Sequence[Answer]) -> Guidance:
    """What people told of this docket's threats: their answers, and how critical they stated what to be."""
    return replace(guided_by(answers), criticality=docket.criticality)


def explain(docket: Docket, answers: Sequence[Answer], name: str) -> Explanation:
    """Why the threat of a name (see `sought`) has its rank. Raises UnknownThreat."""
    told = explained(docket.council, name, docket.most, guidance(docket, answers), docket.cut)
    return replace(told, threat=spelled(told.threat, docket.spellings))


def effect(
    docket: Docket, answers: Sequence[Answer], name: str, said: Said, analyst: str, reason: str, now: datetime
) -> Effect:
    """What one more answer would change; nothing is kept.

    A threat goes by its id or its beginning: ranks move with every answer. Raises UnknownThreat.
    """
    told, time = guidance(docket, answers), _after(answers, now)
    if said == "withdraw":
        answer = replace(_earlier(answers, name, analyst), is_true=None, time=time, reason=reason)
        before = threats_of(docket, told)
    else:
        threat, before = found(docket.council, name, docket.most, told, docket.cut)
        answer = answer_to(_by_id(threat, name), said == "true", analyst, time, reason)
    then = guidance(docket, [*answers, answer])
    after = threats_of(replace(docket, most=max(docket.most, len(before))), then)
    moved = moves([spelled(threat, docket.spellings) for threat in before], after)
    told_of = tuple(move for move in moved if move.is_listed or move.is_of(answer.threat))
    return Effect(answer, told_of, _factors(told, then))


def _after(answers: Sequence[Answer], now: datetime) -> datetime:
    """`now`, or right after the latest answer where a clock was set back: the latest word is the one that counts."""
    return max([now, *(answer.time + timedelta(microseconds=1) for answer in answers)])


def _by_id(threat: Threat, name: str) -> Threat:
    if not any(one.startswith(name) for one in (threat.id, *threat.merged)):
        raise UnknownThreat(f"threat {name!r}: ranks move with every answer; name it by its id, which is {threat.id}")
    return threat


def _earlier(answers: Sequence[Answer], name: str, analyst: str) -> Answer:
    """The analyst's answer that counts on the threat of an id or its beginning."""
    mine = [one for one in standing(answers) if one.analyst == analyst and one.threat.startswith(name)]
    if len(mine) != 1 or len(name) < FEWEST:
        those = " and ".join(one.threat for one in mine) or "none"
        raise UnknownThreat(
            f"threat {name!r}: expected one that {analyst} answered, see `secmesh answers`; found {those}"
        )
    return mine[0]


def _factors(before: Guidance, after: Guidance) -> tuple[Factor, ...]:
    """The factors that change, agents first."""
    return (*_changed(before.trust, after.trust), *_changed(before.sorts, after.sorts))


def _changed(before: Mapping[Named, float], after: Mapping[Named, float]) -> list[tuple[Named, float, float]]:
    both = [(name, before.get(name, 1.0), after.get(name, 1.0)) for name in dict.fromkeys([*before, *after])]
    return [(name, old, new) for name, old, new in both if old != new]
