"""Explaining: what a threat's rank rests on, and where it stood without each agent or without what people told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from agents.consensus.council import CUT, Council, Cut
from agents.consensus.guidance import NOTHING_SAID, Guidance, Sort
from agents.consensus.testimony import testimony
from agents.consensus.threats import Entity, Threat
from features.events import Domain
from features.mistakes import AskedWrong

#: Letters of an id that are enough to name it by, if no other begins so.
FEWEST = 4

_SEEN = 0.05  # nats
_ALL = 1 << 20
_WORD = ("domain", "activity", "field")


class UnknownThreat(AskedWrong):
    """Somebody named a threat that is not there, or several at once."""


@dataclass(frozen=True)
class Place:
    """Where a threat stands, and what it weighs in nats."""

    rank: int
    score: float
    listed: bool


@dataclass(frozen=True)
class Move:
    """A threat and its places before and after; None where it is not among those ranked."""

    threat: Threat
    before: Place | None
    after: Place | None

    @property
    def is_listed(self) -> bool:
        """Whether it is listed before or after."""
        return any(place is not None and place.listed for place in (self.before, self.after))

    @property
    def is_of_rank_alone(self) -> bool:
        """Whether other threats moved past it, and nothing else about it changed that people would see."""
        before, after = self.before, self.after
        if before is None or after is None:
            return False
        return before.listed == after.listed and abs(before.score - after.score) < _SEEN

    def is_of(self, name: str) -> bool:
        """Whether the threat goes by this id, or went by it before it was taken in."""
        return name in (self.threat.id, *self.threat.merged)


@dataclass(frozen=True)
class Word:
    """What an agent says in a threat: a field, its strongest value with its nats, and how many verdicts said so.

    `weight` is by what guidance multiplies the nats.
    """

    domain: str
    activity: str | None
    field: str | None
    value: str | None
    nats: float
    count: int
    weight: float


@dataclass(frozen=True)
class Explanation:
    """Why a threat has its rank.

    `words` has what each agent says, the one that weighs most first. `without` is its place if an agent were not heard,
    by domain, and `unguided` if people had told nothing; None where it is not among those ranked. `standing` says in a
    sentence why it is listed or not. `trust` and `sorts` are the factors other than 1 that weigh on what tells of it,
    now or if people had told nothing. `critical` is the entity whose criticality counts, if any does.
    """

    threat: Threat
    words: tuple[Word, ...]
    without: Mapping[str, Place | None]
    unguided: Place | None
    standing: str
    trust: Mapping[str, float]
    sorts: Mapping[Sort, float]
    critical: Entity | None


def explained(
    council: Council, threat_id: str, most: int = 50, guidance: Guidance = NOTHING_SAID, cut: Cut = CUT
) -> Explanation:
    """Why a threat (see `sought`) stands where it does among the `most` that `council` ranks, or else among all.

    The council ranks once more without each agent that it heard. Raises UnknownThreat.
    """
    threat, threats = found(council, threat_id, most, guidance, cut)
    most = max(most, len(threats))
    unguided = same_as(threat, council.rank(most, NOTHING_SAID, cut))
    words = _words(threat, guidance)
    said = {
        (word.domain, word.activity, word.field) for word in words + (_words(unguided, guidance) if unguided else ())
    }
    agents = {domain for domain, _, _ in said}
    return Explanation(
        threat,
        words,
        without={one: place_of(threat, council.rank(most, guidance.without(one), cut)) for one in _heard(council)},
        unguided=_place(unguided) if unguided else None,
        standing=_standing(threat, threats),
        trust={domain: by for domain, by in guidance.trust.items() if by != 1.0 and domain in agents},
        sorts={sort: by for sort, by in guidance.sorts.items() if by != 1.0 and sort in said},
        critical=_dearest(threat, guidance),
    )


def found(council: Council, name: str, most: int, guidance: Guidance, cut: Cut) -> tuple[Threat, list[Threat]]:
    """The threat of a name (see `sought`), and the `most` threats it is among, or else all. Raises UnknownThreat.

    What people found to be false comes after all others, and is there still.
    """
    threats = council.rank(most, guidance, cut)
    try:
        return sought(threats, name), threats
    except UnknownThreat:
        threats = council.rank(_ALL, guidance, cut)
        return sought(threats, name), threats


def sought(threats: Sequence[Threat], name: str) -> Threat:
    """The threat of an id, also of one that it took in, of an id's beginning, or of a rank. Raises UnknownThreat."""
    called = {one: threat for threat in threats for one in (threat.id, *threat.merged)}
    begun = [one for one in called if len(name) >= FEWEST and one.startswith(name)]
    if name in called:
        begun = [name]
    if len({called[one].id for one in begun}) > 1:
        raise UnknownThreat(f"threat {name!r}: begins {' and '.join(sorted(begun))}; name one of them")
    if begun:
        return called[begun[0]]
    if name.isdecimal() and 0 < int(name) <= len(threats):
        return threats[int(name) - 1]
    expected = f"an id, {FEWEST} letters that one begins with, or a rank up to {len(threats)}"
    raise UnknownThreat(f"threat {name!r}: not among the {len(threats)} that are ranked; expected {expected}")


def moves(before: Sequence[Threat], after: Sequence[Threat]) -> list[Move]:
    """The threats that do not stay where they were, in the order before; those that were not there come last."""
    stayed = [Move(threat, _place(threat), place_of(threat, after)) for threat in before]
    came = [Move(threat, None, _place(threat)) for threat in after if same_as(threat, before) is None]
    return [move for move in (*stayed, *came) if move.before != move.after]


def place_of(threat: Threat, threats: Sequence[Threat]) -> Place | None:
    """Where the same threat stands in another ranking of the same evidence."""
    found = same_as(threat, threats)
    return _place(found) if found else None


def same_as(threat: Threat, threats: Sequence[Threat]) -> Threat | None:
    """The threat in another ranking that is the same: by its names or, with none of them, by its strangest episode."""
    names = {threat.id, *threat.merged}
    if named := [one for one in threats if not names.isdisjoint((one.id, *one.merged))]:
        return named[0]
    kind, name, start = threat.timeline.sort("score", descending=True, maintain_order=True).row(0)[:3]
    is_it = (pl.col("kind") == kind) & (pl.col("name") == name) & (pl.col("start") == start)
    return next((one for one in threats if one.timeline.filter(is_it).height), None)


def _place(threat: Threat) -> Place:
    return Place(threat.rank, threat.score, threat.listed)


def _heard(council: Council) -> list[str]:
    """The agents of whom something is held."""
    _, frames = council.state()
    heard = {domain for frame in frames.values() for domain in frame["domain"].unique()}
    return [domain.value for domain in Domain if domain.value in heard]


def _words(threat: Threat, guidance: Guidance) -> tuple[Word, ...]:
    in_order = threat.evidence.sort("seq")
    told = testimony(in_order).with_columns(in_order["count"])
    told = told.with_columns(weight=pl.Series(guidance.weights(told)))
    strongest = told.sort("evidence", descending=True, maintain_order=True)
    words = strongest.group_by(_WORD, maintain_order=True).agg(
        pl.col("value").first(), pl.col("evidence").first(), pl.col("count").sum(), pl.col("weight").first()
    )
    told_by = [Word(*row) for row in words.iter_rows()]
    return tuple(sorted(told_by, key=lambda word: -threat.domains.get(word.domain, 0.0)))


def _standing(threat: Threat, threats: Sequence[Threat]) -> str:
    """Why a threat is listed or not; of two of one day the stranger one has the lower p, so the cut is known by it."""
    listed = "listed" if threat.listed else "not listed"
    if threat.answer is False:
        return f"{listed}: people found it to be false"
    if threat.p is None:
        return f"{listed}: too few threats of earlier days are known to say what is usual, so the budget alone counts"
    day = [one.p for one in threats if one.listed and one.p and one.first_time.date() == threat.first_time.date()]
    if threat.listed:
        return f"listed: p {threat.p:.2g}, within the cut"
    if not day:
        return f"not listed: p {threat.p:.2g}; none of its day is strange enough for the cut"
    return f"not listed: p {threat.p:.2g}; it would be with a p below {max(day):.2g}, as others of its day are"


def _dearest(threat: Threat, guidance: Guidance) -> Entity | None:
    if not threat.criticality:
        return None
    stated = ((one, guidance.criticality.get((one.kind, one.name))) for one in threat.entities)
    return next((one for one, nats in stated if nats == threat.criticality), None)
