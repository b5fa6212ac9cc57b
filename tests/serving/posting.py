"""A service on a real socket, with its detector or without, and how a test talks to it."""

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from models.home import Home
from serving.access.audit import Audit
from serving.access.audit_lines import audit_key, audit_path
from serving.access.keys import Keyring, keys_path
from serving.access.policy import MAIN
from serving.api.clerk import Clerk
from serving.api.door import Door
from serving.api.endpoint import WAYS, application
from serving.api.gate import Gate
from serving.api.listening import listening, server
from serving.api.metrics import Metrics
from serving.api.service import Stop, serve
from serving.say import Say

Answer = tuple[int, Any]

_NUMBERS = itertools.count(1_000_000)


def event(number: int, **more: object) -> str:
    plain = {"class_uid": 4001, "time": 1_700_000_000_000 + number, "src_endpoint": {"ip": "10.0.0.1"}}
    return json.dumps(plain | {"metadata": {"uid": f"e{number}"}} | more)


def new(count: int = 1) -> str:
    """So many events that no test has posted before, as lines."""
    return "".join(f"{event(next(_NUMBERS))}\n" for _ in range(count))


@dataclass
class Served:
    """A service at work, and what it said."""

    port: int
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, target: str, body: bytes | str | None = None, **headers: str) -> Answer:
        """The status and the JSON of an answer; headers are written with _ for -."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, target, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            kind = "application/json" if response.status == 200 else "application/problem+json"
            assert response.headers["content-type"] == kind
            return response.status, json.loads(response.read())

    def place(self) -> tuple[int, int]:
        """The position of the log and how many events are in it."""
        _, told = self.ask("GET", "/readyz")
        return told["position"], told["events"]

    def is_ranked(self) -> bool:
        """Whether all that is in the log is ranked."""
        status, told = self.ask("GET", "/readyz")
        return status == 200 and told["events"] == told["ranked"]


@contextlib.contextmanager
def served(home: Home) -> Iterator[Served]:
    """A service over a home, which answers at once; its detector takes some seconds."""
    begun: Future[Stop] = Future()
    with listening("127.0.0.1", 0) as (socket, url):
        service = Served(_port(url))

        def run() -> None:
            serve(home, socket, lambda lines, kind: service.said.extend(lines), begun=begun.set_result)

        thread = threading.Thread(target=run)
        thread.start()
        stop = begun.result(30)
        try:
            yield service
        finally:
            stop()
            thread.join(60)


@contextlib.contextmanager
def gate_of(home: Home, tenant: str = MAIN, say: Say = lambda lines, kind: None) -> Iterator[Gate]:
    """The gate of a home, behind which no detector is at work."""
    door = Door(home, say)
    try:
        metrics = Metrics(CollectorRegistry(), [way.path for way in WAYS])
        with contextlib.closing(Clerk(Audit(audit_path(home), audit_key(home)), tenant, say)) as clerk:
            keys = Keyring(keys_path(home), tenant)
            yield Gate(door, keys, "127.0.0.1", metrics, home.var / "spool", clerk, tenant)
    finally:
        door.__exit__()


@contextlib.contextmanager
def gated(home: Home, tenant: str = MAIN) -> Iterator[tuple[Starlette, Door]]:
    """The application over a home, and its door, behind which no detector is at work."""
    with gate_of(home, tenant) as gate:
        yield application(gate), gate.door


@contextlib.contextmanager
def taking(home: Home, port: int = 0, tenant: str = MAIN) -> Iterator[Served]:
    """A service over a home that takes events and never scores any."""
    said: list[str] = []
    with (
        gate_of(home, tenant, lambda lines, kind: said.extend(lines)) as gate,
        listening("127.0.0.1", port) as (socket, url),
    ):
        web = server(application(gate), stopping=gate.close)
        thread = threading.Thread(target=web.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield Served(_port(url), said)
        finally:
            web.should_exit = True
            thread.join(60)


@dataclass(frozen=True)
class Heard:
    """An answer: status, headers with small names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call(
    routes: Starlette,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    client: str = "127.0.0.1",
) -> Heard:
    """What an application answers to a request, without a socket; whoever asked is gone once the body was read."""
    path, _, query = target.partition("?")
    sent: list[Any] = []
    pending = [{"type": "http.request", "body": body, "more_body": False}]
    named = {"host": "localhost"} | dict(headers or {})

    async def receive() -> Any:
        return pending.pop() if pending else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in named.items()],
        "client": (client, 1),
        "server": ("127.0.0.1", 1),
    }
    asyncio.run(routes(scope, receive, send))
    told = {name.decode(): text.decode("latin-1") for name, text in sent[0]["headers"]}
    return Heard(sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent[1:]))


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def home_of(path: Path) -> Home:
    """A home where nothing was made yet."""
    path.mkdir()
    return Home.at(path)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
