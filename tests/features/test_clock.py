"""Active time goes forwards, never faster than time, and skips silences."""

from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.clock import Clock

HOUR = 3_600_000_000
times = st.lists(st.integers(0, 50 * HOUR), max_size=30).map(lambda found: np.array(found, np.int64))


def advance(clock: Clock, *time_B: int) -> list[float]:
    seconds: list[float] = clock.advance(np.array(time_B, np.int64)).tolist()
    return seconds


def test_the_first_event_is_the_start_of_time() -> None:
    assert advance(Clock(), 1_600_000_000_000_000) == [0.0]


def test_microseconds_become_seconds() -> None:
    assert advance(Clock(), 0, 1_500_000, 61_500_000) == [0.0, 1.5, 61.5]


def test_a_silence_counts_as_the_longest_silence() -> None:
    assert advance(Clock(timedelta(minutes=1)), 0, 1000 * HOUR, 1000 * HOUR + 1_000_000) == [0.0, 60.0, 61.0]


def test_a_time_before_the_latest_counts_as_the_latest() -> None:
    assert advance(Clock(), HOUR, 0, HOUR, 2 * HOUR) == [0.0, 0.0, 0.0, 3600.0]


def test_a_clock_that_waits_goes_on_at_the_next_event() -> None:
    clock = Clock()
    advance(clock, 0, 5_000_000)
    clock.wait()
    assert advance(clock, 900 * HOUR, 900 * HOUR + 1_000_000) == [5.0, 6.0]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(times)
def test_active_time_never_goes_back_nor_faster_than_an_hour_a_step(time_B: NDArray[np.int64]) -> None:
    steps = np.diff(Clock().advance(time_B))
    assert (steps >= 0).all()
    assert (steps <= 3600).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(times, st.integers(0, 30))
def test_any_cut_and_a_restored_clock_tell_the_same_time(time_B: NDArray[np.int64], at: int) -> None:
    first, second = Clock(), Clock()
    head = first.advance(time_B[:at])
    second.restore(first.state())
    both = np.concatenate([head, second.advance(time_B[at:])])
    assert both.tobytes() == Clock().advance(time_B).tobytes()
