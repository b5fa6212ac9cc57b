"""A simulated estate's logs: normal life, harmless oddities, and attack campaigns hidden among them."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from features.events import Domain
from features.mistakes import AskedWrong
from training.estate.campaigns import PACKAGED, Campaign, read_campaigns
from training.estate.casting import Cast, Played
from training.estate.casting import play as play_in
from training.estate.chance import chance
from training.estate.habits import live
from training.estate.inhabitants import Estate, found, when
from training.estate.life import Streams
from training.estate.machines import run_accounts, run_servers, serve_customers
from training.estate.noise import disturb
from training.estate.records import gather, write
from training.estate.truth import examine

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
CUSTOMER_REQUESTS_PER_USER = 60.0

Progress = Callable[[str], None]
Frames = dict[Domain, pl.DataFrame]


class SimulationError(AskedWrong):
    """A setting of the simulation is out of its range."""


@dataclass(frozen=True)
class Summary:
    """What a simulation wrote."""

    out: Path
    counts: dict[Domain, int]
    campaigns: dict[str, int]
    begins: datetime
    ends: datetime
    attack_begins: datetime | None

    @property
    def events(self) -> int:
        """The number of events of all domains."""
        return sum(self.counts.values())


def simulate(
    out: Path,
    *,
    seed: int,
    days: int = 7,
    users: int = 60,
    start: datetime = MONDAY,
    campaigns: Path = PACKAGED,
    which: Sequence[str] = (),
    play: int = 3,
    progress: Progress | None = None,
) -> Summary:
    """Write `out/<domain>.jsonl` and `out/truth.json`: `days` in the life of `users`, with `play` campaigns.

    `which` names campaign files without `.toml` and then replaces `play`. The same arguments give the same bytes.
    Raises SimulationError for settings and CampaignError for campaign files.
    """
    _check(days=days, users=users, play=play, start=start)
    chosen = _choose(seed, read_campaigns(campaigns), which, play)
    tell = progress or _silent
    out.mkdir(parents=True, exist_ok=True)
    estate = found(seed, days=days, users=users, start=start)
    normal = _normal(estate, tell)
    acts = [_act(campaign, estate, normal, tell) for campaign in chosen]
    events = _mixed(normal, [played for _, _, run in acts for played in run])
    for domain, frame in events.items():
        tell(f"writing {domain}")
        write(domain, frame, out / f"{domain}.jsonl", suffix=estate.domain)
    truth = [examine(campaign, cast, run) for campaign, cast, run in acts]
    return _conclude(out, seed, estate, events, truth)


def split_time(summary: Summary) -> datetime:
    """The moment that parts the events to train on from those to stream: the first attack, or the middle if none."""
    return summary.attack_begins or summary.begins + (summary.ends - summary.begins) / 2


def _silent(_: str) -> None:
    """Progress nobody asked for."""


def _check(*, days: int, users: int, play: int, start: datetime) -> None:
    for name, value, least in (("days", days, 1), ("users", users, 1), ("play", play, 0)):
        if value < least:
            raise SimulationError(f"{name} is {value}, expected at least {least}")
    if start.tzinfo is None:
        raise SimulationError(f"start is {start}, expected a time with its zone")


def _choose(seed: int, known: list[Campaign], which: Sequence[str], play: int) -> list[Campaign]:
    names = {Path(campaign.file).stem: campaign for campaign in known}
    for name in which:
        if name not in names:
            raise SimulationError(f"which names {name!r}, expected one of {', '.join(names)}")
    if which:
        return [names[name] for name in which]
    order = chance(seed, "which").permutation(len(known))[:play]
    return [known[at] for at in sorted(order)]


def _normal(estate: Estate, tell: Progress) -> Frames:
    """All events of normal life."""
    frames: dict[Domain, list[pl.DataFrame]] = {domain: [] for domain in Domain}
    for caption, streams in _lives(estate):
        tell(caption)
        for domain, frame in streams:
            frames[domain].append(frame)
    in_time = pl.col("time").is_between(estate.began, estate.ends, closed="left")
    return {domain: gather(domain, parts).filter(in_time) for domain, parts in frames.items()}


def _lives(estate: Estate) -> Iterable[tuple[str, Streams]]:
    for person in estate.people:
        yield f"living {person.name}", live(estate, person)
    yield "running servers", run_servers(estate)
    yield "running accounts", run_accounts(estate)
    yield "serving customers", serve_customers(estate, CUSTOMER_REQUESTS_PER_USER * len(estate.people))
    yield "disturbing", disturb(estate)


def _act(campaign: Campaign, estate: Estate, normal: Frames, tell: Progress) -> tuple[Campaign, Cast, list[Played]]:
    tell(f"playing {campaign.title}")
    cast, run = play_in(campaign, estate, normal)
    return campaign, cast, run


def _mixed(normal: Frames, run: list[Played]) -> Frames:
    return {
        domain: gather(domain, [frame, *(played.events for played in run if played.step.domain is domain)])
        for domain, frame in normal.items()
    }


def _conclude(out: Path, seed: int, estate: Estate, events: Frames, truth: list[dict[str, Any]]) -> Summary:
    begins = min((datetime.fromisoformat(campaign["start"]) for campaign in truth), default=None)
    page = {"seed": seed, "attack_begins": begins and begins.isoformat(), "campaigns": truth}
    (out / "truth.json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    return Summary(
        out=out,
        counts={domain: len(frame) for domain, frame in events.items()},
        campaigns={campaign["name"]: len(campaign["uids"]) for campaign in truth},
        begins=when(estate.began),
        ends=when(estate.ends),
        attack_begins=begins,
    )
