"""Which single word of a recipe would order a row's units best: where the agents lose, and to what."""

from collections.abc import Sequence

import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.recipe import recipe_of
from benchmarks.streams.figures import figures
from benchmarks.streams.methods import Domained
from benchmarks.streams.stream import Stream, View
from features.events import Domain, schema

_BEST = 6


def show_words(stream: Stream, parts: Sequence[Domained], console: Console) -> None:
    """Print, for each view and domain, the words with the highest AUC or average precision alone, and their sum."""
    for view in stream.views:
        if view.quiet:
            continue
        table = Table(f"{stream.name}, {view.name}", "word", "precision", "AUC", "recall at 1 %", box=MARKDOWN)
        for part in parts:
            for name, told in _words(view, part):
                shown = ["" if told.get(key) is None else f"{told[key]:.3f}" for key in ("precision", "auc", "recall")]
                table.add_row(part.domain.value, name, *shown)
        console.print(table)


def _words(view: View, part: Domained) -> list[tuple[str, dict[str, float | int | None]]]:
    """The best words of a domain by either figure, judged on this domain's events alone."""
    asked = part.events[part.rows].with_columns(domain=pl.lit(part.domain.value), row=part.rows)
    raw_BF = 3.0 * part.x_BF / (1.0 - part.x_BF)
    names = [word.name for word in recipe_of(part.domain).words]
    columns = dict(zip(names, raw_BF.T, strict=True)) | {"(sum)": raw_BF.sum(axis=1), "(highest)": raw_BF.max(axis=1)}
    told = [
        (name, figures(view, _every_column(asked.with_columns(score=pl.Series(x_B))))) for name, x_B in columns.items()
    ]
    judged = [(name, some) for name, some in told if some.get("auc") is not None]
    best = {
        name for key in ("precision", "auc") for name, _ in sorted(judged, key=lambda one: -(one[1][key] or 0))[:_BEST]
    }
    return [(name, some) for name, some in judged if name in best or name.startswith("(")]


def _every_column(scored: pl.DataFrame) -> pl.DataFrame:
    """With the columns of all domains, as a judge expects them."""
    known = {name: kind for domain in Domain for name, kind in schema(domain).items()}
    return scored.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in known.items() if name not in scored.columns
    )
