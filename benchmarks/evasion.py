"""What an attacker gains by leaving fields out of his events, and by owning an entity's whole past.

    python -m benchmarks.evasion [--data ../shared/data] [--seeds 3] [--only omission boiling]

Omission: attack events that alert with all their fields are changed by leaving out a drawn subset of the columns that
they fill and need not (`REQUIRED` says which they need), then scored anew from the state before them; nothing is
learned from a changed event. An event alerts above the 99th percentile of the scores of its stream so far, or, counted
apart, where p <= .01. Beside secmesh: the same without the word that finds a missing field strange, and River's
half-space trees over dicts of the words whose fields are there. The second table lets the columns of `REQUIRED` go,
too, as long as one of each group stays.

Boiling: an entity of a simulated estate is the attacker's, and he attacks on the thirty-first day. `pieces`: on day d
he takes events of its normal life, puts a column of the attack's events into each, and for this uses the first d
thirtieths of the attack. `rehearsed`: he plays these very events. Told is the share of the attack's events at or above
the 95th percentile of all scores before it, and of those that are so with a clean past. Beside secmesh: with words
given its entity alone; and with its `Peers` asked of more fields, and added up as they are.
Labels choose attack events, and nothing else.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from river.anomaly import HalfSpaceTrees

from agents.agent import Agent
from agents.omission import OMISSION
from agents.recipe import Recipe, recipe_of
from benchmarks.streams.figures import _mean
from benchmarks.streams.sets import SETS
from benchmarks.streams.stream import Stream
from features.events import ATTRIBUTES, COMMON, ORIGIN, REQUIRED, Domain
from features.featurizer import Featurizer, squashed
from features.logs import Events, read_logs
from features.missing import MISSING
from features.words.peers import Peers
from models.calibrator import Calibrator
from models.online import Online
from training.simulation import simulate

_SETS = (
    *("iot23 20-1", "iot23 34-1", "westermo left", "westermo right", "westermo bottom"),
    *("dga names", "dns tunnel iodine", "dns tunnel dnscat2", "otrf", "aws", "o365"),
)
_MOST, _LED = 60_000, 20_000  # events of a stream, and of them before the first attack
_YOUNG = 50  # events that a stream's percentile needs
_EVENTS, _SUBSETS = 300, 24  # a domain of a stream
_ALERT, _UNLIKELY = 0.99, 0.01
_KEPT = {*ORIGIN, "time", "uid", "class_uid"}

_DAYS, _USERS, _HIGH = 30, 20, 0.95
_CAMPAIGNS = (
    *("insider_exfiltration", "leaked_key_cryptomining", "phishing_to_ransomware"),
    *("credential_dump_lateral", "password_spray_takeover"),
)
_COMMONLY = ("activity_name", "status", "src_endpoint_ip")


@dataclass(frozen=True)
class Named:
    """What an attacker owns in a domain: the columns and fields that name it, and fields its peers can be asked of."""

    columns: tuple[str, ...]
    fields: tuple[str, ...]
    shown: tuple[str, ...]


_OWNED: Mapping[Domain, Named] = {
    Domain.NETWORK: Named(
        ("src_endpoint_ip",), ("source",), ("port", "peer network", "service", "state", "kind", "sent", "peer")
    ),
    Domain.IDENTITY: Named(
        ("user_name", "actor_user_name"),
        ("user", "actor"),
        ("activity", "host", "protocol", "service", "program", "kind", "network", "address"),
    ),
    Domain.ENDPOINT: Named(
        ("device_hostname",), ("host",), ("deed", "actor", "command", "actor folder", "object folder")
    ),
    Domain.CLOUD: Named(("actor_user_name",), ("user",), ("operation", "network", "error", "resource", "service")),
}

Rows = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One domain of a stream: B events and their features, and the rows of those that are an attack's."""

    name: str
    domain: Domain
    events: pl.DataFrame
    x_BF: NDArray[np.float32]
    kind_B: NDArray[np.uint64]
    absent_BF: NDArray[np.bool_]
    bad_A: Rows


@dataclass(frozen=True)
class Changed:
    """P changed events, in the order of their rows: features from the state before them; `absent` as in a part."""

    row_P: Rows
    x_PF: NDArray[np.float32]
    kind_P: NDArray[np.uint64]
    absent_PF: NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """Scores and tail probabilities of a stream's events and of changed ones; p is None where a method has none."""

    score_B: Scores
    score_P: Scores
    p_B: Scores | None = None
    p_P: Scores | None = None


@dataclass(frozen=True)
class Fallen:
    """Of some changed events, how many alerted with all fields, and how many of these do no more."""

    alerted: int
    fallen: int


@dataclass(frozen=True)
class Owned:
    """Normal life of all, the owner's thirty days of either way of boiling, and then the attack."""

    normal: pl.DataFrame
    pieces: pl.DataFrame
    rehearsed: pl.DataFrame
    attack: pl.DataFrame


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["omission", "boiling"])
    parser.add_argument("--sets", nargs="*", default=list(_SETS))
    asked = parser.parse_args()
    console = Console(width=200)
    if "omission" in asked.only:
        parts = [part for name in asked.sets for part in _parts(SETS[name](asked.data))]
        for entities in (False, True):
            console.print(_omission(parts, entities=entities))
    if "boiling" in asked.only:
        console.print(_boiling(asked.seeds))


def _parts(stream: Stream) -> Iterator[Part]:
    """The domains of a stream in which there is an attack, cut to what surrounds its first events."""
    for domain, bad_A in _bad_rows(stream).items():
        start = max(0, int(bad_A[0]) - _LED)
        events, recipe = stream.events[domain][start : start + _MOST], recipe_of(domain)
        seen = Featurizer(recipe.fields, recipe.all_words).observe(events)
        inside_A = bad_A[bad_A < start + events.height] - start
        absent_BF = _absent(recipe, seen.codes)
        yield Part(stream.name, domain, events, seen.x_BF, seen.codes["kind"], absent_BF, inside_A)


def _bad_rows(stream: Stream) -> dict[Domain, Rows]:
    """Rows that are an attack's by domain; a judge is given rows as scores, so that it gives them back.

    One that gathers units gives back one event a unit: it is asked again for the rest, at most forty times.
    """
    view, rows = stream.views[0], {domain: stream.asked_rows(domain) for domain in stream.events}
    start, asked = 0, []
    starts: dict[Domain, int] = {}
    for domain, events in stream.events.items():
        number = pl.Series(rows[domain].to_numpy() + float(start))
        asked.append(events[rows[domain]].with_columns(domain=pl.lit(domain.value), row=rows[domain], score=number))
        starts[domain] = start
        start += events.height
    left, found = pl.concat(asked, how="diagonal"), []
    for _ in range(40):
        told = (view.delayed or view.judge)(left).filter(pl.col("bad"))["score"]
        if not told.len():
            break
        found.append(told.to_numpy().astype(np.int64))
        left = left.filter(~pl.col("score").is_in(told.implode()))
    every = np.sort(np.concatenate(found))
    ends = {domain: starts[domain] + events.height for domain, events in stream.events.items()}
    within = {domain: every[(every >= starts[domain]) & (every < ends[domain])] - starts[domain] for domain in ends}
    return {domain: bad_A for domain, bad_A in within.items() if bad_A.size}


def _absent(recipe: Recipe, codes: Mapping[str, NDArray[np.uint64]]) -> NDArray[np.bool_]:
    """Which words look at a field that is missing, (B, F)."""
    needs = [[name for name in word.needs if name != MISSING] for word in recipe.all_words]
    return np.column_stack([np.any([codes[name] == 0 for name in names], axis=0) for names in needs])


def _omission(parts: Sequence[Part], *, entities: bool) -> Table:
    left_out = "also whom it is about, but one" if entities else "optional columns"
    rules = ("secmesh", "secmesh, p", "without OMISSION", "without OMISSION, p", "half-space trees, sparse")
    table = Table(
        f"left out: {left_out}", "events", "pairs", *(f"{rule}: fell of alerts" for rule in rules), box=MARKDOWN
    )
    sums = [Fallen(0, 0)] * len(rules)
    pairs = 0
    for part in parts:
        row_P, changed = drawn(part, entities=entities)
        if not row_P.size:
            continue
        seen = features(part, row_P, changed)
        told = list(_compared(part, seen))
        table.add_row(f"{part.name}, {part.domain.value}", str(len(set(row_P))), f"{row_P.size:,}", *map(_share, told))
        sums = [Fallen(a.alerted + b.alerted, a.fallen + b.fallen) for a, b in zip(sums, told, strict=True)]
        pairs += row_P.size
    table.add_row("all", "", f"{pairs:,}", *map(_share, sums))
    return table


def _share(told: Fallen) -> str:
    return f"{100 * told.fallen / told.alerted:.2f} % of {told.alerted:,}" if told.alerted else "-"


def drawn(part: Part, *, entities: bool) -> tuple[Rows, pl.DataFrame]:
    """Attack events that alert by secmesh, each with up to so many subsets of columns left out, all different."""
    chance = np.random.default_rng(13)
    judged = mesh(recipe_of(part.domain), part, None)
    rows = [row for row in chance.permutation(part.bad_A).tolist() if row >= _YOUNG and alerts(judged, row)]
    row_P: list[int] = []
    changed: list[pl.DataFrame] = []
    for row in sorted(rows[:_EVENTS]):
        event = part.events[row : row + 1]
        for subset in _subsets(event, part.domain, chance, entities=entities):
            row_P.append(row)
            changed.append(event.with_columns(pl.lit(None, event.schema[name]).alias(name) for name in subset))
    return np.array(row_P, np.int64), pl.concat(changed) if changed else part.events[:0]


def alerts(judged: Judged, row: int) -> bool:
    """Whether an event is above the 99th percentile of what came before it."""
    return bool(judged.score_B[row] > np.quantile(judged.score_B[:row], _ALERT))


def _subsets(
    event: pl.DataFrame, domain: Domain, chance: np.random.Generator, *, entities: bool
) -> list[tuple[str, ...]]:
    filled = [name for name in COMMON | ATTRIBUTES[domain] if name not in _KEPT and event[name].null_count() == 0]
    needed = {name for group in REQUIRED[domain] for name in group}
    free = sorted(set(filled) if entities else set(filled) - needed)
    found: dict[tuple[str, ...], None] = {}
    for _ in range(3 * _SUBSETS):
        if free and len(found) < _SUBSETS:
            size = int(chance.integers(1, len(free) + 1))
            subset = tuple(sorted(chance.choice(free, size, replace=False).tolist()))
            if all(any(name in filled and name not in subset for name in group) for group in REQUIRED[domain]):
                found[subset] = None
    return list(found)


def features(part: Part, row_P: Rows, changed: pl.DataFrame, recipe: Recipe | None = None) -> Changed:
    """The features of changed events, each from the state before it."""
    recipe = recipe or recipe_of(part.domain)
    featurizer, at, found = Featurizer(recipe.fields, recipe.all_words), 0, []
    for row in np.unique(row_P).tolist():
        featurizer.observe(part.events[at:row])
        at, before = row, featurizer.state()
        for p in np.flatnonzero(row_P == row).tolist():
            found.append(featurizer.observe(changed[p : p + 1]))
            featurizer.restore(before)
    return Changed(
        row_P,
        np.concatenate([seen.x_BF for seen in found]),
        np.concatenate([seen.codes["kind"] for seen in found]),
        np.concatenate([_absent(recipe, seen.codes) for seen in found]),
    )


def _compared(part: Part, changed: Changed) -> Iterator[Fallen]:
    """How many fall by each method and rule."""
    recipe = recipe_of(part.domain)
    at = recipe.all_words.index(OMISSION[0])
    blind = replace(recipe, added=tuple(added for added in recipe.added if added != OMISSION))
    blind_part = replace(part, x_BF=np.delete(part.x_BF, at, axis=1))
    blind_changed = replace(changed, x_PF=np.delete(changed.x_PF, at, axis=1))
    for judged in (mesh(recipe, part, changed), mesh(blind, blind_part, blind_changed)):
        yield by_percentile(judged, changed.row_P)
        yield by_probability(judged, changed.row_P)
    yield by_percentile(_trees(recipe, part, changed), changed.row_P)


def by_percentile(judged: Judged, row_P: Rows) -> Fallen:
    """Alerts above the 99th percentile of the scores so far, and how many fall."""
    rows, place_P = np.unique(row_P, return_inverse=True)
    limit_P = np.array([np.quantile(judged.score_B[:row], _ALERT) for row in rows])[place_P]
    alerted_P = judged.score_B[row_P] > limit_P
    return Fallen(int(alerted_P.sum()), int((alerted_P & (judged.score_P <= limit_P)).sum()))


def by_probability(judged: Judged, row_P: Rows) -> Fallen:
    """Alerts of a probability of at most .01, and how many fall."""
    if judged.p_B is None or judged.p_P is None:
        return Fallen(0, 0)
    alerted_P = judged.p_B[row_P] <= _UNLIKELY
    return Fallen(int(alerted_P.sum()), int((alerted_P & (judged.p_P > _UNLIKELY)).sum()))


def mesh(recipe: Recipe, part: Part, changed: Changed | None) -> Judged:
    """As an agent judges the features of its events; those of changed ones from the state before them."""
    added, at_least = ([weight for _, weight in words] for words in (recipe.added, recipe.at_least))
    online, calibrator, judged = Online(recipe.detectors, added, at_least), Calibrator(), len(recipe.words)
    places_BF, alone_BA = squashed(part.x_BF[:, :judged]), part.x_BF[:, judged:]
    score_B, p_B, at = np.empty(len(part.x_BF)), np.empty(len(part.x_BF)), 0
    row_P = changed.row_P if changed else np.zeros(0, np.int64)
    score_P, p_P = np.empty(row_P.size), np.empty(row_P.size)
    for row in (*np.unique(row_P).tolist(), len(part.x_BF)):
        some, weight_B = slice(at, row), np.ones(row - at)
        score_B[some] = online.observe(places_BF[some], alone_BA[some], part.kind_B[some], weight_B).score_B
        p_B[some] = calibrator.observe(score_B[some], weight_B)
        at, its = row, np.flatnonzero(row_P == row)
        if changed and its.size:
            before, none_P = online.state(), np.zeros(its.size)
            places_PF, alone_PA = squashed(changed.x_PF[its, :judged]), changed.x_PF[its, judged:]
            score_P[its] = online.observe(places_PF, alone_PA, changed.kind_P[its], none_P).score_B
            p_P[its] = calibrator.observe(score_P[its], none_P)
            online.restore(before)
    return Judged(score_B, score_P, p_B, p_P)


def _trees(recipe: Recipe, part: Part, changed: Changed) -> Judged:
    """River's half-space trees, told of the words whose fields are there and of no others."""
    trees: Any = HalfSpaceTrees(n_trees=25, height=8, seed=1)  # River has no types here
    place_BF, place_PF = squashed(part.x_BF), squashed(changed.x_PF)
    judged = Judged(np.empty(len(place_BF)), np.empty(len(place_PF)))
    for row in range(int(changed.row_P.max()) + 1):
        for p in np.flatnonzero(changed.row_P == row):
            judged.score_P[p] = trees.score_one(_sparse(place_PF[p], changed.absent_PF[p]))
        told = _sparse(place_BF[row], part.absent_BF[row])
        judged.score_B[row] = trees.score_one(told)
        trees.learn_one(told)
    return judged


def _sparse(place_F: NDArray[np.float64], absent_F: NDArray[np.bool_]) -> dict[int, float]:
    return {f: float(place_F[f]) for f in np.flatnonzero(~absent_F).tolist()}


def _boiling(seeds: int) -> Table:
    ways: Mapping[str, Callable[[Recipe], Recipe]] = {
        "secmesh": lambda recipe: recipe,
        "its entity's words alone": _entity_alone,
        "peers added": peered,
    }
    table = Table("domain", "past", "attack events", *(f"{way}: all, still" for way in ways), box=MARKDOWN)
    shares: dict[tuple[Domain, str, str], list[tuple[float, float]]] = {}
    counts: dict[Domain, list[int]] = {}
    for seed in range(seeds):
        estate, bad = _estate(seed)
        for domain in _OWNED:
            owned = owned_entity(estate[domain], bad, domain, seed)
            counts.setdefault(domain, []).append(owned.attack.height)
            for way, changed in ways.items():
                for past, told in _caught_by_past(changed(recipe_of(domain)), owned):
                    shares.setdefault((domain, past, way), []).append(told)
    for domain, past in dict.fromkeys((domain, past) for domain, past, _ in shares):
        cells = (_told(shares[domain, past, way]) for way in ways)
        table.add_row(domain.value, past, f"{np.mean(counts[domain]):.0f}", *cells)
    return table


def _told(shares: Sequence[tuple[float, float]]) -> str:
    """Means over the seeds with half the 95 % interval of each."""
    found = (_mean(column) for column in zip(*shares, strict=True))
    return ", ".join(f"{100 * mean:.0f} ±{100 * (half or 0):.0f} %" for mean, half in found)


def _estate(seed: int) -> tuple[Events, list[str]]:
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=1200 + seed, days=_DAYS + 3, users=_USERS, which=_CAMPAIGNS)
        events = read_logs(sorted(Path(folder).glob("*.jsonl"))).events
        truth = json.loads((Path(folder) / "truth.json").read_text())
    return events, [uid for campaign in truth["campaigns"] for uid in campaign["uids"]]


def owned_entity(events: pl.DataFrame, bad: Sequence[str], domain: Domain, seed: int) -> Owned:
    """The entity that is in the middle by its number of events is the attacker's."""
    is_bad, columns = pl.col("uid").is_in(bad), _OWNED[domain].columns
    normal, chance = events.filter(~is_bad), np.random.default_rng((seed, 12))
    counts = normal[columns[0]].drop_nulls().value_counts().sort("count", columns[0])
    owner = pl.lit(counts[columns[0]][counts.height // 2])
    attack = events.filter(is_bad).with_columns(pl.when(pl.col(c).is_not_null()).then(owner).alias(c) for c in columns)
    begin = normal.select(pl.col("time").min().dt.truncate("1d")).item()
    gaps = (attack["time"] - attack["time"].min()).clip(upper_bound=timedelta(days=2))
    attack = attack.with_columns(time=pl.lit(begin + timedelta(days=_DAYS, hours=9)) + gaps)
    own = normal.filter(pl.col(columns[0]) == owner)
    pieces, rehearsed = [], []
    for day in range(_DAYS):
        some = attack[: -(-attack.height * (day + 1) // _DAYS)]
        seconds = pl.Series(chance.uniform(8 * 3600, 18 * 3600, some.height) * 1e6).cast(pl.Int64)
        at = pl.lit(begin + timedelta(days=day)) + seconds.cast(pl.Duration("us"))
        rehearsed.append(some.with_columns(time=at))
        base = own[chance.integers(0, own.height, some.height)]
        pieces.append(_pieced(base, some, domain, chance).with_columns(time=at))
    return Owned(normal, pl.concat(pieces), pl.concat(rehearsed), attack)


def _pieced(base: pl.DataFrame, attack: pl.DataFrame, domain: Domain, chance: np.random.Generator) -> pl.DataFrame:
    """Events of normal life, each with one column, drawn among those that it fills, of an event of the attack."""
    names = [name for name in (*ATTRIBUTES[domain], *_COMMONLY) if name not in _OWNED[domain].columns]
    filled_BN = np.column_stack([attack[name].is_not_null().to_numpy() for name in names])
    drawn_B = (chance.random(filled_BN.shape) * filled_BN).argmax(axis=1)
    return base.with_columns(
        pl.when(pl.Series(drawn_B == n)).then(attack[name]).otherwise(pl.col(name)).alias(name)
        for n, name in enumerate(names)
    )


def _caught_by_past(recipe: Recipe, owned: Owned) -> Iterator[tuple[str, tuple[float, float]]]:
    """For each past the share of the attack's events that are high, and of those that are so with a clean one."""
    clean_A = _high(recipe, owned.normal, owned.attack)
    for past, more in (("clean", owned.normal[:0]), ("pieces", owned.pieces), ("rehearsed", owned.rehearsed)):
        high_A = _high(recipe, pl.concat([owned.normal, more]), owned.attack) if more.height else clean_A
        yield past, (float(high_A.mean()), float(high_A[clean_A].mean()))


def _high(recipe: Recipe, past: pl.DataFrame, attack: pl.DataFrame) -> NDArray[np.bool_]:
    """Which events of an attack are at or above the 95th percentile of the scores before its first one."""
    both = pl.concat([past.with_columns(bad=False), attack.with_columns(bad=True)]).sort("time", maintain_order=True)
    bad_B = both["bad"].to_numpy()
    numbered = both.drop("bad").with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64))
    score_B = Agent(recipe).observe(numbered)["score"].to_numpy()
    high_A: NDArray[np.bool_] = score_B[bad_B] >= np.quantile(score_B[: int(bad_B.argmax())], _HIGH)
    return high_A


def peered(recipe: Recipe, weight: float = 2.0) -> Recipe:
    """The recipe with what an entity's peers say of several fields, added up as it is."""
    owned = _OWNED[recipe.domain]
    words = tuple(word for word in recipe.words if not isinstance(word, Peers))
    peers = tuple((Peers(field, of=owned.fields[0]), weight) for field in owned.shown)
    return replace(recipe, words=words, added=recipe.added + peers)


def _entity_alone(recipe: Recipe) -> Recipe:
    """The recipe with no words but those given what the attacker owns."""
    owned = _OWNED[recipe.domain].fields
    words = (word for word in recipe.words if len(word.needs) > 1 and word.needs[1] in owned)
    return replace(recipe, words=tuple(word for word in words if not isinstance(word, Peers)), added=(), at_least=())


if __name__ == "__main__":
    main()
