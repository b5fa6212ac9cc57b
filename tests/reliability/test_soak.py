"""However long it lasts and however many entities an attacker makes up, a service takes no more of the machine.

Threats that were ranked stay so: entities of which each is seen once push nobody out.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from tests.reliability.figures import tell
from tests.reliability.service_process import Caller, ServiceProcess, Takes, lines, wait_until
from training.simulation import simulate

#: Entities that an attacker makes up, and seconds that it goes on at least; more by environment variable.
ENTITIES = int(os.environ.get("SECMESH_SOAK_ENTITIES", "20000"))
SECONDS = float(os.environ.get("SECMESH_SOAK_SECONDS", "0"))
#: Events of a post, the share of what can be scored that is posted, and most megabytes of the write-ahead log.
EVENTS, LOAD, WAL = 1000, 0.7, 64
#: The worst threats, which should stay ranked.
WORST = 5
#: Threads and files that come and go.
SPARE = 8


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A day in the life of four people as bodies of posts, one attack among them."""
    out = tmp_path_factory.mktemp("estate")
    simulate(out, seed=3, days=1, users=4, play=1)
    return [b"\n".join(part) for log in sorted(out.glob("*.jsonl")) for part in parts(log.read_bytes().splitlines())]


def parts(rows: Sequence[bytes]) -> Iterator[list[bytes]]:
    rest = iter(rows)
    while part := list(islice(rest, EVENTS)):
        yield part


def junk(number: int) -> str:
    """An address that nobody has seen before, as numbers never come again."""
    return f"11.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def ranked(service: ServiceProcess) -> list[set[str]]:
    """The ids of each threat, the worst first."""
    wait_until(lambda: service.has_come("ranked"))
    threats = service.ask("GET", "/v1/threats").told["threats"]
    return [{threat["id"], *threat.get("merged", ())} for threat in threats]


def post(caller: Caller, body: bytes) -> None:
    assert caller.ask("POST", "/v1/events?format=ocsf", body).status == 200


def warmed_up(service: ServiceProcess, estate: Sequence[bytes]) -> float:
    """Events a second that the service scores, once it has seen an estate."""
    with closing(Caller(service.port, service.key)) as caller:
        for body in estate:
            post(caller, body)
        wait_until(lambda: service.has_come("ranked"))
        began = time.monotonic()
        for _ in range(5):
            post(caller, lines(EVENTS)[1])
        wait_until(lambda: service.has_come("detected"))
    return 5 * EVENTS / (time.monotonic() - began)


def flooded(service: ServiceProcess, rate: float) -> Iterator[tuple[float, Takes, float]]:
    """Post at a rate; about once a second, the seconds since the beginning, what the service takes, and its log."""
    began, sent, told = time.monotonic(), 0, 0.0
    with closing(Caller(service.port, service.key)) as caller:
        while sent < ENTITIES or time.monotonic() < began + SECONDS:
            post(caller, lines(EVENTS, junk)[1] if sent < ENTITIES else lines(EVENTS)[1])
            sent += EVENTS
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
            if (now := time.monotonic() - began) > told + 1:
                told = now
                yield now, service.takes(), service.wal()


def test_made_up_entities_take_no_more_than_others_and_push_no_threat_out(
    service: ServiceProcess, estate: list[bytes]
) -> None:
    rate = LOAD * warmed_up(service, estate)
    worst, before = ranked(service)[:WORST], service.takes()
    seen = list(flooded(service, rate))
    left, after = ranked(service), service.takes()
    assert len(worst) == WORST
    assert [one for one in worst if not any(one & other for other in left)] == []
    assert max(wal for _, _, wal in seen) <= WAL
    assert (after.threads, after.files) <= (before.threads + SPARE, before.files + SPARE)
    half = seen[len(seen) // 2 :]
    slope = np.polyfit([at for at, _, _ in half], [takes.rss for _, takes, _ in half], 1)[0] if len(half) > 2 else 0.0
    tell(
        "soak",
        entities=ENTITIES,
        events_per_s=rate,
        seconds=seen[-1][0],
        rss_mb=[round(takes.rss) for _, takes, _ in seen[:: max(1, len(seen) // 20)]],
        rss_slope_mb_per_min=60 * float(slope),
        most_wal_mb=max(wal for _, _, wal in seen),
        threads=f"{before.threads} to {after.threads}",
        files=f"{before.files} to {after.files}",
    )
