"""Work that is done several pieces at once comes out as if it were done one by one."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import files
from features.ahead import ahead
from features.files import Member
from features.reading import read
from features.unpacking import Damaged

#: Seconds to wait for what must come, before a test gives up.
LONG = 5


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four workers, however many processors there are."""
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 4)


def steps(count: int, end: Exception | None = None) -> Iterator[Callable[[], int]]:
    """Steps that give their numbers, and what ends them."""
    yield from (partial(int, number) for number in range(count))
    if end:
        raise end


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(1, 5))
def test_results_come_in_the_order_of_their_steps_and_few_wait(count: int, workers: int) -> None:
    taken = 0

    def counted() -> Iterator[Callable[[], int]]:
        nonlocal taken
        for step in steps(count):
            taken += 1
            yield step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl, "thread_pool_size", lambda: workers)
        for number, result in enumerate(ahead(counted())):
            assert result == number
            assert taken <= min(count, number + workers + 1)
    assert taken == count


def test_steps_are_taken_at_once_and_the_slow_one_still_comes_first(four: None) -> None:
    done = [threading.Event() for _ in range(12)]

    def step(number: int) -> tuple[int, bool]:
        is_together = number % 4 == 3 or done[number + 1].wait(LONG)
        done[number].set()
        return number, is_together

    assert list(ahead(partial(step, number) for number in range(12))) == [(number, True) for number in range(12)]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 20))
def test_damage_comes_after_everything_good(count: int) -> None:
    results = ahead(steps(count, Damaged("cut short")))
    assert [next(results) for _ in range(count)] == list(range(count))
    with pytest.raises(Damaged, match="cut short"):
        next(results)


@pytest.mark.parametrize("bad", [0, 3, 9])
def test_a_step_that_fails_says_so_after_those_before_it(bad: int, four: None) -> None:
    results = ahead(iter([partial(int, "x" if number == bad else number) for number in range(10)]))
    assert [next(results) for _ in range(bad)] == list(range(bad))
    with pytest.raises(ValueError, match="invalid literal"):
        next(results)
    assert list(results) == []


@pytest.mark.parametrize("taken", [1, 5])
def test_who_stops_early_leaves_no_thread_behind(taken: int, four: None) -> None:
    before = set(threading.enumerate())
    results = ahead(steps(100))
    for _ in range(taken):
        next(results)
    assert set(threading.enumerate()) > before
    results.close()  # type: ignore[attr-defined] # a generator, though it says only that it iterates
    assert set(threading.enumerate()) == before


def test_neither_does_what_fails_or_ends(four: None) -> None:
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="invalid literal"):
        list(ahead(iter([partial(int, "x"), *(partial(int, number) for number in range(20))])))
    with pytest.raises(Damaged):
        list(ahead(steps(20, Damaged("cut short"))))
    assert list(ahead(steps(20))) == list(range(20))
    assert set(threading.enumerate()) == before


# The same of logs


def alert(number: int) -> str:
    return (
        f'{{"timestamp":"2024-05-01T10:00:00.{number:06d}+0000","flow_id":{number},"event_type":"alert",'
        '"src_ip":"10.0.0.1","src_port":1,"dest_ip":"10.0.0.2","dest_port":2,"proto":"TCP"}\n'
    )


STATISTICS = '{"timestamp":"2024-05-01T10:00:00.000000+0000","event_type":"stats","stats":{"uptime":1}}\n'


@settings(deadline=None, max_examples=15)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 2000), st.integers(1, 4))
def test_frames_read_at_once_are_in_order_and_what_is_wrong_with_all_of_a_log_is_said_once(
    is_alert: list[bool], size: int, workers: int
) -> None:
    text = "".join(alert(line) if wanted else STATISTICS for line, wanted in enumerate(is_alert))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK_BYTES", size)
        patch.setattr(pl, "thread_pool_size", lambda: workers)
        patch.setattr("features.reading.members", lambda _paths: [Member("eve", None, iter(blocks(text.encode())))])
        chunks = list(read([]))
    lines = [line for chunk in chunks for frame in chunk.events.values() for line in frame["line"]]
    assert lines == [line for line, wanted in enumerate(is_alert) if wanted]
    said = [row for chunk in chunks for row in chunk.refused.select("line", "field", "value").rows()]
    assert said == ([] if all(is_alert) else [(None, "event_type", "stats")])


def blocks(text: bytes) -> Iterator[bytes]:
    yield from (text[at : at + 300] for at in range(0, len(text), 300))
