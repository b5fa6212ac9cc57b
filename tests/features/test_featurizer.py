"""Words compiled over fields keep their laws together."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import TIME
from features.featurizer import Featurizer
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.rarity import Rarity

WORDS = (Rarity("port"), Rarity("port", given="host"), Fan("port", per="host"), Burst("host"))
laws = settings(max_examples=25, deadline=None, derandomize=True)


def featurizer() -> Featurizer:
    return Featurizer({"host": pl.col("device"), "port": pl.col("number") % 10}, WORDS, slots=64)


@st.composite
def events(draw: st.DrawFn) -> pl.DataFrame:
    row = st.tuples(
        st.sampled_from([0, 1, 60, 86_400]),
        st.sampled_from(["a", "b", "c", "", None]),
        st.one_of(st.none(), st.integers(0, 10**6)),
    )
    rows = draw(st.lists(row, max_size=40))
    seconds = np.cumsum([gap for gap, _, _ in rows], dtype=np.int64)
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=int(second)) for second in seconds]
    return pl.DataFrame(
        {"time": times, "device": [device for _, device, _ in rows], "number": [number for _, _, number in rows]},
        schema={"time": TIME, "device": pl.String(), "number": pl.Int64()},
    )


@laws
@given(frame=events())
def test_a_row_of_numbers_an_event_and_a_column_a_word(frame: pl.DataFrame) -> None:
    found = featurizer().observe(frame)
    assert found.x_BF.shape == (frame.height, len(WORDS))
    assert found.x_BF.dtype == np.float32
    assert (found.x_BF >= 0).all()
    assert found.fields.columns == list(found.codes) == ["host", "port"]


@laws
@given(frame=events())
def test_a_code_is_0_where_a_value_is_missing_and_nowhere_else(frame: pl.DataFrame) -> None:
    found = featurizer().observe(frame)
    for name, code_B in found.codes.items():
        assert ((code_B == 0) == found.fields[name].is_null().to_numpy()).all()


@laws
@given(frame=events(), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_any_cut_gives_the_same_bits(frame: pl.DataFrame, cuts: list[int]) -> None:
    pieces = featurizer()
    ends = [*sorted(cuts), None]
    parts = [pieces.observe(frame[a or 0 : b]).x_BF for a, b in zip([0, *ends], ends, strict=False)]
    assert np.concatenate(parts).tobytes() == featurizer().observe(frame).x_BF.tobytes()


@laws
@given(frame=events(), at=st.integers(0, 40))
def test_a_restored_featurizer_gives_the_same_bits(frame: pl.DataFrame, at: int) -> None:
    first, second = featurizer(), featurizer()
    first.observe(frame[:at])
    second.observe(frame[at:])
    second.restore(first.state())
    assert second.observe(frame[at:]).x_BF.tobytes() == first.observe(frame[at:]).x_BF.tobytes()


def test_a_field_that_no_column_holds_is_an_error() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        featurizer().observe(pl.DataFrame(schema={"time": TIME, "number": pl.Int64()}))
