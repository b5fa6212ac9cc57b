"""What the place in a session means: a value where it never was is strange, sessions end, owners are apart."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.hashing import hash64
from features.word import Look
from features.words.session import Session

laws = settings(max_examples=30, deadline=None, derandomize=True)
HOUR = 3600.0


def spelled(values: str, second_B: NDArray[np.float64], owners: str | None = None) -> Look:
    """A letter a step, a blank is missing."""
    letters = {"a": values, "b": owners or "m" * len(values)}
    columns = {name: [letter if letter.strip() else None for letter in word] for name, word in letters.items()}
    texts = pl.DataFrame(columns, schema={"a": pl.String, "b": pl.String})
    codes = {text.name: hash64(text) for text in texts}
    return Look(codes, texts, second_B, (second_B * 1e6).astype(np.int64))


def sessions(values: str, times: int, gap: float = 10.0) -> Look:
    """The same session again and again, two hours apart."""
    second_B = np.add.outer(2 * HOUR * np.arange(times), gap * np.arange(len(values))).ravel()
    return spelled(values * times, second_B)


def after(word: Session, past: Look, values: str) -> list[float]:
    """What is said of each step of the session that follows `past`."""
    watch = word.watch(1024)
    watch.observe(past)
    second_B = past.active_B[-1] + 2 * HOUR + 10.0 * np.arange(len(values))
    return [float(nats) for nats in watch.observe(spelled(values, second_B))]


def test_a_value_is_strange_where_it_never_was() -> None:
    usual = after(Session("a", per="b"), sessions("sxyz", 100), "sxyz")
    swapped = after(Session("a", per="b"), sessions("sxyz", 100), "zxys")
    assert max(usual) < 0.1
    assert min(swapped[0], swapped[3]) > 3.0
    assert swapped[1:3] == pytest.approx(usual[1:3], abs=0.01)


@laws
@given(times=st.integers(3, 200), place=st.integers(0, 5))
def test_the_oftener_a_value_kept_its_place_the_stranger_another(times: int, place: int) -> None:
    values = "tuvwxy"
    few, many = (after(Session("a", per="b"), sessions(values, n), values[place] * 12)[11] for n in (times, times + 50))
    assert few < many


@laws
@given(length=st.integers(2, 30))
def test_a_new_value_is_judged_by_the_places_of_all(length: int) -> None:
    past = sessions("x" * length, 50)
    as_first, as_second = after(Session("a", per="b"), past, "q")[0], after(Session("a", per="b"), past, "xq")[1]
    known = after(Session("a", per="b"), past, "xx")
    assert [as_first, as_second] == pytest.approx(known, abs=0.2)


@laws
@given(silence=st.floats(0.0, 6 * HOUR), pause=st.floats(60.0, 5 * HOUR))
def test_a_session_ends_after_a_pause_and_not_before(silence: float, pause: float) -> None:
    watch = Session("a", per="b", pause=timedelta(seconds=round(pause))).watch(64)
    watch.observe(spelled("x" * 200, np.zeros(200)))
    twice = watch.observe(spelled("xx", np.full(2, silence)))
    began_anew = silence > round(pause)
    assert (twice[0] > 3.0) == began_anew
    assert (twice[1] > 3.0) == began_anew


def test_later_places_double() -> None:
    watch = Session("a", per="b").watch(64)
    answer_B = watch.observe(spelled("x" * 4097, np.arange(4097.0)))
    fresh = {1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 513, 1025}
    fell = {int(step) + 1 for step in np.flatnonzero(np.diff(answer_B, prepend=0.0) > 0.0)}
    assert fell == fresh


def test_owners_have_sessions_of_their_own() -> None:
    watch = Session("a", per="b").watch(64)
    watch.observe(spelled("x" * 300, np.arange(300.0)))
    late, early = watch.observe(spelled("xx", np.full(2, 300.0), "mn"))
    assert early > late + 3.0


@laws
@given(values=st.text("xyz", min_size=2, max_size=30), gone=st.integers(0, 29))
def test_who_is_unknown_is_in_no_session(values: str, gone: int) -> None:
    gone = min(gone, len(values) - 1)
    second_B = np.arange(float(len(values)))
    owners = "".join(" " if step == gone else "m" for step in range(len(values)))
    answer_B = Session("a", per="b").watch(64).observe(spelled(values, second_B, owners))
    rest = values[:gone] + values[gone + 1 :]
    without = Session("a", per="b").watch(64).observe(spelled(rest, np.delete(second_B, gone)))
    assert answer_B[gone] == 0.0
    assert np.delete(answer_B, gone).tobytes() == without.tobytes()


def test_places_of_long_ago_are_forgotten() -> None:
    word = Session("a", per="b", half_life=timedelta(minutes=10))
    watch = word.watch(64)
    watch.observe(sessions("xy", 50))
    long_after = spelled("y", np.array([100 * 2 * HOUR + 40 * HOUR]))
    assert watch.observe(long_after)[0] == pytest.approx(word.watch(64).observe(long_after)[0], abs=1e-6)
