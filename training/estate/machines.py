"""What servers, service accounts, cloud principals and customers do on any day."""

import numpy as np

from features.events import Domain
from training.estate import catalogue
from training.estate.activities import SYSTEM, authentications, calls, endpoint, flows, launches, lookups, requests
from training.estate.inhabitants import CLOUD_PRINCIPALS, DAY, SERVICE_ACCOUNTS, Estate, Server, public_address
from training.estate.life import Streams
from training.estate.records import Values
from training.estate.rhythm import every, pick, steady_rhythm, tastes

MINUTE = 60_000


def run_servers(estate: Estate) -> Streams:
    """Every server's own processes and the traffic between servers."""
    for server in estate.servers:
        yield from _background(estate, server)
        yield from _monitored(estate, server)
    yield from _database_traffic(estate)


def _background(estate: Estate, server: Server) -> Streams:
    rng, rhythm = estate.chance("server", server.name), steady_rhythm(estate, server.name)
    programs = (*catalogue.SERVER_PROGRAMS.get(server.role, ()), *catalogue.BACKGROUND_PROGRAMS)
    time_N = rhythm.moments(rng, 120)
    chosen = pick(rng, programs, len(time_N), tastes(rng, len(programs)))
    yield Domain.ENDPOINT, launches(rng, time_N, chosen, server.name, SYSTEM, [server.name])
    time_N = rhythm.moments(rng, 40)
    asked = pick(rng, estate.background_sites, len(time_N))
    yield Domain.DNS, lookups(rng, time_N, server.address, server.name, asked)
    targets = [site.address for site in asked]
    yield (
        Domain.NETWORK,
        flows(rng, time_N + 25, server.address, targets, 443, host=server.name, process=catalogue.SVCHOST),
    )
    time_N = rhythm.moments(rng, 30)
    paths = [f"C:\\ProgramData\\{server.role}\\logs\\{n}.log" for n in rng.integers(1, 60, len(time_N))]
    yield (
        Domain.ENDPOINT,
        endpoint(
            rng, "file_activity", "Update", "11", time_N, server.name, SYSTEM, catalogue.SVCHOST, {"file.path": paths}
        ),
    )


def _monitored(estate: Estate, server: Server) -> Streams:
    """The monitoring server asks every server how it is, every quarter of an hour."""
    rng = estate.chance("monitor", server.name)
    monitor = estate.serving("monitor")[0]
    time_N = every(rng, estate.began, estate.ends, 15 * MINUTE)
    yield (
        Domain.NETWORK,
        flows(
            rng,
            time_N,
            monitor.address,
            server.address,
            5985,
            sent=900,
            got=2500,
            host=monitor.name,
            process="C:\\Program Files\\Monitoring\\agent.exe",
        ),
    )
    fields: dict[str, Values] = {
        "auth_protocol": "NTLM",
        "logon_type": "Network",
        "src_endpoint.hostname": monitor.name,
    }
    yield (
        Domain.IDENTITY,
        authentications(
            rng, time_N[::4], "svc.monitor", server.name, source=monitor.address, code="4624", fields=fields
        ),
    )


def _database_traffic(estate: Estate) -> Streams:
    rng = estate.chance("database")
    for web in estate.serving("web"):
        time_N = steady_rhythm(estate, f"{web.name} queries").moments(rng, 350)
        targets = [
            server.address for server in pick(rng, estate.serving("database"), len(time_N), np.array([0.8, 0.2]))
        ]
        yield (
            Domain.NETWORK,
            flows(
                rng,
                time_N,
                web.address,
                targets,
                5432,
                sent=2500,
                got=12_000,
                host=web.name,
                process=catalogue.SYSTEM32 + "inetsrv\\w3wp.exe",
            ),
        )


def run_accounts(estate: Estate) -> Streams:
    """Service accounts start their jobs by the clock; cloud principals call their few operations."""
    for account, role in SERVICE_ACCOUNTS.items():
        rng = estate.chance("account", account)
        for server in estate.serving(role):
            time_N = every(rng, estate.began, estate.ends, int(rng.integers(20, 60)) * MINUTE)
            fields: dict[str, Values] = {"auth_protocol": "Kerberos", "logon_type": "Service"}
            yield (
                Domain.IDENTITY,
                authentications(rng, time_N, account, server.name, source=server.address, code="4624", fields=fields),
            )
    for principal in CLOUD_PRINCIPALS:
        rng = estate.chance("principal", principal)
        time_N = every(rng, estate.began, estate.ends, int(rng.integers(6, 16)) * MINUTE, jitter=0.3)
        offered = catalogue.CLOUD_OPERATIONS["service"]
        operations = pick(rng, offered, len(time_N), tastes(rng, len(offered), steep=2.0, whim=1.5))
        yield (
            Domain.CLOUD,
            calls(
                rng,
                estate,
                time_N,
                principal,
                operations,
                source=estate.egress,
                agent="Boto3/1.34.84 md/Botocore#1.34.84",
                kind="AssumedRole",
                mfa=False,
            ),
        )


def serve_customers(estate: Estate, mean: float) -> Streams:
    """Strangers on the estate's own web app, some of them regulars, about `mean` requests a day."""
    rng = estate.chance("customers")
    addresses = [public_address(rng) for _ in range(900)]
    agents = pick(rng, catalogue.CUSTOMER_AGENTS, len(addresses))
    usual_D = np.array([1.0 if estate.weekday(day) < 5 else 0.75 for day in range(estate.days)])
    for server in estate.serving("web"):
        count = int(rng.poisson(mean * usual_D.sum() / 2))
        day_N = rng.choice(estate.days, count, p=usual_D / usual_D.sum())
        hour_N = rng.normal(15, 4.5, count) % 24
        time_N = np.sort(estate.began + day_N * DAY + (hour_N * 60 * MINUTE).astype(np.int64))
        who_N = rng.choice(len(addresses), count, p=tastes(rng, len(addresses), steep=0.8))
        pages = pick(rng, catalogue.APP_PATHS, count, tastes(rng, len(catalogue.APP_PATHS), whim=0.3))
        numbers = rng.integers(1, 900, count)
        base = f"{server.name}.{estate.domain}"
        query = [f"q={n}&page={n % 5}" if page == "/search" else None for page, n in zip(pages, numbers, strict=True)]
        referrer = [f"https://{base}/products" if n % 2 else None for n in numbers]
        yield (
            Domain.WEB,
            requests(
                rng,
                time_N,
                [addresses[at] for at in who_N],
                server.name,
                server.address,
                path=[page.replace("{n}", str(n)) for page, n in zip(pages, numbers, strict=True)],
                agent=[agents[at] for at in who_N],
                method=["POST" if page in ("/login", "/checkout", "/cart") else "GET" for page in pages],
                code=rng.choice([200, 304, 302, 404, 401, 500], count, p=[0.88, 0.05, 0.03, 0.025, 0.01, 0.005]),
                fields={"http_request.url.query_string": query, "http_request.referrer": referrer},
            ),
        )
