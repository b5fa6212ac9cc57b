"""What was acknowledged is in the log, once, in its place, whatever befalls the process, the disk or the file."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.stream.event_log import EventLog
from serving.stream.log_entries import (
    START,
    DamagedLog,
    Entry,
    Kept,
    KeyTaken,
    Kind,
    LogInUse,
    LogUnwritable,
    NoLog,
    Place,
    Receipt,
)
from serving.stream.log_file import Connection
from serving.stream.log_reader import LogReader
from tests.serving.failing_disk import Disk
from tests.serving.log_batches import at, batch, decision, said

ROOT = Path(__file__).parents[3]
#: How often a writer is killed, and the power is cut; more by environment variable.
KILLS, POWER_CUTS, FLIPS = (
    int(os.environ.get(f"SECMESH_{name}", n)) for name, n in (("KILLS", 5), ("POWER_CUTS", 50), ("FLIPS", 150))
)


def everything(path: Path, most_entries: int = 1000, most_bytes: int = 1 << 20) -> list[Kept]:
    kept: list[Kept] = []
    with closing(LogReader(path)) as reader:
        while more := reader.read(kept[-1].place if kept else START, most_entries=most_entries, most_bytes=most_bytes):
            kept += more
    return kept


def verified(path: Path) -> Place:
    with closing(LogReader(path)) as reader:
        return reader.verify()


def written(path: Path, count: int = 6) -> list[Kept]:
    """A log, closed, of batches and decisions."""
    with closing(EventLog(path)) as log:
        log.append([batch(n, 2, key=f"k{n}") if n % 3 else decision(n) for n in range(count)])
    return everything(path)


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)


# Reading back

BATCHES = [batch(number, 1 + number % 2) for number in range(3)]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
ENTRIES = st.one_of(
    st.sampled_from(BATCHES),
    st.builds(
        Entry,
        st.sampled_from([Kind.DECISION, Kind.PROMOTION, Kind.FORGET]),
        st.integers(0, 9).map(at),
        TEXTS,
        TEXTS,
        st.binary(max_size=9),
    ),
)
GROUPS = st.lists(st.lists(ENTRIES, max_size=4), max_size=6)


@settings(deadline=None, max_examples=20, derandomize=True)
@given(GROUPS, st.sets(st.integers(0, 5)), st.integers(1, 5), st.integers(1, 4000))
def test_what_was_appended_is_read_in_order_however_it_was_grouped_and_is_cut(
    groups: list[list[Entry]], reopened: set[int], most_entries: int, most_bytes: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.db"
        log, receipts = EventLog(path), []
        for number, group in enumerate(groups):
            receipts += log.append(group)
            if number in reopened:
                log.close()
                log = EventLog(path)
        kept = everything(path, most_entries, most_bytes)
        head = log.head()
        log.close()
    entries = [entry for group in groups for entry in group]
    assert said(kept) == entries
    assert [one.place.position for one in kept] == list(range(1, len(entries) + 1))
    assert receipts == [Receipt(one.place.position, one.first, one.entry.events) for one in kept]
    assert [one.first for one in kept] == [1 + sum(e.events for e in entries[:n]) for n in range(len(entries))]
    assert head == (kept[-1].place if kept else START)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), max_size=5), max_size=5))
def test_a_key_of_a_tenant_is_kept_once_and_the_first_receipt_comes_again(groups: list[list[tuple[int, str]]]) -> None:
    first: dict[tuple[int, str], Receipt] = {}
    with TemporaryDirectory() as folder, closing(EventLog(Path(folder) / "events.db")) as log:
        for group in groups:
            for one, receipt in zip(group, log.append([of(*key) for key in group]), strict=True):
                assert isinstance(receipt, Receipt)
                assert receipt.is_repeated == (one in first)
                assert first.setdefault(one, receipt) == receipt
        assert said(everything(log.path)) == [of(*one) for one in first]


def of(key: int, tenant: str) -> Entry:
    return replace(BATCHES[key % 2], key=str(key), tenant=tenant)


def test_a_key_with_another_content_is_refused_alone(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "events.db")) as log:
        first, taken, other = log.append([batch(1, key="k"), batch(2, key="k"), batch(3)])
        assert (first, other) == (Receipt(1, 1, 3), Receipt(2, 4, 3))
        assert isinstance(taken, KeyTaken)
        assert str(taken) == "key 'k' of 't' is that of position 1; choose another"
        body = replace(batch(1, key="k"), content=b"body")
        assert isinstance(log.append([body])[0], KeyTaken)
        assert log.append([replace(body, key="l")]) == [Receipt(3, 7, 3)]
        assert log.append([replace(batch(5, key="l"), content=b"body")]) == [Receipt(3, 7, 3)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"accepted": at(1).replace(tzinfo=None)}, "accepted must have a zone"),
        ({"events": -1}, "events must be a number above 0"),
        ({"events": 0}, "events must be a number above 0"),
        ({"kind": Kind.DECISION}, "events must be a number above 0"),
        ({"tenant": "\ud800"}, "tenant is no text in UTF-8"),
    ],
)
def test_what_no_log_can_hold_is_no_entry(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(batch(1), **change)


def test_one_writes_and_others_read_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with pytest.raises(NoLog, match="no event log"):
        LogReader(path)
    with closing(EventLog(path)) as log, closing(LogReader(path)) as reader:
        with pytest.raises(LogInUse, match="another process writes it"):
            EventLog(path)
        log.append([batch(1)])
        assert said(reader.read()) == [batch(1)]
        log.append([batch(2)])
        assert said(reader.read()) == [batch(1), batch(2)]
        assert reader.read(reader.head()) == []
    EventLog(path).close()


# Damage


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE entries SET payload = CAST(x'00' || substr(payload, 2) AS BLOB) WHERE position = 3", 3),
        ("UPDATE entries SET payload = substr(payload, 1, length(payload) - 1) WHERE position = 2", 2),
        ("UPDATE entries SET chain = zeroblob(32) WHERE position = 4", 4),
        ("UPDATE entries SET accepted = accepted + 1 WHERE position = 1", 1),
        ("UPDATE entries SET accepted = 1 << 62 WHERE position = 1", 1),
        ("UPDATE entries SET principal = 'eve' WHERE position = 6", 6),
        ("UPDATE entries SET tenant = 'other' WHERE position = 5", 5),
        ("UPDATE entries SET tenant = CAST(x'ff' AS TEXT) WHERE position = 5", None),
        ("UPDATE entries SET key = NULL WHERE position = 5", 5),
        ("UPDATE entries SET kind = 'forget' WHERE position = 4", 4),
        ("UPDATE entries SET kind = 'nothing' WHERE position = 4", 4),
        ("UPDATE entries SET events = 3 WHERE position = 2", 2),
        ("UPDATE entries SET first = 9 WHERE position = 2", 2),
        (";".join(f"UPDATE entries SET position = {a} WHERE position = {b}" for a, b in ((9, 3), (3, 4), (4, 9))), 3),  # noqa: S608  # numbers
        ("DELETE FROM entries WHERE position = 1", 1),
        ("DELETE FROM entries WHERE position = 4", 4),
        ("DELETE FROM entries WHERE position = 6", 6),
        ("DELETE FROM entries", 1),
        ("DELETE FROM head", None),
        ("DROP TABLE entries", None),
    ],
)
def test_a_changed_or_missing_entry_is_named(tmp_path: Path, statement: str, position: int | None) -> None:
    path = tmp_path / "events.db"
    written(path)
    changed(path, *statement.split(";"))
    for read in (everything, verified):
        with pytest.raises(DamagedLog) as found:
            read(path)
        assert str(path) in str(found.value)
        assert position is None or f"position {position} " in str(found.value)


def test_a_reader_that_has_seen_more_than_there_is_says_so(tmp_path: Path) -> None:
    kept = written(tmp_path / "events.db")
    place = kept[-1].place
    changed(
        tmp_path / "events.db",
        "DELETE FROM entries WHERE position > 4",
        "UPDATE head SET (position, events, chain) = "
        "(SELECT position, first + events - 1, chain FROM entries WHERE position = 4)",
    )
    with closing(LogReader(tmp_path / "events.db")) as reader:
        with pytest.raises(DamagedLog, match="position 6 is missing"):
            reader.read(place)
        (tmp_path / "events.db.lock").unlink()
        assert reader.verify() == kept[3].place
        with pytest.raises(DamagedLog, match="position 6 is missing, or another than was acknowledged"):
            reader.verify(place)
        with pytest.raises(DamagedLog, match="position 2 is missing, or another than was acknowledged"):
            reader.verify(replace(kept[1].place, chain=kept[2].place.chain))
        with pytest.raises(DamagedLog, match="position 2 is another than was read before"):
            reader.read(replace(kept[1].place, chain=kept[2].place.chain))


def test_an_older_copy_of_the_file_is_found_by_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    written(path, 3)
    shutil.copy(path, tmp_path / "copy")
    with closing(EventLog(path)) as log:
        log.append([batch(9)])
    shutil.copy(tmp_path / "copy", path)
    with pytest.raises(DamagedLog, match="position 4 was acknowledged, and is not here; the head is at 3"):
        EventLog(path)
    (tmp_path / "events.db.lock").unlink()
    EventLog(path).close()


@pytest.mark.parametrize(
    "statement", ["UPDATE keys SET content = zeroblob(32)", "UPDATE keys SET position = position + 1"]
)
def test_a_changed_key_is_found_when_it_is_asked_for(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "events.db"
    kept = written(path)
    changed(path, statement)
    with closing(EventLog(path)) as log, pytest.raises(DamagedLog, match=r"the key of position \d is not as it was"):
        log.append([kept[1].entry])


def test_a_missing_key_is_found_by_verifying(tmp_path: Path) -> None:
    written(tmp_path / "events.db")
    changed(tmp_path / "events.db", "DELETE FROM keys WHERE key = 'k2'")
    with (
        closing(LogReader(tmp_path / "events.db")) as reader,
        pytest.raises(DamagedLog, match="position 3 is without its key"),
    ):
        reader.verify()


def test_a_bit_that_flips_anywhere_is_found_or_does_no_harm(tmp_path: Path) -> None:
    path, chance = tmp_path / "events.db", np.random.default_rng(7)
    kept = written(path)
    whole, found = path.read_bytes(), []
    for _ in range(FLIPS):
        path.write_bytes(flipped(whole, chance))
        try:
            assert verified(path) == kept[-1].place
            assert everything(path) == kept
        except DamagedLog as error:
            found.append(str(path) in str(error))
    assert all(found)
    assert len(found) > FLIPS // 10


def test_a_bit_that_flips_in_the_write_ahead_log_is_found_or_does_no_harm(tmp_path: Path) -> None:
    path, chance = tmp_path / "events.db", np.random.default_rng(8)
    log = EventLog(path)
    for number in range(6):
        log.append([batch(number, 2)])
    kept = everything(path)
    names = ("events.db", "events.db-wal", "events.db.lock")
    whole = {name: (tmp_path / name).read_bytes() for name in names}
    log.close()
    found = []
    for number in range(FLIPS // 3):
        (folder := tmp_path / f"{number}").mkdir()
        for name in names:
            (folder / name).write_bytes(flipped(whole[name], chance) if name.endswith("wal") else whole[name])
        try:
            EventLog(folder / "events.db").close()
            assert everything(folder / "events.db") == kept
        except DamagedLog as error:
            found.append(str(folder) in str(error))
    assert all(found)
    assert len(found) > FLIPS // 10


def flipped(content: bytes, chance: np.random.Generator) -> bytes:
    changed, place = bytearray(content), int(chance.integers(len(content)))
    changed[place] ^= 1 << int(chance.integers(8))
    return bytes(changed)


# A disk that fails


@pytest.mark.parametrize(
    ("code", "words"), [(apsw.SQLITE_FULL, "the disk is full"), (apsw.SQLITE_IOERR_FSYNC, "the disk did not take it")]
)
def test_where_the_disk_fails_nothing_is_half_done_and_the_log_goes_on(tmp_path: Path, code: int, words: str) -> None:
    left = steps = 0

    def before(_: str) -> None:
        nonlocal left, steps
        steps, left = steps + 1, left - 1
        if left == 0:
            raise apsw.exception_for(code)

    disk = Disk(f"fails with {code}", before)
    acknowledged: list[Entry] = []
    failures: list[str] = []
    with closing(EventLog(tmp_path / "events.db", disk.connect())) as log:
        for place in range(1, 40):
            left = place % 13
            group = [batch(place % 4, 2), decision(place)]
            try:
                log.append(group)
            except LogUnwritable as error:
                failures.append(str(error))
                assert log.head().position == len(acknowledged)
                log.append(group)
            acknowledged += group
    assert said(everything(tmp_path / "events.db")) == acknowledged
    assert len(failures) > 15
    assert all(words in failure for failure in failures)


def test_a_log_that_another_process_has_locked_is_unwritable_for_now(tmp_path: Path) -> None:
    path = tmp_path / "events.db"

    def impatient(path: Path, is_writer: bool) -> Connection:
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)

    with closing(EventLog(path, impatient)) as log, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnwritable, match="another process has locked it"):
            log.append([batch(1)])
        other.execute("ROLLBACK")
        assert log.append([batch(1)]) == [Receipt(1, 1, 3)]


def test_a_log_where_nothing_may_be_written_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file, where a folder should be")
    with pytest.raises(LogUnwritable, match=r"var/events\.db: the disk did not take it"):
        EventLog(tmp_path / "var" / "events.db")


# Power cuts


def after_power_cuts(folder: Path, name: str, replaced: tuple[str, str]) -> tuple[int, int]:
    """Cut the power at any moments of a writer's life, POWER_CUTS times.

    How often something was acknowledged by then, and how often some of that was gone.
    """
    chance, acknowledged = np.random.default_rng(9), 0
    cuts: list[tuple[Path, int]] = []

    def before(_: str) -> None:
        if len(cuts) < POWER_CUTS and chance.random() < 0.1:
            (left := folder / f"{name} {len(cuts)}").mkdir()
            disk.power_cut(left, chance)
            with suppress(FileNotFoundError):
                shutil.copy(folder / name / "events.db.lock", left)
            cuts.append((left, acknowledged))

    disk = Disk(name, before)
    log = EventLog(folder / name / "events.db", disk.connect(replaced))
    entries = [batch(number, 2) for number in range(9)]
    while len(cuts) < POWER_CUTS:
        group = entries[: int(chance.integers(1, 9))]
        log.append(group)
        acknowledged += len(group)
    log.close()
    whole = said(everything(folder / name / "events.db"))
    return sum(count > 0 for _, count in cuts), sum(is_lost(left / "events.db", count, whole) for left, count in cuts)


def is_lost(path: Path, acknowledged: int, whole: list[Entry]) -> bool:
    """Whether anything acknowledged is gone; if not, what is there is as it was, and the log goes on."""
    try:
        with closing(EventLog(path)) as log:
            found = said(everything(path))
            if len(found) < acknowledged:
                return True
            log.append([batch(3)])
    except DamagedLog:
        return True
    assert said(everything(path)) == [*whole[: len(found)], batch(3)]
    return False


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    cuts, lost = after_power_cuts(tmp_path, "full", ("", ""))
    assert cuts > 0.8 * POWER_CUTS
    assert lost == 0


def test_a_log_that_does_not_wait_for_the_disk_would_lose_some(tmp_path: Path) -> None:
    cuts, lost = after_power_cuts(tmp_path, "normal", ("synchronous=FULL", "synchronous=NORMAL"))
    assert lost >= 0.8 * cuts


# Kills


def test_a_killed_writer_has_lost_and_doubled_nothing(tmp_path: Path) -> None:
    path, chance = tmp_path / "events.db", np.random.default_rng(10)
    acknowledged: dict[int, int] = {}
    (tmp_path / "payload").write_bytes(batch(1).payload)
    command = [sys.executable, "-m", "tests.serving.killed_writer", str(path), str(tmp_path / "payload")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:  # noqa: S603
        assert writer.stdin is not None
        assert writer.stdout is not None
        for _ in range(KILLS):
            print(max(acknowledged, default=0), file=writer.stdin, flush=True)
            child = int(writer.stdout.readline())
            time.sleep(chance.random() * 0.5)
            os.kill(child, signal.SIGKILL)
            while (line := writer.stdout.readline()) != "dead\n":
                number, position = map(int, line.split())
                assert acknowledged.setdefault(number, position) == position
            verified(path)
            found = {int(one.entry.key or ""): one.place.position for one in everything(path)}
            assert sorted(found.values()) == list(range(1, len(found) + 1))
            assert acknowledged.items() <= found.items()
        writer.stdin.close()
    assert len(acknowledged) > KILLS
