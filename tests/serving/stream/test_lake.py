"""What is moved into the lake is read as before, by the log's readers and a training, wherever the move is cut off."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain
from features.logs import Events, read_logs
from serving.stream import event_log
from serving.stream.event_log import EventLog
from serving.stream.log_entries import START, DamagedLog, Entry, Kept, KeyTaken, Kind, LogUnwritable, Receipt
from serving.stream.log_reader import LogReader
from serving.stream.packing import unpacked
from tests.serving.log_batches import batch, decision

ROOT = Path(__file__).parents[3]
MIXED = [batch(0, 3, key="a"), decision(1, key="d"), batch(2, 1), batch(3, 5, tenant="u", key="a"), decision(4)]
STEPS = ["grown", "listed", "put network", "put dns", "removed"]


def everything(path: Path, most_entries: int = 1000) -> list[Kept]:
    kept: list[Kept] = []
    with closing(LogReader(path)) as reader:
        while more := reader.read(kept[-1].place if kept else START, most_entries=most_entries):
            kept += more
    return kept


def by_line(*events: Events) -> dict[Domain, pl.DataFrame]:
    """All events of each domain, in one order."""
    order = ("time", "source", "line")
    parts = {domain: [part[domain] for part in events if domain in part] for domain in Domain}
    return {domain: pl.concat(some).sort(order, maintain_order=True) for domain, some in parts.items() if some}


def same(one: dict[Domain, pl.DataFrame], other: dict[Domain, pl.DataFrame]) -> bool:
    return one.keys() == other.keys() and all(one[domain].equals(other[domain]) for domain in one)


def batches_of(kept: list[Kept]) -> list[Events]:
    return [unpacked(one.entry.payload) for one in kept if one.entry.kind is Kind.EVENTS]


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.with_name("lake").rglob("*") if file.is_file())


def moved(path: Path, upto: int = 4) -> list[Kept]:
    """A log, closed, with its first entries in the lake."""
    with closing(EventLog(path)) as log:
        log.append(MIXED)
        kept = everything(path)
        log.move(upto)
    return kept


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    st.lists(st.lists(st.sampled_from(MIXED), max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(0, 12), max_size=3),
    st.tuples(st.integers(1, 8), st.integers(1, 3)),
    st.integers(1, 6),
)
def test_a_log_is_read_as_before_whatever_is_in_the_lake(
    groups: list[list[Entry]], moves: list[int], sizes: tuple[int, int], most_entries: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(event_log, "SEGMENT_EVENTS", sizes[0])
        patched.setattr(event_log, "SEGMENT_ENTRIES", sizes[1])
        path = Path(folder) / "events.db"
        with closing(EventLog(path)) as log, closing(LogReader(path)) as reader:
            for group, upto in itertools.zip_longest(groups, moves):
                log.append(group or [])
                before = everything(path)
                found = log.move(upto or 0)
                assert everything(path, most_entries) == before
                assert [one.place for one in before] == [reader.place(n + 1) for n in range(len(before))]
                assert reader.verify() == log.head()
                if found:
                    assert found[-1].last.position == min(upto or 0, len(before))
        with closing(EventLog(path)):
            assert everything(path) == before


def test_a_training_reads_the_lake_back_to_the_same_events(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    kept = moved(path)
    logs = read_logs([tmp_path / "lake"])
    assert logs.refused.is_empty()
    assert same(by_line(logs.events), by_line(*batches_of(kept[:4])))
    assert [str(file.relative_to(tmp_path)) for file in files_of(path)] == [
        "lake/dns/000000000001-000000000004.parquet",
        "lake/network/000000000001-000000000004.parquet",
    ]


def test_a_segment_ends_before_it_has_too_many_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SEGMENT_EVENTS", 4)
    with closing(EventLog(tmp_path / "events.db")) as log:
        log.append(MIXED)
        assert [segment.last.position for segment in log.move(99)] == [3, 4, 5]


def test_what_is_moved_is_no_longer_in_the_file(tmp_path: Path) -> None:
    moved(tmp_path / "events.db")
    with closing(sqlite3.connect(tmp_path / "events.db")) as file:
        assert file.execute("SELECT position FROM entries").fetchall() == [(5,)]


def test_keys_of_moved_entries_are_remembered_for_their_time(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "events.db")) as log:
        log.append(MIXED)
        log.move(4)
        assert log.append(MIXED[:2]) == [Receipt(1, 1, 3), Receipt(2, 4, 0)]
        assert isinstance(log.append([batch(9, key="a")])[0], KeyTaken)
        log.append([batch(5)])
        log.move(6, keys=timedelta(minutes=4))
        assert log.append(MIXED[:2]) == [Receipt(7, 13, 3), Receipt(2, 4, 0)]


# Cut off


CUT_OFF = """
import os, signal, sys
from pathlib import Path
for path in map(Path, sys.argv[1:]):
    if (child := os.fork()) == 0:
        from serving.stream.event_log import EventLog  # here: the threads of Polars do not outlive a fork
        EventLog(path).move(5, step=lambda step: step != path.parent.name or os.kill(os.getpid(), signal.SIGKILL))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Kept]]:
    """Folders, named after steps, with a log of MIXED whose move was killed in that step."""
    folder = tmp_path_factory.mktemp("cut")
    paths = [folder / step / "events.db" for step in STEPS]
    for path in paths:
        with closing(EventLog(path)) as log:
            log.append(MIXED)
    kept = everything(paths[0])
    subprocess.run([sys.executable, "-c", CUT_OFF, *paths], cwd=ROOT, check=True)  # noqa: S603
    return folder, kept


@pytest.mark.parametrize("step", STEPS)
def test_wherever_a_move_is_cut_off_nothing_is_lost_and_nothing_is_there_twice(
    cut_off: tuple[Path, list[Kept]], step: str
) -> None:
    folder, kept = cut_off
    path = folder / step / "events.db"
    assert everything(path) == kept
    with closing(EventLog(path)) as log:
        assert log.append([batch(7, 2)]) == [Receipt(6, 10, 2)]
        log.move(6)
        whole = everything(path)
    assert whole[:5] == kept
    assert same(by_line(read_logs([path.with_name("lake")]).events), by_line(*batches_of(whole)))


def test_a_move_that_the_disk_does_not_take_leaves_all_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with closing(EventLog(path)) as log:
        log.append(MIXED)
        kept = everything(path)
        (tmp_path / "lake").write_text("a file, where the lake should be")
        with pytest.raises(LogUnwritable, match="the disk did not take it"):
            log.move(5)
        assert everything(path) == kept
        (tmp_path / "lake").unlink()
        log.move(5)
        assert everything(path) == kept


# Damage


@pytest.mark.parametrize("number", range(3))
def test_a_bit_that_flips_in_a_file_of_the_lake_is_found_and_the_file_named(tmp_path: Path, number: int) -> None:
    path, chance = tmp_path / "events.db", np.random.default_rng(number)
    moved(path)
    file = [*files_of(path), tmp_path / "lake-entries" / "000000000001-000000000004.entries"][number]
    whole = file.read_bytes()
    for place in chance.integers(len(whole), size=10):
        content = bytearray(whole)
        content[place] ^= 1 << int(chance.integers(8))
        file.write_bytes(content)
        with pytest.raises(DamagedLog, match=f"{file}: expected positions 1 to 4 as they were moved here, found other"):
            everything(path)
    file.unlink()
    with pytest.raises(DamagedLog, match=f"{file}: .*No such file"):
        everything(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE segments SET chain = zeroblob(32)",
        "UPDATE segments SET events = events + 1",
        "UPDATE segments SET position = position - 1",
        "UPDATE segments SET sha256 = zeroblob(32)",
        "DELETE FROM segments",
    ],
)
def test_a_changed_or_missing_segment_is_found(tmp_path: Path, statement: str) -> None:
    moved(tmp_path / "events.db")
    with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as file:
        file.execute(statement)
    with pytest.raises(DamagedLog):
        everything(tmp_path / "events.db")


def test_a_reader_that_read_another_log_is_told_so(tmp_path: Path) -> None:
    kept = moved(tmp_path / "events.db")
    place = kept[1].place
    with closing(LogReader(tmp_path / "events.db")) as reader:
        assert reader.read(place, most_entries=1) == [kept[2]]
        with pytest.raises(DamagedLog, match="position 2 is not as it was read before"):
            reader.read(type(place)(2, place.events, bytes(32)))


def test_the_lake_of_another_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    moved(path)
    files = {file: file.read_bytes() for file in files_of(path)}
    for left in ("events.db", "events.db.lock"):
        (tmp_path / left).unlink()
    with closing(EventLog(path)) as log:
        log.append([batch(number, 4) for number in range(5)])
        with pytest.raises(DamagedLog, match="position 4 is of another log; move that lake elsewhere"):
            log.move(4)
        shutil.rmtree(tmp_path / "lake-entries")
        with pytest.raises(DamagedLog, match="is there already, and not of this log"):
            log.move(4)
    assert {file: file.read_bytes() for file in files_of(path)} == files
