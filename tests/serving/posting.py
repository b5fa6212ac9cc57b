"""A real server over a lookout, and how a test talks to it."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import uvicorn

from serving.endpoint import Lookout, application, listening

Answer = tuple[int, Any]


def event(number: int, **more: object) -> str:
    plain = {"class_uid": 4001, "time": 1_700_000_000_000 + number, "src_endpoint": {"ip": "10.0.0.1"}}
    return json.dumps(plain | {"metadata": {"uid": f"e{number}"}} | more)


@contextlib.contextmanager
def served(lookout: Lookout, spools: Path) -> Iterator[int]:
    """The port of a real server over `lookout`."""
    server = uvicorn.Server(uvicorn.Config(application(lookout, spools), log_level="critical", lifespan="off"))
    with listening("127.0.0.1", 0) as (socket, url):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield int(url.rpartition(":")[2])
        finally:
            server.should_exit = True
            thread.join(20)


def ask(port: int, method: str, target: str, body: bytes | str | None = None, **headers: str) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        kind = "application/json" if response.status == 200 else "application/problem+json"
        assert response.headers["content-type"] == kind
        return response.status, json.loads(response.read())


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(1500):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")
