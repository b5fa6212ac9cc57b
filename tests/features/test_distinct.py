"""Fields worked out once for each distinct value are what they are worked out row by row."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.distinct import worked_out
from features.hashing import hash64

FIELDS = {
    "upper": pl.col("text").str.to_uppercase(),
    "itself": pl.col("text"),
    "beside": pl.concat_str("text", "number", separator=" ", ignore_nulls=True),
    "least": pl.coalesce(pl.col("number").cast(pl.String), "text", pl.col("share").cast(pl.String)),
    "share": pl.col("share") * 2,
    "hour": pl.col("when").dt.hour(),
    "true": pl.col("true"),
    "parts": pl.col("parts").list.join("/"),
    "always": pl.lit("x"),
}
SCHEMA = {
    "text": pl.String(),
    "number": pl.Int64(),
    "share": pl.Float64(),
    "when": pl.Datetime("us", "UTC"),
    "true": pl.Boolean(),
    "parts": pl.List(pl.String()),
}
ROWS = st.tuples(
    st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["", "eight by", "a text of more than twelve bytes"])),
    st.one_of(st.none(), st.integers(-(2**62), 2**62), st.sampled_from([0, 1])),
    st.one_of(st.none(), st.floats(allow_nan=False), st.sampled_from([0.0, -0.0])),
    st.one_of(st.none(), st.integers(0, 2**31).map(lambda second: datetime.fromtimestamp(second, UTC))),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.lists(st.sampled_from(["a", "b"]), max_size=3)),
)


def frame(rows: list[tuple[object, ...]], height: int) -> pl.DataFrame:
    """So many rows, drawn again and again from a few."""
    few = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return few[np.random.default_rng(1).integers(0, few.height, height)]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.lists(ROWS, min_size=1, max_size=30), height=st.sampled_from([1, 50, 2048, 5000]), cut=st.integers(0, 40)
)
def test_once_for_each_value_is_row_by_row(rows: list[tuple[object, ...]], height: int, cut: int) -> None:
    events = frame(rows, height)[cut:]
    texts, codes = worked_out(events, FIELDS)
    plain = events.select(expression.cast(pl.String).alias(name) for name, expression in FIELDS.items())
    assert texts.equals(plain)
    assert list(codes) == plain.columns
    assert all((codes[column.name] == hash64(column)).all() for column in plain)


@pytest.mark.parametrize("nothing", [False, 0, 0.0, datetime.fromtimestamp(0, UTC)])
def test_what_is_missing_is_not_what_is_nothing(nothing: object) -> None:
    events = pl.DataFrame({"value": [nothing, None, None] * 1000})
    fields = {"value": pl.col("value"), "told": pl.col("value").is_null()}
    texts, _ = worked_out(events, fields)
    assert texts.equals(events.select(expression.cast(pl.String).alias(name) for name, expression in fields.items()))


def test_where_every_row_differs_it_is_row_by_row_too() -> None:
    names = pl.Series("text", [f"a name of its own {n}" for n in range(5000)])
    events = names.to_frame().with_columns(number=pl.int_range(5000))
    fields = {name: FIELDS[name] for name in ("upper", "beside")}
    texts, codes = worked_out(events, fields)
    assert texts.equals(events.select(expression.alias(name) for name, expression in fields.items()))
    assert np.unique(codes["upper"]).size == 5000


def collision(text: str) -> str:
    """Another text with the hash of a text of 16 characters: MurmurHash64A can be run backwards."""
    mix, low = 0xC6A4A7935BD1E995, 2**64 - 1
    back = pow(mix, -1, 2**64)

    def mixed(block: bytes) -> int:
        number = int.from_bytes(block, "little") * mix & low
        return (number ^ number >> 47) * mix & low

    def unmixed(number: int) -> bytes:
        number = number * back & low
        return ((number ^ number >> 47) * back & low).to_bytes(8, "little")

    start = 16 * mix & low
    one, two = text[:8].encode(), text[8:].encode()
    for n in range(100_000):
        other = b"%08d" % n
        wanted = ((start ^ mixed(one)) * mix & low) ^ ((start ^ mixed(other)) * mix & low) ^ mixed(two)
        last = unmixed(wanted)
        if max(last) < 128 and min(last) >= 32:
            return (other + last).decode()
    raise AssertionError("no collision found")


@pytest.mark.parametrize("height", [10, 5000])
def test_two_texts_of_one_hash_stay_two(height: int) -> None:
    pair = ["domaincontroller", collision("domaincontroller")]
    events = pl.DataFrame({"text": pair * (height // 2)})
    texts, codes = worked_out(events, {"upper": FIELDS["upper"], "itself": FIELDS["itself"]})
    assert np.unique(codes["itself"]).size == 1
    assert texts["upper"].to_list() == [text.upper() for text in pair] * (height // 2)
