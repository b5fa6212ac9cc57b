"""The consensus: episodes and threats against plain rules, the promised share of false threats, AIT-ADS.

    python -m benchmarks.consensus [--data ../shared/data] [--seeds 51 ... 60] [--weeks 50]
        [--only alerts estates otrf weeks]

An episode is one entity (user, host or address) in ten minutes, bad where a malicious event names it. Each rule scores
all episodes from the same verdicts: `council` is the project's; `sum` and `max` of evidence; `noisy-or` of beliefs
(1 - p)^200; `RBA` adds 1 for p <= 1 % and 2 more for p <= 0.1 %; one agent's maximum alone. Labels are read afterwards.
`weeks` simulates weeks of an estate, lets council and agents know the days before the first attack, and counts which
threats that begin later are listed at each level; a threat is false if nothing that tells of it is malicious, mixed if
less than half is.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import t
from sklearn.metrics import average_precision_score

from agents.consensus.council import Council, Cut
from agents.consensus.testimony import ANCHORS, EPISODE, named
from agents.consensus.threats import Threat
from agents.keeping import fresh_mesh
from benchmarks.campaigns import lived
from benchmarks.otrf import captures, folds
from benchmarks.sharing import interval
from benchmarks.streams.hosts import alerts_told, findings
from features.events import Domain
from features.logs import read_logs
from training.learning import learn_together

_KEY = ("kind", "name", "start")
_ALL = 100_000
_LEVELS = (0.05, 0.1, 0.2)
_PHASES = 10
_DOMAINS = 3

Rule = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Found:
    """How well a rule ordered the episodes of one stream."""

    precision: float
    at_ten: float


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(51, 61)))
    parser.add_argument("--weeks", type=int, default=50)
    parser.add_argument("--only", nargs="+", default=["alerts", "estates", "otrf", "weeks"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=160)
    if "alerts" in arguments.only:
        console.print(_alerts(arguments.data))
    if "estates" in arguments.only:
        console.print(_rules("estate", [judged(*estate(seed)) for seed in track(arguments.seeds, "estates")]))
    if "otrf" in arguments.only:
        console.print(_rules("OTRF capture", [judged(*one) for one in _captures(arguments.data / "endpoint/otrf")]))
    if "weeks" in arguments.only:
        console.print(weeks_table([week(seed) for seed in track(range(101, 101 + arguments.weeks), "weeks")]))


def estate(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The verdicts on an estate from its first attack on, and those before, each with `bad`."""
    verdicts, before, whose = watched(seed)
    return verdicts.with_columns(bad=pl.col("uid").is_in(list(whose))), before.with_columns(bad=False)


def watched(seed: int) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str]]:
    """The verdicts on an estate from its first attack on, those before, and the campaign of each malicious event."""
    past, rest, campaigns = lived(seed)
    lesson = learn_together(past, seed=seed)
    before = pl.concat([learned.verdicts for learned in lesson.learned.values()]).sort("time", "seq")
    whose = {uid: campaign["name"] for campaign in campaigns for uid in campaign["uids"]}
    return lesson.mesh.observe(rest), before, whose


def _captures(data: Path) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """The verdicts on each OTRF capture with labels in three or more domains, by agents that learned from others."""
    labels = pl.read_parquet(data / "labels.parquet").filter(~pl.col("tail"))
    per_capture = labels.filter("mal").group_by("capture").agg(pl.col("domain").n_unique())
    wide = set(per_capture.filter(pl.col("domain") >= _DOMAINS)["capture"])
    read = {name: read_logs([path]).events for name, path in track(captures(data, labels), "reading")}
    fold_of = folds(list(read), 5, 0)
    for fold in track(range(5), "folds"):
        others = [events for name, events in read.items() if fold_of[name] != fold]
        past = {d: pl.concat(frames) for d in Domain if (frames := [events[d] for events in others if d in events])}
        mesh = learn_together(past, seed=0).mesh
        known = mesh.state()
        for name in sorted(name for name in wide if fold_of[name] == fold):
            mesh.restore(known)
            mesh.wake()
            truth = labels.filter(pl.col("capture") == name).select("line", bad="mal")
            verdicts = mesh.observe(read[name]).join(truth, on="line", how="left")
            yield verdicts.with_columns(pl.col("bad").fill_null(False)), verdicts.clear()


def judged(verdicts: pl.DataFrame, before: pl.DataFrame) -> dict[str, Found]:
    """What each rule makes of the episodes of a stream; the council knows what came before."""
    of_entity = by_entity(verdicts)
    truth = of_entity.group_by(_KEY).agg(pl.col("bad").any())
    if not truth["bad"].any() or truth["bad"].all():
        return {}
    scores = {"council": _council(verdicts, before)} | {name: rule(of_entity) for name, rule in RULES.items()}
    return {name: _found(truth, score) for name, score in scores.items()}


def by_entity(verdicts: pl.DataFrame) -> pl.DataFrame:
    """A row for each entity that a verdict names: its seq, kind, name, start of the episode, domain, evidence, bad."""
    cut = verdicts.with_columns(start=pl.col("time").dt.truncate(EPISODE))
    parts = [
        cut.select("seq", "start", "domain", "evidence", "bad", kind=pl.lit(anchor), name=named(kind))
        for kind, anchor in ANCHORS.items()
    ]
    return pl.concat(parts).drop_nulls("name")


def _agent(domain: Domain) -> Rule:
    return lambda rows: rows.filter(pl.col("domain") == domain.value).group_by(_KEY).agg(score=pl.col("evidence").max())


_P = (-pl.col("evidence")).exp()
RULES: Mapping[str, Rule] = {
    "sum": lambda rows: rows.group_by(_KEY).agg(score=pl.col("evidence").sum()),
    "max": lambda rows: rows.group_by(_KEY).agg(score=pl.col("evidence").max()),
    "noisy-or": lambda rows: rows.group_by(_KEY).agg(
        score=-(1.0 - (1.0 - _P).pow(200).clip(0.0, 1.0 - 1e-12)).log().sum()
    ),
    "RBA": lambda rows: rows.group_by(_KEY).agg(
        score=((_P <= 0.01).cast(pl.Float64) + 2.0 * (_P <= 0.001).cast(pl.Float64)).sum()
    ),
} | {f"{domain.value} alone": _agent(domain) for domain in Domain}


def _council(verdicts: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    return timelines(heard(before, verdicts).rank(_ALL))


def heard(*streams: pl.DataFrame) -> Council:
    """A council that heard streams one after the other."""
    council = Council()
    first = 0
    for stream in streams:
        seq = pl.int_range(first, first + stream.height, dtype=pl.Int64)
        council.hear(stream.drop("bad", strict=False).with_columns(seq=seq))
        first += stream.height
    return council


def timelines(threats: Sequence[Threat]) -> pl.DataFrame:
    """The score of every episode of any threat."""
    rows = [threat.timeline.select(*_KEY, "score") for threat in threats]
    empty = pl.DataFrame(schema={"kind": pl.String(), "name": pl.String(), "start": pl.Datetime("us", "UTC")})
    return pl.concat([empty.with_columns(score=pl.lit(0.0)), *rows]).group_by(_KEY).agg(pl.col("score").max())


def _found(truth: pl.DataFrame, score: pl.DataFrame) -> Found:
    both = truth.join(score, on=_KEY, how="left").with_columns(pl.col("score").fill_null(0.0)).sort(_KEY)
    bad_N, score_N = both["bad"].to_numpy(), both["score"].to_numpy()
    top_K = np.argsort(-score_N, kind="stable")[:10]
    return Found(float(average_precision_score(bad_N, score_N)), float(bad_N[top_K].mean()))


def _rules(stream: str, rows: Sequence[Mapping[str, Found]]) -> Table:
    """Each rule's means over streams, and by how much the council is better, with 95 % intervals by Student's t."""
    rows = [row for row in rows if row]
    table = Table(f"rule ({len(rows)} x {stream})", "AP", "P at 10", "council better, AP", "P at 10", box=MARKDOWN)
    council = _figures(rows, "council")
    for name in ("council", *RULES):
        mine = _figures(rows, name)
        better = [interval(council[:, c] - mine[:, c]) for c in (0, 1)] if name != "council" else ["", ""]
        table.add_row(name, *(f"{figure:.3f}" for figure in mine.mean(axis=0)), *better)
    return table


def _figures(rows: Sequence[Mapping[str, Found]], name: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[row[name].precision, row[name].at_ten] for row in rows])


@dataclass(frozen=True)
class Week:
    """At each level: threats listed, false and mixed ones among them, and the share of campaigns found."""

    listed_L: tuple[int, ...]
    false_L: tuple[int, ...]
    mixed_L: tuple[int, ...]
    found_L: tuple[float, ...]


def week(seed: int) -> Week:
    """What is listed of a simulated week, from its first attack on."""
    verdicts, before, whose = watched(seed)
    return listed(before, verdicts, whose)


def listed(before: pl.DataFrame, verdicts: pl.DataFrame, whose: Mapping[str, str]) -> Week:
    """What is listed of verdicts after those before, at each level; `whose` names the campaign of malicious events."""
    council = heard(before, verdicts)
    began, campaigns = verdicts["time"].min(), len(set(whose.values()))
    levels = [_listed(council.rank(_ALL, cut=Cut(alpha)), began, whose) for alpha in _LEVELS]
    listed_L, false_L, mixed_L, names_L = zip(*levels, strict=True)
    return Week(listed_L, false_L, mixed_L, tuple(len(names) / campaigns for names in names_L))


def _listed(threats: Sequence[Threat], began: Any, whose: Mapping[str, str]) -> tuple[int, int, int, set[str]]:
    """Threats listed, false ones, mixed ones, and the campaigns of those that are neither."""
    later = [threat for threat in threats if threat.listed and threat.first_time >= began]
    names = [[whose.get(uid, "") for uid in threat.evidence["uid"]] for threat in later]
    false = sum(not any(told) for told in names)
    true = [told for told in names if 2 * sum(map(bool, told)) >= len(told)]
    return len(later), false, len(later) - false - len(true), {name for told in true for name in told if name}


def weeks_table(weeks: Sequence[Week]) -> Table:
    """The share of false threats and the power at each level, means over weeks with 95 % intervals."""
    table = Table(
        f"level ({len(weeks)} weeks)", "share of false threats", "of all listed", "mixed, of all", "campaigns found",
        "listed a week", box=MARKDOWN,
    )  # fmt: skip
    for n, alpha in enumerate(_LEVELS):
        counts_WC = np.array([(one.listed_L[n], one.false_L[n], one.mixed_L[n]) for one in weeks])
        listed_W, false_W, mixed_W = counts_WC.T
        share_W = false_W / np.maximum(listed_W, 1)
        half = t.ppf(0.975, share_W.size - 1) * share_W.std(ddof=1) / share_W.size**0.5
        found = np.mean([one.found_L[n] for one in weeks])
        pooled = false_W.sum() / max(1, listed_W.sum())
        mixed = mixed_W.sum() / max(1, listed_W.sum())
        row = [f"{share_W.mean():.3f} ± {half:.3f}", *(f"{figure:.3f}" for figure in (pooled, mixed, found))]
        table.add_row(f"{alpha}", *row, f"{listed_W.mean():.1f}")
    return table


def _alerts(data: Path) -> Table:
    """AIT-ADS: episodes of hosts, phases in the ten highest threats, threats listed a day, alerts heard a second."""
    table = Table("network", "AP", "phases in ten", "listed a day", "detected after", "heard/s", box=MARKDOWN)
    for network in ("fox", "santos", "wardbeck"):
        table.add_row(network, *_network(data, network))
    return table


def _network(data: Path, network: str) -> Iterator[str]:
    """Untaught agents read the findings; a phase is found where an episode of one of the ten first threats has it."""
    told = alerts_told(data / "alerts/ait_ads/alerts.zip", network).with_row_index("line").cast({"line": pl.Int64})
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{network}.ndjson"
        findings(told, network).write_ndjson(path)
        verdicts = fresh_mesh().observe(read_logs([path]).events)
    council, began = Council(), time.perf_counter()
    council.hear(verdicts)
    seconds = time.perf_counter() - began
    threats = council.rank(_ALL)
    rows = _labelled(verdicts, told)
    truth = rows.group_by(_KEY).agg(pl.col("bad").max()).drop_nulls("bad")
    attack = rows.filter(pl.col("bad")).select(*_KEY, "event_label", "time")
    phases = timelines(threats[:_PHASES]).join(attack, on=_KEY)["event_label"].n_unique()
    days = (verdicts["time"].max() - verdicts["time"].min()).total_seconds() / 86_400  # type: ignore[operator, union-attr]  # datetimes
    yield f"{_found(truth, timelines(threats)).precision:.3f}"
    yield f"{phases} of {attack['event_label'].n_unique()}"
    yield f"{sum(threat.listed for threat in threats) / days:.1f}"
    yield _delay(verdicts, attack)
    yield f"{verdicts.height / seconds:,.0f}"


def _labelled(verdicts: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Each verdict's host and episode with the label of its alert; `bad` is null where the label cannot be trusted."""
    stage = pl.col("event_label")
    bad = pl.when(~stage.is_in(["-", "dnsteal"])).then(True).when(stage == "dnsteal").then(None).otherwise(False)
    joined = verdicts.join(told.select("line", "event_label"), on="line", how="left")
    return joined.select(
        "time", "event_label", kind=pl.lit("host"), name="host", start=pl.col("time").dt.truncate(EPISODE), bad=bad
    )


def _delay(verdicts: pl.DataFrame, attack: pl.DataFrame) -> str:
    """From the first alert of an attack until a threat with its episodes is among the three highest, by the minute."""
    first, hosts = attack["time"].min(), attack.select(_KEY).unique()
    for minute in range(0, 181):
        until = first + timedelta(minutes=minute)  # type: ignore[operator]  # a datetime
        council = Council()
        council.hear(verdicts.filter(pl.col("time") <= until))
        if timelines([one for one in council.rank(3) if one.listed]).join(hosts, on=_KEY, how="semi").height:
            return f"{minute} min"
    return "over 3 h"


if __name__ == "__main__":
    main()
