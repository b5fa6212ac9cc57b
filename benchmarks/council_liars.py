"""Liars before the council itself: what stays of its top 20 when agents are at fault, from one of six to five.

    python -m benchmarks.liars --council [--most 5] [--mesh 61 62 63 64 65] [--verdicts FILE.parquet ...] [--plot FILE]

Verdicts of six agents on the days of attack of simulated estates are rewritten before the council hears them. Silent:
none. Late: heard an hour after the event, so of the last hour none. Constant: its largest evidence for everything.
Random: p even between 0 and 1 (or nats between 0 and its largest). Inverted: 1 - p. Flood: 20 nats for 5 or 50
episodes that nobody else finds strange. Targeted: 20 nats for the 5 or 20 things of the rule's own list that come
next after its twentieth, where the agents at fault say anything. Agents at fault act as one. What silent and late
agents move is counted against the list of all six, lies against the list without the liars: all that honest agents can
say. A threat stays where its strongest episode is in the faulty list, or that of a threat there is one of its own, each
threat for one; an episode of the plain rules where it is there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.stats import t

from agents.consensus.threats import Threat
from benchmarks.consensus import RULES, by_entity, heard
from benchmarks.faults import FAULTS, HONEST, KEY, LIES, LOUD, Episode, Liars, Thing
from features.events import Domain
from training.plots import ATTACK, GREY, INK, MAIN

_TOP, _NEXT = 20, 120
_ALONE, _FAKES = 0.9, 100_000
_FAKER = Domain.IDENTITY.value

#: The things that a rule lists of verdicts, so many at most.
Rule = Callable[[pl.DataFrame, int], list[Thing]]


def council(verdicts: pl.DataFrame, most: int) -> list[Thing]:
    """The council's threats."""
    return [_thing(threat) for threat in heard(verdicts).rank(most)]


def _thing(threat: Threat) -> Thing:
    episodes = threat.timeline.sort("score", descending=True, maintain_order=True).select(KEY).rows()
    whole = max(sum(threat.domains.values()), 1e-9)
    return Thing(episodes[0], frozenset(episodes), {domain: n / whole for domain, n in threat.domains.items()})


def _plain(name: str) -> Rule:
    def rule(verdicts: pl.DataFrame, most: int) -> list[Thing]:
        score = RULES[name](by_entity(verdicts.with_columns(bad=False)))
        first = score.sort("score", *KEY, descending=[True, False, False, False]).head(most)
        return [Thing(episode, frozenset([episode]), {}) for episode in first.select(KEY).rows()]

    return rule


COUNCIL_RULES: Mapping[str, Rule] = {"council": council, "sum": _plain("sum"), "max": _plain("max")}


@dataclass(frozen=True)
class Moved:
    """What share some agents at fault moved of a rule's top 20 and of the real threats in it; their share in each."""

    seed: int
    liars: Liars
    fault: str
    rule: str
    share: float
    real: float
    own_M: tuple[float, ...]


def moved(
    seed: int, verdicts: pl.DataFrame, liars: Liars, rules: Mapping[str, Rule] = COUNCIL_RULES
) -> Iterator[Moved]:
    """What each fault of `liars` moves in the list of each rule: the worst of its lies."""
    honest, bad = verdicts.filter(~pl.col("domain").is_in(liars)), _bad(verdicts)
    for name, rule in rules.items():
        six, five = rule(verdicts, _TOP), rule(honest, _NEXT)
        for fault, lying in FAULTS.items():
            sound = six if fault in HONEST else five[:_TOP]
            lies = lying(np.random.default_rng(seed), verdicts, liars, five[_TOP:])
            gone = max((_gone(sound, rule(lie, _TOP)) for lie in lies), key=len)
            own_M = tuple(sum(thing.shares.get(liar, 0.0) for liar in liars) for thing in gone)
            real, lost = (sum(not thing.episodes.isdisjoint(bad) for thing in things) for things in (sound, gone))
            yield Moved(seed, liars, fault, name, len(gone) / max(1, len(sound)), lost / max(1, real), own_M)


def _gone(before: Sequence[Thing], after: Sequence[Thing]) -> list[Thing]:
    """The things before that nothing after stands for, each for one."""
    same = [[a.strongest in b.episodes or b.strongest in a.episodes for b in after] for a in before]
    if not before or not after:
        return list(before)
    found = maximum_bipartite_matching(csr_array(np.array(same)), perm_type="column")
    return [thing for thing, place in zip(before, found, strict=True) if place < 0]


def crowds(seed: int, liars: int) -> list[Liars]:
    """Sets of so many of the six agents: each agent by itself, else one set drawn by `seed`."""
    every = list(combinations([domain.value for domain in Domain], liars))
    return every if liars == 1 else [every[np.random.default_rng(seed).integers(len(every))]]


def show_council(frames: Mapping[int, pl.DataFrame], most: int, plot: Path | None, console: Console) -> None:
    """Print what one agent at fault moves, the sweep to `most`, and what a flood of alerts hides; draw the sweep."""
    work = [(seed, liars) for f in range(1, most + 1) for seed in frames for liars in crowds(seed, f)]
    rows = [one for seed, liars in track(work, "liars") for one in moved(seed, frames[seed], liars)]
    console.print(_one_table([row for row in rows if len(row.liars) == 1]))
    console.print(_alone_table([row for row in rows if len(row.liars) == 1 and row.rule == "council"]))
    console.print(_sweep_table(rows, most))
    console.print(_fakes_table(frames.values()))
    if plot:
        _draw(rows, most, plot)


def _one_table(rows: Sequence[Moved]) -> Table:
    """By fault and rule: the mean share moved over seeds and agents with its interval, and the worst."""
    real = [f"real ones, {rule}" for rule in COUNCIL_RULES]
    table = Table("one agent at fault: share of the top 20 moved", *COUNCIL_RULES, *real, box=MARKDOWN)
    for fault in FAULTS:
        of_rule = [[row for row in rows if row.fault == fault and row.rule == rule] for rule in COUNCIL_RULES]
        cells = [[row.share for row in part] for part in of_rule] + [[row.real for row in part] for part in of_rule]
        table.add_row(fault, *map(_interval, cells))
    return table


def _interval(share_K: Sequence[float]) -> str:
    """The mean, half its 95 % interval by Student's t, the largest."""
    values = np.array(share_K)
    half = t.ppf(0.975, values.size - 1) * values.std(ddof=1) / values.size**0.5 if values.size > 1 else np.nan
    return f"{values.mean():.3f} ± {half:.3f} ({values.max():.2f})"


def _alone_table(rows: Sequence[Moved]) -> Table:
    """By agent: what it moves by being silent, and how much of that had rested on its word."""
    table = Table("silent", "moved", "of that its word alone", "half or more", "a tenth or less", box=MARKDOWN)
    silent = [row for row in rows if row.fault == "silent"]
    for liar in (*(domain.value for domain in Domain), "all"):
        mine = [row for row in silent if liar in (*row.liars, "all")]
        own_M = np.array([own for row in mine for own in row.own_M])
        parts = [(own_M >= _ALONE).mean(), (own_M >= 0.5).mean(), (own_M <= 1 - _ALONE).mean()] if own_M.size else []
        table.add_row(liar, f"{np.mean([row.share for row in mine]):.3f}", *(f"{part:.2f}" for part in parts))
    return table


def _sweep_table(rows: Sequence[Moved], most: int) -> Table:
    """By number of agents at fault and by fault: what stays of each rule's list."""
    table = Table("share of the top 20 that stays: council (sum, max)", *FAULTS, "worst lie", box=MARKDOWN)
    for f in range(1, most + 1):
        of_f = [row for row in rows if len(row.liars) == f]
        cells = [[_left(of_f, rule, [fault]) for rule in COUNCIL_RULES] for fault in FAULTS]
        cells.append([_left(of_f, rule, LIES) for rule in COUNCIL_RULES])
        table.add_row(f"{f} of 6", *(f"{c:.2f} ({s:.2f}, {m:.2f})" for c, s, m in cells))
    return table


def _left(rows: Sequence[Moved], rule: str, faults: Sequence[str]) -> float:
    """What stays under the worst of some faults, the mean over seeds and sets of agents."""
    worst: dict[tuple[int, Liars], float] = {}
    for row in rows:
        if row.rule == rule and row.fault in faults:
            worst[row.seed, row.liars] = max(row.share, worst.get((row.seed, row.liars), 0.0))
    return 1.0 - float(np.mean(list(worst.values())))


def _fakes_table(frames: Iterable[pl.DataFrame]) -> Table:
    """What stays of the real threats in the top 20 that others see, beside 100,000 fakes of 20 nats (G7); how long."""
    frames = list(frames)
    table = Table("100,000 fakes", *COUNCIL_RULES, "heard in, s", "listed in, s", box=MARKDOWN)
    for name, fakes in _FAKERS.items():
        left_R: dict[str, list[float]] = {rule: [] for rule in COUNCIL_RULES}
        seconds = []
        for verdicts in frames:
            bad = _bad(verdicts)
            flooded = pl.concat([verdicts, _fakes(verdicts, **fakes)]).sort("time", "seq", maintain_order=True)
            for rule, listed in COUNCIL_RULES.items():
                real = [
                    one for one in listed(verdicts, _TOP) if one.episodes & bad and one.shares.get(_FAKER, 0) < _ALONE
                ]
                gone = _gone(real, listed(flooded, _TOP))
                left_R[rule].append(1.0 - len(gone) / max(1, len(real)))
            seconds.append(_seconds(flooded))
        told = [f"{np.mean(left):.2f} ({min(left):.2f})" for left in left_R.values()]
        table.add_row(name, *told, *(f"{n:.2f}" for n in np.max(seconds, axis=0)))
    return table


_FAKERS: Mapping[str, Mapping[str, pl.Expr]] = {
    "one user on as many hosts": {"user": pl.lit("mallory")},
    "an agent, of as many users and hosts": {"user": pl.format("mallory{}", "n")},
    "as many kinds of alert, on as many hosts": {"user": pl.lit(None, pl.String), "activity": pl.lit("alert")},
}


def _fakes(verdicts: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Verdicts of the identity agent, each on its own host and for its own reason, even over the last day."""
    last, nth = verdicts["time"].max(), pl.col("n")
    like = verdicts.filter(pl.col("domain") == _FAKER).head(1)
    many = like.join(pl.DataFrame({"n": range(_FAKES)}), how="cross")
    reason = pl.struct(field=pl.lit("alert"), value=pl.format("fake{}", nth), nats=pl.lit(LOUD, pl.Float32))
    nobody = pl.lit(None, pl.String)
    return many.with_columns(
        time=pl.lit(last) - pl.duration(microseconds=(nth * 86_400_000_000 // _FAKES)),
        uid=pl.format("fake{}", nth),
        evidence=pl.lit(LOUD),
        p=pl.lit(float(np.exp(-LOUD))),
        reasons=pl.concat_list(reason),
        host=pl.format("fake{}", nth),
        address=nobody,
        peer=nobody,
        **columns,
    ).select(verdicts.columns)


def _bad(verdicts: pl.DataFrame) -> frozenset[Episode]:
    """The episodes of all that malicious events name."""
    return frozenset(by_entity(verdicts.filter("bad")).select(KEY).rows())


def _seconds(verdicts: pl.DataFrame) -> tuple[float, float]:
    began = perf_counter()
    listening = heard(verdicts)
    until = perf_counter()
    listening.rank(_TOP)
    return until - began, perf_counter() - until


def _draw(rows: Sequence[Moved], most: int, path: Path) -> None:
    """What stays under the worst lie, and when the agents are silent, against the number of agents at fault."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    of_f = [[row for row in rows if len(row.liars) == f] for f in range(1, most + 1)]
    for name, colour in zip(COUNCIL_RULES, (MAIN, GREY, ATTACK), strict=True):
        axes.plot([1.0, *(_left(part, name, LIES) for part in of_f)], color=colour, marker="o", label=f"{name}, lies")
    silent = [1.0, *(_left(part, "council", ["silent"]) for part in of_f)]
    axes.plot(silent, color=INK, marker="o", linestyle=":", label="council, silent")
    axes.axhline(0.95, color=GREY, linestyle=":", linewidth=1)
    axes.set(title="Six agents before the council", xlabel="agents at fault", ylim=(-0.02, 1.05))
    axes.set_ylabel("share of the top 20 that stays")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
