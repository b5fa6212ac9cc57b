"""The harmless oddities of real estates, which make rarity and volume poor guides."""

import numpy as np

from features.events import Domain
from training.estate import catalogue, upkeep
from training.estate.activities import authentications, calls, flows, launches, lookups
from training.estate.chance import hex_ids
from training.estate.inhabitants import DAY, HOUR, Estate, Person, Site, public_address, word
from training.estate.life import Streams
from training.estate.records import Values
from training.estate.rhythm import every, person_rhythm, pick, steady_rhythm
from training.estate.upkeep import probe

MINUTE = 60_000


def disturb(estate: Estate) -> Streams:
    """Everything out of the ordinary that means no harm."""
    for person in estate.people:
        yield from _rarities(estate, person)
        if person.role == "admin":
            yield from upkeep.admin_days(estate, person)
    yield from upkeep.rollouts(estate)
    yield from upkeep.vulnerability_scans(estate)
    yield from _odd_lookups(estate)
    yield from _internet_background(estate)
    yield from _broken_scripts(estate)
    yield from upkeep.backups(estate)
    yield from upkeep.account_care(estate)


def _rarities(estate: Estate, person: Person) -> Streams:
    """Rare tools, one-off downloads and big uploads."""
    rng, rhythm = estate.chance("rarities", person.name), person_rhythm(estate, person)
    time_N = rhythm.moments(rng, 0.9 if person.role in ("admin", "developer") else 0.25)
    servers = [server.name for server in estate.servers]
    chosen = pick(rng, catalogue.RARE_PROGRAMS, len(time_N))
    yield Domain.ENDPOINT, launches(rng, time_N, chosen, person.host, person.name, servers)
    time_N = rhythm.moments(rng, 0.5)
    sites = [Site(f"{word(rng, 2)}-{word(rng, 2)}.{rng.choice(catalogue.TLDS)}", public_address(rng)) for _ in time_N]
    browser = catalogue.BROWSER_PATHS[person.browser]
    yield Domain.DNS, lookups(rng, time_N, person.address, person.host, sites, process=browser)
    sent, got = rng.choice([[3e3, 4e7], [8e7, 2e5], [2e3, 2e6]], p=[0.4, 0.1, 0.5])
    targets = [site.address for site in sites]
    yield (
        Domain.NETWORK,
        flows(rng, time_N + 40, person.address, targets, 443, sent=sent, got=got, host=person.host, process=browser),
    )
    wrong_N = time_N[rng.random(len(time_N)) < 0.5] - 5000
    typo = [Site(f"{word(rng, 3)}.{rng.choice(catalogue.TLDS)}", "") for _ in wrong_N]
    yield Domain.DNS, lookups(rng, wrong_N, person.address, person.host, typo, process=browser, rcode="NXDomain")


def _odd_lookups(estate: Estate) -> Streams:
    """Mail servers ask for TXT and MX records; security software asks for the hashes of files as if they were names."""
    rng = estate.chance("odd lookups")
    mail = estate.serving("mail")[0]
    time_N = steady_rhythm(estate, "mail lookups").moments(rng, 220)
    kinds = pick(rng, ["TXT", "MX", "PTR", "A"], len(time_N), np.array([0.4, 0.35, 0.15, 0.1]))
    yield Domain.DNS, lookups(rng, time_N, mail.address, mail.name, pick(rng, estate.sites, len(time_N)), kind=kinds)
    vendor, address = f"rep.{word(rng, 3)}.net", public_address(rng)
    defender = "C:\\Program Files\\Windows Defender\\MsMpEng.exe"
    for person in estate.people:
        time_N = person_rhythm(estate, person).moments(rng, 5)
        names = zip(hex_ids(rng, len(time_N)), hex_ids(rng, len(time_N), 8), strict=True)
        asked = [Site(f"{file}.{part}.{vendor}", address) for file, part in names]
        kinds = pick(rng, ["A", "TXT"], len(time_N), np.array([0.8, 0.2]))
        yield Domain.DNS, lookups(rng, time_N, person.address, person.host, asked, kind=kinds, process=defender)


def _internet_background(estate: Estate) -> Streams:
    """Strangers' robots knock at whatever is reachable, every day, in vain."""
    rng = estate.chance("background")
    web = estate.serving("web")
    for visit in range(int(rng.poisson(9 * estate.days))):
        server = web[visit % len(web)]
        size = int(rng.integers(2, 25))
        time_N = np.sort(
            estate.began + int(rng.integers(0, estate.days * DAY - HOUR)) + rng.integers(0, HOUR // 4, size)
        )
        agent = str(rng.choice(["python-requests/2.31.0", "Go-http-client/1.1", "curl/7.88.1", "zgrab/0.x"]))
        source = public_address(rng)
        yield Domain.WEB, probe(rng, time_N, server.name, server.address, source, agent)
        fields: dict[str, Values] = {"status": "Failure", "status_detail": "InvalidPassword", "logon_type": "Cloud"}
        fields |= {"auth_protocol": "OAuth2", "service.name": "mail"}
        users = [person.name for person in pick(rng, estate.people, size // 4)]
        yield (
            Domain.IDENTITY,
            authentications(
                rng, time_N[: size // 4], users, "mail01", source=source, code="UserLoginFailed", fields=fields
            ),
        )


def _broken_scripts(estate: Estate) -> Streams:
    """A job with an old password fails every few minutes, and another calls the cloud without the right."""
    rng = estate.chance("broken")
    broken = (("svc.sql", "file02", "build01"), ("svc.build", "db01", "build01"), ("svc.web", "file01", "web02"))
    for day in np.flatnonzero(rng.random(estate.days) < 0.3):
        account, target, host = pick(rng, broken, 1)[0]
        source = next(server.address for server in estate.servers if server.name == host)
        begins = estate.began + int(day) * DAY
        time_N = every(rng, begins, begins + DAY, int(rng.integers(3, 9)) * MINUTE)
        fields: dict[str, Values] = {"status": "Failure", "status_detail": "0xC000006A", "logon_type": "Network"}
        fields |= {"auth_protocol": "NTLM", "src_endpoint.hostname": host}
        yield Domain.IDENTITY, authentications(rng, time_N, account, target, source=source, code="4625", fields=fields)
    for day in np.flatnonzero(rng.random(estate.days) < 0.25):
        begins = estate.began + int(day) * DAY
        time_N = every(rng, begins, begins + DAY, int(rng.integers(6, 15)) * MINUTE)
        operations = [catalogue.Operation("s3.amazonaws.com", "PutObject", "old-reports")] * len(time_N)
        yield (
            Domain.CLOUD,
            calls(
                rng,
                estate,
                time_N,
                "metrics-agent",
                operations,
                source=estate.egress,
                agent="Boto3/1.26.1",
                error=1.0,
                kind="AssumedRole",
                mfa=False,
            ),
        )
