"""Who is slow to ask, or to read the answer, is hung up on, and whoever is not is answered all the while."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from threading import Event

from tests.reliability.figures import tell
from tests.reliability.service_process import ServiceProcess, beside, lines, wait_until

#: Connections in all; more by environment variable.
CONNECTIONS = int(os.environ.get("SECMESH_SLOW_CLIENTS", "40"))
#: Seconds until all should be closed, and much more, because tests run beside others.
GOAL, PATIENCE = 10, 60

_POST = b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer KEY\r\n"
_GET = b"GET /v1/openapi.json HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer KEY\r\n"
_UNREAD = "answers that nobody reads"
#: What is sent at once, and then again and again.
WAYS = {
    "nothing is sent": (b"", b""),
    "a method letter by letter": (b"P", b"O"),
    "headers letter by letter": (_POST, b"a"),
    "a body letter by letter": (_POST + b"content-length: 1000\r\n\r\n", b" "),
    "a body that never comes": (_POST + b"content-length: 1000\r\n\r\n", b""),
    "a body that is said to be large": (_POST + b"content-length: 60000000\r\n\r\n", b" "),
    "a body in chunks": (_POST + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body that waits to be asked for": (_POST + b"content-length: 1000\r\nexpect: 100-continue\r\n\r\n", b""),
    "a body that nobody wants": (_GET + b"content-length: 1000\r\n\r\n", b""),
    _UNREAD: ((_GET + b"\r\n") * 200, b""),
}


class Slow:
    """A connection that is slow in one way, and has room for little at its end."""

    def __init__(self, port: int, key: str, way: str) -> None:
        first, self._then = (part.replace(b"KEY", key.encode()) for part in WAYS[way])
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self._send(first)

    def go_on(self) -> None:
        self._send(self._then)

    def _send(self, data: bytes) -> None:
        with suppress(OSError):  # it is closed, or has no room
            self.socket.send(data)


def test_slow_connections_are_closed_and_others_are_answered_meanwhile(
    service: ServiceProcess, key_for: Callable[[str], str]
) -> None:
    statuses, took = list[int](), list[float]()

    def ask(is_over: Event) -> None:
        """An honest client, which takes a new connection each time."""
        while not is_over.wait(0.1):
            began = time.monotonic()
            statuses.append(service.ask("POST", "/v1/events", lines(1)[1]).status)
            took.append(time.monotonic() - began)

    def are_closed() -> bool:
        for one in slow:
            one.go_on()
        time.sleep(0.3)
        return service.connections() <= 1  # that of the honest client

    each = CONNECTIONS // len(WAYS)
    keys = {way: [key_for(f"slow-{n}") if way == _UNREAD else service.key or "" for n in range(each)] for way in WAYS}
    slow = list[Slow]()
    with ExitStack() as opened, beside(ask):
        began = time.monotonic()
        for way, theirs in keys.items():
            slow += [Slow(service.port, key, way) for key in theirs]
        for one in slow:
            opened.callback(one.socket.close)
        wait_until(lambda: service.connections() >= len(slow), PATIENCE)
        wait_until(are_closed, PATIENCE)
        seconds = time.monotonic() - began
    assert set(statuses) == {200}
    tell("slow clients", connections=len(slow), closed_after_s=seconds, goal_s=GOAL, longest_honest_s=max(took))
