"""What a method's scores come to on a set, and the tables of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

#: Student's, for a 95 % interval over so many seeds.
_T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


@dataclass(frozen=True)
class Figures:
    """One method on one set with one seed; `fitting` and `scoring` are rows a second."""

    row: str
    group: str
    method: str
    seed: int
    bad: int
    rows: int
    past: int
    past_bad: float
    cut: str
    auc: float
    precision: float
    fitting: float
    scoring: float


def show(results: Sequence[Figures], console: Console) -> None:
    """Print the sets, both measures, the mean ranks and the speeds."""
    if not results:
        return
    methods, rows = _names(result.method for result in results), _names(result.row for result in results)
    console.print(_sets(results, rows))
    for measure, caption in (("precision", "Average precision"), ("auc", "AUC")):
        console.print(f"\n{caption}\n", _values(results, rows, methods, measure), sep="\n")
    console.print("\nMean rank over the sets, parts of a set first averaged; rows a second, median over the sets\n")
    console.print(_standing(results, rows, methods))


def mean_ranks(results: Sequence[Figures], measure: str) -> dict[str, float]:
    """Of every method that has all rows: its mean rank over the groups, 1 the best; ties are shared."""
    methods, rows = _names(result.method for result in results), _names(result.row for result in results)
    group_of = {result.row: result.group for result in results}
    whole = [name for name in methods if all(_of(results, row, name, measure) for row in rows)]
    places: dict[str, list[list[float]]] = {}
    for row in rows:
        means = [float(np.mean(_of(results, row, name, measure))) for name in whole]
        places.setdefault(group_of[row], []).append(pl.Series(means).rank(descending=True).to_list())
    rank_M = np.mean([np.mean(ranks, axis=0) for ranks in places.values()], axis=0)
    return {name: float(rank) for name, rank in zip(whole, rank_M, strict=True)}


def _sets(results: Sequence[Figures], rows: Sequence[str]) -> Table:
    table = Table("set", "cut", "rows learned", "bad among them", "rows judged", "bad", box=MARKDOWN)
    first = {row: next(result for result in results if result.row == row) for row in rows}
    for row, some in first.items():
        table.add_row(row, some.cut, f"{some.past:,}", f"{some.past_bad:.1%}", f"{some.rows:,}", f"{some.bad:,}")
    return table


def _values(results: Sequence[Figures], rows: Sequence[str], methods: Sequence[str], measure: str) -> Table:
    table = Table("set", *methods, box=MARKDOWN)
    for row in rows:
        told = [_of(results, row, name, measure) for name in methods]
        best = max(float(np.mean(values)) for values in told if values)
        table.add_row(row, *(_cell(values, best) for values in told))
    return table


def _cell(values: Sequence[float], best: float) -> str:
    if not values:
        return ""
    text = f"{np.mean(values):.3f}".removeprefix("0")
    text = f"**{text}**" if np.mean(values) == best else text
    if len(values) < 2:
        return text
    half = _T_975.get(len(values), 1.96) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{text} ±{half:.3f}".replace("±0.", "±.")


def _standing(results: Sequence[Figures], rows: Sequence[str], methods: Sequence[str]) -> Table:
    table = Table("method", "rank by precision", "rank by AUC", "fits", "scores", box=MARKDOWN)
    precision, auc = mean_ranks(results, "precision"), mean_ranks(results, "auc")
    for name in sorted(methods, key=lambda name: precision.get(name, np.inf)):
        fits, scores = (
            f"{np.median([value for row in rows for value in _of(results, row, name, speed)]):,.0f}"
            for speed in ("fitting", "scoring")
        )
        ranks = (f"{told[name]:.2f}" if name in told else "" for told in (precision, auc))
        table.add_row(name, *ranks, fits, scores)
    return table


def _of(results: Sequence[Figures], row: str, method: str, measure: str) -> list[float]:
    return [float(getattr(result, measure)) for result in results if (result.row, result.method) == (row, method)]


def _names(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
