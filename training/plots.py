"""The figures of training and of the demo, drawn with matplotlib and imported only where one is drawn."""

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import matplotlib
import matplotlib.dates as mdates
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.measuring import Ranking, curve

#: Okabe and Ito's palette, which most colour-blind people can tell apart.
COLOURS = {
    "identity": "#0072B2",
    "network": "#E69F00",
    "dns": "#009E73",
    "web": "#CC79A7",
    "endpoint": "#D55E00",
    "cloud": "#56B4E9",
}
INK, FAINT, GREY, ATTACK, MAIN = "#20242d", "#d4d8df", "#8a919e", "#D55E00", "#0072B2"
#: On a page the ink is the page's, dark or light.
_THEME = {INK: "var(--ink)", FAINT: "var(--line)"}
_DRESS: dict[Any, Any] = {  # matplotlib's own type names all 300 keys
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.8,
    "figure.dpi": 110,
    "svg.fonttype": "none",
    "svg.hashsalt": "secmesh",
}
_WIDE, _HALF = (9.0, 3.6), (5.6, 3.6)
_SHOWN_NATS, _STRANGE_NATS = 2.0, 4.0
_MOST_DOTS = 20_000


def learning(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Loss after each epoch on old and on later events, a panel for each name; a ring marks the later events' best."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    with _dressed(rows, columns, (max(5.6, 3.0 * columns), 3.4 if rows == 1 else 2.4 * rows)) as (figure, panels):
        for axes, (name, (loss, later_loss)) in zip(panels, curves.items(), strict=False):
            epoch = np.arange(1, len(loss) + 1)
            axes.plot(epoch, loss, color=MAIN, label="events it learned from")
            axes.plot(epoch, later_loss, color=ATTACK, linestyle="--", label="later events")
            best = int(np.argmin(later_loss))
            axes.plot(epoch[best], later_loss[best], "o", color=ATTACK, markerfacecolor="none", markersize=7)
            axes.set(title=name, xlabel="epoch", ylabel="loss, nats an event")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        panels[0].legend()
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
    return figure


def scores(verdicts: pl.DataFrame) -> Figure:
    """How high events scored, and how many had at least so much evidence, by each model and by both together."""
    kinds = {"both": ("p", MAIN, "-"), "online": ("p_online", "#009E73", "--"), "offline": ("p_offline", ATTACK, ":")}
    with _dressed(1, 2, _WIDE) as (figure, (left, right)):
        left.hist(verdicts["score"].to_numpy(), bins=60, color=MAIN, log=True)
        left.set(title="Scores", xlabel="score, nats", ylabel="events")
        most = max(float(-np.log(verdicts["p"].to_numpy().min(initial=1.0))), 1.0)
        promised = np.linspace(0, most, 2)
        right.plot(promised, np.exp(-promised), color=GREY, linestyle="--", linewidth=1, label="as promised")
        for label, (column, colour, style) in kinds.items():
            nats = -np.log(np.sort(verdicts[column].drop_nulls().to_numpy()))
            share = np.arange(1, nats.size + 1) / max(nats.size, 1)
            right.plot(nats, share, color=colour, linestyle=style, drawstyle="steps-post", label=label)
        right.set(title="Evidence", xlabel="evidence, -log p in nats", ylabel="share of events with at least that")
        right.set(yscale="log", xlim=(0, most * 1.05), ylim=(0.5 / max(verdicts.height, 1), 1.5))
        right.legend()
    return figure


def reliability(verdicts: pl.DataFrame) -> Figure:
    """Share of events at or below each p, by domain, beside what p promises.

    The band holds 95 of 100 shares where p keeps its promise, for as many events as the smallest domain has.
    """
    shares = {domain: np.sort(p_B) for domain, p_B in _by_domain(verdicts, "p")}
    fewest = min((p_B.size for p_B in shares.values()), default=1)
    lowest = 10.0 ** -max(2, min(5, int(np.ceil(np.log10(max((p_B.size for p_B in shares.values()), default=1))))))
    levels = np.logspace(np.log10(lowest), 0, 101)
    chance = 1.96 * np.sqrt(levels * (1 - levels) / fewest)
    with _dressed(1, 1, _HALF) as (figure, (axes, *_)):
        axes.plot([lowest, 1], [lowest, 1], color=GREY, linestyle="--", linewidth=1, label="as promised")
        least = np.maximum(levels - chance, lowest / 10)
        axes.fill_between(levels, least, np.minimum(levels + chance, 1), color=GREY, alpha=0.18, linewidth=0)
        for domain, p_B in shares.items():
            share = np.searchsorted(p_B, levels, side="right") / p_B.size
            axes.plot(levels[share > 0], share[share > 0], color=COLOURS[domain], label=domain)
        axes.set(title="Reliability of p", xlabel="p", ylabel="share of events at or below p")
        axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest / 3, 1.5))
        axes.legend(ncols=2, loc="upper left")
    return figure


def telling_fields(verdicts: pl.DataFrame, most: int = 12) -> Figure:
    """The fields that most often lead the reasons of strange events."""
    strange = verdicts.filter(pl.col("evidence") >= _STRANGE_NATS)
    first = strange["reasons"].list.first().struct.field("field").drop_nulls()
    counts = first.value_counts(sort=True).sort(["count", "field"], descending=[True, False]).head(most).reverse()
    left = 0.3 + 0.07 * max(map(len, counts["field"]), default=0)
    with _dressed(1, 1, _HALF, left) as (figure, (axes, *_)):
        bars = axes.barh(counts["field"].to_list(), counts["count"].to_list(), color=MAIN)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8, color=INK)
        axes.set(title=f"What was strange above {_STRANGE_NATS:g} nats", xlabel="events")
        axes.margins(x=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(visible=False, axis="y")
        if counts.is_empty():
            axes.set(xticks=[], yticks=[])
            axes.text(0.5, 0.5, "no event was that strange", transform=axes.transAxes, ha="center", color=GREY)
    return figure


def precision_recall(rankings: Mapping[str, Ranking]) -> Figure:
    """Precision against recall, a curve for each name, dotted what chance would do: the share of attacks."""
    with _dressed(1, 1, _HALF) as (figure, (axes, *_)):
        for name, ranks in rankings.items():
            precision_S, recall_S = curve(ranks)
            colour = COLOURS.get(name, INK)
            axes.plot(recall_S, precision_S, color=colour, label=name)
            axes.axhline(ranks.share, color=colour, linestyle=":", linewidth=1)
        axes.set(title="Precision and recall", xlabel="recall (dotted: chance)", ylabel="precision")
        axes.set(xlim=(0, 1.01), ylim=(0, 1.05))
        axes.legend()
    return figure


def evidence_over_time(
    verdicts: pl.DataFrame, attacks: Mapping[str, tuple[datetime, datetime]], uids: Collection[str]
) -> Figure:
    """Every event of some evidence, those of the attacks marked, the attacks' windows shaded."""
    seen = verdicts.filter(pl.col("evidence") >= _SHOWN_NATS)
    attack = pl.col("uid").is_in(list(uids))
    with _dressed(1, 1, _WIDE) as (figure, (axes, *_)):
        for n, (name, (since, until)) in enumerate(attacks.items()):
            axes.axvspan(_day(since), _day(until), color=ATTACK, alpha=0.10, linewidth=0)
            place = (_day(since), 0.985 - 0.06 * (n % 5))
            axes.annotate(
                name, place, parse_math=False, xycoords=("data", "axes fraction"), fontsize=7.5, color=INK, va="top"
            )
        _dots(axes, seen.filter(~attack).top_k(_MOST_DOTS, by="evidence"), GREY, "o", "other events", 5, 0.45)
        _dots(axes, seen.filter(attack), ATTACK, "X", "events of the attacks", 26, 0.9)
        axes.set(title="Evidence over time", ylabel="evidence, nats")
        axes.set_ylim(bottom=_SHOWN_NATS, top=max(12.0, float(seen["evidence"].max() or 0)) * 1.25)  # type: ignore[arg-type]  # a float column
        locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib leaves dates untyped
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.legend(loc="upper right")
    return figure


def evidence_by_domain(verdicts: pl.DataFrame, uids: Collection[str]) -> Figure:
    """How the evidence of attack events lies beside that of all others, a row for each domain."""
    attacks = verdicts.with_columns(attack=pl.col("uid").is_in(list(uids)))
    edges = np.linspace(0, max(12.0, float(verdicts["evidence"].max() or 0)), 49)  # type: ignore[arg-type]  # a float column
    present = [domain for domain in COLOURS if domain in verdicts["domain"]]
    with _dressed(1, 1, _HALF) as (figure, (axes, *_)):
        for row, domain in enumerate(present):
            own = attacks.filter(pl.col("domain") == domain)
            _ridge(axes, row, edges, own.filter(~pl.col("attack"))["evidence"].to_numpy(), GREY)
            _ridge(axes, row, edges, own.filter("attack")["evidence"].to_numpy(), ATTACK)
        axes.set(title="Evidence by domain", xlabel="evidence, nats (grey: normal, coloured: attacks)")
        axes.set_yticks(range(len(present)), present)
        axes.set_ylim(-0.2, len(present))
    return figure


def precision(truths: Sequence[str | None], campaigns: int) -> Figure:
    """Precision and share of campaigns found among the top k threats, from what the truth says of each."""
    k = np.arange(1, len(truths) + 1)
    hits = np.cumsum([truth is not None for truth in truths])
    found = [len({truth for truth in truths[:n] if truth}) for n in range(1, len(truths) + 1)]
    with _dressed(1, 1, _HALF) as (figure, (axes, *_)):
        axes.plot(k, hits / np.maximum(k, 1), color=MAIN, marker="o", markersize=3.5, label="threats that are attacks")
        axes.plot(k, np.array(found) / max(campaigns, 1), color=ATTACK, linestyle="--", label="attacks found")
        axes.set(title="Among the top k threats", xlabel="k", ylabel="share", ylim=(0, 1.05))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def as_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page that sets `--ink` and `--line`."""
    file = io.StringIO()
    with matplotlib.rc_context(_DRESS):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, variable in _THEME.items():
        svg = svg.replace(colour, variable)
    return svg


@contextmanager
def _dressed(
    rows: int, columns: int, size: tuple[float, float], left: float = 0.75
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its panels, row by row, in the house's dress; `size` and the `left` margin are in inches.

    Margins are fixed, since to have matplotlib find them takes as long as to draw.
    """
    width, height = size
    panel_width, panel_height = (width - left - 0.2) / columns, (height - 0.9) / rows
    with matplotlib.rc_context(_DRESS):
        figure = Figure(figsize=size)
        figure.subplots_adjust(
            left=left / width,
            right=1 - 0.2 / width,
            top=1 - 0.35 / height,
            bottom=0.55 / height,
            wspace=0.6 / (panel_width - 0.6) if columns > 1 else 0,
            hspace=0.75 / (panel_height - 0.75) if rows > 1 else 0,
        )
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        yield figure, panels
        for axes in panels:
            axes.minorticks_off()


def _by_domain(verdicts: pl.DataFrame, column: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for domain in COLOURS:
        values = verdicts.filter(pl.col("domain") == domain)[column].to_numpy()
        if values.size:
            yield domain, values


def _dots(axes: Axes, seen: pl.DataFrame, colour: str, marker: str, label: str, size: float, alpha: float) -> None:
    days = [_day(time) for time in seen["time"]]
    nats = seen["evidence"].to_numpy()
    # Rasterized: thousands of dots as vectors would be megabytes.
    axes.scatter(
        days, nats, s=size, color=colour, marker=marker, alpha=alpha, linewidths=0, label=label, rasterized=True
    )


def _ridge(axes: Axes, row: int, edges: NDArray[np.float64], nats: NDArray[np.float64], colour: str) -> None:
    counts, _ = np.histogram(nats, edges)
    height = np.log1p(counts) / max(1.0, np.log1p(counts).max()) * 0.85
    axes.fill_between(edges[:-1], row, row + height, step="post", color=colour, alpha=0.55, linewidth=0)


def _day(time: datetime) -> float:
    """A moment as matplotlib counts."""
    return float(mdates.date2num(time))  # type: ignore[no-untyped-call]  # matplotlib leaves this one untyped
