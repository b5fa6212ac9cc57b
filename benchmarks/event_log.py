"""The event log: acknowledged appends a second, by how many are committed together and how many threads submit.

    python -m benchmarks.event_log [--seconds 3] [--folder .]

Entries are batches of 1,000 events, or single events, of a simulated estate of connections, packed beforehand; what
packing and reading take is below. Beside it: a transaction for each entry, which is a group of 1; and
`synchronous=NORMAL`, which does not wait for the disk and loses what it acknowledged when the power goes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from features.events import Domain, schema
from features.logs import Events
from serving.stream.event_log import EventLog
from serving.stream.group_commit import GroupCommit
from serving.stream.log_entries import START, Entry, Kind, Place, Receipt
from serving.stream.log_file import Connection, Cursor, Value, connect
from serving.stream.log_reader import LogReader
from serving.stream.packing import packed, unpacked

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_GROUPS = (1, 8, 64, 256)
#: Entries that a submitting thread leaves unanswered, as a server does.
_UNANSWERED = 32


@dataclass(frozen=True)
class Rate:
    """Entries in so many seconds, and the time to answer one, in order."""

    entries: int
    seconds: float
    waits: list[float]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, default=Path())
    asked = parser.parse_args()
    console = Console(width=160)
    table = Table(
        "entries of", "commits wait", "group", "threads", "entries/s", "events/s", "p50 ms", "p99 ms", box=MARKDOWN
    )
    for size in (1000, 1):
        entry = Entry(Kind.EVENTS, _NOW, "sensor", "tenant", packed(_events(size)), size, key="k")
        for is_safe, group, threads in _settings():
            with TemporaryDirectory(dir=asked.folder) as folder:
                rate = _rate(Path(folder) / "events.db", entry, is_safe, group, threads, asked.seconds)
            table.add_row(f"{size:,}", "yes" if is_safe else "no", f"{group}", f"{threads}", *_figures(rate, size))
    console.print(table)
    console.print(_beside(asked.folder))


def _settings() -> list[tuple[bool, int, int]]:
    safe = [(True, group, threads) for threads in (1, 8) for group in _GROUPS]
    return [*safe, (False, 1, 8), (False, 256, 8)]


def _figures(rate: Rate, size: int) -> tuple[str, ...]:
    each = rate.entries / rate.seconds
    half, most = np.quantile(rate.waits, [0.5, 0.99]) * 1000
    return f"{each:,.0f}", f"{each * size:,.0f}", f"{half:.1f}", f"{most:.1f}"


def _rate(path: Path, entry: Entry, is_safe: bool, group: int, threads: int, seconds: float) -> Rate:
    """How many entries are acknowledged by threads that each leave some unanswered."""
    with closing(EventLog(path, connect if is_safe else _careless)) as log:
        commits = GroupCommit(log, most_entries=group)
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            work = [pool.submit(_submit, commits, entry, f"{n}", started + seconds) for n in range(threads)]
        waits = [wait for one in work for wait in one.result()]
        took = time.perf_counter() - started
        commits.close()
    return Rate(len(waits), took, waits)


def _submit(commits: GroupCommit, entry: Entry, name: str, until: float) -> list[float]:
    """The time to answer each entry that was submitted until then."""
    waits: list[float] = []
    waiting: list[tuple[float, Future[Receipt]]] = []
    for number in count():
        if time.perf_counter() > until:
            break
        waiting.append((time.perf_counter(), commits.submit(replace(entry, key=f"{name} {number}"))))
        waiting[-1][1].add_done_callback(_heard(waiting[-1][0], waits))
        if len(waiting) == _UNANSWERED:
            waiting.pop(0)[1].result()
    for _, answer in waiting:
        answer.result()
    return waits


def _heard(submitted: float, waits: list[float]) -> Callable[[Future[Receipt]], None]:
    return lambda _: waits.append(time.perf_counter() - submitted)


def _careless(path: Path, is_writer: bool) -> Connection:
    return _Careless(connect(path, is_writer))


class _Careless:
    """A connection that is told not to wait for the disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.close, self.executemany = connection, connection.close, connection.executemany

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, values: Sequence[Value] = (), /) -> Cursor:
        return self._connection.execute(sql.replace("synchronous=FULL", "synchronous=NORMAL"), values)


def _beside(folder: Path) -> Table:
    """What it takes to pack, to read and check, to move into the lake and to read there."""
    batches = 1000
    events = _events(1000)
    table = Table("what", "events/s", "bytes/event", box=MARKDOWN)
    with TemporaryDirectory(dir=folder) as made:
        path = Path(made) / "events.db"
        payload = packed(events)
        table.add_row(
            "packed, 1,000 together", *_each(lambda: [packed(events) for _ in range(100)], 100_000, len(payload) / 1000)
        )
        table.add_row("unpacked", *_each(lambda: [unpacked(payload) for _ in range(100)], 100_000))
        entry = Entry(Kind.EVENTS, _NOW, "sensor", "tenant", payload, 1000)
        with closing(EventLog(path)) as log:
            for _ in range(batches // 100):
                log.append([entry] * 100)
            size = path.stat().st_size / batches / 1000
            table.add_row("read and checked", *_each(lambda: _read(path), batches * 1000, size))
            table.add_row("moved into the lake", *_each(lambda: log.move(batches), batches * 1000))
            size = sum(file.stat().st_size for file in Path(made).glob("lake/*/*")) / batches / 1000
            table.add_row("read and checked from the lake", *_each(lambda: _read(path), batches * 1000, size))
        table.add_row("opened, 1,000,000 events", f"{_seconds(lambda: EventLog(path).close()) * 1000:.0f} ms", "")
    return table


def _each(work: Callable[[], object], events: int, size: float | None = None) -> tuple[str, str]:
    return f"{events / _seconds(work):,.0f}", "" if size is None else f"{size:.0f}"


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _read(path: Path) -> Place:
    place = START
    with closing(LogReader(path)) as reader:
        while kept := reader.read(place):
            place = kept[-1].place
    return place


def _events(size: int) -> Events:
    """Connections of 200 hosts."""
    chance = np.random.default_rng(0)
    hosts, peers = (pl.Series(chance.integers(1, n, size)) for n in (200, 5000))
    known = pl.DataFrame(
        {
            "source": pl.repeat("sensor", size, eager=True),
            "line": pl.int_range(size, eager=True),
            "time": pl.Series(np.sort(chance.integers(0, 60_000_000, size)) + 1_767_225_600_000_000).cast(
                pl.Datetime("us", "UTC")
            ),
            "uid": [chance.bytes(9).hex() for _ in range(size)],
            "src_endpoint_ip": "10.0.0." + hosts.cast(pl.String),
            "dst_endpoint_ip": "172.16." + (peers // 250).cast(pl.String) + "." + (peers % 250).cast(pl.String),
            "src_endpoint_port": chance.integers(1024, 65_535, size),
            "dst_endpoint_port": chance.choice([53, 80, 443, 445], size),
            "duration": chance.exponential(2.0, size),
            "traffic_bytes_out": chance.integers(40, 100_000, size),
            "traffic_bytes_in": chance.integers(40, 1_000_000, size),
            "connection_info_protocol_name": pl.repeat("tcp", size, eager=True),
        }
    )
    columns = schema(Domain.NETWORK)
    return {
        Domain.NETWORK: known.select(
            pl.col(name).cast(kind) if name in known.columns else pl.lit(None, kind).alias(name)
            for name, kind in columns.items()
        )
    }


if __name__ == "__main__":
    main()
