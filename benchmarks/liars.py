"""Liars in the mesh: how much of the ranking's top 20 stands when sites lie, by each way to sum up what they say.

    python -m benchmarks.liars [--seeds 100] [--mesh 61 62 63 64 65] [--scores FILE.npy ...] [--plot FILE]
    python -m benchmarks.liars --council [--most 5] [--mesh 61 62 63 64 65] [--verdicts FILE.parquet ...] [--plot FILE]

Dense: 200 things, 20 of them threats, that n sites score with noise; what is left of the top 20 by the honest mean
when f sites lie (G8), the worst for each rule of five fixed attacks and of a hill climb that knows all scores and the
rule. Sparse: 10 threats that one honest site each has seen, while f sites deny them and flood (G9). Masked: a principal
raises 100,000 fakes (G7). Mesh: six agents' strange things by entity on simulated estates, one of them at fault. Every
interval holds 95 % by Student's t, in brackets the worst. With `--scores`, tables of sites x things (or two, the second
as it was half-way) stand in for the estates. With `--council`, none of these: agents at fault before the council itself
(`benchmarks.council_liars`).
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import t

from agents.consensus.testimony import ANCHORS, named
from benchmarks.campaigns import lived
from benchmarks.consensus import estate
from benchmarks.council_liars import show_council
from features.events import Domain
from models.aggregation import Lanes, Words, agreed, corroborated, median, outstanding, trimmed_mean
from training.learning import learn_together
from training.plots import ATTACK, GREY, INK, MAIN

Things = NDArray[np.int64]
#: Names the things listed, from what is said and the number of liars to reckon with.
Rule = Callable[[Words, int], Things]

_TOP, _THINGS, _STEPS, _FAKES = 20, 200, 40, 100_000
_NOISES, _CROWDS = (0.08, 0.15), ((5, 1), (5, 2), (7, 2), (10, 3), (10, 4), (20, 6), (20, 8))
_SWEPT = 10
_LOUD = 1e6
_FLOOR = 3.0


def _mean(x_SN: Words, liars: int) -> Things:
    speaking_N = np.maximum((~np.isnan(x_SN)).sum(axis=0), 1)
    return _top(np.nansum(x_SN, axis=0) / speaking_N)


def _largest(x_SN: Words, liars: int) -> Things:
    return _top(np.nan_to_num(x_SN).max(axis=0))


def _sum(x_SN: Words, liars: int) -> Things:
    return _top(np.nansum(x_SN, axis=0))


def _noisy_or(x_SN: Words, liars: int) -> Things:
    return _top(-np.log1p(-np.clip(np.nan_to_num(x_SN), 0.0, 1 - 1e-9)).sum(axis=0))


def _borda(x_SN: Words, liars: int) -> Things:
    return _top(np.argsort(np.argsort(np.nan_to_num(x_SN), axis=1, kind="stable"), axis=1).sum(axis=0))


def _median(x_SN: Words, liars: int) -> Things:
    return _top(np.nan_to_num(median(x_SN)))


def _trimmed(x_SN: Words, liars: int) -> Things:
    return _top(np.nan_to_num(trimmed_mean(x_SN, min(liars, (len(x_SN) - 1) // 2))))


def _two_lanes(x_SN: Words, liars: int) -> Things:
    return Lanes(liars, share=0.2, least=0.5).rank(x_SN, _TOP).thing_K


def _two_lanes_without_floor(x_SN: Words, liars: int) -> Things:
    return Lanes(liars, share=0.2, least=-np.inf).rank(x_SN, _TOP).thing_K


_DENSE: dict[str, Rule] = {
    "mean": _mean,
    "max": _largest,
    "Borda": _borda,
    "noisy-or": _noisy_or,
    "sum": _sum,
    "trimmed mean": _trimmed,
    "median": _median,
    "two lanes": _two_lanes,
}
_SPARSE = _DENSE | {"two lanes, no floor": _two_lanes_without_floor}


def _mesh_lanes(share: float, words: int) -> Rule:
    """Two lanes of what each agent finds most outstanding, in so many words."""
    lanes = Lanes(1, share=share, vouch=corroborated)
    return lambda x_SN, liars: lanes.rank(outstanding(x_SN, words), _TOP).thing_K


_MESH: dict[str, Rule] = {
    "mean": _mean,
    "max": _largest,
    "Borda": _borda,
    "noisy-or": lambda x_SN, liars: _noisy_or(-np.expm1(-x_SN), liars),
    "sum": _sum,
    "lanes, agreed": lambda x_SN, liars: Lanes(1, share=0.05, vouch=agreed).rank(x_SN, _TOP).thing_K,
    "lanes, 20 words, 1/20": _mesh_lanes(1 / 20, 20),
    "lanes, 10 words, 1/20": _mesh_lanes(1 / 20, 10),
    "lanes, 10 words, 1/6": _mesh_lanes(1 / 6, 10),
}


@dataclass(frozen=True)
class Row:
    """What is left of the list, or else what `moves`, seed by seed, for each rule."""

    what: str
    left_R: dict[str, list[float]]
    moves: bool = False

    def told(self) -> list[str]:
        """The mean with its interval, and the worst: the least that is left, or the most that is moved."""
        worst = max if self.moves else min
        return [_interval(np.array(left)) + f" ({worst(left):.2f})" for left in self.left_R.values()]


def main() -> None:
    """Print the tables, and draw the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--mesh", type=int, nargs="*", default=[61, 62, 63, 64, 65])
    parser.add_argument("--scores", type=Path, nargs="*")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--council", action="store_true")
    parser.add_argument("--most", type=int, default=5)
    parser.add_argument("--verdicts", type=Path, nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=200)
    if arguments.council:
        frames = dict(enumerate(map(pl.read_parquet, arguments.verdicts or ())))
        frames = frames or {seed: estate(seed)[0] for seed in track(arguments.mesh, "estates")}
        show_council(frames, arguments.most, arguments.plot, console)
        return
    seeds = range(1000, 1000 + arguments.seeds)
    crowds = [(n, f, noise) for noise in _NOISES for n, f in _CROWDS]
    dense = [_dense(*crowd, seeds) for crowd in track(crowds, "dense")]
    _show("dense: share of the honest top 20 that is left", dense, console)
    _show("sparse: share of 10 threats listed", [_sparse(n, f, seeds) for n, f in ((5, 1), (10, 3))], console)
    _show("masked: share of 10 threats listed beside 100,000 fakes", [_masked(by) for by in (1, 5)], console)
    paths = arguments.scores
    tables = [np.load(path) for path in paths] if paths else [real_scores(s) for s in track(arguments.mesh, "estates")]
    if tables:
        _show("mesh: share of the top 20 that one agent at fault moves", list(_mesh(tables)), console)
    if arguments.plot:
        sweep = [_dense(_SWEPT, f, _NOISES[0], seeds) for f in track(range(_SWEPT - 2), "sweep")]
        _show("sweep: 10 sites, noise .08; two lanes reckon with at most 4 liars", sweep, console)
        _draw(sweep, arguments.plot)


def real_scores(seed: int) -> NDArray[np.float64]:
    """What six agents say of the entities of a simulated estate in the end and at half of the log, (2, S, N), in nats.

    An agent's word on a user, host or address is the sum of the evidence above 3 nats of the distinct
    things it found strange there, those of one sort counting in full, half, a third and so on; NaN where none of
    its events names the entity.
    """
    past, rest, _ = lived(seed)
    verdicts = learn_together(past, seed=seed).mesh.observe(rest)
    whole, half = _words(verdicts), _words(verdicts.sort("seq").head(verdicts.height // 2))
    early = whole.select("kind", "name").join(half, on=["kind", "name"], how="left", maintain_order="left")
    agents = [domain.value for domain in Domain]
    table: NDArray[np.float64] = np.stack([frame.select(agents).to_numpy().T for frame in (whole, early)])
    return table


def _words(verdicts: pl.DataFrame) -> pl.DataFrame:
    """A row an entity, a column an agent."""
    sort, first = ["kind", "name", "domain", "activity", "field"], pl.col("reasons").list.first()
    heard = verdicts.with_columns(field=first.struct.field("field"), value=first.struct.field("value"))
    rows = pl.concat(
        heard.with_columns(kind=pl.lit(anchor), name=named(kind)).select(*sort, "value", "evidence").drop_nulls("name")
        for kind, anchor in ANCHORS.items()
    )
    things = rows.group_by(*sort, "value").agg(pl.col("evidence").max())
    above = (pl.col("evidence") - _FLOOR).clip(0.0) / pl.col("evidence").rank("ordinal", descending=True).over(sort)
    agents = [pl.when(pl.col("domain") == d.value).then("nats").sum().alias(d.value) for d in Domain]
    seen = [(pl.col("domain") == d.value).any().alias(f"sees {d.value}") for d in Domain]
    summed = things.with_columns(nats=above).group_by("kind", "name").agg(*agents, *seen).sort("kind", "name")
    return summed.select("kind", "name", *(pl.when(f"sees {d.value}").then(d.value).alias(d.value) for d in Domain))


def _top(score_N: NDArray[np.float64]) -> Things:
    highest: Things = np.argsort(-score_N, kind="stable")[:_TOP]
    return highest


def _scored(chance: np.random.Generator, sites: int, noise: float) -> Words:
    """What honest sites say: of 20 threats between .65 and 1, of the rest between 0 and .5, and noise."""
    truth_N = np.r_[chance.uniform(0.65, 1.0, _TOP), chance.uniform(0.0, 0.5, _THINGS - _TOP)]
    said_SN: Words = np.clip(truth_N + chance.normal(0.0, noise, (sites, _THINGS)), 0.0, 1.0)
    return said_SN


def _dense(n: int, f: int, noise: float, seeds: range) -> Row:
    left_R: dict[str, list[float]] = {name: [] for name in _DENSE}
    for seed in seeds:
        h_SN = _scored(np.random.default_rng(seed), n - f, noise)
        for name, rule in _DENSE.items():
            left_R[name].append(_worst(np.random.default_rng(seed), h_SN, f, rule, (n - 1) // 2))
    return Row(f"n = {n}, f = {f}, noise {noise}{'' if 2 * f < n else ': nothing holds'}", left_R)


def _worst(chance: np.random.Generator, h_SN: Words, f: int, rule: Rule, most: int) -> float:
    """What is left in the worst case that fixed attacks and a hill climb from the worst of these find."""
    honest = _top(h_SN.mean(axis=0))

    def left(lie_FN: Words) -> float:
        return float(np.isin(honest, rule(np.concatenate([h_SN, lie_FN]), min(f, most))).mean())

    lies = list(_attacks(chance, h_SN, f))
    lie_FN, least = min(((lie_FN, left(lie_FN)) for lie_FN in lies), key=lambda pair: pair[1])
    places = np.stack(
        [np.zeros(_THINGS), np.ones(_THINGS), h_SN.min(axis=0), h_SN.max(axis=0), np.median(h_SN, axis=0)]
    )
    for _ in range(_STEPS if f else 0):
        moved_M = chance.choice(_THINGS, chance.integers(1, 10), replace=False)
        tried_FN = lie_FN.copy()
        tried_FN[:, moved_M] = places[chance.integers(0, len(places), moved_M.size), moved_M]
        found = left(tried_FN)
        if found <= least:
            lie_FN, least = tried_FN, found
    return least


def _attacks(chance: np.random.Generator, h_SN: Words, f: int) -> Iterator[Words]:
    """Invert; suppress; flood; swap those next to the end of the list; and say 0 of the list and 1 of all others.

    The last is the worst there is against a rule that looks at each thing by itself and rises with each word.
    """
    mean_N = h_SN.mean(axis=0)
    order_N = np.argsort(-mean_N, kind="stable")
    suppressed_N, flooded_N, swapped_N, reversed_N = mean_N.copy(), mean_N.copy(), mean_N.copy(), np.ones(_THINGS)
    suppressed_N[order_N[:_TOP]] = reversed_N[order_N[:_TOP]] = 0.0
    flooded_N[chance.choice(order_N[_TOP:], 2 * _TOP, replace=False)] = 1.0
    swapped_N[order_N[_TOP - 5 : _TOP]], swapped_N[order_N[_TOP : _TOP + 5]] = 0.0, 1.0
    for lie_N in (1.0 - mean_N, suppressed_N, flooded_N, swapped_N, reversed_N):
        yield np.tile(lie_N, (f, 1))


def _sparse(n: int, f: int, seeds: range) -> Row:
    """Ten threats with one honest witness each, whom all liars deny, among things all see and fakes of liars alone."""
    left_R: dict[str, list[float]] = {name: [] for name in _SPARSE}
    threats = _TOP // 2
    for seed in seeds:
        chance = np.random.default_rng(seed)
        x_SN = np.concatenate([_scored(chance, n, _NOISES[0])[:, threats:], np.full((n, _TOP * f), np.nan)], axis=1)
        x_SN[:, :threats] = np.where(np.arange(n)[:, None] == chance.integers(f, n, threats), x_SN[:, :threats], np.nan)
        x_SN[:f], x_SN[:f, :threats] = 1.0, 0.0
        fake_SN = x_SN[:f, -_TOP * f :]
        fake_SN[np.repeat(np.eye(f, dtype=np.bool_), _TOP, axis=1) == 0] = np.nan
        x_SN[:f, threats : _THINGS - threats] = 1.0
        for name, rule in _SPARSE.items():
            left_R[name].append(float(np.isin(np.arange(threats), rule(x_SN, f)).mean()))
    return Row(f"n = {n}, f = {f}", left_R)


def _masked(seen_by: int) -> Row:
    """Ten threats that all five sites see beside the fakes of one principal, which all or one of them see."""
    chance, threats = np.random.default_rng(0), _TOP // 2
    x_SN = np.full((5, threats + _FAKES), np.nan)
    x_SN[:, :threats] = chance.uniform(0.65, 0.95, threats)
    x_SN[:seen_by, threats:] = 1.0
    principal_N = np.r_[np.arange(threats), np.full(_FAKES, threats)]
    began = perf_counter()
    ours = Lanes(1, share=0.2, least=0.5).rank(x_SN, _TOP, principal_N).thing_K
    seconds = perf_counter() - began
    listed = {name: rule(x_SN, 1) for name, rule in _DENSE.items()} | {"two lanes": ours}
    left_R = {name: [float(np.isin(np.arange(threats), found).mean())] for name, found in listed.items()}
    return Row(f"seen by {seen_by} of 5 ({seconds:.2f} s)", left_R)


def _mesh(tables: list[NDArray[np.float64]]) -> Iterator[Row]:
    """Each agent in turn at fault: what moves, silent and late against the sound list, the others against that without.

    Where an agent lies, the list without it is all that honest agents can say.
    """
    moved: dict[str, dict[str, list[float]]] = {}
    for seed, table in enumerate(tables):
        both = table if table.ndim == 3 else np.stack([table, np.full_like(table, np.nan)])
        for agent in range(both.shape[1]):
            for name, rule in _MESH.items():
                for fault, share in _faulty(np.random.default_rng(seed), both, agent, rule):
                    moved.setdefault(fault, {}).setdefault(name, []).append(share)
    yield from (Row(fault, of_rule, moves=True) for fault, of_rule in moved.items())


def _faulty(
    chance: np.random.Generator, both: NDArray[np.float64], agent: int, rule: Rule
) -> Iterator[tuple[str, float]]:
    sound_SN, own_N = both[0], np.nan_to_num(both[0, agent])
    most = max(float(own_N.max()), 1.0)
    sound, without = rule(sound_SN, 1), rule(_instead(sound_SN, agent, np.full(own_N.size, np.nan)), 1)
    yield "silent, against all six", _moved(sound, without)
    yield "late, against all six", _moved(sound, rule(_instead(sound_SN, agent, both[1, agent]), 1))
    lies = {"constant": np.full(own_N.size, most), "random": chance.uniform(0.0, most, own_N.size)}
    lies |= {"inverted": most - own_N}
    moved = {fault: _moved(without, rule(_instead(sound_SN, agent, lie_N), 1)) for fault, lie_N in lies.items()}
    raised = _raised(np.delete(sound_SN, agent, axis=0), without)
    moved["adaptive"] = max(_moved(without, rule(_instead(sound_SN, agent, lie_N), 1)) for lie_N in raised)
    yield from ((f"{fault}, against the other five", share) for fault, share in moved.items())


def _raised(others_SN: Words, listed: Things) -> Iterator[NDArray[np.float64]]:
    """A few or many of the things nearest to being listed without the liar, raised beyond measure."""
    for near_N in (np.nansum(others_SN, axis=0), np.nan_to_num(others_SN).max(axis=0)):
        near_N[listed] = -1.0
        order_N = np.argsort(-near_N, kind="stable")
        for many in (3, 5, 8, 12, 20):
            for rest in (0.0, np.nan):
                lie_N = np.full(near_N.size, rest)
                lie_N[order_N[:many]] = _LOUD
                yield lie_N


def _instead(x_SN: Words, agent: int, word_N: NDArray[np.float64]) -> Words:
    changed_SN = x_SN.copy()
    changed_SN[agent] = word_N
    return changed_SN


def _moved(before: Things, after: Things) -> float:
    return 1.0 - float(np.isin(before, after).mean())


def _show(title: str, rows: list[Row], console: Console) -> None:
    table = Table(title, *rows[0].left_R, box=MARKDOWN)
    for row in rows:
        table.add_row(row.what, *row.told())
    console.print(table)


def _interval(left_K: NDArray[np.float64]) -> str:
    """The mean and its 95 % interval by Student's t."""
    if left_K.size < 2:
        return f"{left_K.mean():.2f}"
    half = t.ppf(0.975, left_K.size - 1) * left_K.std(ddof=1) / left_K.size**0.5
    return f"{left_K.mean():.2f} ± {half:.2f}"


def _draw(sweep: list[Row], path: Path) -> None:
    """What is left against the number of liars."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, colour in {"mean": GREY, "Borda": ATTACK, "max": INK, "two lanes": MAIN}.items():
        axes.plot([np.mean(row.left_R[name]) for row in sweep], color=colour, marker="o", label=name)
    axes.axvline(_SWEPT / 2, color=GREY, linestyle=":", linewidth=1)
    axes.set(
        title=f"Liars among {_SWEPT} sites", xlabel="liars (from the dotted line on nothing holds)", ylim=(-0.02, 1.05)
    )
    axes.set_ylabel("share of the honest top 20 left, worst attack")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
