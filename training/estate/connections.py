"""Where people connect to: web sites, servers, the intranet, the cloud."""

import numpy as np

from features.events import Domain
from training.estate import catalogue
from training.estate.activities import calls, flows, lookups, requests
from training.estate.life import Life, Streams
from training.estate.records import Values
from training.estate.rhythm import pick, tastes


def visits(life: Life) -> Streams:
    """Web sites looked up and fetched; a name asked for lately is not asked for again."""
    rng, who = life.chance("visits"), life.person
    sites = life.estate.sites
    peers = life.estate.chance("visits", who.role).permutation(len(sites))[:120]
    own = life.chance("sites").permutation(len(sites))[:80]
    known = [*range(40), *peers[:60].tolist(), *own.tolist()]
    time_N = life.rhythm.moments(rng, 85)
    chosen_N = np.array(known)[rng.choice(len(known), len(time_N), p=tastes(rng, len(known), steep=1.0))]
    wander_N = rng.random(len(time_N)) < 0.06
    chosen_N[wander_N] = rng.integers(0, len(sites), int(wander_N.sum()))
    asked_N = rng.random(len(time_N)) < 0.7
    process = catalogue.BROWSER_PATHS[who.browser]
    asked = [sites[at] for at in chosen_N[asked_N]]
    kinds = pick(rng, ["A", "AAAA", "HTTPS"], len(asked), np.array([0.8, 0.12, 0.08]))
    yield Domain.DNS, lookups(rng, time_N[asked_N], who.address, who.host, asked, process=process, kind=kinds)
    targets = [sites[at].address for at in chosen_N]
    port_N = rng.choice([443, 80, 8080, 3478, 5228], len(time_N), p=[0.82, 0.1, 0.03, 0.03, 0.02])
    quick_N = (port_N == 3478) | ((port_N == 443) & (rng.random(len(port_N)) < 0.2))
    protocols = np.where(quick_N, "udp", "tcp").tolist()
    yield (
        Domain.NETWORK,
        flows(
            rng,
            time_N + 30,
            who.address,
            targets,
            port_N,
            got=24_000,
            host=who.host,
            process=process,
            protocol=protocols,
        ),
    )


def internal_flows(life: Life) -> Streams:
    rng, who = life.chance("internal"), life.person
    mail = catalogue.OFFICE + "OUTLOOK.EXE"
    lsass = catalogue.SYSTEM32 + "lsass.exe"
    habits = (
        ("file", 445, 14, 40_000, "System"),
        ("domain-controller", 88, 6, 1800, lsass),
        ("domain-controller", 389, 4, 5000, lsass),
        ("mail", 443, 12, 20_000, mail),
        ("intranet", 443, 8, 30_000, catalogue.BROWSER_PATHS[who.browser]),
    )
    for role, port, mean, got, process in habits:
        time_N = life.rhythm.moments(rng, mean)
        targets = [server.address for server in pick(rng, life.estate.serving(role), len(time_N))]
        yield (
            Domain.NETWORK,
            flows(rng, time_N, who.address, targets, port, got=got, sent=6000, host=who.host, process=process),
        )
    if who.role in ("admin", "developer"):
        time_N = life.rhythm.moments(rng, 5)
        targets = [server.address for server in pick(rng, life.estate.servers, len(time_N))]
        ports = rng.choice([22, 3389, 5985], len(time_N))
        process = catalogue.SYSTEM32 + "mstsc.exe"
        yield Domain.NETWORK, flows(rng, time_N, who.address, targets, ports, host=who.host, process=process)


def intranet(life: Life) -> Streams:
    rng, who = life.chance("intranet"), life.person
    server = life.estate.serving("intranet")[0]
    time_N = life.rhythm.moments(rng, 26)
    liking = tastes(life.chance("pages"), len(catalogue.INTRANET_PATHS))
    pages = pick(rng, catalogue.INTRANET_PATHS, len(time_N), liking)
    numbers = rng.integers(1, 400, len(time_N))
    paths = [page.replace("{n}", str(number)) for page, number in zip(pages, numbers, strict=True)]
    base = f"https://{server.name}.{life.estate.domain}"
    fields: dict[str, Values] = {
        "http_request.referrer": [base + page.split("{")[0] if len(page) % 3 else None for page in pages],
        "http_request.url.query_string": [
            f"q={number}" if page == "/search" else None for page, number in zip(pages, numbers, strict=True)
        ],
    }
    code_N = rng.choice([200, 304, 302, 404, 403, 500], len(time_N), p=[0.86, 0.07, 0.03, 0.025, 0.01, 0.005])
    method = pick(rng, ["GET", "POST"], len(time_N), np.array([0.88, 0.12]))
    yield (
        Domain.WEB,
        requests(
            rng,
            time_N,
            who.address,
            server.name,
            server.address,
            path=paths,
            agent=catalogue.BROWSERS[who.browser],
            user=who.name,
            method=method,
            code=code_N,
            fields=fields,
        ),
    )


def cloud(life: Life) -> Streams:
    """Office documents for everybody, the infrastructure for those who run it."""
    rng, who = life.chance("cloud"), life.person
    engineers = {"developer": "aws-cli/2.15.30 Python/3.11.8 Windows/10", "admin": "console.amazonaws.com"}
    office_agent = catalogue.BROWSERS[who.browser]
    shelves = [("office", "Regular", office_agent, 20.0)]
    if who.role in engineers:
        shelves.append((who.role, "IAMUser", engineers[who.role], 14.0))
    for shelf, kind, agent, mean in shelves:
        time_N = life.rhythm.moments(rng, mean)
        offered = catalogue.CLOUD_OPERATIONS[shelf]
        operations = pick(rng, offered, len(time_N), tastes(rng, len(offered), steep=1.3))
        source = life.whereabouts(life.chance("whereabouts"), time_N)
        yield Domain.CLOUD, calls(rng, life.estate, time_N, who.name, operations, source=source, agent=agent, kind=kind)
