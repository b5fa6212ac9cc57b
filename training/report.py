"""The demo's report: one page that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agents.consensus.threats import Reason, Threat
from agents.wording import doer, shown, worded

_SHOWN = 20
_LANES = 40


@dataclass(frozen=True)
class Story:
    """All that the page tells.

    `campaigns` are the entries of truth.json, `lessons` what each domain's model tells of its training, `seconds` how
    long each phase took.
    """

    settings: Mapping[str, int]
    threats: Sequence[Threat]
    truths: Sequence[str | None]
    campaigns: Sequence[Mapping[str, Any]]
    found: Mapping[str, int | None]
    verdicts: pl.DataFrame
    lessons: Mapping[str, Mapping[str, Any]]
    trained: int
    seconds: Mapping[str, float]
    release: int


def write_report(story: Story, path: Path) -> None:
    """Write the page; every text that comes from an event is escaped."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = pages.get_template("report.html").render(
        story=story,
        cards=_cards(story),
        plots=_plots(story),
        campaigns=[_campaign(campaign, story.found[campaign["name"]]) for campaign in story.campaigns],
        high=sum(rank is not None and rank <= 10 for rank in story.found.values()),
        rate=round(story.verdicts.height / max(story.seconds["scoring"], 1e-3)),
        since=story.verdicts["time"].min(),
        until=story.verdicts["time"].max(),
    )
    path.write_text(page, "utf-8")


def _cards(story: Story) -> list[dict[str, Any]]:
    """The threats that the page shows, as it shows them."""
    heaviest = max((nats for threat in story.threats for nats in threat.domains.values()), default=1.0)
    span = (story.verdicts["time"].min(), story.verdicts["time"].max())
    ranked = list(zip(story.threats, story.truths, strict=True))[:_SHOWN]
    return [_card(threat, truth, heaviest, span) for threat, truth in ranked]


def _card(threat: Threat, truth: str | None, heaviest: float, span: tuple[Any, Any]) -> dict[str, Any]:
    return {
        "threat": threat,
        "truth": shown(truth) if truth else None,
        "entities": [{"kind": who.kind, "name": shown(who.name), "nats": who.evidence} for who in threat.entities],
        "bars": [(domain, nats, 100 * nats / heaviest) for domain, nats in threat.domains.items()],
        "reasons": _reasons(threat),
        "dots": [_dot(row, span) for row in threat.evidence.head(_LANES).iter_rows(named=True)],
    }


def _reasons(threat: Threat) -> list[tuple[str, float, str]]:
    """Each distinct reason in words, with its nats and who did it."""
    told: dict[str, Reason] = {}
    for reason in threat.reasons:
        told.setdefault(worded(reason), reason)
    return [(words, reason.nats, doer(reason)) for words, reason in told.items()]


def _dot(row: Mapping[str, Any], span: tuple[datetime, datetime]) -> dict[str, Any]:
    """A verdict's place on its threat's line of time, from 0 to 1000."""
    since, until = span
    width = max((until - since).total_seconds(), 1.0)
    x = 1000 * (row["time"] - since).total_seconds() / width
    told = f"{row['time']:%a %H:%M} {row['domain']} {shown(row['activity'] or '')}, {row['evidence']:.1f} nats"
    return {"x": round(x, 1), "r": round(4 + 0.6 * min(row["evidence"], 14), 1), "domain": row["domain"], "told": told}


def _campaign(campaign: Mapping[str, Any], rank: int | None) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(campaign[name]) for name in ("start", "end")}
    return {**campaign, **times, "name": shown(campaign["name"]), "rank": rank, "events": len(campaign["uids"])}


def _plots(story: Story) -> dict[str, Markup]:
    """The figures, as SVG that takes the page's colours."""
    from training import plots  # matplotlib takes half a second that only a report has to spend

    uids = [uid for campaign in story.campaigns for uid in campaign["uids"]]
    windows = {
        shown(campaign["name"]): (datetime.fromisoformat(campaign["start"]), datetime.fromisoformat(campaign["end"]))
        for campaign in story.campaigns
    }
    curves = {domain: (lesson["loss"], lesson["later_loss"]) for domain, lesson in story.lessons.items()}
    figures = {
        "time": plots.evidence_over_time(story.verdicts, windows, uids),
        "domain": plots.evidence_by_domain(story.verdicts, uids),
        "precision": plots.precision(story.truths[:_SHOWN], len(story.campaigns)),
        "reliability": plots.reliability(story.verdicts),
        "fields": plots.telling_fields(story.verdicts),
        "learning": plots.learning(curves),
    }
    # Markup: matplotlib writes the SVG and escapes the texts in it.
    return {name: Markup(plots.as_svg(figure)) for name, figure in figures.items()}  # noqa: S704
