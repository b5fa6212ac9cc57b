"""The service, killed at any moment, has lost and doubled nothing, and ranks as if it had never been interrupted."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import msgspec

from models.registry import Registry
from serving.client.client import Client, NotTaken
from serving.client.sending import streamed
from serving.folding.fold import MOST, Fold
from serving.stream.log_reader import LogReader
from serving.stream.packing import unpacked
from tests.serving.logs_of_posts import kept_in, posts_of

KILLS = int(os.environ.get("SECMESH_SERVICE_KILLS", "2"))
POSTS = 12 * KILLS


class Service:
    """`secmesh serve` in a process of its own, on a port of its own."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", "import secmesh; secmesh.main()", "serve", "--port", "0", "--home", str(home)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[2].rstrip(";")

    def ask(self, path: str) -> Any:
        with closing(HTTPConnection(self.url.removeprefix("http://"), timeout=20)) as connection:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def ranked(self, position: int) -> bytes:
        """The threats, once all up to a position is ranked."""
        for _ in range(1200):
            with contextlib.suppress(OSError, HTTPException):
                told = self.ask("/v1/threats")
                if told["position"] >= position:
                    return msgspec.json.encode(told["threats"])
            time.sleep(0.1)
        raise AssertionError("it was never ranked")

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@contextlib.contextmanager
def running(home: Path) -> Iterator[Service]:
    service = Service(home)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait(60)


def folded(home: Path, registry: Registry) -> bytes:
    """What an uninterrupted fold of the log ranks."""
    fold = Fold(registry)
    for kept in kept_in(home / "var" / "events.db"):
        fold.take(kept)
    return msgspec.json.encode([threat.record() for threat in fold.council.rank(MOST)])


def test_killed_at_any_moment_it_loses_and_doubles_nothing(estate: Path, registry: Registry) -> None:
    home, chance = registry.home.var.parent, random.Random(7)  # noqa: S311  # no secret
    bodies = [streamed(frame) for post in posts_of(estate, 40 * POSTS, 40) for frame in post.values()]
    acknowledged: list[int] = []
    waiting = list(enumerate(bodies))
    for kill in range(KILLS + 1):
        with running(home) as service:
            is_last = kill == KILLS
            end = len(waiting) if is_last else len(bodies) // (KILLS + 1)
            client = Client(service.url, patience=0.2 if not is_last else 60.0)

            def post(client: Client = client, part: list[tuple[int, bytes]] = waiting[:end]) -> None:
                with contextlib.suppress(NotTaken), client:
                    for number, body in part:
                        client.post(body, kind="application/vnd.apache.arrow.stream")
                        acknowledged.append(number)

            posting = threading.Thread(target=post)
            posting.start()
            if is_last:
                posting.join(120)
                assert not posting.is_alive()
                with closing(LogReader(home / "var" / "events.db")) as log:
                    found = service.ranked(log.head().position)
                assert service.end(signal.SIGINT) == 0
            else:
                time.sleep(chance.uniform(0.0, 3.0))
                assert service.end(signal.SIGKILL) < 0
                posting.join(60)
        done = set(acknowledged)
        waiting = [pair for pair in waiting if pair[0] not in done]
    assert sorted(acknowledged) == list(range(len(bodies)))
    kept = [one for part in kept_in(home / "var" / "events.db") for one in part]
    uids = [uid for one in kept for frame in unpacked(one.entry.payload).values() for uid in frame["uid"]]
    assert len(uids) == sum(one.entry.events for one in kept)
    expected = [uid for post in posts_of(estate, 40 * POSTS, 40) for frame in post.values() for uid in frame["uid"]]
    assert sorted(uids) == sorted(expected)
    assert found == folded(home, registry)
    assert (home / "var" / "snapshots").exists()
