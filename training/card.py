"""A model's card: what it is, what it learned from, how it did, and what it is not for."""

from collections.abc import Mapping

from agents.recipe import Recipe
from training.lineage import Lineage

_CARD = """# The {domain} agent

What a secmesh agent knows of normal {domain} events: an encoder trained offline, the state of its online detectors,
and the calibration of both. It gives each event the probability that something recent and normal is as strange.

## Learned from

{rows:,} events, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC, without labels.
Digest: `{digest}`

## Learned how

{settings}

## Measured on the events it learned from

Each event was scored by the online detectors before they learned from it; the encoder had seen it.
A calibrated `share_p_0.01` is at most 0.01.

{measures}

## Questions the encoder answers

{asks}

## Values it knows, by field

{vocabulary}

## Limits

Strange is not malicious: a verdict is evidence for the council, not an accusation. What attackers did before training
began counts as normal. Values seen once are unknown to the encoder. A changed recipe refuses
these weights: train again.
"""


def card(
    recipe: Recipe,
    lineage: Lineage,
    settings: Mapping[str, object],
    measures: Mapping[str, float],
    vocabulary: Mapping[str, int],
) -> str:
    """The card in Markdown."""
    return _CARD.format(
        domain=recipe.domain.value,
        rows=lineage.rows,
        since=lineage.since,
        until=lineage.until,
        digest=lineage.digest,
        settings=_table("setting", settings),
        measures=_table("measure", {name: f"{value:.6g}" for name, value in measures.items()}),
        asks="\n".join(f"- {ask.name}" for ask in recipe.asks),
        vocabulary=_table("field", vocabulary),
    )


def _table(heading: str, rows: Mapping[str, object]) -> str:
    lines = [f"| {heading} | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join(lines)
