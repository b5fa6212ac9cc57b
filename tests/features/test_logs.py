"""Whole logs come in the order of time, and any batches of them are all of them."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import TIME, Domain
from features.files import UnreadablePath
from features.logs import Events, cut, in_order, read_logs
from features.reading import Chunk

CLASSES = {Domain.NETWORK: 4001, Domain.DNS: 4003, Domain.CLOUD: 6003}


def write(path: Path, *events: tuple[Domain, int]) -> Path:
    """A log of events, each of a domain at a second."""
    about = {"device": {"hostname": "pc"}, "actor": {"user": {"name": "ann"}}, "api": {"operation": "Get"}}
    records = [about | {"class_uid": CLASSES[domain], "time": 1_700_000_000_000 + 1000 * at} for domain, at in events]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_events_of_all_files_come_in_the_order_of_time(tmp_path: Path) -> None:
    late = write(tmp_path / "late.jsonl", (Domain.DNS, 9), (Domain.DNS, 5), (Domain.NETWORK, 7))
    early = write(tmp_path / "early.jsonl", (Domain.DNS, 1), (Domain.DNS, 5))
    events = read_logs([late, early]).events
    assert list(events) == [Domain.NETWORK, Domain.DNS]
    found = events[Domain.DNS].select(pl.col("source").str.extract(r"(\w+)\.jsonl"), "line").rows()
    assert found == [("early", 0), ("late", 1), ("early", 1), ("late", 0)]


def test_places_are_in_the_order_the_logs_came_in(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.jsonl", (Domain.DNS, 1), (Domain.CLOUD, 2)) for name in "cab"]
    places = read_logs(paths).places
    assert places["source"].to_list() == [str(path) for path in paths]
    assert places["place"].to_list() == [0, 1, 2]
    assert places["member"].null_count() == 3


def test_what_is_refused_is_kept_beside_what_is_good(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", (Domain.DNS, 1))
    path.write_text(path.read_text() + '{"class_uid": 4003, "time": "never"}\n')
    logs = read_logs([path])
    assert logs.events[Domain.DNS].height == 1
    assert logs.refused.select("line", "field").rows() == [(1, "time")]


def test_somebody_can_hear_of_every_chunk(tmp_path: Path) -> None:
    chunks: list[Chunk] = []
    read_logs([write(tmp_path / f"{name}.jsonl", (Domain.DNS, 1)) for name in "ab"], told=chunks.append)
    assert [chunk.records for chunk in chunks] == [1, 1]


def test_no_logs_hold_nothing() -> None:
    logs = read_logs([])
    assert not logs.events
    assert logs.refused.is_empty()
    assert logs.places.is_empty()
    assert in_order(logs.events).is_empty()
    assert list(cut(logs.events, 10)) == []


def test_a_path_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePath, match="missing"):
        read_logs([tmp_path / "missing"])


@st.composite
def events(draw: st.DrawFn) -> Events:
    found = {}
    for domain in draw(st.sets(st.sampled_from(list(Domain)), max_size=4)):
        seconds = sorted(draw(st.lists(st.integers(0, 5), max_size=12)))
        frame = pl.DataFrame({"time": [second * 10**6 for second in seconds], "row": range(len(seconds))})
        found[domain] = frame.with_columns(pl.col("time").cast(pl.Int64).cast(TIME))
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(events=events(), rows=st.integers(1, 20))
def test_a_cut_holds_every_event_exactly_once_in_order(events: Events, rows: int) -> None:
    batches = list(cut(events, rows))
    sizes = [sum(frame.height for frame in batch.values()) for batch in batches]
    total = sum(frame.height for frame in events.values())
    assert sizes == [rows] * (total // rows) + [total % rows] * (total % rows > 0)
    assert all(frame.height for batch in batches for frame in batch.values())
    for domain, frame in events.items():
        parts = [batch[domain] for batch in batches if domain in batch]
        assert [row for part in parts for row in part.rows()] == frame.rows()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(events=events(), rows=st.integers(1, 20))
def test_the_order_of_batches_is_the_order_of_the_whole(events: Events, rows: int) -> None:
    whole = in_order(events)["domain"].to_list()
    assert [name for batch in cut(events, rows) for name in in_order(batch)["domain"]] == whole


def test_what_no_column_holds_is_counted_and_how_names_were_written_is_kept(tmp_path: Path) -> None:
    about = {"device": {"hostname": "PC-1.corp.example"}, "actor": {"user": {"name": "CORP\\Ann"}}}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(about | {"class_uid": 4001, "time": 1_700_000_000_000, "extra": {"a": 1, "b": [2]}}))
    logs = read_logs([path])
    assert logs.coverage.in_words() == ["ocsf: 33.3 % of the fields are in no column: extra.a (1), extra.b (1)"]
    assert set(logs.spellings.rows()) == {("host", "pc-1", "PC-1.corp.example"), ("user", "ann", "CORP\\Ann")}
