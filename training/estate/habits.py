"""What the people of an estate do on a normal day."""

import numpy as np
import polars as pl

from features.events import Domain
from training.estate import catalogue, connections, desk
from training.estate.activities import SYSTEM, authentications, endpoint, flows, launches, lookups
from training.estate.chance import hex_ids
from training.estate.inhabitants import DAY, Estate, Person
from training.estate.life import Life, Streams
from training.estate.records import Values
from training.estate.rhythm import Rhythm, person_rhythm, pick, steady_rhythm, tastes


def live(estate: Estate, person: Person) -> Streams:
    """All that `person` and this person's workstation leave in the logs."""
    life = Life(estate, person, person_rhythm(estate, person))
    yield from _logons(life)
    yield from _tickets(life)
    yield from desk.programs(life)
    yield from desk.documents(life)
    yield from connections.visits(life)
    yield from connections.internal_flows(life)
    yield from connections.intranet(life)
    yield from connections.cloud(life)
    yield from _workstation(life)


def _logons(life: Life) -> Streams:
    rng, who = life.chance("logons"), life.person
    for code, kind, mean in (("4624", "Interactive", 1.3), ("4624", "Unlock", 5.0), ("4634", "Interactive", 1.2)):
        time_N = life.rhythm.moments(rng, mean)
        fields: dict[str, Values] = {"logon_type": kind, "auth_protocol": "Negotiate"}
        activity = "Logon" if code == "4624" else "Logoff"
        yield (
            Domain.IDENTITY,
            authentications(
                rng, time_N, who.name, who.host, source=who.address, code=code, fields=fields, activity=activity
            ),
        )
    time_N = life.rhythm.moments(rng, 0.7)
    fields = {"status": "Failure", "logon_type": "Unlock", "status_detail": "0xC000006A", "auth_protocol": "Negotiate"}
    yield (
        Domain.IDENTITY,
        authentications(rng, time_N, who.name, who.host, source=who.address, code="4625", fields=fields),
    )
    yield Domain.IDENTITY, _remote_logons(life, rng)


def _remote_logons(life: Life, rng: np.random.Generator) -> pl.DataFrame:
    """Single sign-on to the estate's VPN and mail from wherever the person is."""
    time_N = life.rhythm.moments(rng, 3.0)
    source = life.whereabouts(life.chance("whereabouts"), time_N)
    failed_N = rng.random(len(time_N)) < 0.06
    code = np.where(failed_N, "UserLoginFailed", "UserLoggedIn").tolist()
    fields: dict[str, Values] = {
        "status": np.where(failed_N, "Failure", "Success").tolist(),
        "status_detail": np.where(failed_N, "InvalidPassword", "MfaSatisfied").tolist(),
        "logon_type": "Cloud",
        "auth_protocol": "OAuth2",
        "service.name": pick(rng, ["vpn", "mail", "sso", "timesheet"], len(time_N), np.array([0.15, 0.4, 0.35, 0.1])),
    }
    return authentications(rng, time_N, life.person.name, "mail01", source=source, code=code, fields=fields)


def _tickets(life: Life) -> Streams:
    """Kerberos tickets from the domain controllers, and network logons at the servers they are for."""
    rng, who = life.chance("tickets"), life.person
    controllers = [server.name for server in life.estate.serving("domain-controller")]
    servers = life.estate.serving("file", "mail", "intranet", "web", "build", "database")
    liking = tastes(life.chance("servers"), len(servers), steep=1.6)
    time_N = life.rhythm.moments(rng, 3)
    kerberos: dict[str, Values] = {"auth_protocol": "Kerberos", "logon_type": "Network"}
    fields = kerberos | {"service.name": "krbtgt"}
    dcs = pick(rng, controllers, len(time_N))
    yield (
        Domain.IDENTITY,
        authentications(
            rng, time_N, who.name, dcs, source=who.address, code="4768", fields=fields, activity="Authentication Ticket"
        ),
    )
    time_N = life.rhythm.moments(rng, 18)
    chosen = pick(rng, servers, len(time_N), liking)
    names = [
        f"{kind}/{server.name}"
        for kind, server in zip(pick(rng, ["cifs", "host", "http"], len(chosen)), chosen, strict=True)
    ]
    old_N = rng.random(len(time_N)) < 0.01
    fields = kerberos | {"service.name": names, "status_detail": np.where(old_N, "RC4_HMAC", "AES256").tolist()}
    yield (
        Domain.IDENTITY,
        authentications(
            rng,
            time_N,
            who.name,
            pick(rng, controllers, len(time_N)),
            source=who.address,
            code="4769",
            fields=fields,
            activity="Service Ticket Request",
        ),
    )
    landed_N = rng.random(len(time_N)) < 0.6
    hosts = [server.name for server, landed in zip(chosen, landed_N, strict=True) if landed]
    fields = kerberos | {"src_endpoint.hostname": who.host}
    yield (
        Domain.IDENTITY,
        authentications(rng, time_N[landed_N] + 40, who.name, hosts, source=who.address, code="4624", fields=fields),
    )


def _workstation(life: Life) -> Streams:
    """What Windows does by itself while the workstation is on."""
    rng, who = life.chance("workstation"), life.person
    always = steady_rhythm(life.estate, who.host)
    awake = Rhythm(life.rhythm.centre_DK, np.minimum(life.rhythm.busy_D, 1.0))
    joined = life.estate.began + who.joins * DAY
    servers = [server.name for server in life.estate.serving("file")]
    for rhythm, mean in ((awake, 32), (always, 6)):
        time_N = rhythm.moments(rng, mean)
        time_N = time_N[time_N >= joined]
        chosen = pick(rng, catalogue.BACKGROUND_PROGRAMS, len(time_N), tastes(rng, len(catalogue.BACKGROUND_PROGRAMS)))
        yield Domain.ENDPOINT, launches(rng, time_N, chosen, who.host, SYSTEM, servers)
        sites = life.estate.background_sites
        asked = pick(rng, sites, len(time_N), tastes(rng, len(sites)))
        yield Domain.DNS, lookups(rng, time_N, who.address, who.host, asked, process=catalogue.SVCHOST)
        targets = [site.address for site in asked]
        yield (
            Domain.NETWORK,
            flows(rng, time_N + 20, who.address, targets, 443, host=who.host, process=catalogue.SVCHOST),
        )
        accounts: dict[str, Values] = {
            "auth_protocol": "Kerberos",
            "logon_type": "Network",
            "src_endpoint.hostname": who.host,
        }
        yield (
            Domain.IDENTITY,
            authentications(rng, time_N[::5], f"{who.host}$", "dc01", source=who.address, code="4624", fields=accounts),
        )
        yield Domain.ENDPOINT, _accesses(rng, time_N[::6], who.host)


def _accesses(rng: np.random.Generator, time_N: np.ndarray, host: str) -> pl.DataFrame:
    """Security software and Windows itself open processes all the time, LSASS among them."""
    openers = ["C:\\Program Files\\Windows Defender\\MsMpEng.exe", catalogue.SVCHOST, catalogue.SYSTEM32 + "csrss.exe"]
    opened = [catalogue.SYSTEM32 + name for name in ("lsass.exe", "winlogon.exe", "svchost.exe", "dwm.exe")]
    fields: dict[str, Values] = {
        "process.file.path": pick(rng, opened, len(time_N)),
        "process.uid": hex_ids(rng, len(time_N), 16),
        "actual_permissions": pick(rng, ["0x1000", "0x1400", "0x101000", "0x1fffff"], len(time_N)),
    }
    return endpoint(
        rng, "process_activity", "Open", "10", time_N, host, SYSTEM, pick(rng, openers, len(time_N)), fields
    )
