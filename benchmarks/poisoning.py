"""What poisoned learning costs, without and with the quota, and what the quota costs where nobody poisons.

    python -m benchmarks.poisoning [--data ../shared/data] [--seeds 5] [--only probe campaign real cost speed]

The probe is made up: 200 principals, 8 features, each principal with habits of its own. After a warm-up an attacker
sends a share of all events from some principals, at once (burst) or in small steps (slow), until the detectors know his
attack: four features moved by .35. Then, learning nothing more, they score 3,000 benign events and 1,000 of the attack.
On real features, a benign stream is poisoned from its middle on: rows of the stream are blended towards rows of an
attack from another set; the last fifth of the stream, and rows of the attack under its kinds, are the test. AUC and
recall at 1 % false positives; `clean` is the same stream without the poison. The attacker knows everything, and no
detector or defence saw his attack before. `alarm` is how many poisoned events pass until the reference tells.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score, roc_curve

from agents.recipe import recipe_of
from benchmarks.streams.figures import _mean, figures
from benchmarks.streams.methods import Domained, domains, tails
from benchmarks.streams.sets import SETS
from benchmarks.streams.stream import Stream
from features.events import Domain
from features.featurizer import squashed
from features.hashing import hash64
from models.half_space_trees import HalfSpaceTrees
from models.online import Online
from models.quota import Quota
from models.reference import Reference
from models.rs_hash import RSHash

_PRINCIPALS, _FEATURES, _MOVED, _BY = 200, 8, 4, 0.35
_SHARES, _ATTACKERS = (0.05, 0.1, 0.2, 0.3), (2, 10, 20, 40)
_TESTS = 4000
_PROBES = {"young": (2_000, 4_000), "grown": (40_000, 20_000)}  # events of warm-up, and of the attack
_CAMPAIGN = 40_000, 200_000
_MOST = 60_000  # events of a real stream
_PIECE = 64  # events after which a reference that told a false alarm is frozen anew
_FEW = 0.01
_REAL = (
    ("ctu_sme11", "westermo left", Domain.NETWORK),
    ("ctu_sme11", "iot23 20-1", Domain.NETWORK),
    ("estate", "westermo left", Domain.NETWORK),
    ("estate", "iot23 34-1", Domain.NETWORK),
    ("estate", "dns tunnel iodine", Domain.DNS),
    ("estate", "aws", Domain.CLOUD),
)
_COSTS = (
    *("iot23 20-1", "iot23 34-1", "stratosphere 008", "stratosphere 011", "westermo left", "westermo right"),
    *("westermo bottom", "dga names", "dns tunnel iodine", "dns tunnel dnscat2", "o365", "aws", "otrf", "estate"),
)
_WHO = {Domain.NETWORK: "source", Domain.DNS: "client", Domain.CLOUD: "user"}

Places: TypeAlias = NDArray[np.float64]
Hashes: TypeAlias = NDArray[np.uint64]
Weights: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Poisoned:
    """B events in order: places of features, kinds, principals; which are poison, which test attacks.

    Poison begins after `begins` events, and from `ends` on nothing is learned.
    """

    x_BF: Places
    kind_B: Hashes
    who_B: Hashes
    poison_B: NDArray[np.bool_]
    attack_B: NDArray[np.bool_]
    begins: int
    ends: int

    @property
    def taught(self) -> Weights:
        """1 before the test."""
        return (np.arange(len(self.x_BF)) < self.ends).astype(np.float64)

    def moved_to(self, attackers: int, seed: int) -> "Poisoned":
        """The same, sent by so many principals."""
        who_B = self.who_B.copy()
        who_B[self.poison_B] = np.random.default_rng((seed, 2)).integers(1, attackers + 1, self.poison_B.sum())
        return replace(self, who_B=who_B)


def main() -> None:
    """Print the tables asked for, each as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=["probe", "campaign", "real", "cost", "speed"])
    asked = parser.parse_args()
    tables: dict[str, Callable[[], Table]] = {
        "probe": lambda: _probe(asked.seeds),
        "campaign": lambda: _campaign(asked.seeds),
        "real": lambda: _real(asked.data, asked.seeds),
        "cost": lambda: _cost(asked.data),
        "speed": _speed,
    }
    console = Console(width=240)
    for name in asked.only:
        console.print(tables[name]())


def mesh(x_BF: Places, kind_B: Hashes, weight_B: Weights) -> Scores:
    """Scores of an agent's detectors; places are taken back to nats, as an agent sees them."""
    nats_BF = (3.0 * x_BF / (1.0 - np.minimum(x_BF, 0.999))).astype(np.float32)
    return Online((RSHash(),)).observe(squashed(nats_BF), nats_BF[:, :0], kind_B, weight_B).score_B


def trees(x_BF: Places, _kind_B: Hashes, weight_B: Weights) -> Scores:
    """Scores of River's half-space trees, to the last bit."""
    return HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1).score_learn_many(x_BF, weight_B)


_MODELS = {"secmesh": mesh, "half-space trees": trees}


def _probe(seeds: int) -> Table:
    table = Table("probe", "p", *_judged_names(), "poison taught", *(f"alarm, {a}" for a in _ATTACKERS), box=MARKDOWN)
    for name, (warm, rows) in _PROBES.items():
        for slow in (False, True):
            for share in _SHARES:
                streams = [_made(seed, share, warm, rows, slow=slow) for seed in range(seeds)]
                alarms = (_found(_alarms(streams, attackers)) for attackers in _ATTACKERS)
                way = f"{name}, {'slow' if slow else 'burst'}"
                table.add_row(way, f"{share:.0%}", *_compared(streams), *alarms)
    return table


def _campaign(seeds: int) -> Table:
    """A long one, in which the quota is also held from the reference's alarm on."""
    table = Table("200,000 events", "p", "model", "clean", "undefended", "quota", "quota, held on alarm", box=MARKDOWN)
    for slow in (False, True):
        streams = [_made(seed, 0.3, *_CAMPAIGN, slow=slow).moved_to(40, seed) for seed in range(seeds)]
        for name, model in _MODELS.items():
            cells = (
                _told([_judged(stream, model, weights(stream)) for stream in streams])
                for weights in (_clean, _undefended, _defended, _held)
            )
            table.add_row("slow" if slow else "burst", "30%", name, *cells)
    return table


def _real(data: Path, seeds: int) -> Table:
    table = Table("benign stream", "attack", "p", *_judged_names(), "poison taught", "alarm, 40", "false", box=MARKDOWN)
    for benign_name, attack_name, domain in _REAL:
        benign, attack_AF = _benign(data, benign_name, domain), _attack(data, attack_name, domain)
        for slow in (False, True):
            for share in (_SHARES[0], _SHARES[-1]):
                streams = [_blended(benign, attack_AF, share, seed, slow=slow) for seed in range(seeds)]
                alarms = _found(_alarms(streams, 40))
                false = sum(_alarm(_without_poison(stream)) is not None for stream in streams)
                way = f"{attack_name}, {'slow' if slow else 'burst'}"
                table.add_row(
                    f"{benign_name}, {domain.value}",
                    way,
                    f"{share:.0%}",
                    *_compared(streams),
                    alarms,
                    f"{false}/{seeds}",
                )
    return table


def _judged_names() -> Iterable[str]:
    return (f"{name}: {way}" for name in _MODELS for way in ("clean", "undefended", "quota"))


def _compared(streams: Sequence[Poisoned]) -> Iterable[str]:
    """A cell for each model and way of learning, then the share of poison that the quota let teach."""
    for model in _MODELS.values():
        for weights in (_clean, _undefended, _defended):
            yield _told([_judged(stream, model, weights(stream)) for stream in streams])
    yield f"{np.mean([_defended(stream)[stream.poison_B].mean() for stream in streams]):.3f}"


def _clean(stream: Poisoned) -> Weights:
    return stream.taught * ~stream.poison_B


def _undefended(stream: Poisoned) -> Weights:
    return stream.taught


def _defended(stream: Poisoned) -> Weights:
    return Quota(stream.x_BF.shape[1]).observe(stream.x_BF, stream.kind_B) * stream.taught


def _held(stream: Poisoned) -> Weights:
    """A quota that is told of the first divergence."""
    quota = Quota(stream.x_BF.shape[1])
    told = Reference(stream.x_BF.shape[1]).observe(stream.x_BF, stream.who_B)
    for divergence in told[:1]:
        quota.hold(divergence.event)
    return quota.observe(stream.x_BF, stream.kind_B) * stream.taught


def _judged(stream: Poisoned, model: Callable[..., Scores], weight_B: Weights) -> tuple[float, float]:
    """AUC and recall of the test's attacks."""
    score_T, bad_T = model(stream.x_BF, stream.kind_B, weight_B)[stream.ends :], stream.attack_B[stream.ends :]
    fpr_K, tpr_K, _ = roc_curve(bad_T, score_T, drop_intermediate=False)
    return float(roc_auc_score(bad_T, score_T)), float(tpr_K[fpr_K <= _FEW].max())


def _told(figures_S2: Sequence[tuple[float, float]]) -> str:
    """Means over the seeds with half the 95 % interval of each."""
    (auc, auc_half), (recall, recall_half) = (_mean(values) for values in zip(*figures_S2, strict=True))
    return f"{auc:.3f}±{auc_half or 0:.3f} {recall:.2f}±{recall_half or 0:.2f}"


def _alarms(streams: Sequence[Poisoned], attackers: int) -> list[int | None]:
    return [_alarm(stream.moved_to(attackers, seed)) for seed, stream in enumerate(streams)]


def _alarm(stream: Poisoned) -> int | None:
    """Poisoned events until the reference tells, frozen anew after every alarm before there were any."""
    reference = Reference(stream.x_BF.shape[1])
    for at in range(0, stream.ends, _PIECE):
        piece = slice(at, min(stream.ends, at + _PIECE))
        for divergence in reference.observe(stream.x_BF[piece], stream.who_B[piece]):
            if divergence.event > stream.begins:
                return int(stream.poison_B[: divergence.event].sum())
            reference.freeze(divergence.group or None)
    return None


def _found(delays: Sequence[int | None]) -> str:
    """Median and worst; `-` where some were never found."""
    found = [np.inf if delay is None else delay for delay in delays]
    return ", ".join("-" if value == np.inf else f"{value:,.0f}" for value in (np.median(found), max(found)))


def _made(seed: int, share: float, warm: int, rows: int, *, slow: bool) -> Poisoned:
    chance = np.random.default_rng((seed, 1))
    habits_PF = chance.normal(0.3, 0.06, (_PRINCIPALS, _FEATURES))
    events, ends = warm + rows + _TESTS, warm + rows
    who_B = chance.integers(0, _PRINCIPALS, events)
    x_BF = habits_PF[who_B] + chance.normal(0, 0.1, (events, _FEATURES))
    place_B = np.arange(events)
    poison_B = (chance.random(events) < share) & (place_B >= warm) & (place_B < ends)
    attack_B = (chance.random(events) < 0.25) & (place_B >= ends)
    which_M = chance.choice(_FEATURES, _MOVED, replace=False)
    x_BF[np.ix_(poison_B, which_M)] += _BY * _along(int(poison_B.sum()), slow=slow)[:, None]
    x_BF[np.ix_(attack_B, which_M)] += _BY
    one_kind_B = np.ones(events, np.uint64)
    stream = Poisoned(np.clip(x_BF, 0, 1), one_kind_B, (who_B + 1).astype(np.uint64), poison_B, attack_B, warm, ends)
    return stream.moved_to(_ATTACKERS[0], seed)


def _along(rows: int, *, slow: bool) -> NDArray[np.float64]:
    """How far poison has come to the attack: all the way, or in four fifths of its time."""
    return np.minimum(1.0, np.arange(1, rows + 1) / (0.8 * rows)) if slow else np.ones(rows)


def _benign(data: Path, name: str, domain: Domain) -> tuple[Places, Hashes, Hashes]:
    """Features, kinds and principals of a set's benign events."""
    stream = SETS[name](data)
    part = _part(stream, domain)
    good_B = np.ones(len(part.x_BF), np.bool_)
    good_B[_bad_rows(stream, part)] = False
    rows_G = good_B.nonzero()[0][:_MOST]
    kind_B, who_B = _hashed(part, "kind"), _hashed(part, _WHO[domain])
    return part.x_BF[rows_G], kind_B[rows_G], who_B[rows_G]


def _attack(data: Path, name: str, domain: Domain) -> Places:
    stream = SETS[name](data)
    part = _part(stream, domain)
    return part.x_BF[_bad_rows(stream, part)]


def _part(stream: Stream, domain: Domain) -> Domained:
    (found,) = (part for part in domains(stream) if part.domain is domain)
    return found


def _bad_rows(stream: Stream, part: Domained) -> NDArray[np.int64]:
    """Rows of a domain that are an attack's; its judge is given the rows as scores, so that it gives them back."""
    view = stream.views[0]
    rows_B = np.arange(len(part.x_BF), dtype=np.float64)
    asked = part.events[part.rows].with_columns(
        domain=pl.lit(part.domain.value), row=part.rows, score=pl.Series(rows_B)
    )
    told = (view.delayed or view.judge)(asked).filter(pl.col("bad"))
    return told["score"].to_numpy().astype(np.int64)


def _hashed(part: Domained, field: str) -> Hashes:
    texts = part.events.select(recipe_of(part.domain).fields[field].cast(pl.String)).to_series()
    codes_B: Hashes = hash64(texts)[part.rows.to_numpy()]
    return codes_B


def _blended(
    benign: tuple[Places, Hashes, Hashes], attack_AF: Places, share: float, seed: int, *, slow: bool
) -> Poisoned:
    """A benign stream with poison in its middle and attacks at its end, all under kinds of the stream."""
    (x_GF, kind_G, who_G), chance = benign, np.random.default_rng((seed, 3))
    good, tests = len(x_GF), len(x_GF) // 5
    begins, ends = good // 2, good - tests
    rows, bad = round(share / (1 - share) * (ends - begins)), tests // 4
    base_R, kind_T = chance.integers(0, begins, rows), kind_G[chance.integers(ends, good, bad)]
    attack_RF, attack_TF = (attack_AF[chance.integers(0, len(attack_AF), n)] for n in (rows, bad))
    poison_RF = x_GF[base_R] + _along(rows, slow=slow)[:, None] * (attack_RF - x_GF[base_R])
    times = np.sort(chance.uniform(begins, ends, rows)), np.sort(chance.uniform(ends, good, bad))
    order_B = np.concatenate([np.arange(good), *times]).argsort(kind="stable")
    role_B = np.repeat([0, 1, 2], [good, rows, bad])[order_B]
    stream = Poisoned(
        np.concatenate([x_GF, poison_RF, attack_TF])[order_B],
        np.concatenate([kind_G, kind_G[base_R], kind_T])[order_B],
        np.concatenate([who_G, np.ones(rows + bad, np.uint64)])[order_B],
        role_B == 1,
        role_B == 2,
        begins,
        ends + rows,
    )
    return stream.moved_to(40, seed)


def _without_poison(stream: Poisoned) -> Poisoned:
    keep_B = ~stream.poison_B
    arrays = {name: vars(stream)[name][keep_B] for name in ("x_BF", "kind_B", "who_B", "poison_B", "attack_B")}
    return replace(stream, **arrays, ends=stream.ends - int(stream.poison_B.sum()))


def _cost(data: Path) -> Table:
    """Labelled sets that nobody poisons, without and with the quota."""
    table = Table("set", "AUC", "with quota", "AP", "with quota", "weight", box=MARKDOWN)
    sums: list[list[float]] = []
    for name in _COSTS:
        stream = SETS[name](data)
        parts = domains(stream)
        quotas = [Quota(part.x_BF.shape[1]).observe(part.x_BF, _hashed(part, "kind")) for part in parts]
        for view in stream.views:
            free = figures(view, _scored(parts, [np.ones(len(weight_B)) for weight_B in quotas]))
            kept = figures(view, _scored(parts, quotas))
            row = [float(one[name] or 0.0) for name in ("auc", "precision") for one in (free, kept)]
            sums.append([*row, float(np.concatenate(quotas).mean())])
            table.add_row(f"{name}, {view.name}", *(f"{value:.3f}" for value in sums[-1]))
    table.add_row("mean", *(f"{value:.3f}" for value in np.mean(sums, axis=0)))
    return table


def _scored(parts: Sequence[Domained], weights: Sequence[Weights]) -> pl.DataFrame:
    frames = []
    for part, weight_B in zip(parts, weights, strict=True):
        score_B = tails(mesh(part.x_BF, _hashed(part, "kind"), weight_B))
        told = part.events[part.rows]
        frames.append(told.with_columns(domain=pl.lit(part.domain.value), row=part.rows, score=pl.Series(score_B)))
    return pl.concat(frames, how="diagonal")


def _speed() -> Table:
    """Nanoseconds of one core an event at 20 features, the best of five."""
    chance = np.random.default_rng(0)
    x_BF, kind_B = chance.random((200_000, 20), dtype=np.float32) ** 3, chance.integers(1, 9, 200_000).astype(np.uint64)
    table = Table("", "ns an event", box=MARKDOWN)
    table.add_row("quota", f"{_best(lambda: Quota(20).observe(x_BF, kind_B)) / len(x_BF):.0f}")
    return table


def _best(run: Callable[[], Any]) -> float:
    run()
    spent = []
    for _ in range(5):
        began = time.process_time_ns()
        run()
        spent.append(time.process_time_ns() - began)
    return min(spent)


if __name__ == "__main__":
    main()
