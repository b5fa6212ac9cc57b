"""The tables of results: a figure by row and method, ranks and wins, false alarms and delays."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.streams.figures import Figures, means, ranked_by, ranks, won

_CAPTIONS = {
    "precision": "Average precision",
    "auc": "AUC",
    "recall": "Recall at 1 % false positives",
    "alarms": "False alarms a day above what one event in a thousand passed in the first third",
    "missed": "Events of the attack before the first above 99 % of the good ones",
    "delay": "Minutes of the attack before the same",
}


def show(results: Sequence[Figures], console: Console) -> None:
    """Print all tables that have a row."""
    for figure, caption in _CAPTIONS.items():
        values = means(results, figure)
        if values:
            console.print(f"\n{caption}\n")
            console.print(_table(results, values, 3 if figure in ("precision", "auc", "recall") else 1))
    console.print("\nEvents a second (secmesh's from events to verdicts, the others' from ready features to scores)\n")
    console.print(_table(results, _rates(results), 0))
    console.print("\nMean ranks, and rows in which a method is first or within .01 of the first\n")
    console.print(_standing(results))
    console.print("\n`/n`: thinned to every n-th event by the limit of time; ±: 95 % over the seeds\n")


def _table(
    results: Sequence[Figures], values: Mapping[str, Mapping[str, tuple[float, float | None]]], digits: int
) -> Table:
    methods = _methods(results)
    stride = {(result.row, result.method): result.stride for result in results}
    fullest = sorted(results, key=lambda result: result.units)
    share = {result.row: f"{result.bad:,} / {result.units:,}" for result in fullest}
    table = Table("row", "bad / units", *methods, box=MARKDOWN)
    for row, some in values.items():
        best = max(value for value, _ in some.values())
        cells = [_cell(some.get(name), digits, stride.get((row, name), 1), best) for name in methods]
        table.add_row(row, share[row], *cells)
    return table


def _cell(value: tuple[float, float | None] | None, digits: int, stride: int, best: float) -> str:
    if value is None:
        return ""
    text = f"{value[0]:,.{digits}f}".removeprefix("0" if digits == 3 else "")
    text = f"**{text}**" if digits == 3 and value[0] >= best - 0.01 else text
    half = f" ±{value[1]:.{digits}f}".replace("±0.", "±.") if value[1] is not None and digits else ""
    return text + half + (f" /{stride}" if stride > 1 else "")


def _rates(results: Sequence[Figures]) -> dict[str, dict[str, tuple[float, float | None]]]:
    return {
        row: {method: (float(value), None) for method, (value, _) in some.items()}
        for row, some in means(results, "rate").items()
    }


def _standing(results: Sequence[Figures]) -> Table:
    by_row: dict[str, list[Figures]] = {}
    for result in results:
        by_row.setdefault(result.row, []).append(result)
    figure = {row: ranked_by(some) for row, some in by_row.items()}
    tables = {name: means(results, name) for name in ("precision", "auc")}
    chosen = {row: _plain(tables[name][row]) for row, name in figure.items() if row in tables[name]}
    aucs = {row: _plain(some) for row, some in tables["auc"].items()}
    table = Table("method", "rows", "rank by precision", "won or tied", "rank by AUC", "won or tied", box=MARKDOWN)
    place, auc_place = ranks(chosen), ranks(aucs)
    for name in sorted(place, key=lambda name: float(np.mean(place[name]))):
        counts = str(won(chosen, name)), str(won(aucs, name))
        mean, auc_mean = f"{np.mean(place[name]):.2f}", f"{np.mean(auc_place[name]):.2f}"
        table.add_row(name, str(len(place[name])), mean, counts[0], auc_mean, counts[1])
    return table


def _plain(some: Mapping[str, tuple[float, float | None]]) -> dict[str, float]:
    return {method: value for method, (value, _) in some.items()}


def _methods(results: Sequence[Figures]) -> list[str]:
    return list(dict.fromkeys(result.method for result in results))
