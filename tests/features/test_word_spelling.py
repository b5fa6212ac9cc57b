"""What spelling means: names made by chance are strange, the house's own kind is not, a repeat changes nothing."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import hash64
from features.word import Look
from features.words.spelling import Spelling

laws = settings(max_examples=30, deadline=None, derandomize=True)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PLAIN = ["mail.example.com", "www.garden.org", "shop.london.co.uk", "news.today.net", "login.hotels.com"]
KNOWN = [f"{a}.{b}" for a in ("mail", "www", "shop", "news", "login", "static") for b in PLAIN]


def asked(names: Sequence[str], start: float = 0.0) -> Look:
    texts = pl.DataFrame({"a": names}, schema={"a": pl.String})
    active_B = start + np.arange(len(names), dtype=np.float64)
    return Look({"a": hash64(texts["a"])}, texts, active_B, (active_B * 1e6).astype(np.int64))


def after(past: Sequence[str], *names: str, later: float = 0.0) -> list[float]:
    """What is said of each name, were it the one that follows `past`."""
    watch = Spelling("a").watch(1024)
    watch.observe(asked(past))
    state, answers = watch.state(), []
    for name in names:
        watch.restore(state)
        answers.append(float(watch.observe(asked([name], start=len(past) + later))[0]))
    return answers


def drawn(seed: int, size: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list(LETTERS), size))


@laws
@given(seed=st.integers(0, 2**32))
def test_a_name_drawn_by_chance_is_stranger_than_words(seed: int) -> None:
    strange, *usual = after(KNOWN, drawn(seed, 16) + ".com", "paintings.com", "bank.holiday.com")
    assert strange > max(usual) + 2.0


@laws
@given(seed=st.integers(0, 2**32))
def test_a_long_odd_name_outranks_its_own_beginning(seed: int) -> None:
    name = drawn(seed, 48)
    long, short = after(KNOWN, name + ".com", name[:12] + ".com")
    assert long > short > 0.0


@laws
@given(seed=st.integers(0, 2**32))
def test_capitals_do_not_matter(seed: int) -> None:
    name = drawn(seed, 12)
    low, high = after(KNOWN, name, name.upper())
    assert low == high


def test_a_kind_of_name_that_many_hosts_bear_is_strange_no_more() -> None:
    servers = [f"srv-fra-{n * 7919 % 9973:04d}-x{n % 7}" for n in range(3001)]
    (new,), (known,) = after(KNOWN, servers[-1]), after([*KNOWN, *servers[:-1]], servers[-1])
    assert new > 5.0
    assert known < 0.5


def test_a_flood_of_generated_names_stays_strange() -> None:
    flood = [drawn(seed, 16) + ".com" for seed in range(2000)]
    (before,), (late,) = after(KNOWN, drawn(2001, 16) + ".com"), after([*KNOWN * 20, *flood], drawn(2001, 16) + ".com")
    assert late > before / 3


def test_a_name_repeated_is_answered_as_before_and_teaches_nothing() -> None:
    watch = Spelling("a").watch(1024)
    watch.observe(asked(KNOWN))
    first = watch.observe(asked(["qx7zk.com"], start=40.0))
    language = watch.state()["language.thrice_KKK"].copy()
    again_B = watch.observe(asked(["qx7zk.com"] * 50, start=41.0))
    assert set(again_B) == set(first)
    assert (watch.state()["language.thrice_KKK"] == language).all()


def test_what_a_stream_taught_fades_and_natural_names_stay() -> None:
    servers = [f"srv-fra-{n * 7919 % 9973:04d}-x{n % 7}" for n in range(3001)]
    soon, words = after([*KNOWN, *servers[:-1]], servers[-1], "paintings.com")
    late, words_late = after(
        [*KNOWN, *servers[:-1]], servers[-1], "paintings.com", later=timedelta(days=900).total_seconds()
    )
    assert late > soon + 2.0
    assert words_late <= words + 2.0


def test_the_first_name_of_a_stream_has_nothing_to_be_compared_with() -> None:
    assert after([], "www.example.com", drawn(1, 30)) == [0.0, 0.0]


@pytest.mark.parametrize("name", ["", "日本語.jp", "a" * 10_000, "\x00"])
def test_any_text_has_a_spelling(name: str) -> None:
    assert np.isfinite(after(KNOWN, name)[0])
