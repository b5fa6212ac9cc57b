"""The door: every log of the shared data, with its format, what came in, what was refused, and how fast.

    python -m benchmarks.door [--data ../shared/data]

Each file is read alone, from packed bytes to valid events; MB are of unpacked text, and `unmapped` is the share of the
fields that no column holds. Below, the time of the Windows captures, corrected, against their labels; and a file of
2 GB, made by repeating a capture, with the most memory that this took.
"""

import argparse
import resource
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table

from features.coverage import Coverage
from features.files import members
from features.reading import read

_HEADINGS = (
    "log",
    "formats",
    "events",
    "domains",
    "refused lines",
    "refused whole",
    "unmapped",
    "MB",
    "events/s",
    "MB/s",
)
_BIG = "endpoint/otrf/raw/compound/LSASS_campaign_02/metasploit_procdump_lsass_memory_dump.zip"
_BIG_BYTES = 2 << 30
_NO_LOGS = {".md", ".npz", ".parquet", ".txt"}


@dataclass(frozen=True)
class Passage:
    """One file through the door; `whole` says why its members were refused whole, where some were."""

    path: Path
    events: dict[str, int]
    refused: int
    whole: Counter[str]
    coverage: Coverage
    megabytes: float
    seconds: float


def main() -> None:
    """Print the table, folder by folder, and how well times agree with the labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    if not data.exists():
        raise SystemExit(f"{data} is not here: name the shared data with --data")
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and _may_be_log(path)]
    table = Table(*_HEADINGS, box=MARKDOWN)
    for name, passages in _by_folder(data, [_pass(path) for path in track(files, "reading")]).items():
        table.add_row(name, *_row(passages))
    console = Console(width=280)
    console.print(table)
    console.print(_big(data / _BIG))
    console.print(_times(data / "endpoint" / "otrf"))


def _may_be_log(path: Path) -> bool:
    is_text = path.suffix in _NO_LOGS and path.name != "acunetix.txt.gz"
    return not is_text and "licen" not in str(path).lower() and path.name not in ("captures.csv", "incidents.csv")


def _pass(path: Path) -> Passage:
    start = time.perf_counter()
    events: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    refused, size, coverage = 0, 0, Coverage()
    for chunk in read([path]):
        events.update({domain.value: frame.height for domain, frame in chunk.events.items()})
        lines = chunk.refused["line"].is_not_null()
        refused += int(lines.sum())
        whole.update(chunk.refused.filter(~lines)["reason"].to_list())
        size += chunk.bytes
        if chunk.format:
            coverage.add(chunk.format, chunk.fields, chunk.unmapped)
    return Passage(path, dict(events), refused, whole, coverage, size / 1e6, time.perf_counter() - start)


def _by_folder(data: Path, passages: list[Passage]) -> dict[str, list[Passage]]:
    """Captures of one kind together, other files by themselves."""
    folders: dict[str, list[Passage]] = {}
    for passage in passages:
        place = passage.path.relative_to(data)
        name = str(Path(*place.parts[:-1])) if len(passages) > 1 and len(place.parts) > 3 else str(place)
        folders.setdefault(name, []).append(passage)
    return folders


def _row(passages: list[Passage]) -> list[str]:
    events: Counter[str] = Counter()
    for passage in passages:
        events.update(passage.events)
    seconds = sum(passage.seconds for passage in passages)
    megabytes = sum(passage.megabytes for passage in passages)
    fields = sum(passage.coverage.fields.total() for passage in passages)
    unmapped = sum(some.total() for passage in passages for some in passage.coverage.unmapped.values())
    return [
        ", ".join(sorted({format for passage in passages for format in passage.coverage.fields})),
        f"{events.total():,}",
        ", ".join(f"{domain} {count:,}" for domain, count in events.most_common()),
        f"{sum(passage.refused for passage in passages):,}",
        f"{sum(passage.whole.total() for passage in passages):,}",
        f"{unmapped / fields:.0%}" if fields else "",
        f"{megabytes:.1f}",
        f"{events.total() / seconds:,.0f}",
        f"{megabytes / seconds:.0f}",
    ]


def _big(capture: Path) -> str:
    """How fast a file of _BIG_BYTES is read, and the most memory of this process until then."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "big.json"
        (member,) = members([capture])
        once = b"".join(member.blocks)
        with path.open("wb") as file:
            while file.tell() < _BIG_BYTES:
                file.write(once)
        del once
        passage = _pass(path)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    events, megabytes = sum(passage.events.values()) / passage.seconds, passage.megabytes / passage.seconds
    size = f"{passage.megabytes / 1000:.2f} GB"
    return f"a file of {size}: {events:,.0f} events/s, {megabytes:.0f} MB/s; at most {memory:.2f} GiB of memory"


def _times(otrf: Path) -> str:
    labels = pl.read_parquet(otrf / "labels.parquet", columns=["capture", "line", "ts"]).drop_nulls()
    agreeing, rows = 0, 0
    for path in track(sorted((otrf / "raw").rglob("*.*")), "times"):
        capture = str(path.relative_to(otrf / "raw")).split(".")[0]
        mine = labels.filter(pl.col("capture") == capture)
        for chunk in read([path]) if mine.height else ():
            for frame in chunk.events.values():
                both = frame.select("line", "time").join(mine, on="line")
                apart = (both["time"].dt.replace_time_zone(None) - both["ts"]).dt.total_microseconds().abs()
                agreeing += int((apart <= 1_000_000).sum())
                rows += both.height
    return f"times of {rows:,} Windows records agree with the labels within a second: {agreeing / rows:.3%}"


if __name__ == "__main__":
    main()
