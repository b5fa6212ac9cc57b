"""The checks of the fuzzer hold for the samples they begin from, and can fail."""

import msgspec
import polars as pl
import pytest

from features.lines import lines_of
from features.records import Wanted, json_records
from features.unpacking import FREE_BYTES
from tests.fuzz import checks
from tests.fuzz.checks import TARGETS, check_lines, check_records, check_unpacking

SAMPLES = [(name, sample) for name, target in TARGETS.items() for sample in target.samples]


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_every_check_holds_for_its_samples_and_their_halves(name: str, sample: bytes) -> None:
    for data in (sample, sample[: len(sample) // 2], sample * 2, b""):
        TARGETS[name].check(data)


def test_a_check_fails_where_lines_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "lines_of", lambda data, first: lines_of(data, first).head(1))
    with pytest.raises(AssertionError):
        check_lines(b"a\nb\n")


def test_a_check_fails_where_a_record_is_taken_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    read = json_records(lines_of(b'{"b":1}', 0), Wanted({"b": ("b",)}))
    fields = read.fields.with_columns(text=pl.lit('{"b":'))
    monkeypatch.setattr(checks, "json_records", lambda _lines, _wanted: type(read)(fields, read.refused))
    with pytest.raises(msgspec.DecodeError):
        check_records(b'{"b":1}')


def test_a_check_fails_where_more_comes_out_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_SLACK", -FREE_BYTES)
    monkeypatch.setattr(checks, "MOST_RATIO", 0)
    with pytest.raises(AssertionError):
        check_unpacking(b"a")
