"""A campaign played in an estate: who takes which part, when each step happens, what it leaves in the logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import TypeVar

import numpy as np
import polars as pl

from features.events import Domain
from training.estate.activities import APPS
from training.estate.campaigns import PLACEHOLDER, RANDOM_TEXT, Campaign, Role, Step, Template
from training.estate.catalogue import CUSTOMER_AGENTS, TLDS
from training.estate.chance import hex_ids
from training.estate.inhabitants import (
    CLOUD_PRINCIPALS,
    DAY,
    HOUR,
    SERVICE_ACCOUNTS,
    Estate,
    Person,
    Server,
    public_address,
    word,
)
from training.estate.records import CLASSES, KINDS, Values, record

Chance = np.random.Generator
Normal = Mapping[Domain, pl.DataFrame]

T = TypeVar("T")

#: Fields a step may leave open; they are copied from a normal event of the same class and activity.
COPIED: dict[Domain, tuple[str, ...]] = {
    Domain.IDENTITY: ("metadata.event_code", "status", "logon_type", "auth_protocol", "status_detail"),
    Domain.NETWORK: (
        *(
            "dst_endpoint.port",
            "status",
            "src_endpoint.port",
            "connection_info.protocol_name",
            "status_detail",
            "duration",
        ),
        *("traffic.bytes_out", "traffic.bytes_in"),
    ),
    Domain.DNS: ("dst_endpoint.ip", "query.type", "rcode"),
    Domain.WEB: ("dst_endpoint.ip", "http_request.user_agent", "http_response.code", "http_response.length"),
    Domain.ENDPOINT: ("metadata.event_code", "status", "process.integrity"),
    Domain.CLOUD: (
        *("status", "actor.user.type", "api.service.name", "cloud.region", "cloud.account.uid"),
        *("http_request.user_agent", "is_mfa"),
    ),
}
#: Fields in which the copied event should be like the step, the most telling first.
ALIKE = (
    *(
        "activity_name",
        "metadata.event_code",
        "status",
        "api.operation",
        "api.service.name",
        "dst_endpoint.port",
        "query.type",
    ),
    *("device.hostname", "dst_endpoint.hostname", "actor.user.name", "user.name", "src_endpoint.ip"),
)


@dataclass(frozen=True)
class Played:
    """One step as it happened."""

    step: Step
    events: pl.DataFrame


@dataclass(frozen=True)
class Cast:
    """Who and what fills the placeholders that stay the same through a run."""

    fixed: Mapping[str, str]
    users: tuple[Person, ...]
    servers: tuple[Server, ...]


def play(campaign: Campaign, estate: Estate, normal: Normal) -> tuple[Cast, list[Played]]:
    """Play `campaign` in the second half of the estate's days, among the `normal` events."""
    rng = estate.chance("campaign", campaign.file)
    parts = cast(rng, campaign, estate)
    times = schedule(rng, campaign, estate)
    return parts, [
        Played(step, perform(rng, step, time_N, parts, normal[step.domain]))
        for step, time_N in zip(campaign.steps, times, strict=True)
    ]


def cast(rng: Chance, campaign: Campaign, estate: Estate) -> Cast:
    """Give every role of `campaign` to somebody, different roles to different ones where the estate has enough."""
    fixed = _attacker(rng, estate) | {
        "estate.domain": estate.domain,
        "estate.account": estate.account,
        "estate.region": estate.region,
        "estate.egress": estate.egress,
    }
    for role in campaign.roles:
        fixed |= _part(rng, role, estate, fixed)
    users, servers = rng.permutation(len(estate.people)), rng.permutation(len(estate.servers))
    parts = Cast(fixed, tuple(estate.people[at] for at in users), tuple(estate.servers[at] for at in servers))
    names = {name: fill(rng, text, parts, 0) for name, text in campaign.names.items()}
    return Cast(fixed | names, parts.users, parts.servers)


def _attacker(rng: Chance, estate: Estate) -> dict[str, str]:
    addresses = {f"attacker.ip{number}": public_address(rng) for number in ("", "2", "3")}
    domains = {f"attacker.domain{number}": f"{word(rng, 3)}.{rng.choice(TLDS)}" for number in ("", "2")}
    return addresses | domains | {"attacker.agent": str(rng.choice(CUSTOMER_AGENTS[:4]))}


def _part(rng: Chance, role: Role, estate: Estate, taken: Mapping[str, str]) -> dict[str, str]:
    """The placeholders of one role."""
    name, used = role.name, set(taken.values())
    if role.kind == "user":
        old_hands = [person for person in estate.people if not person.joins and person.name not in used]
        person = _draw(rng, [p for p in old_hands if p.role == role.role], old_hands, estate.people)
        places = {f"{name}.host": person.host, f"{name}.ip": person.address, f"{name}.home": person.home}
        return {name: person.name} | places
    if role.kind == "host":
        return {name: taken[f"{role.of}.host"], f"{name}.ip": taken[f"{role.of}.ip"]}
    if role.kind == "server":
        server = _draw(
            rng,
            [s for s in estate.servers if s.role == role.role and s.name not in used],
            [s for s in estate.servers if role.role in ("", s.role)],
        )
        return {name: server.name, f"{name}.ip": server.address}
    if role.kind == "site":
        site = _draw(rng, estate.sites[:60])
        return {name: site.name, f"{name}.ip": site.address}
    return {name: _draw(rng, CLOUD_PRINCIPALS if role.kind == "principal" else tuple(SERVICE_ACCOUNTS))}


def _draw(rng: Chance, *choices: list[T] | tuple[T, ...]) -> T:
    """One of the first choices that are not empty."""
    chosen = next(choice for choice in choices if choice)
    return chosen[int(rng.integers(len(chosen)))]


def schedule(rng: Chance, campaign: Campaign, estate: Estate) -> list[np.ndarray]:
    """The moments of each step's events, milliseconds UTC, in the second half of the simulation."""
    plan = _plan(rng, campaign)
    half, span = estate.began + estate.days * DAY // 2, max(int(time_N[-1]) for time_N in plan)
    room = estate.ends - half - HOUR
    if span > 0.8 * room:
        plan, span = [(time_N * (0.8 * room / span)).astype(np.int64) for time_N in plan], int(0.8 * room)
    start_N = half + rng.integers(0, room - span, 400)
    fitting_N = start_N[_fits(campaign.when, start_N, estate)]
    start = int(fitting_N[0] if len(fitting_N) else start_N[0])
    times = [start + time_N for time_N in plan]
    return _wait(times, campaign, estate) if campaign.stealth >= 0.5 else times


def _plan(rng: Chance, campaign: Campaign) -> list[np.ndarray]:
    """Moments counted from the campaign's start; stealth makes it slower, rarer and less regular."""
    slow, previous, plan = 1 + 2 * campaign.stealth, 0, []
    for step in campaign.steps:
        previous = round(step.after * slow * rng.uniform(0.7, 1.3)) + (previous if step.since == "previous" else 0)
        count = max(1, round(step.count * (1 - 0.5 * campaign.stealth)))
        jitter = min(0.9, step.jitter + 0.4 * campaign.stealth)
        late_N = rng.uniform(0, jitter, count) * step.every * slow
        time_N = previous + (np.arange(count) * step.every * slow + late_N).astype(np.int64)
        plan.append(np.sort(time_N))
    return plan


def _fits(when: str, time_N: np.ndarray, estate: Estate) -> np.ndarray:
    """Whether each moment is one at which such campaigns act."""
    hour_N = time_N % DAY / HOUR
    workday_N = (time_N // DAY + 3) % 7 < 5
    working_N = workday_N & (hour_N > 8.3) & (hour_N < 16.8)
    return {"working": working_N, "night": (hour_N > 21.5) | (hour_N < 5), "any": np.full(len(time_N), True)}[when]


def _wait(times: list[np.ndarray], campaign: Campaign, estate: Estate) -> list[np.ndarray]:
    """The careful put each step off until it is their time again, as long as the simulation lasts."""
    shift, waited = 0, []
    for time_N in times:
        half_hours_N = time_N[0] + shift + np.arange(0, 7 * DAY, HOUR // 2)
        fitting_N = half_hours_N[_fits(campaign.when, half_hours_N, estate)]
        shift += int(fitting_N[0] - half_hours_N[0])
        waited.append(time_N + shift)
    return waited if max(int(time_N[-1]) for time_N in waited) < estate.ends else times


def perform(rng: Chance, step: Step, time_N: np.ndarray, parts: Cast, normal: pl.DataFrame) -> pl.DataFrame:
    """The events of `step`; what it leaves open looks like the `normal` events of its kind."""
    fields = {path: _values(rng, value, parts, len(time_N)) for path, value in step.fields.items()}
    fields |= _borrow(rng, step, fields, normal, len(time_N))
    return record(rng, step.domain, step.class_name, step.activity, time_N, fields)


def _values(rng: Chance, template: Template, parts: Cast, count: int) -> Values:
    if isinstance(template, bool):
        return template
    if isinstance(template, str):
        return [fill(rng, template, parts, at) for at in range(count)]
    first, last = template[0], template[-1]
    if isinstance(first, int) and isinstance(last, int):
        return rng.integers(first, last, count, endpoint=True)
    return [fill(rng, str(template[at % len(template)]), parts, at) for at in range(count)]


def fill(rng: Chance, template: str, parts: Cast, at: int) -> str:
    """`template` with its placeholders filled for a step's event number `at`."""
    return PLACEHOLDER.sub(lambda match: _token(rng, match.group(1), match.group(0), parts, at), template)


def _token(rng: Chance, token: str | None, text: str, parts: Cast, at: int) -> str:
    if token is None:
        return text[0]
    if token in parts.fixed:
        return parts.fixed[token]
    if text_kind := RANDOM_TEXT.fullmatch(token):
        alphabet = "0123456789abcdef" if text_kind[1] == "hex" else ascii_letters + digits
        return "".join(rng.choice(list(alphabet), int(text_kind[2])))
    user, server = parts.users[at % len(parts.users)], parts.servers[at % len(parts.servers)]
    fresh = {
        "random.word": lambda: word(rng, 3),
        "random.number": lambda: str(rng.integers(1000, 10**6)),
        "random.digit": lambda: str(rng.integers(10)),
        "random.port": lambda: str(rng.integers(1024, 65535)),
        "each.user": lambda: user.name,
        "each.user.host": lambda: user.host,
        "each.user.ip": lambda: user.address,
        "each.server": lambda: server.name,
        "each.server.ip": lambda: server.address,
        "count": lambda: str(at + 1),
    }
    return fresh[token]()


def _borrow(rng: Chance, step: Step, fields: dict[str, Values], normal: pl.DataFrame, count: int) -> dict[str, Values]:
    """What the step leaves open."""
    model = _model(step, fields, normal)
    if model.is_empty():
        return {}
    lent = model[rng.integers(0, len(model), count).tolist()]
    borrowed: dict[str, Values] = {path: lent[path] for path in COPIED[step.domain] if path not in fields}
    for path in ("process.uid", "actor.process.uid"):
        if path in lent.columns and lent[path].null_count() < count:
            borrowed |= {path: hex_ids(rng, count, 16)}
    if step.domain is Domain.NETWORK:
        borrowed |= _flow_details(rng, fields | borrowed, count)
    return borrowed


def _model(step: Step, fields: dict[str, Values], normal: pl.DataFrame) -> pl.DataFrame:
    """Normal events as much like the step as there are."""
    wanted: dict[str, Values] = {"activity_name": [step.activity]} | fields
    model = normal.filter(pl.col("class_uid") == CLASSES[step.domain][step.class_name])
    for path in (path for path in ALIKE if path in wanted):
        values = pl.Series(path, wanted[path], dtype=KINDS[step.domain][path])  # type: ignore[arg-type]  # never one
        alike = model.filter(pl.col(path).is_in(values.implode()))
        model = alike if len(alike) else model
    return model


def _flow_details(rng: Chance, fields: dict[str, Values], count: int) -> dict[str, Values]:
    """Packets follow bytes and the application the port, as in any flow; half of the flows no sensor saw."""
    flow = pl.DataFrame({path: fields[path] for path in ("dst_endpoint.port", "traffic.bytes_out", "traffic.bytes_in")})
    derived: dict[str, Values] = {
        "app_name": [APPS.get(port) for port in flow["dst_endpoint.port"]],
        "traffic.packets_out": flow["traffic.bytes_out"] // 700 + 2,
        "traffic.packets_in": flow["traffic.bytes_in"] // 1100 + 2,
    }
    details = {path: value for path, value in derived.items() if path not in fields}
    seen_N = pl.Series("seen", rng.random(count) < 0.5)
    for path in ("device.hostname", "actor.process.file.path"):
        if path in fields:
            sensed = pl.DataFrame({path: fields[path], "seen": seen_N})
            details[path] = sensed.select(pl.when("seen").then(path))[path]
    return details
