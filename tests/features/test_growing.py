"""A log that is read while it grows gives what it gives when it is read whole."""

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_type_hints

import msgspec
import polars as pl
import pytest

from features.events import Domain
from features.following import QUIET_LOOKS, Follower
from features.growing import Growing
from features.lines import lines_of
from features.positions import DamagedPositions, Positions
from features.reading import Chunk, candidates_of, read, sources


class Reader:
    """Reads what grows in a folder, and starts again as a process does: from what is on disk."""

    def __init__(self, folder: Path, *paths: Path) -> None:
        self.paths, self.kept = paths, folder / "positions.json"
        self.restart()

    def look(self, looks: int = 1) -> list[Chunk]:
        chunks = [chunk for _ in range(looks) for chunk in self.growing.poll()]
        self.growing.taken()
        self.positions.save()
        return chunks

    def restart(self, format: str = "auto") -> None:
        self.positions = Positions.load(self.kept)
        self.follower = Follower(self.paths, self.positions)
        self.growing = Growing(self.follower, candidates_of(format))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "app.log"


@pytest.fixture
def reader(tmp_path: Path, log: Path) -> Iterator[Reader]:
    """Follows the folder of `log`."""
    reader = Reader(tmp_path, log.parent)
    yield reader
    reader.follower.close()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def event(number: int) -> str:
    record = {"class_uid": 4001, "time": 1_700_000_000_000 + number, "metadata": {"uid": f"e{number}"}}
    return json.dumps(record | {"device": {"hostname": "pc"}}) + "\n"


def events_of(chunks: list[Chunk]) -> list[tuple[object, ...]]:
    frames = [frame for chunk in chunks for frame in chunk.events.values()]
    return [row for frame in frames for row in frame.select("line", "uid", "time").rows()]


def refusals_of(chunks: list[Chunk]) -> list[tuple[object, ...]]:
    return [row for chunk in chunks for row in chunk.refused.select("line", "field").rows()]


ZEEK = (
    "#separator \\x09\n#set_separator\t,\n#unset_field\t-\n#path\tdns\n"
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tquery\n"
)
ZEEK_ROWS = [
    f"17000000{number:02}.5\tC{number}\t10.0.0.1\t53124\t10.0.0.2\t53\thost{number}.example\n" for number in range(9)
]
#: From March, over a year's end, into the February after: neither the first nor the last stamp tells the year.
STAMPS = ["Mar  1", "Jun 15", "Sep 30", "Dec 31", "Jan  1", "Feb  2", "Feb  3"]
SYSLOG = [
    f"{stamp} 12:00:00 host sshd[1]: Accepted password for u{number} from 10.0.0.1 port 1 ssh2\n"
    for number, stamp in enumerate(STAMPS)
]


@pytest.mark.parametrize("with_restarts", [True, False], ids=["restarts", "one run"])
@pytest.mark.parametrize(
    ("name", "head", "rows"),
    [("dns.log", ZEEK, ZEEK_ROWS), ("auth.log-20240204", "", SYSLOG), ("a.jsonl", "", [event(n) for n in range(5)])],
    ids=["zeek", "syslog over a year's end", "ocsf"],
)
def test_a_log_that_grows_line_by_line_is_read_as_if_it_were_whole(
    log: Path, reader: Reader, name: str, head: str, rows: list[str], with_restarts: bool
) -> None:
    path = log.with_name(name)
    path.write_text(head)
    chunks = []
    for row in rows:
        append(path, row)
        chunks += reader.look()
        if with_restarts:
            reader.restart()
    assert events_of(chunks) == events_of(list(read([path])))
    assert len(events_of(chunks)) == len(rows)
    assert refusals_of(chunks) == []


@pytest.mark.parametrize("with_restarts", [True, False], ids=["restarts", "one run"])
def test_stamps_without_a_year_have_the_year_of_the_last_change(log: Path, reader: Reader, with_restarts: bool) -> None:
    chunks = []
    for line, month in zip(SYSLOG[3:], ["2019-12-31", "2020-01-01", "2020-02-02", "2020-02-03"], strict=True):
        append(log, line)
        changed = datetime.fromisoformat(month).replace(tzinfo=UTC).timestamp()
        os.utime(log, (changed, changed))
        chunks += reader.look()
        if with_restarts:
            reader.restart()
    years = [year for chunk in chunks for year in chunk.events[Domain.IDENTITY]["time"].dt.year()]
    assert years == [2019, 2020, 2020, 2020]


def test_the_first_stamp_of_a_log_of_many_months_is_of_the_year_before(log: Path, reader: Reader) -> None:
    log.write_text("".join(SYSLOG))
    os.utime(log, (1_580_688_000, 1_580_688_000))  # 3 February 2020
    (chunk,) = reader.look()
    assert chunk.events[Domain.IDENTITY]["time"].dt.year().to_list() == [2019] * 4 + [2020] * 3


@pytest.mark.parametrize("with_restarts", [True, False], ids=["restarts", "one run"])
def test_a_log_whose_first_lines_tell_nothing_waits_and_loses_none(
    log: Path, reader: Reader, with_restarts: bool
) -> None:
    append(log, "\n")
    assert reader.look() == []
    append(log, "-- log begins\n")
    for _ in range(3):
        assert reader.look() == []
        if with_restarts:
            reader.restart()
    append(log, SYSLOG[0])
    chunks = reader.look()
    assert [row[0] for row in events_of(chunks)] == [2]
    assert refusals_of(chunks) == [(1, "line")]
    append(log, SYSLOG[1])
    assert [row[0] for row in events_of(reader.look())] == [3]


def test_a_log_that_shows_no_format_in_many_lines_is_refused_once(log: Path, reader: Reader) -> None:
    append(log, "Dear diary,\n" * 39)
    assert reader.look(2) == []
    append(log, "Yours.\n")
    assert refusals_of(reader.look()) == [(None, "format")]
    append(log, "PS\n" + SYSLOG[0])
    assert reader.look() == []
    reader.restart()
    append(log, "PPS\n")
    assert reader.look() == []


def test_a_log_that_goes_while_it_waits_is_refused(log: Path, reader: Reader) -> None:
    append(log, "Dear diary,\n")
    assert reader.look() == []
    log.unlink()
    assert refusals_of(reader.look(QUIET_LOOKS + 2)) == [(None, "format")]


def test_a_packed_log_that_shows_no_format_is_refused_at_once(log: Path, reader: Reader) -> None:
    log.with_name("a.gz").write_bytes(gzip.compress(b"Dear diary,\n"))
    assert refusals_of(reader.look(3)) == [(None, "format")]


def test_a_format_that_is_named_takes_every_log(log: Path, reader: Reader) -> None:
    reader.restart("syslog")
    append(log, "-- log begins\n")
    assert refusals_of(reader.look()) == [(0, "line")]


def test_what_is_damaged_is_refused_and_the_rest_comes_through(log: Path, reader: Reader) -> None:
    whole = "".join(event(number) for number in range(999))
    log.with_name("a.gz").write_bytes(gzip.compress(whole.encode())[:-9])
    append(log, event(1000))
    chunks = reader.look(3)
    assert len(events_of(chunks)) > 100
    assert refusals_of(chunks) == [(None, "file")]


def test_a_chunk_that_was_not_taken_comes_again(log: Path, reader: Reader) -> None:
    append(log, event(1))
    next(reader.growing.poll())
    reader.restart()
    assert len(events_of(reader.look())) == 1
    reader.restart()
    assert reader.look() == []


def test_a_parquet_file_does_not_grow_and_is_refused_once(log: Path, reader: Reader) -> None:
    pl.DataFrame({"a": ["\n" * 100]}).write_parquet(log)
    chunks = reader.look(5)
    assert refusals_of(chunks) == [(None, "file")]
    assert chunks[0].refused["reason"][0].startswith("Parquet is read as a whole file of its own")


def test_positions_that_hold_no_notes_of_formats_are_refused(log: Path, reader: Reader) -> None:
    append(log, event(1))
    reader.look()
    reader.kept.write_text(reader.kept.read_text().replace('"format"', '"form"'))
    reader.restart()
    append(log, event(2))
    with pytest.raises(DamagedPositions, match="no note of a format"):
        reader.look()


@pytest.mark.parametrize("name", sources())
def test_the_context_of_every_format_can_be_noted(name: str) -> None:
    source = sources()[name]
    context = source.begin("a.log", iter([lines_of(b"{}\n", 0)]))
    noted = json.loads(json.dumps(msgspec.to_builtins(context)))
    assert msgspec.convert(noted, get_type_hints(source.begin)["return"]) == context
