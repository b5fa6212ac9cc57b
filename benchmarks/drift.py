"""Drift: false alarms on streams in which nothing happens, and how long shifts, creeping and poison go unnoticed.

    python -m benchmarks.drift [--data ../shared/data] [--seeds 5]

Quiet streams: every told shift and divergence is false; a divergence is answered by freezing anew. A changed world:
every entity's event begins to show two features 0.3 higher. A creeping entity: its features rise by 1 % of the span
with every 50 of its events. Poison: 200 principals, 8 features, 40,000 quiet events; then the attackers send a share
of the volume with four features 0.35 higher, at once, or rising to that with their first 500 or 1,000 events.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.recipe import recipe_of
from benchmarks.streams.frames import framed
from benchmarks.streams.network import benign_day
from features.events import TIME, Domain
from features.featurizer import Featurizer, squashed
from features.hashing import hash64
from features.logs import Events, read_logs
from models.drift import Drift
from models.marginals import Marginals
from models.reference import Divergence, Reference
from training.simulation import simulate

_ENTITY: Mapping[Domain, str] = {
    Domain.NETWORK: "source",
    Domain.DNS: "client",
    Domain.WEB: "client",
    Domain.ENDPOINT: "host",
    Domain.IDENTITY: "user",
    Domain.CLOUD: "user",
}
_QUIET, _PRINCIPALS, _FEATURES = 40_000, 200, 8
_PIECE = 64

Rows = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.uint64]]


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    console = Console(width=140)
    console.print(_quiet(asked.data), _injected(asked.seeds), _poison(asked.seeds), _speed())


def _quiet(data: Path) -> Table:
    table = Table(
        "quiet stream", "events", "shifts", "of an entity", "divergences", "of groups", "watched", box=MARKDOWN
    )
    sums = np.zeros(6, np.int64)
    for name, read in _streams(data).items():
        for domain, events in read().items():
            counts = _false_alarms(*_rows(domain, events))
            sums += counts
            table.add_row(f"{name} {domain.value}", *(f"{count:,}" for count in counts))
    table.add_row("all", *(f"{count:,}" for count in sums))
    return table


def _streams(data: Path) -> dict[str, Callable[[], Events]]:
    honeypots = {f"iot23 {n}": (lambda n=n: _honeypot(data, n)) for n in ("4-1", "5-1")}
    return {
        "ctu_sme11": lambda: benign_day(data).events,
        **honeypots,
        "ait intranet": lambda: read_logs([data / "web/ait_intranet_benign_days"]).events,
        "lanl": lambda: _lanl(data),
        "estate": _estate,
    }


def _honeypot(data: Path, capture: str) -> Events:
    return read_logs([data / f"network/iot23/CTU-Honeypot-Capture-{capture}-labeled.csv.gz"]).events


def _lanl(data: Path) -> Events:
    path = data / "identity/lanl/lanl_auth_first50k.csv.gz"
    names = ["second", "from_user", "user", "from_host", "host", "protocol", "logon", "activity", "status"]
    logons = pl.read_csv(path, has_header=False, new_columns=names, infer_schema_length=None)
    events = framed(
        Domain.IDENTITY,
        logons,
        path,
        time=pl.from_epoch(pl.col("second") * 1_000_000, "us").cast(TIME),
        activity_name=pl.col("activity"),
        status=pl.col("status"),
        user_name=pl.col("user"),
        actor_user_name=pl.col("from_user"),
        device_hostname=pl.col("host"),
        src_endpoint_hostname=pl.col("from_host"),
        logon_type=pl.col("logon"),
        auth_protocol=pl.col("protocol"),
    )
    return {Domain.IDENTITY: events}


def _estate() -> Events:
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=78, days=21, play=0)
        return read_logs(sorted(Path(folder).glob("*.jsonl"))).events


def _rows(domain: Domain, events: pl.DataFrame) -> Rows:
    """Features as an agent squashes them, its scores, and whose events they are."""
    recipe = recipe_of(domain)
    x_BF = squashed(Featurizer(recipe.fields, recipe.words).observe(events).x_BF).astype(np.float32)
    score_B = Marginals().score_learn_many(x_BF)
    entity = events.select(recipe.fields[_ENTITY[domain]].cast(pl.String)).to_series()
    return x_BF, score_B, hash64(entity)


def _false_alarms(x_BF: NDArray[np.float32], score_B: NDArray[np.float64], entity_B: NDArray[np.uint64]) -> list[int]:
    """Events, shifts, those of an entity, divergences, those of groups, and the events that a reference watched."""
    shifts = Drift(x_BF.shape[1]).observe(x_BF, score_B, entity_B)
    reference, watched = Reference(x_BF.shape[1]), 0.0
    told: list[Divergence] = []
    for at in range(0, len(x_BF), _PIECE):
        piece = slice(at, at + _PIECE)
        watched += reference.watched * len(x_BF[piece])
        divergences = reference.observe(x_BF[piece], entity_B[piece])
        told += divergences
        for divergence in divergences:
            reference.freeze(divergence.group or None)
    of_entities = sum(shift.scope == "entity" for shift in shifts)
    return [len(x_BF), len(shifts), of_entities, len(told), sum(one.group > 0 for one in told), int(watched)]


def _injected(seeds: int) -> Table:
    table = Table("injected", "told by drift after", "scope right", "told by the reference after", box=MARKDOWN)
    cases: dict[str, float | None] = {"the world": None}
    cases |= {f"an entity with {share:.0%} of the events": share for share in (0.2, 0.1, 0.05, 0.02, 0.01)}
    for name, share in cases.items():
        told = [_delay(seed, share) for seed in range(seeds)]
        table.add_row(
            name,
            _found([one[0] for one in told]),
            f"{sum(one[1] for one in told)}/{seeds}",
            _found([one[2] for one in told]),
        )
    return table


def _delay(seed: int, share: float | None) -> tuple[int | None, bool, int | None]:
    """Events of those that shifted until drift tells, whether it says whose, and until the reference does."""
    x_BF, entity_B = _benign(seed, 2 * _QUIET if share is None else _QUIET + 400_000)
    late_B = np.arange(len(x_BF)) >= _QUIET
    if share is None:
        bad_B = late_B
        x_BF[late_B, :2] += 0.3
    else:
        entity_B[np.random.default_rng(seed).random(len(x_BF)) < share] = 1
        bad_B = late_B & (entity_B == 1)
        x_BF[bad_B] += np.minimum(0.5, 0.01 * (np.arange(bad_B.sum()) // 50))[:, None].astype(np.float32)
    x_BF = np.clip(x_BF, 0, 1)
    score_B = Marginals().score_learn_many(x_BF)
    shifts = [shift for shift in Drift(_FEATURES).observe(x_BF, score_B, entity_B) if shift.event > _QUIET]
    told = [one.event for one in Reference(_FEATURES).observe(x_BF, entity_B) if one.event > _QUIET]
    scope = ("world", None) if share is None else ("entity", 1)
    right = bool(shifts) and (shifts[0].scope, shifts[0].entity) == scope
    return (
        int(bad_B[: shifts[0].event].sum()) if shifts else None,
        right,
        int(bad_B[: told[0]].sum()) if told else None,
    )


def _poison(seeds: int) -> Table:
    shares, attackers = (0.05, 0.1, 0.3), (2, 10, 40)
    table = Table("poisoned events until told", *(f"{p:.0%} by {a}" for p in shares for a in attackers), box=MARKDOWN)
    for name, over in (("burst", 1), ("slow, 500", 500), ("slow, 1,000", 1000)):
        cells = [_found([_noticed(seed, p, a, over) for seed in range(seeds)]) for p in shares for a in attackers]
        table.add_row(name, *cells)
    return table


def _noticed(seed: int, share: float, attackers: int, over: int) -> int | None:
    """Poisoned events until the reference tells; an alarm before there were any is not counted."""
    x_BF, entity_B = _benign(seed, _QUIET + int(2_500 / share))
    chance = np.random.default_rng((seed, 1))
    bad_B = (chance.random(len(x_BF)) < share) & (np.arange(len(x_BF)) >= _QUIET)
    entity_B[bad_B] = chance.integers(1, attackers + 1, bad_B.sum())
    which = chance.choice(_FEATURES, 4, replace=False)
    along = np.minimum(1.0, np.arange(1, bad_B.sum() + 1) / over)
    x_BF[np.ix_(bad_B, which)] += (0.35 * along)[:, None].astype(np.float32)
    told = [one.event for one in Reference(_FEATURES).observe(np.clip(x_BF, 0, 1), entity_B) if one.event > _QUIET]
    return int(bad_B[: told[0]].sum()) if told else None


def _benign(seed: int, rows: int) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
    """Events of principals, each with its own habits."""
    chance = np.random.default_rng(seed)
    habits_PF = chance.normal(0.3, 0.06, (_PRINCIPALS, _FEATURES))
    who_B = chance.integers(0, _PRINCIPALS, rows)
    x_BF = np.clip(habits_PF[who_B] + chance.normal(0, 0.1, (rows, _FEATURES)), 0, 1).astype(np.float32)
    return x_BF, (who_B + 1).astype(np.uint64)


def _found(delays: list[int | None]) -> str:
    """Median and worst; `-` where some were never found."""
    found = [np.inf if delay is None else delay for delay in delays]
    return ", ".join("-" if value == np.inf else f"{value:,.0f}" for value in (statistics.median(found), max(found)))


def _speed() -> Table:
    """Nanoseconds of one core an event at 20 features and 300 entities, the best of five."""
    chance = np.random.default_rng(0)
    x_BF, score_B = chance.random((200_000, 20), dtype=np.float32), chance.random(200_000) * 20
    entity_B = chance.integers(1, 300, 200_000).astype(np.uint64)
    table = Table("", "ns an event", box=MARKDOWN)
    table.add_row("drift", f"{_best(lambda: Drift(20).observe(x_BF, score_B, entity_B)):.0f}")
    table.add_row("reference", f"{_best(lambda: Reference(20).observe(x_BF, entity_B)):.0f}")
    return table


def _best(run: Callable[[], object]) -> float:
    run()
    seconds = []
    for _ in range(5):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return min(seconds) / 200_000 * 1e9


if __name__ == "__main__":
    main()
