"""The demo: a simulated estate lives a week, the mesh learns from its peace, and ranks the threats of its attacks."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from agents.consensus.council import Council
from agents.consensus.threats import Threat
from agents.keeping import mesh_from
from agents.mesh import Mesh
from agents.terminal import Told
from features.events import Domain
from features.logs import Events, cut, read_logs
from models.bundle import Bundle
from models.home import Home
from models.registry import Registry
from models.releases import Release, load
from training.estate.campaigns import PACKAGED
from training.fitting import EPOCHS
from training.jobs import train
from training.progress import adding, lessons, unheard
from training.report import Story, write_report
from training.simulation import simulate, split_time

_BATCH = 8192


@dataclass(frozen=True)
class Outcome:
    """What a demo made and found.

    `truths` has, for each threat, the campaign it belongs to; `found` for each campaign its best rank; `seconds` how
    long each phase took.
    """

    folder: Path
    release: Release
    threats: tuple[Threat, ...]
    truths: tuple[str | None, ...]
    found: Mapping[str, int | None]
    trained: int
    streamed: int
    seconds: Mapping[str, float]

    @property
    def report(self) -> Path:
        """The page that shows it all."""
        return self.folder / "report.html"


def demo(
    home: Home,
    *,
    seed: int,
    days: int = 7,
    users: int = 60,
    campaigns: Path = PACKAGED,
    told: Told = unheard,
    epochs: int = EPOCHS,
) -> Outcome:
    """Simulate, train on what is before the first attack, stream the rest, rank it, and compare with the truth.

    Writes logs, truth, verdicts.parquet, threats.json and report.html below `home.var`, and promotes a release in the
    registry of `home`. Raises SimulationError and CampaignError as `simulate` does.
    """
    folder = home.var / "demo" / f"seed-{seed}"
    registry = Registry(home)
    laps = _Laps(told)

    with laps("simulating"):
        step = adding(told, "simulating")
        logs = folder / "logs"
        summary = simulate(logs, seed=seed, days=days, users=users, campaigns=campaigns, progress=lambda _: step(1))
    with laps("reading"):
        before, after = _parted(_read(logs, summary.events, told), split_time(summary))
    with laps("learning"):
        release = train(
            before, registry, seed=seed, epochs=epochs, told=lessons(list(before), told), is_compared=False
        ).release
    with laps("scoring"):
        bundles = load(registry, release)
        verdicts, threats = _stream(after, mesh_from(bundles, release.number), told)
    with laps("reporting"):
        truth = json.loads((logs / "truth.json").read_text("utf-8"))["campaigns"]
        truths = [truth_of(threat.evidence["uid"], truth) for threat in threats]
        found = {campaign["name"]: _rank(truths, campaign["name"]) for campaign in truth}
        outcome = Outcome(
            folder=folder,
            release=release,
            threats=tuple(threats),
            truths=tuple(truths),
            found=found,
            trained=_size(before),
            streamed=_size(after),
            seconds=laps.seconds,
        )
        _write(outcome, verdicts, truth, bundles, {"seed": seed, "days": days, "users": users})
    return outcome


def truth_of(uids: Collection[str], campaigns: list[dict[str, Any]]) -> str | None:
    """The name of the campaign that at least half of `uids` belong to, the likeliest first, or None.

    >>> truth_of(["a", "b", "c"], [{"name": "Storm", "uids": ["a", "b", "z"]}])
    'Storm'
    """
    shares = {campaign["name"]: len(set(uids) & set(campaign["uids"])) for campaign in campaigns}
    name = max(shares, key=lambda name: shares[name], default=None)
    return name if name is not None and shares[name] and 2 * shares[name] >= len(uids) else None


class _Laps:
    """Tells when each phase begins and keeps how long it took."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        self._told(phase, 0, None)
        began = perf_counter()
        yield
        self.seconds[phase] = perf_counter() - began


def _read(folder: Path, events: int, told: Told) -> Events:
    """The simulated events, by the door that any log comes in by."""
    read = adding(told, "reading", events)
    paths = [folder / f"{domain}.jsonl" for domain in Domain]
    return read_logs(paths, told=lambda chunk: read(chunk.records)).events


def _parted(events: Events, at: datetime) -> tuple[Events, Events]:
    """The events before `at`, and the rest."""
    early = pl.col("time") < at
    before = {domain: frame.filter(early) for domain, frame in events.items()}
    after = {domain: frame.filter(~early) for domain, frame in events.items()}
    return before, after


def _stream(events: Events, mesh: Mesh, told: Told) -> tuple[pl.DataFrame, list[Threat]]:
    """Let the mesh score `events` batch by batch, as serving would, and rank what it found."""
    scored = adding(told, "scoring", _size(events))
    council, verdicts = Council(), []
    for batch in cut(events, _BATCH):
        heard = mesh.observe(batch)
        council.hear(heard)
        verdicts.append(heard)
        scored(heard.height)
    return pl.concat(verdicts), council.rank()


def _write(
    outcome: Outcome,
    verdicts: pl.DataFrame,
    truth: list[dict[str, Any]],
    bundles: Mapping[Domain, Bundle],
    settings: Mapping[str, int],
) -> None:
    told = zip(outcome.threats, outcome.truths, strict=True)
    records = [threat.record() | {"truth": truth} for threat, truth in told]
    verdicts.write_parquet(outcome.folder / "verdicts.parquet")
    (outcome.folder / "threats.json").write_text(json.dumps(records, indent=1) + "\n", "utf-8")
    lessons = {domain.value: bundles[domain].manifest["trained"] for domain in Domain if domain in bundles}
    story = Story(
        settings=settings,
        threats=outcome.threats,
        truths=outcome.truths,
        campaigns=truth,
        found=outcome.found,
        verdicts=verdicts,
        lessons=lessons,
        trained=outcome.trained,
        seconds=outcome.seconds,
        release=outcome.release.number,
    )
    write_report(story, outcome.report)


def _rank(truths: list[str | None], name: str) -> int | None:
    return truths.index(name) + 1 if name in truths else None


def _size(events: Events) -> int:
    return sum(frame.height for frame in events.values())
