"""The door's speed: each log format as secmesh reads it, beside a plain Python loop that extracts the same.

    python -m benchmarks.parsing [--data ../shared/data] [--rounds 3] [--only zeek]

Real logs are repeated up to 128 MB; of Suricata and Wazuh there are none, so theirs are made up in the words of real
ones. Both read all of it, from bytes on disk to valid events; the loop is in `benchmarks.plain`. Seconds are of the
clock; secmesh uses all processors, the loop one. The two take turns; medians are printed. Equal cells are those of the
first 8 MB that both fill alike, among all that either fills; hashes of text are left out.
"""

import argparse
import importlib
import os
import re
import runpy
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.plain import invented
from features.files import members
from features.reading import read

_WHOLE_BYTES, _HEAD_BYTES = 128 << 20, 8 << 20
_JSON_GOAL, _OTHER_GOAL = 8, 5
_HASH = re.compile(r"[0-9a-f]{16}$")

Records = Callable[[Path], Iterable[bytes]]


@dataclass(frozen=True)
class Log:
    """A log of some format: the file name it bears, what it is, and its lines, which may be endless."""

    format: str
    file: str
    about: str
    is_json: bool
    lines: Records


@dataclass(frozen=True)
class Row:
    """What was measured: seconds of each round, for so many records and bytes; the share of equal cells."""

    log: Log
    records: int
    megabytes: float
    ours: tuple[float, ...]
    loops: tuple[float, ...]
    equal: float


def main() -> None:
    """Print the table, log by log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only logs whose format or description contains this")
    parser.add_argument("--unequal", action="store_true", help="show some cells that are not equal")
    asked = parser.parse_args()
    if not asked.data.exists():
        raise SystemExit(f"{asked.data} is not here: name the shared data with --data")
    logs = [log for log in _LOGS if asked.only in f"{log.format} {log.about}"]
    with TemporaryDirectory() as folder:
        rows = [_measured(log, asked.data, Path(folder), asked.rounds, asked.unequal) for log in track(logs, "reading")]
    Console(width=200).print(_table(rows))
    print(f"cores: {len(os.sched_getaffinity(0))}, Polars threads: {pl.thread_pool_size()}")


def _measured(log: Log, data: Path, folder: Path, rounds: int, shows_unequal: bool) -> Row:
    whole, head = (_written(log, data, folder / name, size) for name, size in (("w", _WHOLE_BYTES), ("h", _HEAD_BYTES)))
    equal = _share_equal(_frames(head), _looped(log, head), shows_unequal)
    turns = [(_timed(lambda: read([whole])), _timed(lambda: _looped(log, whole))) for _ in range(rounds)]
    ours, loops = zip(*turns, strict=True)
    with whole.open("rb") as lines:
        records = sum(1 for _ in lines)
    row = Row(log, records, whole.stat().st_size / 1e6, ours, loops, equal)
    whole.unlink()
    return row


def _timed(read_it: Callable[[], Iterable[object]]) -> float:
    start = time.perf_counter()
    deque(read_it(), maxlen=0)
    return time.perf_counter() - start


# Logs


def _written(log: Log, data: Path, folder: Path, size: int) -> Path:
    """The log's first `size` bytes, at whole lines."""
    folder.mkdir(exist_ok=True)
    path, written = folder / log.file, 0
    with path.open("wb") as file:
        for line in log.lines(data):
            written += file.write(line)
            if written >= size:
                break
    return path


def _files(*patterns: str) -> Records:
    """The lines of all files that fit, again and again."""

    def lines(data: Path) -> Iterable[bytes]:
        paths = [path for pattern in patterns for path in sorted(data.glob(pattern))]
        if not paths:
            raise SystemExit(f"{data} has no {' or '.join(patterns)}: name the shared data with --data")
        text = b"".join(b"".join(member.blocks).rstrip(b"\n") + b"\n" for member in members(paths))
        return cycle(text.splitlines(keepends=True))

    return lines


def _findings(data: Path) -> Iterator[bytes]:
    """A network's alerts as OCSF findings, as the set's own script writes them."""
    alerts = data / "alerts" / "ait_ads" / "alerts.zip"
    if not alerts.exists():
        raise SystemExit(f"{alerts} is not here: name the shared data with --data")
    script = runpy.run_path(str(data / "alerts" / "to_ocsf.py"))
    rows = script["rows"](str(alerts), "fox")
    for number, row in enumerate(cycle(rows)):
        yield invented.line(script["finding"](row, f"fox-{number}"))


_CAPTURE = "endpoint/otrf/raw/compound/LSASS_campaign_02/metasploit_procdump_lsass_memory_dump"
_CTU = "network/ctu_sme11_2023-02-20_benign"
_NESTED = "endpoint/otrf/raw/atomic/windows/defense_evasion/**/*.tar.gz"

_LOGS = (
    Log("windows", "flat.json", "OTRF capture, flat", True, _files(f"{_CAPTURE}.zip")),
    Log("windows", "nested.json", "OTRF captures of 2019, Winlogbeat", True, _files(_NESTED)),
    Log("zeek", "conn.log", "CTU SME-11 conn, tab-separated", False, _files(f"{_CTU}/conn.*")),
    Log("zeek", "dns.log", "CTU SME-11 dns, tab-separated", False, _files(f"{_CTU}/dns.*")),
    Log("zeek", "http.log", "CTU SME-11 http, tab-separated", False, _files(f"{_CTU}/http.*")),
    Log("zeek", "zeek.json", "OTRF APT29, JSON", True, _files("endpoint/otrf/raw/compound/apt29/**/*_logs.zip")),
    Log("cloudtrail", "trail.json", "Stratus Red Team run", True, _files("cloud/aws/*.gz")),
    Log(
        "weblog",
        "access.log",
        "AIT intranet, Elastic's Apache",
        False,
        _files("web/ait_intranet_benign_days/*.gz", "web/elastic_apache_background/*.gz"),
    ),
    Log("office365", "audit.json", "Invictus audit log", True, _files("identity/o365/*.gz")),
    Log("syslog", "auth.log", "Elastic's auth.log", False, _files("identity/ssh/*.gz")),
    Log("suricata", "eve.json", "made up, eight kinds", True, invented.suricata),
    Log("ocsf", "findings.json", "AIT alerts of fox", True, _findings),
    Log("wazuh", "alerts.json", "made up, five decoders", True, invented.wazuh),
)

# Comparison


def _looped(log: Log, path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    plain = importlib.import_module(f"benchmarks.plain.{log.format}")
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        yield from plain.events(lines, path.name)


def _frames(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Our events the way the loop writes them."""
    for chunk in read([path]):
        for domain, frame in chunk.events.items():
            for row in frame.drop("source", "member").iter_rows(named=True):
                yield domain.value, {name: value for name, value in row.items() if value is not None}


Told = Iterable[tuple[str, dict[str, object]]]


def _share_equal(ours: Told, loops: Told, shows_unequal: bool) -> float:
    """The share of equal cells among all that either fills; an event's domain is a cell too."""
    left, right = ({event["line"]: _unhashed(event, domain) for domain, event in told} for told in (ours, loops))
    unequal: list[tuple[object, str, object, object]] = []
    cells = 0
    for line in left.keys() | right.keys():
        mine, other = left.get(line, {}), right.get(line, {})
        names = mine.keys() | other.keys()
        cells += len(names)
        unequal += [(line, n, mine.get(n), other.get(n)) for n in names if mine.get(n) != other.get(n)]
    if shows_unequal:
        print(f"{cells:,} cells of {len(left):,} and {len(right):,} events")
        print(*sorted(unequal, key=lambda cell: cell[1])[:: max(len(unequal) // 20, 1)], sep="\n")
    return 1 - len(unequal) / cells if cells else 0.0


def _unhashed(event: dict[str, object], domain: str) -> dict[str, object]:
    return event | {"uid": _HASH.sub("", str(event["uid"])), "domain": domain}


def _table(rows: list[Row]) -> Table:
    columns = "format|log|records|ours records/s|MB/s|loop records/s|MB/s|ratio|goal|equal cells".split("|")
    table = Table(*columns, box=MARKDOWN)
    for row in rows:
        ours, loop = statistics.median(row.ours), statistics.median(row.loops)
        ratio = statistics.median(slow / fast for fast, slow in zip(row.ours, row.loops, strict=True))
        table.add_row(
            row.log.format,
            row.log.about,
            f"{row.records:,}",
            f"{row.records / ours:,.0f}",
            f"{row.megabytes / ours:.0f}",
            f"{row.records / loop:,.0f}",
            f"{row.megabytes / loop:.0f}",
            f"{ratio:.1f}",
            f"{_JSON_GOAL if row.log.is_json else _OTHER_GOAL}",
            f"{row.equal:.3%}",
        )
    return table


if __name__ == "__main__":
    main()
