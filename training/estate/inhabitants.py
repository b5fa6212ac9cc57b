"""Who lives in a simulated estate: its people, hosts, servers, accounts and the sites it knows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from training.estate import catalogue
from training.estate.chance import chance, hex_ids

DAY = 86_400_000
HOUR = 3_600_000

#: Role -> how many of a hundred people have it.
ROLES = {"office": 26, "developer": 20, "sales": 16, "support": 14, "finance": 10, "hr": 7, "admin": 7}

#: Server role -> its servers' short names.
SERVER_NAMES = {
    "domain-controller": ("dc01", "dc02"),
    "file": ("file01", "file02"),
    "mail": ("mail01",),
    "database": ("db01", "db02"),
    "web": ("web01", "web02"),
    "intranet": ("intra01",),
    "build": ("build01",),
    "backup": ("backup01",),
    "monitor": ("mon01",),
    "scanner": ("scan01",),
}

#: Service account -> the role of the servers it runs on.
SERVICE_ACCOUNTS = {
    "svc.backup": "backup",
    "svc.sql": "database",
    "svc.build": "build",
    "svc.web": "web",
    "svc.monitor": "monitor",
    "svc.scan": "scanner",
}
CLOUD_PRINCIPALS = ("ci-deployer", "backup-writer", "metrics-agent", "order-worker")


@dataclass(frozen=True)
class Person:
    """One user with a workstation, and how this person differs from the peers."""

    name: str
    role: str
    host: str
    address: str
    home: str
    browser: str
    energy: float
    begins: float
    hours: float
    weekend: float
    joins: int = 0
    away: tuple[int, int] = (0, 0)
    abroad: str = ""


@dataclass(frozen=True)
class Server:
    """One server and what it is for."""

    name: str
    role: str
    address: str


@dataclass(frozen=True)
class Site:
    """One external site and where its name leads."""

    name: str
    address: str


@dataclass(frozen=True)
class Estate:
    """Everything that stays the same while the simulation runs; times are milliseconds UTC."""

    seed: int
    domain: str
    began: int
    days: int
    people: tuple[Person, ...]
    servers: tuple[Server, ...]
    sites: tuple[Site, ...]
    egress: str
    account: str
    region: str

    @property
    def ends(self) -> int:
        """The first millisecond after the simulation."""
        return self.began + self.days * DAY

    def weekday(self, day: int) -> int:
        """The weekday of the estate's `day`, Monday being 0."""
        return (self.began // DAY + day + 3) % 7

    @property
    def background_sites(self) -> tuple[Site, ...]:
        """The sites that hosts ask for by themselves."""
        return self.sites[len(catalogue.WELL_KNOWN) :][: len(catalogue.BACKGROUND_SITES)]

    def serving(self, *roles: str) -> tuple[Server, ...]:
        """The servers of `roles`."""
        return tuple(server for server in self.servers if server.role in roles)

    def chance(self, *purpose: str) -> np.random.Generator:
        """The random stream of one purpose."""
        return chance(self.seed, *purpose)


def found(seed: int, *, days: int, users: int, start: datetime) -> Estate:
    """An estate of `users` people that is watched for `days` from the midnight of `start`."""
    rng = chance(seed, "estate")
    company = word(rng, 3)
    return Estate(
        seed=seed,
        domain=f"{company}.{rng.choice(catalogue.TLDS)}",
        began=int(start.timestamp()) // 86400 * DAY,
        days=days,
        people=_people(seed, users, days),
        servers=_servers(),
        sites=_sites(seed),
        egress=public_address(rng),
        account=str(rng.integers(10**11, 10**12)),
        region=str(rng.choice(["eu-central-1", "eu-west-1", "us-east-1"])),
    )


def word(rng: np.random.Generator, syllables: int) -> str:
    """An invented word."""
    return "".join(rng.choice(catalogue.SYLLABLES, syllables))


def public_address(rng: np.random.Generator) -> str:
    """An address on the internet."""
    first = rng.choice([*range(23, 100), *range(128, 169), *range(173, 192), *range(193, 198), *range(203, 223)])
    return f"{first}." + ".".join(str(part) for part in rng.integers(1, 255, 3))


def when(moment: int) -> datetime:
    """The datetime of `moment` milliseconds UTC."""
    return datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(milliseconds=moment)


def _people(seed: int, users: int, days: int) -> tuple[Person, ...]:
    people: list[Person] = []
    for index in range(users):
        people.append(_person(seed, index, days, {person.name for person in people}))
    return tuple(people)


def _person(seed: int, index: int, days: int, taken: set[str]) -> Person:
    rng = chance(seed, "person", str(index))
    name = f"{rng.choice(catalogue.GIVEN)}.{rng.choice(catalogue.FAMILY)}"
    role = _role(rng, index)
    away = int(rng.integers(0, max(1, days - 1)))
    joins = int(rng.integers(1, max(2, days))) if index > 3 and rng.random() < 0.05 else 0
    travels = not joins and rng.random() < 0.08
    return Person(
        name=f"{name}{index}" if name in taken else name,
        role=role,
        host=f"ws{index + 101:04d}",
        address=f"10.20.{index // 200}.{index % 200 + 20}",
        home=public_address(rng),
        browser=str(rng.choice(["edge", "chrome", "firefox"], p=[0.5, 0.38, 0.12])),
        energy=float(rng.lognormal(0, 0.35)),
        begins=float(rng.normal(9.5 if role == "developer" else 8.3, 0.7)),
        hours=float(rng.normal(8.6, 0.7)),
        weekend=float(rng.beta(1, 25) + (0.06 if role == "admin" else 0.0)),
        joins=joins,
        away=(away, away + int(rng.integers(1, 4))) if travels else (0, 0),
        abroad=public_address(rng),
    )


def _role(rng: np.random.Generator, index: int) -> str:
    """The first people fill every role once, so that even a small estate has an admin."""
    rare_first = ("admin", "finance", "developer", "hr", "support", "sales", "office")
    drawn = str(rng.choice(list(ROLES), p=np.array(list(ROLES.values())) / 100))
    return rare_first[index] if index < len(rare_first) else drawn


def _servers() -> tuple[Server, ...]:
    named = [(name, role) for role, names in SERVER_NAMES.items() for name in names]
    return tuple(Server(name, role, f"10.10.0.{at + 10}") for at, (name, role) in enumerate(named))


def _sites(seed: int, count: int = 1500) -> tuple[Site, ...]:
    """Sites from the most to the least popular; the well-known ones come first."""
    rng = chance(seed, "sites")
    shape = zip(rng.integers(2, 5, count), rng.choice(catalogue.TLDS, count), rng.random(count), strict=True)
    names = [_site_name(rng, syllables, tld, prefix) for syllables, tld, prefix in shape]
    addresses = [public_address(rng) for _ in range(count // 2)]
    unique = dict.fromkeys([*catalogue.WELL_KNOWN, *catalogue.BACKGROUND_SITES, *names])
    return tuple(Site(name, addresses[int(rng.zipf(1.6)) % len(addresses)]) for name in unique)


def _site_name(rng: np.random.Generator, syllables: int, tld: str, prefix: float) -> str:
    """Most sites have plain names; some belong to content networks and have long random ones."""
    if prefix < 0.04:
        return f"{hex_ids(rng, 1, 14)[0]}.{word(rng, 2)}cdn.net"
    head = "www." if prefix < 0.6 else str(rng.choice(["", "api.", "cdn.", "static.", "img.", "mail.", "app."]))
    return f"{head}{word(rng, int(syllables))}.{tld}"
