"""What a habit means: hours that are not one's own are strange, a new value takes the habit of all."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import hash64
from features.word import Look
from features.words.habit import Habit

laws = settings(max_examples=30, deadline=None, derandomize=True)
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
hours = st.integers(0, 23)


def at(hours_of_week: list[tuple[str, float]]) -> Look:
    """Values and the hours since a Monday's first at which they come."""
    texts = pl.DataFrame({"a": [value for value, _ in hours_of_week]})
    since_B = np.array([hour for _, hour in hours_of_week])
    time_B = int(MONDAY.timestamp()) * 1_000_000 + (since_B * 3_600_000_000).astype(np.int64)
    return Look({"a": hash64(texts["a"])}, texts, since_B * 3600.0, time_B)


def days(value: str, *own: int, weeks: int = 6, weekend: bool = False) -> list[tuple[str, float]]:
    """These hours of every weekday, or of every day of the weekend."""
    some = range(5, 7) if weekend else range(5)
    return [(value, 24.0 * (7 * week + day) + hour) for week in range(weeks) for day in some for hour in own]


def after(past: list[tuple[str, float]], value: str, *, day: int, hour: float, word: Habit | None = None) -> float:
    """What is said of a value on that day of the week after `past`, Monday being 0."""
    watch = (word or Habit("a")).watch(1024)
    watch.observe(at(sorted(past, key=lambda one: one[1])))
    return float(watch.observe(at([(value, 24.0 * (7 * 6 + day) + hour)]))[0])


@laws
@given(start=hours, other=st.integers(4, 20))
def test_an_hour_that_is_not_ones_own_is_strange(start: int, other: int) -> None:
    past = days("x", start, (start + 1) % 24)
    usual = after(past, "x", day=1, hour=start)
    assert after(past, "x", day=1, hour=(start + other) % 24) > usual + 2.0


@laws
@given(hour=hours)
def test_hours_are_a_circle(hour: int) -> None:
    near, far = (after(days("x", hour), "x", day=2, hour=(hour + by) % 24) for by in (1, 3))
    before = after(days("x", hour), "x", day=2, hour=(hour - 1) % 24)
    assert before == pytest.approx(near, abs=0.02)
    assert near < far - 2.0


@laws
@given(hour=hours)
def test_a_weekend_is_not_a_weekday(hour: int) -> None:
    past = days("x", hour)
    assert after(past, "x", day=5, hour=hour) > after(past, "x", day=4, hour=hour) + 2.0
    freed = days("x", hour, weekend=True)
    assert after(freed, "x", day=0, hour=hour) > after(freed, "x", day=6, hour=hour) + 2.0


@laws
@given(own=st.sets(hours, max_size=4), weeks=st.integers(1, 6), value=st.sampled_from(["x", "new"]))
def test_the_chances_of_all_hours_add_up_to_one(own: set[int], weeks: int, value: str) -> None:
    past = days("x", *own, weeks=weeks) + days("y", 8, weeks=2, weekend=True)
    nats = [after(past, value, day=day, hour=hour) for day in (1, 6) for hour in range(24)]
    assert np.exp(-np.array(nats)).sum() == pytest.approx(1.0, abs=0.02)


def test_a_new_value_takes_the_habit_of_all() -> None:
    crowd = [(f"x{n}", when) for n in range(20) for _, when in days("x", 9, 10, 11)]
    known, unknown = (after(crowd, value, day=1, hour=10) for value in ("x3", "new"))
    assert unknown == pytest.approx(known, abs=0.02)
    assert after(crowd, "new", day=1, hour=22) > unknown + 4.0


def test_an_own_habit_outweighs_that_of_all_with_time() -> None:
    crowd = [(f"x{n}", when) for n in range(20) for _, when in days("x", 9, 10, 11)]
    said = [after(crowd + days("n", 2, weeks=weeks), "n", day=1, hour=2) for weeks in (0, 1, 2, 6)]
    assert (np.diff(said) < 0).all()


@laws
@given(events=st.integers(1, 200), hour=hours)
def test_a_crowd_of_events_does_not_make_its_hour_usual(events: int, hour: int) -> None:
    watch = Habit("a").watch(64)
    watch.observe(at(days("x", (hour + 12) % 24)))
    start = 24.0 * 7 * 6 + hour
    answer_B = watch.observe(at([("x", start + n / 201) for n in range(events)]))
    assert answer_B.min() == pytest.approx(answer_B[0], abs=0.01)


def test_a_habit_of_long_ago_is_forgotten() -> None:
    word = Habit("a", half_life=timedelta(hours=6))
    old = after(days("x", 3, weeks=1), "x", day=1, hour=15, word=word)
    assert old == pytest.approx(after([("y", 0.0)], "x", day=1, hour=15, word=word), abs=0.01)


@pytest.mark.parametrize(("day", "weekday"), [(0, True), (4, True), (5, False), (6, False)])
def test_the_first_event_is_judged_by_a_steady_presence(day: int, weekday: bool) -> None:
    said = Habit("a").watch(64).observe(at([("x", 24.0 * day + 12)]))[0]
    assert said == pytest.approx(-np.log((5 if weekday else 2) / 7 / 24))


@laws
@given(half_life=st.floats(1.0, 1e5), weeks=st.integers(1, 6))
def test_fading_makes_no_hour_more_likely_than_certain(half_life: float, weeks: int) -> None:
    word = Habit("a", half_life=timedelta(seconds=half_life))
    said = [
        after(days("x", 3, weeks=weeks), "x", day=day, hour=hour, word=word) for day in (1, 6) for hour in range(24)
    ]
    assert np.exp(-np.array(said)).sum() == pytest.approx(1.0, abs=0.2)
