"""What a ratio means: a key's own proportion is usual, however the numbers grow together, and one odd event is not."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import hash64
from features.word import Look
from features.words.ratio import Ratio

laws = settings(max_examples=30, deadline=None, derandomize=True)
Row = tuple[str, str, str]


def moved(rows: Sequence[Row]) -> Look:
    """Events with bytes out, bytes in, and a host."""
    texts = pl.DataFrame(rows, schema={"out": pl.String, "in": pl.String, "host": pl.String}, orient="row")
    active_B = np.arange(len(rows), dtype=np.float64)
    return Look({field.name: hash64(field) for field in texts}, texts, active_B, (active_B * 1e6).astype(np.int64))


def last(past: Sequence[Row], *rows: Row, per: str | None = "host") -> list[float]:
    """What is said of each row, were it the one that follows `past`."""
    word = Ratio("out", over="in", per=per)
    return [float(word.watch(1024).observe(moved([*past, row]))[-1]) for row in rows]


def habit(host: str, out: int, over: int, times: int = 40) -> list[Row]:
    return [(str(out * n), str(over * n), host) for n in range(100, 100 + times)]


def test_sending_what_one_used_to_receive_is_strange() -> None:
    usual, unusual = last(habit("x", 1, 50), ("1000", "50000", "x"), ("50000", "1000", "x"))
    assert usual < 0.1
    assert unusual > 5.0


@laws
@given(size=st.integers(100, 10**9))
def test_sizes_that_grow_together_are_no_surprise(size: int) -> None:
    assert last(habit("x", 1, 50), (str(size), str(50 * size), "x"))[0] < 0.1


@laws
@given(out=st.integers(0, 10**9), over=st.integers(0, 10**9))
def test_up_and_down_are_judged_alike(out: int, over: int) -> None:
    past = [(str(n), str(n), "x") for n in range(1, 20)]
    up, down = last(past, (str(out), str(over), "x"), (str(over), str(out), "x"))
    assert up == pytest.approx(down, abs=1e-9)


def test_each_key_has_its_own_habit_and_a_new_one_that_of_all() -> None:
    past = [*habit("client", 1, 50), *habit("client", 1, 50), *habit("server", 50, 1)]
    server, client, new = (last(past, ("50000", "1000", host))[0] for host in ("server", "client", "new"))
    assert server < new < client
    assert last(past, ("50000", "1000", "client"), per=None) == pytest.approx(last(past, ("50000", "1000", "new")))


def test_a_few_wild_events_do_not_make_the_next_one_usual() -> None:
    wild = [("900000000", "1", "x")] * 5
    assert last([*habit("x", 1, 50, 200), *wild], ("900000000", "1", "x"))[0] > 3.0


@pytest.mark.parametrize("odd", ["", "many", "NaN", "inf", "-1", "0x10"])
def test_what_is_no_size_says_nothing_and_is_not_remembered(odd: str) -> None:
    past = habit("x", 1, 50)
    assert last(past, (odd, "5", "x"), ("5", odd, "x")) == [0.0, 0.0]
    assert last([*past, (odd, "5", "x"), ("5", odd, "x")], ("7", "7", "x")) == pytest.approx(
        last(past, ("7", "7", "x")), rel=1e-3
    )


def test_the_first_event_has_no_habit_to_be_held_against() -> None:
    assert last([], ("900000000", "1", "x"), ("1", "1", "x")) == [0.0, 0.0]
