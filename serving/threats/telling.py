"""Explanations, effects and answers in words, as rows of tables whose cells are lines."""

from collections.abc import Iterator, Sequence

from agents.consensus.answers import Answer, standing
from agents.consensus.explaining import Explanation, Place, Word
from agents.consensus.guidance import Sort
from agents.consensus.threats import Reason
from agents.consensus.trusting import Moved, moved
from agents.wording import shown, worded
from serving.threats.answering import Effect
from serving.threats.ranking import when_of, who_of

#: The columns of `words`, `changes`, `places` and `answered`.
WORDS = ("agent", "nats", "strongest", "seen", "what it says")
CHANGES = ("without", "rank", "score", "what it would change")
PLACES = ("threat", "before", "after", "who")
ANSWERED = ("when (UTC)", "threat", "answer", "analyst", "reason")

Row = tuple[list[str], ...]


def head(told: Explanation) -> list[str]:
    """What a threat is, in lines: its id, place and score, who and when, and why it is listed or not."""
    threat = told.threat
    critical = f"; {told.critical.kind} {shown(told.critical.name)} is critical" if told.critical else ""
    lines = [
        f"threat {threat.id}, rank {threat.rank}, score {threat.score:.1f}",
        who_of(threat),
        when_of(threat),
        told.standing,
    ]
    if threat.criticality:
        lines.append(f"{threat.criticality:+.1f} nats of the score are criticality that people stated{critical}")
    return lines


def words(told: Explanation) -> Iterator[Row]:
    """Agent by agent and field by field, the evidence; an agent's share of the score stands at its first field."""
    before = None
    for word in told.words:
        is_first = word.domain != before
        before = word.domain
        share = [f"{told.threat.domains.get(word.domain, 0.0):.1f}"] if is_first else []
        yield [word.domain] if is_first else [], share, [f"{word.nats:.1f}"], [f"{word.count:,} x"], _what(word)


def changes(told: Explanation) -> Iterator[Row]:
    """Where the threat would stand without each agent, and without what people told."""
    now = Place(told.threat.rank, told.threat.score, told.threat.listed)
    for without, place in (*told.without.items(), ("what people told", told.unguided)):
        yield [without], [_rank(place)], [f"{place.score:.1f}" if place else ""], [_difference(now, place)]


def touched(told: Explanation, answers: Sequence[Answer]) -> list[str]:
    """Which feedback touched it: answers to it, or to what it took in, and factors that weigh on its evidence."""
    names = (told.threat.id, *told.threat.merged)
    own = [answer for answer in standing(answers) if answer.threat in names]
    said = [f"{answer.analyst} said {_said(answer)} of {answer.threat}{_why(answer)}" for answer in own]
    weigh = (one for one in moved(answers) if (one.sort in told.sorts if one.sort else one.domain in told.trust))
    return [*said, *map(_lesson, weigh)]


def places(effect: Effect) -> Iterator[Row]:
    """The threats that change, with rank (in brackets where not listed) and score before and after."""
    for move in effect.moves:
        if move.is_of_rank_alone and not move.is_of(effect.answer.threat):
            continue
        absent = "closed" if move.is_of(effect.answer.threat) else "below those ranked"
        yield [move.threat.id], [_place(move.before, absent)], [_place(move.after, absent)], [who_of(move.threat)]


def kept(effect: Effect, where: str | None) -> str:
    """What was said of which threat by whom, and `where` it is kept, if it is."""
    answer = effect.answer
    place = f"kept in {where}" if where else "nothing is kept: leave out --preview to keep it"
    return f"{answer.analyst} says {_said(answer)} of threat {answer.threat}; {place}"


def besides(effect: Effect) -> list[str]:
    """How many more threats have another rank, and the factors that change, in lines."""
    alone = sum(move.is_of_rank_alone and not move.is_of(effect.answer.threat) for move in effect.moves)
    more = [f"{alone:,} more listed threats change by their rank alone"] if alone else []
    return more + [f"{named(name)} counted {old:.2f}, counts {new:.2f}" for name, old, new in effect.factors]


def answered(answers: Sequence[Answer]) -> Iterator[Row]:
    """All answers, oldest first; those that count no more say so."""
    counting = standing(answers)
    for one in answers:
        still = [] if one in counting or one.is_true is None else ["(counts no more)"]
        yield [f"{one.time:%Y-%m-%d %H:%M:%S}"], [one.threat], [_said(one), *still], [one.analyst], [one.reason]


def learned(answers: Sequence[Answer]) -> list[str]:
    """What the answers moved: the factors below 1, and whose answers they are by."""
    return [_lesson(one) for one in moved(answers)]


def named(name: str | Sort) -> str:
    """An agent, or a sort of things, in words.

    >>> named("dns"), named(("dns", "query", "spelling of name"))
    ('dns', 'dns query: spelling of name')
    """
    if isinstance(name, str):
        return name
    domain, activity, field = name
    return f"{domain} {activity or 'event'}: {field or 'anything'}"


def _lesson(one: Moved) -> str:
    doubts = ", ".join(f"{analyst} {doubt:+.2f}" for analyst, doubt in one.doubt.items())
    found = f"found true {one.true} x, false {one.false} x; doubt by {doubts}"
    return f"{named(one.sort or one.domain)} counts {one.factor:.2f}: {found}"


def _what(word: Word) -> list[str]:
    told = worded(Reason(word.domain, word.activity or "", word.field, word.value, word.nats, None, None, None, None))
    return [told.partition(" ")[2]] + ([f"counts {word.weight:.2f} by feedback"] if word.weight != 1.0 else [])


def _rank(place: Place | None) -> str:
    if place is None:
        return "none"
    return f"{place.rank}" if place.listed else f"({place.rank})"


def _place(place: Place | None, absent: str) -> str:
    return f"{_rank(place)}, score {place.score:.1f}" if place else absent


def _difference(now: Place, place: Place | None) -> str:
    if place is None:
        return "it would be gone"
    if place.listed != now.listed:
        return "it would be listed" if place.listed else "it would not be listed"
    more = round(place.score - now.score, 1)
    return f"{more:+.1f}" if more else "nothing" if place.rank == now.rank else "its rank alone"


def _said(answer: Answer) -> str:
    return {True: "true", False: "false", None: "withdrawn"}[answer.is_true]


def _why(answer: Answer) -> str:
    return f": {answer.reason}" if answer.reason else ""
