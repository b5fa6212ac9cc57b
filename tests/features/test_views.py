"""Views of a text say what the text says."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.lines import lines_of
from features.views import eight, joined, series_of, views_of, word

#: Around the size that a view holds itself, and with letters of every size.
TEXTS = st.text("ab é€🦊", max_size=16) | st.text(max_size=40)
LONG = st.text("ab é€🦊", min_size=13, max_size=30) | st.text("ab", min_size=12, max_size=13)

Change = Callable[[pl.Series], pl.Series]
#: What may happen to a column on its way.
CHANGES: dict[str, Change] = {
    "nothing": lambda texts: texts,
    "a slice": lambda texts: texts.slice(1, 3),
    "every other one": lambda texts: texts.filter(
        pl.Series([row % 2 == 0 for row in range(len(texts))], dtype=pl.Boolean)
    ),
    "two texts": lambda texts: pl.concat([texts, viewed(["z" * 300] * 2).slice(1)], rechunk=True),
    "two chunks": lambda texts: pl.concat([texts, texts.slice(1)], rechunk=False),
    "one chunk of two": lambda texts: pl.concat([texts, texts.slice(1)], rechunk=True),
    "backwards": lambda texts: texts.reverse(),
    "each twice": lambda texts: texts.gather([row // 2 for row in range(2 * len(texts))]),
    "a short one in front": lambda texts: pl.concat([pl.Series(["x"]), texts], rechunk=True),
}


def bytes_of(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(text, dtype=np.uint8)


def viewed(texts: list[str]) -> pl.Series:
    """A column of views of one text."""
    return lines_of(b"".join(text.encode() + b"\n" for text in texts), 0)["text"]


def given_back(texts: pl.Series) -> list[str]:
    whole, begins_N, ends_N = joined(texts)
    return [whole[begins:ends].tobytes().decode() for begins, ends in zip(begins_N, ends_N, strict=True)]


@pytest.mark.parametrize("change", CHANGES)
@settings(deadline=None, max_examples=40)
@given(st.lists(TEXTS, max_size=6) | st.lists(LONG, max_size=6))
def test_joined_texts_can_be_taken_apart_again_whatever_happened_to_their_column(change: str, texts: list[str]) -> None:
    column = CHANGES[change](pl.Series("text", texts, dtype=pl.String))
    assert given_back(column) == column.to_list()


@pytest.mark.parametrize("change", CHANGES)
@settings(deadline=None, max_examples=40)
@given(st.lists(TEXTS.map(lambda text: text.replace("\n", "")), max_size=6) | st.lists(LONG, max_size=6))
def test_so_can_views_of_one_text(change: str, texts: list[str]) -> None:
    column = CHANGES[change](viewed(texts))
    assert given_back(column) == column.to_list()


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=8))
def test_joined_parts_come_one_after_the_other(texts: list[str], picks: list[int]) -> None:
    column = pl.Series("text", texts).gather([pick % len(texts) for pick in picks])
    whole, begins_N, ends_N = joined(column)
    assert (begins_N[1:] >= ends_N[:-1]).all()
    assert len(whole) >= (ends_N - begins_N).sum()


def test_long_lines_in_their_order_are_not_copied() -> None:
    column = viewed(["a line of more than twelve bytes"] * 3)
    whole, begins_N, _ = joined(column)
    assert begins_N.tolist() == [0, 33, 66]
    assert np.shares_memory(whole, joined(column)[0])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(TEXTS, TEXTS, st.booleans()), max_size=8))
def test_views_say_what_they_point_to_and_null_where_nothing_is_given(rows: list[tuple[str, str, bool]]) -> None:
    text, begins, ends = b"", [], []
    for between, part, _ in rows:
        begins.append(len(text + between.encode()))
        text += between.encode() + part.encode()
        ends.append(len(text))
    views_N2 = views_of(bytes_of(text), np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64))
    is_given_N = np.array([is_given for _, _, is_given in rows], dtype=bool)
    assert series_of("x", views_N2, None, [bytes_of(text)]).to_list() == [part for _, part, _ in rows]
    assert series_of("x", views_N2, is_given_N, [bytes_of(text)]).to_list() == [
        part if is_given else None for _, part, is_given in rows
    ]


def test_a_column_keeps_the_text_it_points_into() -> None:
    line = "far more than twelve bytes " * 40
    column = lines_of(line.encode(), 0)["text"]
    others = [b"?" * len(line) for _ in range(200)]
    assert len(others) == 200
    assert column.to_list() == [line]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=30), st.integers(0, 30), st.integers(0, 8))
def test_a_word_is_its_bytes_as_a_little_endian_number(text: bytes, begins: int, size: int) -> None:
    begins = min(begins, len(text))
    ends = min(begins + size, len(text))
    assert word(bytes_of(text), begins, ends) == int.from_bytes(text[begins:ends], "little")


@settings(deadline=None, max_examples=300)
@given(st.binary(min_size=8, max_size=30), st.integers(0, 22))
def test_eight_bytes_are_a_little_endian_number(text: bytes, place: int) -> None:
    place = min(place, len(text) - 8)
    assert eight(bytes_of(text), place) == int.from_bytes(text[place : place + 8], "little")
