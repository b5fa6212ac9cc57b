"""How long a service that was killed takes to go on, with a long log behind it.

    python -m benchmarks.restart [--events 1000000] [--batch 1000] [--restarts 5]

A simulated estate's events, over and over, are appended to a log, a service ranks all of them, and is killed. For each
restart some more events are posted, so that there is something that no snapshot has, and it is killed again. Reported,
from the start of the process, the median and the longest: seconds until it takes events, until it is ready (takes and
scores them), and until all is ranked.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.service import Service
from features.logs import Events, cut, read_logs
from serving.access.policy import MAIN
from serving.stream.event_log import EventLog
from serving.stream.log_entries import Entry, Kind
from serving.stream.marks import marks_of, without
from serving.stream.packing import packed
from training.simulation import simulate

_MORE = b'{"class_uid":4001,"time":%d,"src_endpoint":{"ip":"10.0.0.1"},"metadata":{"uid":"more-%d"}}'
_LATEST = 1_900_000_000_000  # March 2030, in milliseconds
_STAGES = ("takes events", "is ready", "has ranked all")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=5)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        simulate(Path(folder) / "logs", seed=1, days=7)
        posts = list(cut(read_logs([Path(folder) / "logs"]).events, asked.batch))
        _write(home / "var" / "events.db", posts, asked.events)
        with _at_work(home) as service:
            print(f"the first start: {_seconds(service)[-1]:,.0f} s until all is ranked", flush=True)
        took = [_restarted(home, number) for number in range(asked.restarts)]
    table = Table(f"after kill -9, with {asked.events:,} events in the log", "median, s", "longest, s", box=MARKDOWN)
    for stage, seconds in zip(_STAGES, zip(*took, strict=True), strict=True):
        table.add_row(stage, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}")
    Console(width=120).print(table)
    print(f"{os.cpu_count()} cores; load of the last 15 minutes: {os.getloadavg()[2]:.1f}")


def _write(path: Path, posts: Sequence[Events], events: int) -> None:
    """A log of so many events: those of the posts, and again each week."""
    with closing(EventLog(path)) as log:
        weeks = (timedelta(days=7 * (n // len(posts))) for n in count())
        for post, later in zip(cycle(posts), weeks, strict=True):
            if log.head().events >= events:
                return
            log.append([_entry({domain: frame.with_columns(pl.col("time") + later) for domain, frame in post.items()})])


def _entry(events: Events) -> Entry:
    height = sum(frame.height for frame in events.values())
    marks, now = marks_of(events), datetime.now(UTC)
    thinned = partial(_thinned, events)
    return Entry(Kind.EVENTS, now, "restart", MAIN, packed(events), height, marks=marks, thinned=thinned)


def _thinned(events: Events, is_known_B: NDArray[np.bool_]) -> bytes:
    return packed(without(events, is_known_B))


def _restarted(home: Path, number: int, more: int = 1000) -> tuple[float, ...]:
    """Post some events to a service, kill it a moment after, and have another one go on."""
    lines = b"\n".join(_MORE % (_LATEST + number * more + n, number * more + n) for n in range(more))
    with _at_work(home) as service, closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
        _seconds(service)
        connection.request("POST", "/v1/events?format=ocsf", lines)
        connection.getresponse().read()
    with _at_work(home) as service:
        return _seconds(service)


@contextmanager
def _at_work(home: Path) -> Iterator[Service]:
    """A service that is killed at the end."""
    service = Service(home)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


def _seconds(service: Service) -> tuple[float, ...]:
    """Seconds from its start until a service takes events, is ready, and has ranked all."""
    took: list[float] = []
    while len(took) < len(_STAGES):
        with suppress(OSError, HTTPException):
            told = service.get("/readyz")
            come = (True, told["status"] == "ready", told["status"] == "ready" and told["ranked"] == told["events"])
            took += [time.perf_counter() - service.began] * (sum(come) - len(took))
        time.sleep(0.01)
    return tuple(took)


if __name__ == "__main__":
    main()
