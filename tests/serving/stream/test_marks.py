"""An event that comes again, in whatever company and order, is in the log once; events that are alike are as many."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain
from features.logs import Events
from serving.stream.event_log import MARKS, EventLog
from serving.stream.log_entries import Entry, Receipt
from serving.stream.marks import SIZE, marks_of, without
from serving.stream.packing import packed, unpacked
from tests.serving.log_batches import batch, events
from tests.serving.logs_of_posts import kept_in

laws = settings(max_examples=25, deadline=None, derandomize=True)


def marked(post: Events, key: str | None = None, number: int = 0) -> Entry:
    height = sum(frame.height for frame in post.values())
    plain = replace(batch(number, key=key), payload=packed(post), events=height)
    return replace(plain, marks=marks_of(post), thinned=lambda is_known_B: packed(without(post, is_known_B)))


def together(numbers: list[int]) -> Events:
    """Events of several posts as one."""
    parts = [events(number, 1)[Domain.NETWORK] for number in numbers]
    return {Domain.NETWORK: pl.concat(parts)}


def uids(path: Path) -> list[str]:
    kept = [unpacked(one.entry.payload) for part in kept_in(path) for one in part]
    return [uid for post in kept for frame in post.values() for uid in frame["uid"]]


def appended(log: EventLog, entry: Entry) -> Receipt:
    (receipt,) = log.append([entry])
    assert isinstance(receipt, Receipt)
    return receipt


@laws
@given(posts=st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=5, unique=True), min_size=1, max_size=8))
def test_each_event_is_in_the_log_once_whoever_it_comes_with(
    posts: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, new = tmp_path_factory.mktemp("marks") / "events.db", set[int]()
    with closing(EventLog(path)) as log:
        for numbers in posts:
            receipt = appended(log, marked(together(numbers)))
            assert (receipt.events, receipt.known) == (len(set(numbers) - new), len(set(numbers) & new))
            new |= set(numbers)
        assert log.head().events == len(new)
    found = uids(path)
    assert len(found) == len(set(found)) == len(new)


def test_a_post_of_known_events_alone_leaves_no_entry(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "events.db")) as log:
        appended(log, marked(events(1)))
        before = log.head()
        again = appended(log, marked(events(1)))
        assert (again.position, again.events, again.known) == (1, 0, 3)
        assert log.head() == before


def test_events_of_one_post_that_are_alike_are_as_many(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "events.db")) as log:
        twins = together([1, 1, 2])
        assert appended(log, marked(twins)).events == 3
        assert appended(log, marked(twins)).known == 3
        assert appended(log, marked(together([1, 1, 1]))).events == 1


def test_marks_of_one_commit_that_fails_are_not_kept(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "events.db")) as log:
        bad = replace(marked(events(2)), payload="no bytes")  # type: ignore[arg-type]
        with pytest.raises((TypeError, AttributeError)):
            log.append([marked(events(1)), bad])
        assert [appended(log, marked(events(number))).events for number in (1, 2)] == [3, 3]


def test_marks_are_forgotten_when_their_time_is_over(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "events.db")) as log:
        appended(log, marked(events(1)))
        late = marked(events(2))
        appended(log, replace(late, accepted=late.accepted + MARKS + timedelta(minutes=1)))
        log.move(1)
        assert appended(log, marked(events(1))).known == 3
        log.move(2)
        assert appended(log, marked(events(1))).events == 3


def test_a_mark_begins_with_the_second_and_is_of_the_day_in_the_order_of_domains() -> None:
    post = events(7, 5)
    marks = marks_of(post)
    times = [time for domain in Domain if domain in post for time in post[domain]["time"].dt.epoch("s")]
    assert [int.from_bytes(mark[:4], "big") for mark in marks] == times
    assert {len(mark) for mark in marks} == {SIZE}
    is_known_B = np.array([True, False, True, False, True])
    left = without(post, is_known_B)
    assert marks_of(left) == [mark for mark, known in zip(marks, is_known_B, strict=True) if not known]
