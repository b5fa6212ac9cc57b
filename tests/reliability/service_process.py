"""`secmesh serve` in a process of its own, as a test talks to it, measures it and takes its disk away."""

import contextlib
import itertools
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, Self

from prometheus_client.parser import text_string_to_metric_families

from models.home import Home
from serving.stream.packing import unpacked
from tests.serving.logs_of_posts import kept_in

_COMMAND = (sys.executable, "-c", "import secmesh; secmesh.main()", "serve", "--port", "0", "--home")
_LISTENING = "0A"
_NUMBERS = itertools.count()
_START = 1_772_400_000_000  # 1 March 2026, in milliseconds


@dataclass(frozen=True)
class Heard:
    """An answer: status, headers with small names, and what it says, as JSON or text."""

    status: int
    headers: Mapping[str, str]
    told: Any

    def is_refusal(self) -> bool:
        """Whether it says, as RFC 9457 has it, that the same may be sent again later."""
        is_told = self.headers["content-type"] == "application/problem+json" and self.told["status"] == self.status
        return self.status in (429, 503) and is_told and self.headers.get("retry-after", "").isdecimal()


def read_answer(file: IO[bytes]) -> Heard:
    """The next of the answers that come on a connection."""
    status = int(file.readline().split()[1])
    headers = dict(line.decode().rstrip().lower().split(": ", 1) for line in iter(file.readline, b"\r\n"))
    return Heard(status, headers, json.loads(file.read(int(headers["content-length"]))))


@dataclass(frozen=True)
class Takes:
    """What processes take of the machine: megabytes in memory, threads, and open files."""

    rss: float
    threads: int
    files: int

    @classmethod
    def of(cls, process: int) -> Self:
        """What one takes now."""
        status = Path(f"/proc/{process}/status").read_text()
        told = dict(line.split(":", 1) for line in status.splitlines())
        files = len(os.listdir(f"/proc/{process}/fd"))
        return cls(int(told["VmRSS"].split()[0]) / 1024, int(told["Threads"]), files)

    def __add__(self, other: "Takes") -> "Takes":
        return Takes(self.rss + other.rss, self.threads + other.threads, self.files + other.files)


class Caller:
    """A connection of somebody who has a key, opened again where it was closed; for one thread."""

    def __init__(self, port: int, key: str | None = None) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Heard:
        """What is answered; headers are written with _ for -."""
        named = self._headers | {name.replace("_", "-"): text for name, text in headers.items()}
        self._connection.request(method, target, body, named)
        response = self._connection.getresponse()
        content, kind = response.read(), response.headers["content-type"]
        told = json.loads(content) if kind.endswith("json") else content.decode()
        return Heard(response.status, {name.lower(): text for name, text in response.headers.items()}, told)

    def close(self) -> None:
        self._connection.close()


class ServiceProcess:
    """A service at work over a home, and the lines that it said of what went wrong."""

    def __init__(self, home: Home, key: str | None = None) -> None:
        self.home, self.key, self.said = home, key, list[str]()
        command, pipe = [*_COMMAND, str(home.var.parent)], subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)  # noqa: S603  # our own
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        threading.Thread(target=self._hear, args=(self.process.stderr,), daemon=True).start()
        self.port = int(self.process.stdout.readline().split()[2].rstrip(";").rpartition(":")[2])

    @property
    def log(self) -> Path:
        return self.home.var / "events.db"

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Heard:
        """What is answered to who has the key, on a connection of its own."""
        with closing(Caller(self.port, self.key)) as caller:
            return caller.ask(method, target, body, **headers)

    def counts(self) -> "Counts":
        """What its metrics say now."""
        return Counts(self.ask("GET", "/metrics").told)

    def has_come(self, stage: str) -> bool:
        """Whether a detector is at work, and all of the log has come to a stage."""
        heard = self.ask("GET", "/readyz")
        return heard.status == 200 and bool(heard.told[stage] == heard.told["events"])

    def children(self) -> list[int]:
        """The processes that it has at work beside itself."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def detectors(self) -> list[int]:
        """Those of them that detect: one, or none for a moment."""
        return [child for child in self.children() if b"folding.detector" in _command(child)]

    def takes(self) -> Takes:
        """What door and detector take."""
        return sum(map(Takes.of, self.detectors()), Takes.of(self.process.pid))

    def connections(self) -> int:
        """Connections that it has open."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = (row for row in rows if row[1].endswith(f":{self.port:04X}") and row[3] != _LISTENING)
        return sum(row[9] != "0" for row in ours)  # those of which no process knows have no inode

    def wal(self) -> float:
        """Megabytes of the write-ahead log."""
        return self.log.with_name(f"{self.log.name}-wal").stat().st_size / 1e6

    @contextlib.contextmanager
    def no_file_beyond(self, size: int, process: int | None = None) -> Iterator[None]:
        """Have its disk, or that of one of its processes, take no byte of any file behind the first `size`."""
        limited, unlimited = process or self.process.pid, resource.RLIM_INFINITY
        resource.prlimit(limited, resource.RLIMIT_FSIZE, (size, unlimited))
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(limited, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    def kept(self) -> list[str]:
        """The uids of all events in the log, in order."""
        entries = (one.entry for part in kept_in(self.log) for one in part if one.entry.events)
        return [uid for entry in entries for frame in unpacked(entry.payload).values() for uid in frame["uid"]]

    def _hear(self, words: IO[str]) -> None:
        for line in words:
            self.said.append(line)


class Counts:
    """A page of metrics."""

    def __init__(self, page: str) -> None:
        self._samples = [one for family in text_string_to_metric_families(page) for one in family.samples]

    def sum(self, name: str, **labels: str) -> int:
        """All series of a name that have these labels, together."""
        found = (one.value for one in self._samples if one.name == name and labels.items() <= one.labels.items())
        return int(sum(found))


def _command(process: int) -> bytes:
    with contextlib.suppress(OSError):  # it is gone
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


@contextlib.contextmanager
def at_work(home: Home, key: str | None = None) -> Iterator[ServiceProcess]:
    """A service that scores, and is killed at the end if it is still there."""
    service = ServiceProcess(home, key)
    try:
        wait_until(lambda: service.has_come("detected"))
        yield service
    finally:
        service.process.kill()
        service.process.wait(60)


def wait_until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something, at most so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if is_so():
                return
        time.sleep(0.05)
    raise AssertionError("it never came to be")


def lines(count: int, entity: Callable[[int], str] = lambda number: "10.0.0.1") -> tuple[list[str], bytes]:
    """So many events as lines of OCSF, with the uids that they have in the log; none was there before."""
    numbers = list(itertools.islice(_NUMBERS, count))
    line = '{"class_uid":4001,"time":%d,"src_endpoint":{"ip":"%s"},"metadata":{"uid":"n%d"}}'
    return [f"n{n}" for n in numbers], "\n".join(line % (_START + n, entity(n), n) for n in numbers).encode()


@contextlib.contextmanager
def beside(work: Callable[[threading.Event], object], threads: int = 1) -> Iterator[None]:
    """Have threads work until the end of the context, which sets the event that they get; what they raise is raised."""
    is_over, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(is_over)
        except BaseException as error:
            failed.append(error)

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in started:
            thread.join()
    if failed:
        raise failed[0]
