"""A threat's report: what happened to whom, why it is ranked, and what is not known, as Markdown."""

from collections.abc import Iterator

import polars as pl

from agents.consensus.threats import Reason, Threat
from agents.wording import doer, worded
from serving.threats.markdown import bullets, plain, table

_EPISODES, _ENTITIES, _VERDICTS = 50, 20, 20
_TIME = "%Y-%m-%d %H:%M:%S"


def report(threat: Threat) -> str:
    """All that is known of a threat, but for its rank, which others change; whatever events said is inert text."""
    return "\n".join(
        [
            f"# Threat {plain(threat.id)}",
            "",
            *bullets(_standing(threat)),
            *_part("Who and what", _entities(threat)),
            *_part("What happened, and when (UTC)", _timeline(threat)),
            *_part("Tactics and techniques of ATT&CK", bullets(_chain(threat))),
            *_part("Evidence, agent by agent", _agents(threat)),
            *_part("Reasons", _reasons(threat)),
            *_part("The strongest verdicts", _verdicts(threat)),
            *_part("What is not known", bullets(unknown(threat))),
            "",
        ]
    )


def unknown(threat: Threat) -> Iterator[str]:
    """What the report cannot say, or only in part, a sentence each."""
    yield "Whether it was an attack: this tells what was unlike what is usual, and who looks decides."
    if threat.p is None:
        yield "How unusual it is: too few threats of earlier days are known."
    if len(threat.domains) == 1:
        yield "Whether anything else saw it: one agent alone speaks of it."
    if not threat.tactics:
        yield "What it was for: nothing in it speaks of a tactic."
    if not any(entity.kind == "user" for entity in threat.entities):
        yield "Whose doing it was: no user is named."
    if not any(entity.kind == "host" for entity in threat.entities):
        yield "Where it was: no host is named."
    if threat.evidence["release"].null_count():
        yield "What a trained model finds: some of the verdicts are of models that learn online alone."
    for shown, all_, what in _cuts(threat):
        if shown < all_:
            yield f"The rest of its {what}: {shown} of {all_} are told here."


def _part(heading: str, lines: list[str]) -> list[str]:
    return ["", f"## {heading}", "", *(lines or ["Nothing."])]


def _standing(threat: Threat) -> Iterator[str]:
    answers = {True: "people found it to be true", False: "people found it to be false", None: "nobody answered yet"}
    yield f"From {threat.first_time:{_TIME}} to {threat.last_time:{_TIME}} UTC"
    yield f"Score {threat.score:.1f} nats, {'listed' if threat.listed else 'not listed'}; {answers[threat.answer]}"
    if threat.p is not None:
        yield f"As strange a threat comes with a probability of {threat.p:.2g}, by what earlier days were like"
    if threat.criticality:
        yield f"{threat.criticality:+.1f} nats of it are criticality that people stated"
    if threat.merged:
        yield f"It took in {plain(', '.join(threat.merged))}"
    yield f"Scored by {_releases(threat)}"


def _releases(threat: Threat) -> str:
    numbers = threat.evidence["release"].unique().sort(nulls_last=True)
    return ", ".join("no release" if number is None else f"release {number}" for number in numbers)


def _entities(threat: Threat) -> list[str]:
    rows = ((one.kind, plain(one.written or one.name), f"{one.evidence:.1f}") for one in threat.entities[:_ENTITIES])
    return table(("kind", "name", "nats"), rows)


def _timeline(threat: Threat) -> list[str]:
    """The episodes that weigh most, in the order of time."""
    told = threat.timeline.sort("score", descending=True, maintain_order=True).head(_EPISODES).sort("start")
    rows = ((f"{start:{_TIME}}", kind, plain(name), f"{nats:.1f}") for kind, name, start, nats in told.iter_rows())
    return table(("ten minutes from", "kind", "name", "nats"), rows)


def _chain(threat: Threat) -> Iterator[str]:
    """Tactics in the order of the kill chain, then techniques, then what is likely to come."""
    yield from (plain(tactic) for tactic in threat.tactics)
    yield from (f"technique {plain(technique)}" for technique in threat.techniques)
    yield from (f"likely next: {plain(tactic)}, {chance:.0%}" for tactic, chance in threat.expected)


def _agents(threat: Threat) -> list[str]:
    told = threat.evidence.group_by("domain").agg(
        pl.len(), pl.col("count").sum().alias("seen"), pl.col("evidence").max()
    )
    found = {domain: (f"{things:,}", f"{seen:,}", f"{nats:.1f}") for domain, things, seen, nats in told.iter_rows()}
    rows = ((domain, f"{share:.1f}", *found.get(domain, ("0", "0", ""))) for domain, share in threat.domains.items())
    return table(("agent", "nats of the score", "strange things", "times seen", "strongest, in nats"), rows)


def _reasons(threat: Threat) -> list[str]:
    rows = (
        (one.domain, plain(one.field or ""), plain(one.value or ""), f"{one.nats:.1f}", plain(_said(one)))
        for one in threat.reasons
    )
    return table(("agent", "field", "value", "nats", "in words"), rows)


def _said(reason: Reason) -> str:
    who = doer(reason)
    return worded(reason) + (f" ({who})" if who else "")


def _verdicts(threat: Threat) -> list[str]:
    strongest = threat.evidence.sort("evidence", descending=True, maintain_order=True).head(_VERDICTS)
    columns = ("time", "domain", "activity", "uid", "source", "line", "evidence")
    rows = (
        (f"{time:{_TIME}}", domain, plain(activity or ""), plain(uid or ""), plain(f"{source}, {line}"), f"{nats:.1f}")
        for time, domain, activity, uid, source, line, nats in strongest.select(columns).iter_rows()
    )
    return table(("time", "agent", "activity", "event", "log and line", "nats"), rows)


def _cuts(threat: Threat) -> Iterator[tuple[int, int, str]]:
    """How many are told, of how many, of what."""
    yield min(len(threat.entities), _ENTITIES), len(threat.entities), "entities"
    yield min(threat.timeline.height, _EPISODES), threat.timeline.height, "episodes"
    yield min(threat.evidence.height, _VERDICTS), threat.evidence.height, "verdicts"
