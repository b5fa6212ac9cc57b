"""Every way of writing a moment gives the same time."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.moments import moment


def read(text: str | None) -> datetime | None:
    found: datetime | None = (
        pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(moment(pl.col("text"))).item()
    )
    return found


@pytest.mark.parametrize(
    "text",
    [
        "2020-10-23T02:36:40.671Z",
        "2020-10-23 02:36:40.671",
        "2020-10-23T02:36:40.6710000Z",
        "2020-10-23T04:36:40.671+02:00",
        "2020-10-22T21:06:40.671-0530",
        "2020-10-23 02:36:40.671 UTC",
        "1603420600.671",
        "1603420600671",
        "1603420600671000",
    ],
)
def test_every_way_of_writing_a_moment_is_one_time(text: str) -> None:
    assert read(text) == datetime(2020, 10, 23, 2, 36, 40, 671000, UTC)


@pytest.mark.parametrize("text", ["yesterday", "", "-", "nan", "inf", "-5", "1e300", "2020-13-01 00:00:00", None])
def test_what_is_no_moment_is_null(text: str | None) -> None:
    assert read(text) is None


def test_a_small_number_is_seconds_of_a_relative_clock() -> None:
    assert read("19.5") == datetime(1970, 1, 1, 0, 0, 19, 500000, UTC)


@settings(deadline=None)
@given(st.datetimes(datetime(1974, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001 - the zone is added below
def test_epoch_and_iso_agree_to_a_microsecond(naive: datetime) -> None:
    time = naive.replace(tzinfo=UTC)
    assert read(time.isoformat()) == time
    assert read(f"{time.timestamp():.6f}") == time
