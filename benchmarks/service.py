"""The service under load: events a second durable and scored over HTTP, seconds until they are ranked, and a restart.

    python -m benchmarks.service [--events 200000] [--batch 1000] [--clients 2] [--arrow]

A simulated estate's events are posted to `secmesh serve`, a process of its own, over loopback from the same machine; no
release is there, so online models score alone. Reported: events a second until the last is acknowledged, and until it
is scored; the time of posts; then, at 70 % of that rate, the time from a single event's post until it is ranked, and of
such posts; after a kill -9, the time until the service takes events and until all is ranked again. With `--arrow`
batches are Arrow streams of one domain each, as `secmesh send` makes them, instead of OCSF lines of all domains.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from features.logs import read_logs
from serving.client.sending import ARROW, streamed
from training.simulation import simulate

_SERVE = "import secmesh; secmesh.main()"
_RATE = 0.7
_SECONDS = 30.0
_LINE = b'{"class_uid":4001,"time":%d,"src_endpoint":{"ip":"10.0.0.1"},"metadata":{"uid":"single-%d"}}'


class Service:
    """`secmesh serve` in a process of its own."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", _SERVE, "serve", "--port", "0", "--home", str(home)]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
        assert self.process.stdout is not None  # noqa: S101  # it is a pipe
        self.port = int(self.process.stdout.readline().split("127.0.0.1:")[1].split(";")[0])

    def get(self, path: str) -> dict[str, Any]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told

    def spent(self) -> tuple[float, float, float]:
        """Seconds of CPU that the door, the detector and this process have used."""
        processes = psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(), psutil.Process()
        door, detector, *_, client = (process.cpu_times() for process in processes)
        return sum(door[:2]), sum(detector[:2]), sum(client[:2])

    def wait(self, events: int, stage: str) -> float:
        """The moment when so many events have come to a stage."""
        while True:
            with suppress(OSError, HTTPException):
                if self.get("/readyz").get(stage, 0) >= events:
                    return time.perf_counter()
            time.sleep(0.02)


@contextmanager
def _running(home: Path) -> Iterator[Service]:
    service = Service(home)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--arrow", action="store_true")
    asked = parser.parse_args()
    kind = ARROW if asked.arrow else "application/x-ndjson"
    table = Table("what", "figure", box=MARKDOWN)
    with TemporaryDirectory() as folder:
        bodies = list(_bodies(Path(folder) / "logs", asked.events, asked.batch))
        if asked.arrow:
            bodies = list(_arrow(bodies, Path(folder) / "lines", asked.batch))
        home = Path(folder) / "home"
        with _running(home) as service:
            service.wait(0, "detected")
            _post(service, bodies[:5], kind)
            service.wait(5 * asked.batch, "ranked")
            spent = service.spent()
            began = time.perf_counter()
            flood, rest = bodies[5 : len(bodies) * 2 // 3], bodies[len(bodies) * 2 // 3 :]
            took = _flood(service, flood, asked.clients, kind)
            acknowledged = time.perf_counter()
            events = len(flood) * asked.batch
            scored = service.wait(events + 5 * asked.batch, "detected")
            table.add_row("events/s until acknowledged", f"{events / (acknowledged - began):,.0f}")
            rate = events / (scored - began)
            table.add_row("events/s until scored", f"{rate:,.0f}")
            table.add_row("post of a batch, median and p99, ms", _quantiles(took))
            each = [1e6 * (now - before) / events for now, before in zip(service.spent(), spent, strict=True)]
            table.add_row("CPU, ms/1,000 events: door, detector, client", ", ".join(f"{ms:.1f}" for ms in each))
            service.wait(events + 5 * asked.batch, "ranked")
            single, visible = _steady(service, rest, _RATE * rate, asked.batch, kind)
            table.add_row("at 70 %: accepted to ranked, median and p99, ms", _quantiles(visible))
            table.add_row("at 70 %: single-event post, median and p99, ms", _quantiles(single))
            total = service.get("/readyz")["events"]
            service.process.send_signal(signal.SIGKILL)
        again = []
        with _running(home) as service:
            while True:
                with suppress(OSError, HTTPException):
                    service.get("/healthz")
                    break
            again.append(time.perf_counter() - service.began)
            service.wait(total, "ranked")
            table.add_row("after kill -9: takes events, s", f"{again[0]:.1f}")
            table.add_row(f"after kill -9: all {total:,} ranked, s", f"{time.perf_counter() - service.began:.1f}")
    Console(width=120).print(table)


def _bodies(logs: Path, events: int, batch: int) -> Iterator[bytes]:
    """Batches of lines of all domains by time, each event with a number of its own."""
    simulate(logs, seed=1, days=7)
    lines = [line for log in sorted(logs.glob("*.jsonl")) for line in log.read_text().splitlines()]
    lines.sort(key=lambda line: json.loads(line)["time"])
    numbered = (line.replace('"uid":"', f'"uid":"{n}-', 1) for n, line in enumerate(islice(cycle(lines), events)))
    while part := list(islice(numbered, batch)):
        yield "\n".join(part).encode()


def _arrow(bodies: Sequence[bytes], path: Path, batch: int) -> Iterator[bytes]:
    """The same events as Arrow streams of one domain each."""
    path.write_bytes(b"\n".join(bodies))
    events = read_logs([path], "ocsf").events
    parts = [frame[start : start + batch] for frame in events.values() for start in range(0, frame.height, batch)]
    for part in sorted((one for one in parts if one.height == batch), key=lambda one: one["time"][0]):
        yield streamed(part)


def _post(service: Service, bodies: Sequence[bytes], kind: str) -> list[float]:
    took = []
    with closing(HTTPConnection("127.0.0.1", service.port, timeout=120)) as connection:
        for body in bodies:
            began = time.perf_counter()
            connection.request("POST", "/v1/events", body, {"content-type": kind})
            response = connection.getresponse()
            told = response.read()
            if response.status == 200:
                took.append(time.perf_counter() - began)
            else:
                print(response.status, told[:200])
                time.sleep(float(response.headers.get("retry-after", 1)))
    return took


def _flood(service: Service, bodies: Sequence[bytes], clients: int, kind: str) -> list[float]:
    took: list[float] = []
    threads = [
        threading.Thread(target=lambda part: took.extend(_post(service, part, kind)), args=(bodies[n::clients],))
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _steady(
    service: Service, bodies: Sequence[bytes], rate: float, batch: int, kind: str
) -> tuple[list[float], list[float]]:
    """Times of single posts, and from accepted to ranked, at a rate of events a second."""
    single: list[float] = []
    visible: list[float] = []
    is_over = threading.Event()

    def watch() -> None:
        """How long after its post a single event is ranked: the ranking's position is asked for until it has come."""
        number = 0
        while not is_over.is_set():
            number += 1
            line = _LINE % (1_772_400_000_000 + number, number)
            began = time.perf_counter()
            with closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
                connection.request("POST", "/v1/events?format=ocsf", line)
                told = json.loads(connection.getresponse().read())
            single.append(time.perf_counter() - began)
            service.wait(told["first"], "ranked")
            visible.append(time.perf_counter() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    end, n = time.perf_counter() + _SECONDS, 0
    began = time.perf_counter()
    while time.perf_counter() < end and n < len(bodies):
        _post(service, [bodies[n]], kind)
        n += 1
        time.sleep(max(0.0, began + n * batch / rate - time.perf_counter()))
    is_over.set()
    watcher.join()
    return single, visible


def _quantiles(seconds: Sequence[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.0f}, {1e3 * float(np.quantile(seconds, 0.99)):.0f}"


if __name__ == "__main__":
    main()
