"""What a surge means: more of a key just now than its history makes likely, by the statistic that MIDAS publishes."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.hashing import hash64
from features.word import Look
from features.words.surge import Surge

laws = settings(max_examples=30, deadline=None, derandomize=True)
DAY = 86_400.0


def look(keys: str, active_B: NDArray[Any]) -> Look:
    texts = pl.DataFrame({"a": list(keys)})
    return Look({"a": hash64(texts["a"])}, texts, active_B, (active_B * 1e6).astype(np.int64))


def surge(keys: str, active_B: NDArray[Any], word: Surge | None = None) -> NDArray[np.float64]:
    return (word or Surge("a")).watch(1024).observe(look(keys, active_B))


def test_it_is_chi_squared_of_the_two_counts() -> None:
    word = Surge("a", fast=timedelta(seconds=60), slow=timedelta(days=36_500))
    hour = np.array([0.0, 3_600.0, 3_600.0, 3_600.0])
    found = surge("xxxx", hour, word)[-1]
    recent, n = 3.0, 4.0  # the first has faded away
    age = 3_660.0
    q = 60.0 / np.log(2) * (1 - 0.5 ** (age / 60.0)) / age  # a century is as good as no end
    assert found == pytest.approx(np.log1p((recent - q * n) ** 2 / (n * q * (1 - q))), rel=1e-3)


def test_a_flood_after_quiet_days_says_more_and_more() -> None:
    days = np.arange(0.0, 3 * DAY, 3_600.0)
    flood = 3 * DAY + 0.1 * np.arange(100)
    found = surge("x" * (days.size + 100), np.concatenate([days, flood]))
    assert (np.diff(found[-100:]) > 0).all()
    assert found[-1] > found[10 : days.size].max() + 3.0


@laws
@given(gap=st.floats(1.0, 600.0))
def test_a_steady_rate_says_only_that_an_event_is_there(gap: float) -> None:
    active_B = gap * np.arange(int(DAY / gap))
    recent, expected = 1.0 / (1.0 - 0.5 ** (gap / 60.0)), 60.0 / np.log(2) / gap
    found = surge("x" * active_B.size, active_B)[-1]
    assert found == pytest.approx(np.log1p((recent - expected) ** 2 / expected), abs=0.05)


def test_one_key_in_flood_is_no_surge_of_another() -> None:
    quiet = np.arange(0.0, DAY, 60.0)
    keys = "y" * quiet.size + "x" * 200 + "y"
    active_B = np.concatenate([quiet, DAY + 0.01 * np.arange(200), [DAY + 2.0]])
    alone = surge("y" * (quiet.size + 1), np.concatenate([quiet, [DAY + 2.0]]))
    assert surge(keys, active_B)[-1] == alone[-1]
