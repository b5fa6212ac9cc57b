"""Whatever is handed in, what is good comes out and what is not is accounted for."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.sources
from features import files
from features.events import Domain, schema
from features.files import LINE_BYTES, Member, UnreadablePath
from features.reading import Chunk, UnknownFormat, read, sources
from features.source import REFUSED


def event(number: int, **more: object) -> str:
    record = {"class_uid": 4001, "time": 1_700_000_000_000 + number, "metadata": {"uid": f"e{number}"}}
    return json.dumps(record | {"device": {"hostname": "pc"}} | more)


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def uids(chunks: Iterator[Chunk]) -> list[str]:
    return [uid for chunk in chunks for frame in chunk.events.values() for uid in frame["uid"]]


def refusals(*paths: Path, format: str = "auto") -> list[dict[str, object]]:
    return [row for chunk in read(paths, format) for row in chunk.refused.to_dicts()]


def test_every_source_is_found_by_being_there() -> None:
    assert {"ocsf", "windows", "zeek"} <= set(sources())


def test_a_chunk_has_the_exact_schemas_and_counts_its_records(tmp_path: Path) -> None:
    path = written(tmp_path / "a", f"{event(1)}\n\n{event(2)}\nnonsense\n")
    (chunk,) = read([path])
    assert chunk.events[Domain.NETWORK].schema == schema(Domain.NETWORK)
    assert chunk.refused.schema == REFUSED
    assert (chunk.records, chunk.bytes) == (3, len(path.read_bytes()))
    assert chunk.events[Domain.NETWORK].select("source", "member", "line").rows() == [
        (str(path), None, 0),
        (str(path), None, 2),
    ]


def test_a_missing_path_and_an_unknown_format_are_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePath, match="nothing"):
        read([tmp_path, tmp_path / "nothing"])
    with pytest.raises(UnknownFormat, match="'csv' is not known; known are auto, "):
        read([tmp_path], "csv")


def test_nothing_in_gives_nothing_out() -> None:
    assert list(read([])) == []


def test_an_unknown_log_is_one_refusal_and_its_neighbours_come_through(tmp_path: Path) -> None:
    written(tmp_path / "a", event(1))
    written(tmp_path / "b", "Dear diary,\n" + "x" * 300)
    written(tmp_path / "c", "")
    written(tmp_path / "d", "\n \n")
    written(tmp_path / "e", gzip.compress(event(2).encode()))
    assert uids(read([tmp_path])) == ["e1", "e2"]
    assert [(Path(str(row["source"])).name, row["line"], row["field"]) for row in refusals(tmp_path)] == [
        ("b", None, "format"),
        ("c", None, "file"),
        ("d", None, "file"),
    ]


def test_damage_is_told_after_what_was_good(tmp_path: Path) -> None:
    text = "\n".join(event(number) for number in range(2000))
    path = written(tmp_path / "cut.gz", gzip.compress(text.encode())[:-200])
    read_uids = uids(read([path]))
    assert read_uids == [f"e{number}" for number in range(len(read_uids))]
    assert len(read_uids) > 1000
    assert refusals(path) == [
        {
            "source": str(path),
            "member": None,
            "line": None,
            "field": "file",
            "value": None,
            "reason": "the gzip data ends early; copy the file again",
        }
    ]


def test_a_file_with_nothing_before_the_damage_is_one_refusal(tmp_path: Path) -> None:
    (row,) = refusals(written(tmp_path / "bad.gz", gzip.compress(b"x" * 50)[:11]))
    assert row["reason"] == "the gzip data ends early; copy the file again"


def test_a_forced_format_reads_what_it_can_and_refuses_the_rest_by_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a", f"Dear diary,\n{event(1)}\n")
    assert uids(read([path], "ocsf")) == ["e1"]
    assert [(row["line"], row["field"]) for row in refusals(path, format="ocsf")] == [(0, "line")]


def test_a_line_that_is_too_long_is_refused_and_its_neighbours_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "a", f"{event(1)}\n{event(2, message='x' * LINE_BYTES)}\n{event(3)}\n")
    assert uids(read([path])) == ["e1", "e3"]
    (row,) = refusals(path)
    assert (row["line"], row["field"], len(str(row["value"]))) == (1, "line", 120)


def test_what_is_shown_of_a_refused_value_is_short_and_harmless(tmp_path: Path) -> None:
    path = written(tmp_path / "a", event(1, src_endpoint={"port": "\x1b[31m\u202e\n" + "9" * 200}))
    (row,) = refusals(path)
    assert str(row["value"]).startswith("\\x1b[31m\\u202e\\n999")
    assert len(str(row["value"])) == 120


@pytest.mark.parametrize("broken", ["NaN", "Infinity", "1e999", "99999999999999999999", '"1.5"', "-1", "true", "[]"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, broken: str) -> None:
    path = written(tmp_path / "a", event(1) + "\n" + event(2, traffic={"bytes_in": "?"}).replace('"?"', broken))
    assert uids(read([path])) == ["e1"]
    assert [row["line"] for row in refusals(path)] == [1]


@pytest.mark.parametrize("time", [-1, 4_102_444_800_001, 10**19, "1969-12-31T23:59:59Z", "2101-01-01T00:00:00Z", None])
def test_an_impossible_time_is_refused(tmp_path: Path, time: object) -> None:
    assert [row["field"] for row in refusals(written(tmp_path / "a", event(1, time=time)))] == ["time"]


def test_the_same_text_has_the_same_id_wherever_it_stands(tmp_path: Path) -> None:
    line = json.dumps({"class_uid": 4001, "time": 1})
    alone = uids(read([written(tmp_path / "a", line)]))
    beside = uids(read([written(tmp_path / "b", f"{event(1)}\n{line}\n")]))
    assert alone == beside[1:]


LINES = st.lists(
    st.sampled_from(["", "{", "[]", event(1), event(2), event(3, traffic=1), event(4, time="?")]), max_size=12
)


@settings(max_examples=25, deadline=None)  # each example reads two logs, under whatever load there is
@given(LINES, st.integers(1, 400))
def test_any_cut_into_chunks_gives_the_same_events_and_refusals(lines: list[str], size: int) -> None:
    def everything(chunk_bytes: int) -> tuple[list[object], list[object], int]:
        pieces = iter([f"{line}\n".encode() for line in [event(0), *lines]])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "CHUNK_BYTES", chunk_bytes)
            patch.setattr("features.reading.members", lambda _paths: [Member("x", None, pieces)])
            chunks = list(read([]))
        events: list[object] = [row for chunk in chunks for frame in chunk.events.values() for row in frame.rows()]
        return events, [row for chunk in chunks for row in chunk.refused.rows()], sum(chunk.records for chunk in chunks)

    assert everything(size) == everything(files.CHUNK_BYTES)


def test_every_record_is_an_event_or_a_refusal(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a", "\n".join([event(1), "{", "[]", event(2, time="?"), event(3), "", event(4, traffic=1)])
    )
    (chunk,) = read([path])
    lines = pl.concat([chunk.events[Domain.NETWORK]["line"], chunk.refused["line"]]).sort().to_list()
    assert lines == [0, 1, 2, 3, 4, 6]
    assert chunk.records == 6


def test_a_record_nested_too_deeply_is_refused_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    good = '{"class_uid":4001,"time":1700000000000,"src_endpoint":{"ip":"10.0.0.1"}}'
    deep = '{"class_uid":4001,"time":1700000000000,"x":' + "[" * 20_000 + "]" * 20_000 + "}"
    (tmp_path / "log").write_text(f"{good}\n{deep}\nnot JSON\n{good}\n")
    (chunk,) = read([tmp_path / "log"])
    assert chunk.refused["line"].to_list() == [1, 2]
    assert "nested too deeply" in chunk.refused["reason"][0]
    assert sum(frame.height for frame in chunk.events.values()) == 2


def test_a_format_is_added_by_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.py").write_text('''
import polars as pl
from features.events import Domain
from features.source import Drafts, Source

def recognises(head):
    """Lines that begin with `toy`."""
    return head[0].startswith("toy ")

def parse(lines, context):
    words = pl.col("text").str.split(" ").list
    time = pl.from_epoch(words.get(1).cast(pl.Int64), "s").dt.replace_time_zone("UTC")
    draft = lines.with_columns(time=time, src_endpoint_ip=words.get(2), activity_name=pl.lit("toy"))
    return Drafts({Domain.NETWORK: draft})

SOURCE = Source("toy", recognises, lambda name, frames: None, parse)
''')
    monkeypatch.setattr("features.sources.__path__", [*features.sources.__path__, str(tmp_path)])
    (tmp_path / "log").write_text("toy 1700000000 10.0.0.1\ntoy 1700000001 ::ffff:10.0.0.2\n")
    (chunk,) = read([tmp_path / "log"])
    assert chunk.events[Domain.NETWORK]["src_endpoint_ip"].to_list() == ["10.0.0.1", "10.0.0.2"]
    monkeypatch.delitem(sys.modules, "features.sources.toy")


def test_an_event_about_nobody_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", json.dumps({"class_uid": 4001, "time": 1}) + "\n" + event(1))
    assert uids(read([path])) == ["e1"]
    (row,) = refusals(path)
    assert (row["line"], row["field"]) == (0, "actor_user_name")
    assert str(row["reason"]).startswith("expected at least one of actor_user_name, device_hostname, src_endpoint_ip")


def test_an_event_about_a_dash_is_about_nobody(tmp_path: Path) -> None:
    path = written(tmp_path / "a", event(1, device={"hostname": "-"}))
    assert [row["field"] for row in refusals(path)] == ["actor_user_name"]


def test_a_call_of_nothing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", event(1, class_uid=6003, actor={"user": {"name": "ann"}}))
    assert [row["field"] for row in refusals(path)] == ["api_operation"]
