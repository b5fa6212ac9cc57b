"""The cards of a model and of a release, in Markdown: what they are for, what they learned from, how they did."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agents.recipe import Recipe
from models.releases import NAME, Release, model_name
from training.lineage import Lineage


def card(
    recipe: Recipe,
    lineage: Lineage,
    settings: Mapping[str, object],
    measures: Mapping[str, float],
    vocabulary: Mapping[str, int],
) -> str:
    """The card of a domain's model."""
    return _text("card.md").format(
        domain=recipe.domain.value,
        rows=lineage.rows,
        since=lineage.since,
        until=lineage.until,
        digest=lineage.digest,
        settings=_table("setting | value", settings.items()),
        measures=_measures(measures),
        asks="\n".join(f"- {ask.name}" for ask in recipe.asks),
        vocabulary=_table("field | values", vocabulary.items()),
    )


def release_card(release: Release) -> str:
    """The card of a release, with its members."""
    members = (
        (domain.value, f"`{model_name(domain)}` version {member.version}", f"`{member.sha256}`")
        for domain, member in release.members.items()
    )
    return _text("release.md").format(
        number=release.number,
        name=NAME,
        base=f"; it grew from release {release.base}" if release.base else "",
        made=release.made,
        metrics=_measures(release.metrics) if release.metrics else "Nothing yet.",
        members=_table("domain | model | sha256 of its bundle", members),
    )


def _measures(measures: Mapping[str, float]) -> str:
    return _table("measure | value", ((name, f"{value:.6g}") for name, value in measures.items()))


def _text(name: str) -> str:
    """The text beside this file whose gaps are to be filled."""
    return Path(__file__).with_name(name).read_text("utf-8")


def _table(heading: str, rows: Iterable[Sequence[object]]) -> str:
    rule = "|".join("---" for _ in heading.split("|"))
    lines = [f"| {heading} |", f"|{rule}|", *(f"| {' | '.join(map(str, row))} |" for row in rows)]
    return "\n".join(lines)
