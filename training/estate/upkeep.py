"""What an IT department does to its own estate, which can look like an attack."""

import numpy as np
import polars as pl

from features.events import Domain
from training.estate import catalogue
from training.estate.activities import SYSTEM, authentications, endpoint, flows, launches, lookups, requests
from training.estate.inhabitants import DAY, HOUR, Estate, Person, Site, public_address, word
from training.estate.life import Streams
from training.estate.records import Value, Values, record
from training.estate.rhythm import pick

MINUTE = 60_000
GROUPS = ("Project Users", "Remote Desktop Users", "Finance Readers", "Server Operators", "VPN Users")
SCANNER_AGENT = "Mozilla/5.0 (compatible; Nessus/10.7; +https://www.tenable.com)"


def admin_days(estate: Estate, admin: Person) -> Streams:
    """Once or twice a week an admin goes over many servers with many tools."""
    rng = estate.chance("admin days", admin.name)
    tools = (*catalogue.ROLE_PROGRAMS["admin"], *catalogue.RARE_PROGRAMS[:7])
    names = [server.name for server in estate.servers]
    for day in np.flatnonzero(rng.random(estate.days) < 0.25):
        begins = estate.began + int(day) * DAY + int(rng.uniform(9, 16) * HOUR)
        for at, server in enumerate(estate.servers):
            time_N = np.sort(begins + at * 7 * MINUTE + rng.integers(0, 7 * MINUTE, 4))
            fields: dict[str, Values] = {"auth_protocol": "Kerberos", "logon_type": "RemoteInteractive"}
            yield (
                Domain.IDENTITY,
                authentications(
                    rng, time_N[:1], admin.name, server.name, source=admin.address, code="4624", fields=fields
                ),
            )
            yield (
                Domain.NETWORK,
                flows(
                    rng,
                    time_N[:1],
                    admin.address,
                    server.address,
                    3389,
                    sent=2e6,
                    got=9e6,
                    host=admin.host,
                    process=catalogue.SYSTEM32 + "mstsc.exe",
                ),
            )
            yield Domain.ENDPOINT, launches(rng, time_N, pick(rng, tools, 4), server.name, admin.name, names)


def rollouts(estate: Estate) -> Streams:
    """New software reaches many hosts in one evening, from a site nobody asked for before."""
    rng = estate.chance("rollouts")
    for day in np.flatnonzero(rng.random(estate.days) < 0.22):
        name = word(rng, 3)
        site = Site(f"download.{name}.com", public_address(rng))
        folder = f"C:\\Program Files\\{name.title()}\\"
        for person in estate.people:
            if person.joins > day or rng.random() < 0.25:
                continue
            time_N = estate.began + int(day) * DAY + 18 * HOUR + rng.integers(0, 3 * HOUR, 1)
            yield Domain.DNS, lookups(rng, time_N, person.address, person.host, [site])
            yield (
                Domain.NETWORK,
                flows(
                    rng,
                    time_N + 50,
                    person.address,
                    site.address,
                    443,
                    got=6e7,
                    host=person.host,
                    process=catalogue.SVCHOST,
                ),
            )
            setup = catalogue.Program(f"C:\\Windows\\Temp\\{name}-setup.exe", catalogue.SERVICES, "/quiet /norestart")
            agent = catalogue.Program(folder + f"{name}.exe", setup.path, "--service")
            later_N = time_N[0] + np.array([90_000, 150_000])
            yield Domain.ENDPOINT, launches(rng, later_N, [setup, agent], person.host, SYSTEM, ["file01"])
            files = [folder + f"{part}.dll" for part in ("core", "net", "ui", name)]
            yield (
                Domain.ENDPOINT,
                endpoint(
                    rng,
                    "file_activity",
                    "Create",
                    "11",
                    np.repeat(later_N, 2),
                    person.host,
                    SYSTEM,
                    setup.path,
                    {"file.path": files},
                ),
            )
            key: dict[str, Values] = {
                "reg_key.path": f"HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\{name}"
            }
            yield (
                Domain.ENDPOINT,
                endpoint(
                    rng, "registry_value_activity", "Set", "13", later_N[:1], person.host, SYSTEM, setup.path, key
                ),
            )


def vulnerability_scans(estate: Estate) -> Streams:
    """The scanner touches every server on many ports, and the estate's web app, once a week."""
    rng = estate.chance("scans")
    scanner = estate.serving("scanner")[0]
    ports = (21, 22, 25, 80, 135, 139, 443, 445, 1433, 3306, 3389, 5432, 5985, 8080, 8443)
    shift = int(rng.integers(0, 7))
    for day in (day for day in range(estate.days) if (day + shift) % 7 in (0, 3)):
        begins = estate.began + day * DAY + 2 * HOUR
        for server in estate.servers:
            time_N = np.sort(begins + rng.integers(0, 2 * HOUR, len(ports)))
            yield (
                Domain.NETWORK,
                flows(
                    rng,
                    time_N,
                    scanner.address,
                    server.address,
                    rng.permutation(ports),
                    sent=300,
                    got=200,
                    host=scanner.name,
                    process="C:\\Program Files\\Tenable\\Nessus\\nessusd.exe",
                ).with_columns(pl.lit("REJ").alias("status_detail")),
            )
        for server in estate.serving("web"):
            time_N = np.sort(begins + rng.integers(0, HOUR, 160))
            yield Domain.WEB, probe(rng, time_N, server.name, server.address, scanner.address, SCANNER_AGENT)


def probe(
    rng: np.random.Generator, time_N: np.ndarray, host: str, address: str, source: str, agent: str
) -> pl.DataFrame:
    """Requests for what careless web servers leave lying about."""
    suspects = (
        *("/wp-login.php", "/.env", "/admin/", "/phpmyadmin/", "/.git/config", "/cgi-bin/test", "/search", "/login"),
        *("/api/v1/users", "/backup.zip", "/server-status", "/uploads/shell.aspx", "/xmlrpc.php", "/actuator/env"),
    )
    attacks = ("id=1%27%20OR%201=1--", "q=%3Cscript%3Ealert(1)", "file=../../../../etc/passwd", None, None, None)
    code_N = rng.choice([404, 403, 400, 200, 500], len(time_N), p=[0.8, 0.08, 0.06, 0.04, 0.02])
    fields: dict[str, Values] = {"http_request.url.query_string": pick(rng, attacks, len(time_N))}
    return requests(
        rng,
        time_N,
        source,
        host,
        address,
        path=pick(rng, suspects, len(time_N)),
        agent=agent,
        code=code_N,
        fields=fields,
    )


def backups(estate: Estate) -> Streams:
    """Every night the servers' data crosses the network, and some of it leaves for the cloud."""
    rng = estate.chance("backups")
    store = estate.serving("backup")[0]
    cloud = public_address(rng)
    midnight_D = estate.began + np.arange(estate.days) * DAY + HOUR
    for server in estate.serving("file", "database", "mail", "domain-controller"):
        time_N = midnight_D + rng.integers(0, 2 * HOUR, estate.days)
        yield (
            Domain.NETWORK,
            flows(
                rng,
                time_N,
                server.address,
                store.address,
                6160,
                sent=4e9,
                got=2e6,
                host=server.name,
                process="C:\\Program Files\\Veeam\\Backup\\VeeamAgent.exe",
            ),
        )
    time_N = np.sort((midnight_D[:, None] + rng.integers(0, 4 * HOUR, (estate.days, 12))).ravel())
    yield (
        Domain.NETWORK,
        flows(
            rng,
            time_N,
            store.address,
            cloud,
            443,
            sent=9e8,
            got=3e5,
            host=store.name,
            process="C:\\Program Files\\Veeam\\Backup\\VeeamAgent.exe",
        ),
    )


#: Class, activity, Windows' event code, times a day per person on Mondays and on other working days, groups.
_CARE: tuple[tuple[str, str, str, float, float, tuple[str, ...]], ...] = (
    ("account_change", "Password Change", "4724", 0.08, 0.012, ()),
    ("account_change", "Unlock", "4767", 0.05, 0.015, ()),
    ("account_change", "Disable", "4725", 0.004, 0.004, ()),
    ("group_management", "Add User", "4728", 0.03, 0.03, GROUPS),
    ("group_management", "Remove User", "4729", 0.015, 0.015, GROUPS),
)


def account_care(estate: Estate) -> Streams:
    """Passwords are reset on Mondays, new employees get accounts, groups follow people's work."""
    rng = estate.chance("accounts")
    admins = [person.name for person in estate.people if person.role == "admin"]
    for day in (day for day in range(estate.days) if estate.weekday(day) < 5):
        for class_name, activity, code, monday, other, groups in _CARE:
            rate = monday if estate.weekday(day) == 0 else other
            count = int(rng.poisson(rate * len(estate.people)))
            time_N = estate.began + day * DAY + 8 * HOUR + rng.integers(0, 8 * HOUR, count)
            who = [person.name for person in pick(rng, estate.people, count)]
            chosen = pick(rng, groups, count) if groups else None
            actors = pick(rng, admins, count)
            yield Domain.IDENTITY, change(rng, time_N, class_name, activity, code, actors, who, chosen)
    for person in (person for person in estate.people if person.joins):
        time_N = estate.began + person.joins * DAY + np.array([6 * HOUR, 6 * HOUR + 40_000])
        admin = pick(rng, admins, 1) * 2
        yield Domain.IDENTITY, change(rng, time_N[:1], "account_change", "Create", "4720", admin[:1], [person.name])
        teams = ["Domain Users", f"{person.role.title()} Team"]
        new = [person.name] * 2
        yield Domain.IDENTITY, change(rng, time_N, "group_management", "Add User", "4728", admin, new, teams)


def change(
    rng: np.random.Generator,
    time_N: np.ndarray,
    class_name: str,
    activity: str,
    code: str,
    actors: list[str],
    users: list[str],
    groups: Value | list[str] = None,
) -> pl.DataFrame:
    """Changes that admins make to accounts and groups, as a domain controller logs them."""
    fields: dict[str, Values] = {
        "metadata.event_code": code,
        "status": "Success",
        "device.hostname": "dc01",
        "actor.user.name": actors,
        "user.name": users,
        "group.name": groups,
    }
    return record(rng, Domain.IDENTITY, class_name, activity, time_N, fields)
