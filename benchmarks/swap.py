"""Seconds from a promotion to the first verdict of the new release, while events are posted without a pause.

    python -m benchmarks.swap [--promotions 10] [--events 1000]

A simulated estate is learned twice, as two releases of all six domains. A server takes the estate's events over
loopback, in posts of so many; meanwhile the champion's alias is moved to the one release and to the other, at another
moment each time. A post is answered by one release: the table says how long after the alias had moved the first answer
of the new one came, how long the posts took that were under way when agents changed, and whether an event was lost or
scored twice.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.terminal import warn
from features.logs import read_logs
from models.home import Home
from models.registry import CHAMPION, Registry
from models.releases import NAME, Release, find, promote
from serving.api.listening import listening
from serving.api.service import Stop, serve
from training.jobs import train
from training.simulation import simulate

_DEADLINE = 60.0
_PAUSE = 2.0


@dataclass(frozen=True)
class Answer:
    """A post: when it was sent and answered, by which release, and the numbers of its verdicts."""

    sent: float
    answered: float
    release: int | None
    uids: tuple[str, ...]
    seqs: tuple[int, ...]


@dataclass
class Client:
    """Posts events from a thread, one post after another."""

    port: int
    lines: list[str]
    size: int
    answers: list[Answer] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Post until it is over."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE)) as connection:
            numbers = count()
            while not self.is_over.is_set():
                body = "\n".join(self._event(next(numbers)) for _ in range(self.size))
                sent = time.perf_counter()
                connection.request("POST", "/v1/events?score=true&format=ocsf", body)
                told = json.loads(connection.getresponse().read())
                self.answers.append(_answer(sent, told))

    def wait_for(self, release: int | None, since: float) -> float:
        """Seconds from `since` until the first answer by `release`."""
        while time.perf_counter() - since < _DEADLINE:
            for answer in reversed(self.answers):
                if answer.answered < since:
                    break
                if answer.release == release:
                    return min(a.answered for a in self.answers if a.release == release and a.answered > since) - since
            time.sleep(0.005)
        raise TimeoutError(f"release {release} did not score within {_DEADLINE} s")

    def _event(self, number: int) -> str:
        """The estate's events over and over, each with a number of its own."""
        return self.lines[number % len(self.lines)].replace('"uid":"', f'"uid":"{number}-', 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promotions", type=int, default=10)
    parser.add_argument("--events", type=int, default=1000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        logs, registry = Path(folder) / "logs", Registry(Home.at(Path(folder)))
        simulate(logs, seed=1, days=3)
        releases = _releases(logs, registry)
        lines = [line for log in sorted(logs.glob("*.jsonl")) for line in log.read_text().splitlines()]
        with _served(registry) as port:
            client = Client(port, lines, asked.events)
            thread = threading.Thread(target=client.run)
            thread.start()
            try:
                seconds = [_promoted(registry, client, releases[k % 2]) for k in range(asked.promotions)]
            finally:
                client.is_over.set()
                thread.join()
    _print(seconds, client)


def _releases(logs: Path, registry: Registry) -> list[Release]:
    """Two releases of all domains; the second is the champion."""
    events = read_logs(sorted(logs.glob("*.jsonl"))).events
    past = {domain: frame.head(frame.height // 2) for domain, frame in events.items()}
    releases = [train(past, registry, seed=seed, epochs=2).release for seed in (0, 1)]
    promote(registry, releases[1], reason="a measurement")
    return releases


@contextmanager
def _served(registry: Registry) -> Iterator[int]:
    """The port of a service that follows promotions, once its detector is at work."""
    begun: Future[Stop] = Future()
    with listening("127.0.0.1", 0) as (socket, url):
        thread = threading.Thread(target=lambda: serve(registry.home, socket, warn, begun=begun.set_result))
        thread.start()
        stop, port = begun.result(), int(url.rpartition(":")[2])
        try:
            while _asked(port, "/v1/release")["release"] is None:
                time.sleep(0.1)
            yield port
        finally:
            stop()
            thread.join()


def _asked(port: int, path: str) -> dict[str, Any]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)) as connection:
        connection.request("GET", path)
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told


def _promoted(registry: Registry, client: Client, release: Release) -> float:
    """Promote after a while, and the seconds from the alias's move to the first verdict of the new release."""
    time.sleep(_PAUSE + len(client.answers) % 10 / 10)
    moved = [0.0]
    watcher = threading.Thread(target=_watch, args=(registry, release.number, moved))
    watcher.start()
    promote(registry, find(registry, release.number), reason="a measurement")
    watcher.join()
    return client.wait_for(release.number, moved[0])


def _watch(registry: Registry, number: int, moved: list[float]) -> None:
    """Note when the alias is seen at `number`: promoting goes on for a while after it has moved."""
    while registry.alias(NAME, CHAMPION) != number:
        time.sleep(0.01)
    moved[0] = time.perf_counter()


def _answer(sent: float, told: dict[str, Any]) -> Answer:
    verdicts = told["verdicts"]
    uids, seqs = (tuple(verdict[name] for verdict in verdicts) for name in ("uid", "seq"))
    return Answer(sent, time.perf_counter(), verdicts[0]["release"], uids, seqs)


def _print(seconds: list[float], client: Client) -> None:
    scored = [uid for answer in client.answers for uid in answer.uids]
    seqs = {seq for answer in client.answers for seq in answer.seqs}
    posted = len(client.answers) * client.size
    took = [answer.answered - answer.sent for answer in client.answers]
    pairs = zip(client.answers, client.answers[1:], strict=False)
    first = [after.answered - after.sent for before, after in pairs if after.release != before.release]
    table = Table("what", "figure", box=MARKDOWN)
    for name, figure in (
        ("promotions under a steady stream", f"{len(seconds)}"),
        ("seconds from the alias's move to the first verdict of the new release, median", _seconds(seconds)),
        ("the same, worst", f"{max(seconds):.2f}"),
        (f"seconds a post of {client.size:,} events takes, median", _seconds(took)),
        ("the first post of a new release, median", _seconds(first)),
        ("the same, worst", f"{max(first):.2f}"),
        ("events posted", f"{posted:,}"),
        ("events scored", f"{len(scored):,}"),
        ("lost", f"{posted - len(set(scored)):,}"),
        ("doubled", f"{len(scored) - len(set(scored)) + len(scored) - len(seqs):,}"),
        ("events a second, posted and answered with their verdicts", f"{_rate(client.answers):,.0f}"),
    ):
        table.add_row(name, figure)
    Console(width=140).print(table)


def _seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}"


def _rate(answers: list[Answer]) -> float:
    return sum(len(answer.uids) for answer in answers) / (answers[-1].answered - answers[0].sent)


if __name__ == "__main__":
    main()
