"""Benign logs: what the council lists where nothing is bad, so that all it lists is false, beside plain rules.

    python -m benchmarks.benign [--data ../shared/data] [--only o365 darpa ...]

Agents that know nothing watch each benign set once, and the council hears them; sets of two days or more also by
agents that learned from the first half of the events, of which the second half is counted then. A threat belongs to the
day (UTC) on which it begins. Days that are `asked` have enough threats of earlier days, the first left out, for a p:
there the cut promises that of what is listed a share alpha is false, and as everything is, alpha is how many of these
days may list anything at all. On days not asked the list has whatever there is, up to the budget of 20.
Beside it, alarms of two rules: each event of p <= 1e-4, and each entity's ten minutes in which RBA has 3 or more.
Left out of sets that are not all benign: days of incidents (o365), edges with a label (darpa), all sources but the
monitored host (008, 011), alerts from the first attack on and the data theft that runs all along (AIT-ADS). No set is
cut short or sampled. Not here: the auth log of a host on the Internet, for nobody knows what in it is false.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agents.consensus.council import Council, Cut
from agents.consensus.threats import Threat
from agents.keeping import fresh_mesh
from benchmarks.calibration import crawl, logons
from benchmarks.consensus import RULES, by_entity, heard
from benchmarks.streams.accounts import office365
from benchmarks.streams.hosts import alerts, alerts_told
from benchmarks.streams.network import darpa, stratosphere
from features.events import Domain
from features.logs import Events, cut, read_logs
from training.learning import learn_together
from training.simulation import simulate

_ALL = 100_000
_LEVELS = (0.05, 0.1, 0.2)
_RARE, _RISKY = 1e-4, 3.0
_HOUR = 3600.0


def _lines(path: str) -> Callable[[Path], Events]:
    return lambda data: read_logs([data / path]).events


def _office(data: Path) -> Events:
    told = pl.read_csv(data / "identity/o365/incidents.csv", try_parse_dates=True)
    days = told.select(pl.date_ranges("first_day", "last_day").explode()).to_series()
    return _kept(office365(data).events, ~pl.col("time").dt.date().is_in(days.implode()))


def _edges(data: Path) -> Events:
    stream = darpa(data)
    bad = stream.views[0].judge(stream.events[Domain.NETWORK].with_columns(score=0.0)).filter("bad")["line"]
    return _kept(stream.events, ~pl.col("line").is_in(bad.implode()))


def _monitored(day: str) -> Callable[[Path], Events]:
    def read(data: Path) -> Events:
        stream = stratosphere(data, day)
        judged = pl.concat(frame.select("time", "src_endpoint_ip", score=0.0) for frame in stream.events.values())
        bad = stream.views[0].judge(judged).filter("bad")["key 0"]
        return _kept(stream.events, ~pl.col("src_endpoint_ip").is_in(bad.implode()))

    return read


def _quiet(network: str) -> Callable[[Path], Events]:
    """Alerts before the first that belongs to an attack, without those of the theft."""

    def read(data: Path) -> Events:
        told = alerts_told(data / "alerts/ait_ads/alerts.zip", network).with_row_index("line")
        windows = json.loads((data / "alerts/ait_ads/attack_windows.json").read_text())[network]
        began = pl.lit(datetime.fromisoformat(windows["network_scans"][0]))
        good = told.filter(pl.col("event_label") == "-")["line"].cast(pl.Int64)
        return _kept(alerts(data, network).events, (pl.col("time") < began) & pl.col("line").is_in(good.implode()))

    return read


def _estate(data: Path) -> Events:
    """Three weeks that are simulated, no file of `data`, for there is nothing benign that is as long and as busy."""
    del data
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=78, days=21, play=0)
        return read_logs(sorted(Path(folder).glob("*.jsonl"))).events


SETS: Mapping[str, Callable[[Path], Events]] = {
    "ctu_sme11": _lines("network/ctu_sme11_2023-02-20_benign"),
    "iot23 4-1": _lines("network/iot23/CTU-Honeypot-Capture-4-1-labeled.csv.gz"),
    "iot23 5-1": _lines("network/iot23/CTU-Honeypot-Capture-5-1-labeled.csv.gz"),
    "stratosphere 008": _monitored("008"),
    "stratosphere 011": _monitored("011"),
    "darpa": _edges,
    "graphtunnel crawl": crawl,
    "ait intranet": _lines("web/ait_intranet_benign_days"),
    "elastic apache": _lines("web/elastic_apache_background"),
    "lanl": logons,
    "o365": _office,
    "AIT-ADS fox": _quiet("fox"),
    "AIT-ADS santos": _quiet("santos"),
    "AIT-ADS wardbeck": _quiet("wardbeck"),
    "estate, 21 days": _estate,
}


def _kept(events: Events, which: pl.Expr) -> Events:
    left = {domain: frame.filter(which) for domain, frame in events.items()}
    return {domain: frame for domain, frame in left.items() if frame.height}


def main() -> None:
    """Print the days that are asked, and those that are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=SETS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    read = {name: SETS[name](arguments.data) for name in track(arguments.only, "reading")}
    watched = [one for name, events in track(read.items(), "watching") for one in _watched(name, events)]
    console = Console(width=200)
    console.print(_asked_table([one for one in watched if one.asked]))
    console.print(_unasked_table([one for one in watched if one.unasked]))


@dataclass(frozen=True)
class Day:
    """What was listed of a day at each level, of how many threats; alarms of the plain rules; hours with events."""

    is_asked: bool
    events: int
    hours: float
    threats: int
    listed_L: tuple[int, ...]
    alarms: int
    risky: int


@dataclass(frozen=True)
class Watched:
    """A set's days, by agents that knew nothing or had learned."""

    name: str
    agents: str
    days: Sequence[Day]

    @property
    def asked(self) -> list[Day]:
        """The days with a p."""
        return [day for day in self.days if day.is_asked]

    @property
    def unasked(self) -> list[Day]:
        """The days without."""
        return [day for day in self.days if not day.is_asked]


def _watched(name: str, events: Events) -> Iterator[Watched]:
    yield Watched(name, "fresh", _days(heard(verdicts := fresh_mesh().observe(events)), verdicts))
    if verdicts["time"].dt.date().n_unique() > 1:
        past, rest = cut(events, -(-verdicts.height // 2))
        lesson = learn_together(past, seed=0)
        before = pl.concat([learned.verdicts for learned in lesson.learned.values()]).sort("seq")
        yield Watched(name, "learned", _days(heard(before, later := lesson.mesh.observe(rest)), later))


def _days(council: Council, verdicts: pl.DataFrame) -> list[Day]:
    """The days of `verdicts`, of which nothing that the council heard earlier is counted."""
    began = verdicts["time"].min()
    threats_L = [[one for one in council.rank(_ALL, cut=Cut(alpha)) if one.first_time >= began] for alpha in _LEVELS]
    known = min((one.first_time.date() for one in threats_L[0] if one.p is not None), default=date.max)
    return [
        _day(day, day >= known, threats_L, part)
        for (day,), part in verdicts.with_columns(bad=False).group_by(pl.col("time").dt.date(), maintain_order=True)
    ]


def _day(day: Any, is_asked: bool, threats_L: Sequence[Sequence[Threat]], verdicts: pl.DataFrame) -> Day:
    of_day_L = [[one for one in threats if one.first_time.date() == day] for threats in threats_L]
    risk = RULES["RBA"](by_entity(verdicts))
    return Day(
        is_asked=is_asked,
        events=verdicts.height,
        hours=(verdicts["time"].max() - verdicts["time"].min()).total_seconds() / _HOUR,  # type: ignore[operator, union-attr]  # datetimes
        threats=len(of_day_L[0]),
        listed_L=tuple(sum(one.listed for one in threats) for threats in of_day_L),
        alarms=verdicts.filter(pl.col("p") <= _RARE).height,
        risky=risk.filter(pl.col("score") >= _RISKY).height,
    )


def _asked_table(watched: Sequence[Watched]) -> Table:
    """On how many days each rule says anything, and how many things a day."""
    rules = (*(f"listed at {alpha:g}" for alpha in _LEVELS), f"p <= {_RARE:g}", f"RBA >= {_RISKY:g}")
    table = Table("days asked: with any (a day)", "agents", "days", "events/day", "threats/day", *rules, box=MARKDOWN)
    for agents in ("fresh", "learned"):
        mine = [one for one in watched if one.agents == agents]
        for one in (*mine, Watched("all", agents, [day for part in mine for day in part.asked])):
            days = one.asked
            said_RD = [[day.listed_L[n] for day in days] for n in range(len(_LEVELS))]
            said_RD += [[day.alarms for day in days], [day.risky for day in days]]
            told = [f"{sum(map(bool, said))} ({sum(said) / max(1, len(days)):.2f})" for said in said_RD]
            busy = (sum(getattr(day, name) for day in days) / max(1, len(days)) for name in ("events", "threats"))
            table.add_row(one.name, agents, f"{len(days)} of {len(one.days)}", *(f"{n:,.0f}" for n in busy), *told)
    return table


def _unasked_table(watched: Sequence[Watched]) -> Table:
    """What each rule says an hour on days that are not asked."""
    table = Table(
        "days not asked", "agents", "days", "hours", "events/h", "threats/h", "listed", "days with any", "listed/h",
        f"p <= {_RARE:g}, /h", f"RBA >= {_RISKY:g}, /h", box=MARKDOWN,
    )  # fmt: skip
    for one in watched:
        days = one.unasked
        some = sum(day.listed_L[0] > 0 for day in days)
        hours = sum(day.hours for day in days)
        listed = sum(day.listed_L[0] for day in days)
        counts = [sum(getattr(day, name) for day in days) for name in ("events", "threats", "alarms", "risky")]
        events, threats, alarms, risky = (f"{count / hours:,.2f}" for count in counts)
        table.add_row(one.name, one.agents, f"{len(days)} of {len(one.days)}", f"{hours:.1f}", events, threats,
                      f"{listed}", f"{some}", f"{listed / hours:.2f}", alarms, risky)  # fmt: skip
    return table


if __name__ == "__main__":
    main()
