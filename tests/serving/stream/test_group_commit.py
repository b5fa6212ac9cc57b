"""Whoever submits hears once, of what is on disk or of why it is not, and nobody waits for ever."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Full

import pytest

from serving.stream.event_log import EventLog
from serving.stream.group_commit import GroupCommit
from serving.stream.log_entries import DamagedLog, Entry, KeyTaken, LogUnwritable, Receipt
from serving.stream.log_reader import LogReader
from tests.serving.log_batches import batch, decision, said


@contextmanager
def held(path: Path) -> Iterator[Callable[[], object]]:
    """A log that nobody can commit to until they say so."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield lambda: other.execute("ROLLBACK")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with closing(EventLog(tmp_path / "events.db")) as log:
        yield log


def entries_of(log: EventLog) -> Sequence[Entry]:
    with closing(LogReader(log.path)) as reader:
        return said(reader.read())


def test_each_of_many_threads_gets_the_receipt_of_its_own_entry(log: EventLog) -> None:
    commits = GroupCommit(log, most_entries=5)
    entries = [decision(number) for number in range(60)]
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda entry: commits.submit(entry).result(), entries))
    commits.close()
    kept = entries_of(log)
    assert [kept[receipt.position - 1] for receipt in receipts] == entries
    assert len(kept) == 60


def test_what_one_thread_submits_is_in_its_order(log: EventLog) -> None:
    commits = GroupCommit(log, most_entries=3)
    entries = [decision(number) for number in range(20)]
    answers = [commits.submit(entry) for entry in entries]
    commits.close()
    assert [answer.result(0).position for answer in answers] == list(range(1, 21))
    assert entries_of(log) == entries


def test_more_than_may_wait_is_refused_at_once_and_closing_commits_what_waits(log: EventLog) -> None:
    with held(log.path) as let_go:
        commits = GroupCommit(log, most_entries=1, waiting=3)
        answers = [commits.submit(decision(0))]
        while commits.waiting:
            pass
        answers += [commits.submit(decision(number)) for number in (1, 2, 3)]
        with pytest.raises(Full):
            commits.submit(decision(4))
        let_go()
        commits.close()
    assert [answer.result(0).position for answer in answers] == [1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="the log is closed"):
        commits.submit(decision(5))


def test_more_bytes_than_may_wait_are_refused_but_one_entry_always_may(log: EventLog) -> None:
    with held(log.path) as let_go:
        commits = GroupCommit(log, waiting_bytes=1)
        first = commits.submit(batch(0))
        while commits.waiting:
            pass
        second = commits.submit(batch(1))
        with pytest.raises(Full):
            commits.submit(batch(2))
        let_go()
        commits.close()
    assert (first.result(0).position, second.result(0).position) == (1, 2)


def test_one_whose_key_is_taken_hears_so_alone(log: EventLog) -> None:
    commits = GroupCommit(log)
    first, taken, again, other = [
        commits.submit(entry) for entry in (batch(1, key="k"), batch(2, key="k"), batch(1, key="k"), batch(3))
    ]
    commits.close()
    assert isinstance(taken.exception(0), KeyTaken)
    assert (first.result(0), again.result(0), other.result(0).position) == (Receipt(1, 1, 3), Receipt(1, 1, 3), 2)


def test_one_that_is_cancelled_before_its_turn_is_not_appended(log: EventLog) -> None:
    with held(log.path) as let_go:
        commits = GroupCommit(log)
        first = commits.submit(decision(0))
        while commits.waiting:
            pass
        assert commits.submit(decision(1)).cancel()
        let_go()
        commits.close()
    assert first.result(0).position == 1
    assert entries_of(log) == [decision(0)]


def test_those_of_a_failed_commit_hear_why_and_the_next_one_is_tried(tmp_path: Path) -> None:
    def impatient(path: Path, is_writer: bool) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)

    with closing(EventLog(tmp_path / "events.db", impatient)) as log:
        commits = GroupCommit(log)
        with held(log.path) as let_go:
            with pytest.raises(LogUnwritable, match="another process has locked it"):
                commits.submit(decision(0)).result(10)
            let_go()
            assert commits.submit(decision(1)).result(10) == Receipt(1, 1, 0)
        with closing(sqlite3.connect(log.path)) as other, other:
            other.execute("DELETE FROM head")
        with pytest.raises(DamagedLog, match="expected one head"):
            commits.submit(decision(2)).result(10)
        commits.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_a_mistake_of_ours_everybody_hears_of_it(log: EventLog) -> None:
    commits = GroupCommit(log)
    log.close()
    with pytest.raises(sqlite3.ProgrammingError):
        commits.submit(decision(0)).result(10)
    while any(thread.name == "group commit" for thread in threading.enumerate()):
        pass
    with pytest.raises(RuntimeError, match="the log is closed"):
        commits.submit(decision(1))
    commits.close()
