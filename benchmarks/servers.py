"""Web servers side by side under the endpoint's two kinds of request: a batch of 360 kB, and a single event.

    python -m pip install granian hypercorn; python -m benchmarks.servers [--seconds 3] [--rounds 3]

Each serves the same application, which reads a body to its end and answers with its length, in a process of its own
over loopback; eight clients, each with one connection, post from this process. Reported for each: megabytes a second of
batches, single posts a second and their 99th percentile, CPU of the server for a post, and whether a connection that
sends half of its head is closed within 15 s. `impatient` is the endpoint's own protocol on top of uvicorn's with
httptools. Medians of rounds, in turn.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import numpy as np
import psutil
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

_BATCH, _SINGLE, _CLIENTS = 360_000, 100, 8
_SLOW_SECONDS = 15
_AT = "benchmarks.servers:application"
_ON = "127.0.0.1"
_SERVERS = {
    "impatient": ("-m", "benchmarks.servers", "--serve"),
    "uvicorn, httptools": (
        "-m",
        "uvicorn",
        _AT,
        "--http",
        "httptools",
        "--log-level",
        "error",
        "--host",
        _ON,
        "--port",
    ),
    "uvicorn, h11": ("-m", "uvicorn", _AT, "--http", "h11", "--log-level", "error", "--host", _ON, "--port"),
    "hypercorn": ("-m", "hypercorn", _AT, "--log-level", "error", "--bind"),
    "granian": ("-m", "granian", _AT, "--interface", "asgi", "--log-level", "error", "--host", _ON, "--port"),
}


async def _length(request: Request) -> PlainTextResponse:
    length = 0
    async for block in request.stream():
        length += len(block)
    return PlainTextResponse(str(length))


#: What all of them serve.
application = Starlette(routes=[Route("/", _length, methods=["POST"])])


@contextmanager
def _running(command: Sequence[str]) -> Iterator[tuple[int, psutil.Process]]:
    with closing(socket.create_server((_ON, 0))) as free:
        port = free.getsockname()[1]
    where = f"{_ON}:{port}" if command[-1] == "--bind" else str(port)
    process = subprocess.Popen([sys.executable, *command, where], env=os.environ)  # noqa: S603  # our own
    try:
        _wait(port)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection((_ON, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nobody listens on port {port}")


def _posts(port: int, size: int, seconds: float) -> tuple[list[float], float]:
    """Seconds that each post took, by all clients, and how long all of it took."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    def post() -> None:
        body = bytes(size)
        with closing(HTTPConnection(_ON, port, timeout=60)) as connection:
            while (began := time.perf_counter()) < end:
                connection.request("POST", "/", body)
                told = connection.getresponse().read()
                assert told == str(size).encode()  # noqa: S101  # else nothing was measured
                took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=post) for _ in range(_CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, time.perf_counter() - began


def _cpu(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family)


def _closes_the_slow(port: int) -> bool:
    with closing(socket.create_connection((_ON, port), _SLOW_SECONDS)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-")
        try:
            return slow.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def _round(command: Sequence[str], seconds: float) -> list[float]:
    with _running(command) as (port, process):
        _posts(port, _SINGLE, 0.5)
        before = _cpu(process)
        batches, whole = _posts(port, _BATCH, seconds)
        between = _cpu(process)
        singles, all_singles = _posts(port, _SINGLE, seconds)
        after = _cpu(process)
    return [
        len(batches) * _BATCH / whole / 1e6,
        1e3 * (between - before) / len(batches),
        len(singles) / all_singles,
        1e3 * (after - between) / len(singles),
        1e3 * float(np.quantile(singles, 0.99)),
    ]


def main() -> None:
    """Print the table, or serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=int, help="serve on this port with the endpoint's own protocol")
    asked = parser.parse_args()
    if asked.serve:
        from serving.api.listening import listening, server

        with listening(_ON, asked.serve) as (opened, _):
            server(application).run([opened])
        return
    measured: dict[str, list[list[float]]] = {name: [] for name in _SERVERS}
    for _ in range(asked.rounds):
        for name, command in _SERVERS.items():
            measured[name].append(_round(command, asked.seconds))
    heads = ("MB/s", "ms of CPU a batch", "single posts/s", "ms of CPU a post", "p99, ms", "closes the slow")
    table = Table("server", *heads, box=MARKDOWN)
    for name, command in _SERVERS.items():
        figures = [statistics.median(column) for column in zip(*measured[name], strict=True)]
        with _running(command) as (port, _):
            closes = "yes" if _closes_the_slow(port) else "no"
        table.add_row(name, *(f"{figure:,.2f}" if figure < 10 else f"{figure:,.0f}" for figure in figures), closes)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
