"""A flood costs those who flood: each request is taken or refused in words, all are counted, and others get through."""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from threading import Event

import numpy as np

from tests.reliability.figures import tell
from tests.reliability.service_process import Caller, Heard, ServiceProcess, beside, lines, read_answer

#: Seconds of flood, and connections that post large bodies; more by environment variable.
SECONDS = float(os.environ.get("SECMESH_OVERLOAD_SECONDS", "1"))
LARGE = int(os.environ.get("SECMESH_OVERLOAD_CLIENTS", "4"))
#: Small requests that are sent at once, and events of a large body.
AT_ONCE, EVENTS = 100, 1000

Told = list[Heard]


def small(service: ServiceProcess, told: Told) -> Callable[[Event], None]:
    """Small requests without a key, many at once and without waiting for the answers."""
    asked = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n" * AT_ONCE

    def flood(is_over: Event) -> None:
        with socket.create_connection(("127.0.0.1", service.port)) as connection, connection.makefile("rb") as file:
            while not is_over.wait(0.01):
                connection.sendall(asked)
                told.extend(read_answer(file) for _ in range(AT_ONCE))

    return flood


def large(service: ServiceProcess, key: str, told: Told) -> Callable[[Event], None]:
    """Posts of many events, one after another."""

    def flood(is_over: Event) -> None:
        with closing(Caller(service.port, key)) as caller:
            while not is_over.is_set():
                told.append(caller.ask("POST", "/v1/events?format=ocsf", lines(EVENTS)[1]))

    return flood


def steadily(service: ServiceProcess, key: str, told: Told, took: list[float]) -> Callable[[Event], None]:
    """A principal that posts ten events ten times a second."""

    def post(is_over: Event) -> None:
        with closing(Caller(service.port, key)) as caller:
            while not is_over.wait(0.1):
                began = time.perf_counter()
                told.append(caller.ask("POST", "/v1/events?format=ocsf", lines(10)[1]))
                took.append(time.perf_counter() - began)

    return post


def test_a_flood_is_refused_in_words_and_counted_and_who_does_not_flood_gets_through(
    service: ServiceProcess, key_for: Callable[[str], str]
) -> None:
    key, quiet, honest, floods = key_for("honest"), Told(), Told(), Told()
    before, rss, calm, during = service.counts(), [service.takes().rss], list[float](), list[float]()
    with beside(steadily(service, key, quiet, calm)):
        time.sleep(SECONDS / 3)
    with ExitStack() as at_once:
        at_once.enter_context(beside(small(service, floods), 2))
        at_once.enter_context(beside(large(service, key_for("large"), floods), LARGE))
        at_once.enter_context(beside(steadily(service, key, honest, during)))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.2)
            rss.append(service.takes().rss)
    told, after = quiet + honest + floods, service.counts()

    def counted(name: str, **labels: str) -> int:
        return after.sum(name, **labels) - before.sum(name, **labels)

    def answered(**labels: str) -> int:
        return sum(counted("secmesh_requests_total", route=route, **labels) for route in ("/v1/events", "/healthz"))

    taken = [one for one in told if one.status == 200]
    assert all(one.is_refusal() for one in told if one.status != 200)
    assert answered() == len(told)
    assert answered(status="2xx") == len(taken)
    assert counted("secmesh_requests_shed_total") == len(told) - len(taken) > 0
    assert counted("secmesh_events_accepted_total") == sum(one.told.get("accepted", 0) for one in taken)
    assert sum(one.status == 200 for one in honest) >= 0.99 * len(honest) > 0
    tell(
        "overload",
        sent_per_taken=len(told) / len(taken),
        honest_taken=sum(one.status == 200 for one in honest) / len(honest),
        honest_p99_s=float(np.quantile(during, 0.99)),
        honest_p99_without_flood_s=float(np.quantile(calm, 0.99)),
        most_rss_to_rss_before=max(rss) / rss[0],
        statuses=str(Counter(one.status for one in told)),
    )
