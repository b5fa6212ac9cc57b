"""A batch of events comes out of its bytes as it went in, and nothing else comes out of any bytes."""

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import TIME, Domain, schema
from features.logs import Events
from serving.stream import packing
from serving.stream.packing import NoBatch, packed, unpacked
from tests.serving.log_batches import events

VALUES = {
    pl.String(): st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    pl.Int64(): st.none() | st.integers(-(2**63), 2**63 - 1),
    pl.Int32(): st.none() | st.integers(-(2**31), 2**31 - 1),
    pl.Float64(): st.none() | st.floats(),
    TIME: st.none() | st.integers(-(2**60), 2**60),
}


EVENTS = events(1)
GOOD = packed(EVENTS)


@st.composite
def batches(draw: st.DrawFn) -> Events:
    return {domain: draw(frames(domain)) for domain in draw(st.sets(st.sampled_from(list(Domain)), max_size=3))}


@st.composite
def frames(draw: st.DrawFn, domain: Domain) -> pl.DataFrame:
    height = draw(st.integers(1, 4))
    columns = {
        name: pl.Series(name, draw(st.lists(VALUES[kind], min_size=height, max_size=height)), _plain(kind)).cast(kind)
        for name, kind in schema(domain).items()
    }
    return pl.DataFrame(columns)


def _plain(kind: pl.DataType) -> pl.DataType:
    return pl.Int64() if kind == TIME else kind


def same(one: Events, other: Events) -> bool:
    return one.keys() == other.keys() and all(
        one[domain].schema == other[domain].schema and one[domain].equals(other[domain]) for domain in one
    )


@settings(deadline=None, max_examples=25, derandomize=True)
@given(batches())
def test_events_are_unpacked_as_they_were_packed(batch: Events) -> None:
    assert same(unpacked(packed(batch)), batch)


def test_a_part_of_a_frame_packs_to_no_more_than_itself() -> None:
    (frame,) = events(1, 1).values()
    big = pl.concat([frame.with_columns(uid=pl.lit(f"{n}" * 400)) for n in range(2000)], rechunk=True)
    part = big.filter(pl.int_range(pl.len()) == 1234)
    assert len(packed({Domain.NETWORK: part})) < 2000
    assert same(unpacked(packed({Domain.NETWORK: part})), {Domain.NETWORK: part})


def test_domains_without_events_are_not_packed() -> None:
    assert unpacked(packed({Domain.WEB: pl.DataFrame(schema=schema(Domain.WEB))})) == {}


def test_columns_that_are_not_those_of_the_domain_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = events(1)
    with pytest.raises(ValueError, match="expected the columns of web"):
        packed({Domain.WEB: batch[Domain.DNS]})
    with pytest.raises(ValueError, match="expected the columns of dns"):
        packed({Domain.DNS: batch[Domain.DNS].cast({"line": pl.Int32})})
    good = packed(batch)
    monkeypatch.setattr(packing, "_DOMAINS", tuple(reversed(Domain)))
    with pytest.raises(NoBatch, match="expected the columns of"):
        unpacked(good)


def test_a_batch_above_the_most_is_refused_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    good = packed(events(1))
    monkeypatch.setattr(packing, "BATCH_BYTES", 1000)
    with pytest.raises(ValueError, match="at most 1000 are packed together"):
        packed(events(1))
    with pytest.raises(NoBatch, match="expected at most 1000 bytes unpacked"):
        unpacked(good)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "before all"),
        (b"XXXX", "before all"),
        (b"SME1", "cannot be unpacked"),
        (b"SME1" + zstandard.compress(b"x"), "expected the events of a domain"),
        (b"SME1" + zstandard.compress(bytes(9)) + b"x", "cannot be unpacked"),
        (b"SME1" + zstandard.compress(bytes(9)), "cannot be read"),
        (b"SME1" + zstandard.compress(b"\x09" + bytes(8)), "expected the events of a domain"),
        (b"SME1" + zstandard.ZstdCompressor(write_content_size=False).compress(bytes(9)), "expected at most"),
    ],
)
def test_other_bytes_are_no_batch(payload: bytes, words: str) -> None:
    with pytest.raises(NoBatch, match=words):
        unpacked(payload)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.data())
def test_whatever_is_changed_ends_in_a_refusal(data: st.DataObject) -> None:
    payload = bytearray(GOOD)
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = unpacked(bytes(payload))
    except NoBatch:
        return
    assert same(found, EVENTS)
