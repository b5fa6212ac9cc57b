"""A binary Windows event log reads as the events it holds, and tells what of it is damaged."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain
from features.evtx import event_lines
from features.reading import read, recognised, sources
from tests.features.evtx_files import (
    CHUNK_BYTES,
    HEADER_BYTES,
    Element,
    Event,
    evtx,
    guid,
    overwritten,
    records_of,
    text,
)

SECURITY, SYSMON = "Security", "Microsoft-Windows-Sysmon/Operational"
POWERSHELL = "Microsoft-Windows-PowerShell/Operational"
LOGON = Event(
    4624,
    SECURITY,
    [("SubjectUserName", "WS1$"), ("TargetUserName", "bob"), ("LogonType", "3"), ("IpAddress", "10.0.0.9")],
)
LAUNCH = Event(
    1,
    SYSMON,
    [
        ("UtcTime", "2020-10-19 12:00:00.100"),
        ("ProcessGuid", guid("94F748D5-4A45-5A42-0000-0010D265F20F")),
        ("ProcessId", "77"),
        ("Image", "C:\\Windows\\System32\\cmd.exe"),
        ("CommandLine", 'cmd /c "whoami"'),
        ("ParentImage", "C:\\Windows\\explorer.exe"),
        ("User", "CORP\\Bob"),
    ],
    provider="Microsoft-Windows-Sysmon",
    keywords=0x8000000000000000,
)
SCRIPT = Event(4104, POWERSHELL, [("ScriptBlockText", "Get-Process |\n  Out-Null"), ("Path", "")])
MANY = [LOGON] * 6
LAST_SECOND = HEADER_BYTES + CHUNK_BYTES


class Log(io.BytesIO):
    """A log that is read once, from the front."""


def lines_of(log: bytes) -> tuple[list[dict[str, Any]], str]:
    """The records, and what is said to be damaged."""
    lines = event_lines(Log(log))
    seen = b""
    while True:
        try:
            seen += next(lines)
        except StopIteration as end:
            return [json.loads(line) for line in seen.splitlines()], str(end.value)


def numbers(log: bytes) -> tuple[list[int], str]:
    """The numbers of the records that come out, and what is said to be damaged."""
    records, damage = lines_of(log)
    return [int(record["RecordNumber"]) for record in records], damage


def read_log(path: Path, content: bytes) -> tuple[dict[Domain, pl.DataFrame], list[str]]:
    """The events of a file, and why anything was refused."""
    path.write_bytes(content)
    chunks = list(read([path]))
    frames: dict[Domain, list[pl.DataFrame]] = {}
    for chunk in chunks:
        for domain, frame in chunk.events.items():
            frames.setdefault(domain, []).append(frame)
    refused = [reason for chunk in chunks for reason in chunk.refused["reason"]]
    return {domain: pl.concat(parts) for domain, parts in frames.items()}, refused


def columns(frame: pl.DataFrame) -> dict[str, Any]:
    (row,) = frame.to_dicts()
    return {name: value for name, value in row.items() if value is not None}


def zipped(log: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logs/Security.evtx", log)
    return packed.getvalue()


def tarred(log: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("logs/Security.evtx")
        entry.size = len(log)
        archive.addfile(entry, io.BytesIO(log))
    return packed.getvalue()


# What holds for all logs

#: Windows ends a text at its first zero character.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5), st.booleans())
def test_any_texts_survive(texts: list[str], templates: bool) -> None:
    event = Event(1, SYSMON, [(f"Field{place}", written) for place, written in enumerate(texts)])
    ((record,), damage) = lines_of(evtx([event], templates=templates))
    assert damage == ""
    assert [record.get(f"Field{place}", "") for place in range(len(texts))] == texts


@settings(deadline=None)
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=5), st.booleans())
def test_nameless_texts_are_numbered_from_one(texts: list[str], templates: bool) -> None:
    event = Event(400, "Windows PowerShell", [(None, written) for written in texts])
    ((record,), _) = lines_of(evtx([event], templates=templates))
    assert [record[f"param{place}"] for place in range(1, len(texts) + 1)] == texts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7), st.integers(1, 5), st.booleans(), st.integers(0, 2))
def test_every_record_comes_out_in_order_however_they_lie_in_chunks(
    events: int, chunk_events: int, templates: bool, spare: int
) -> None:
    log = evtx([LOGON, LAUNCH, SCRIPT, LOGON, LAUNCH, LOGON, SCRIPT][:events], templates=templates,
               chunk_events=chunk_events, spare=spare)  # fmt: skip
    assert numbers(log) == ([*range(1, events + 1)], "")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_overwritten_the_records_around_it_come_out(data: st.DataObject) -> None:
    log = evtx(MANY, templates=False, chunk_events=3)
    at, size = data.draw(st.sampled_from(records_of(log)[1::3]), label="the middle record of a chunk")
    inside = data.draw(st.integers(0, size - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=size - inside))
    records, damage = lines_of(overwritten(log, at + inside, garbage))
    is_unchanged = log[at + inside : at + inside + len(garbage)] == garbage
    others = {"1", "2", "3", "4", "5", "6"} - {str(records_of(log).index((at, size)) + 1)}
    assert others <= {str(record["RecordNumber"]) for record in records}
    assert bool(damage) != is_unchanged


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2 * CHUNK_BYTES + HEADER_BYTES))
def test_a_log_cut_anywhere_gives_what_is_whole_before_the_cut_and_says_so(cut: int) -> None:
    log = evtx(MANY, templates=False, chunk_events=3)
    whole = [number for number, (at, size) in enumerate(records_of(log), 1) if at + size <= cut]
    came, damage = numbers(log[:cut])
    assert came[: len(whole)] == whole
    assert len(came) <= len(whole) + 1
    assert ("it ends early" in damage) == (len(whole) < len(MANY))


# What becomes of an event


@pytest.mark.parametrize("templates", [True, False])
def test_the_windows_source_knows_the_lines_as_its_own(templates: bool) -> None:
    records, _ = lines_of(evtx([LOGON, LAUNCH, SCRIPT], templates=templates))
    source = recognised([json.dumps(record) for record in records], list(sources().values()))
    assert source is not None
    assert source.name == "windows"


@pytest.mark.parametrize("templates", [True, False])
def test_a_logon_names_account_kind_and_address(tmp_path: Path, templates: bool) -> None:
    events, refused = read_log(tmp_path / "x.evtx", evtx([LOGON], templates=templates))
    event = columns(events[Domain.IDENTITY])
    assert refused == []
    assert event["event_code"] == "security/4624"
    assert event["time"] == datetime(2020, 10, 19, 12, 0, 0, 500_000, UTC)
    assert (event["user_name"], event["actor_user_name"], event["logon_type"]) == ("bob", "ws1$", "network")
    assert (event["device_hostname"][:3], event["src_endpoint_ip"], event["status"]) == ("ws1", "10.0.0.9", "success")


@pytest.mark.parametrize("templates", [True, False])
def test_a_sysmon_launch_has_its_own_time_and_a_process_named_as_exporters_name_it(
    tmp_path: Path, templates: bool
) -> None:
    events, refused = read_log(tmp_path / "x.evtx", evtx([LAUNCH], templates=templates))
    event = columns(events[Domain.ENDPOINT])
    assert refused == []
    assert event["time"] == datetime(2020, 10, 19, 12, 0, 0, 100_000, UTC)
    assert event["activity_name"] == "launch"
    assert event["process_uid"].lower() == "{94f748d5-4a45-5a42-0000-0010d265f20f}"
    assert event["process_cmd_line"].lower() == 'cmd /c "whoami"'


def test_a_script_block_keeps_its_text(tmp_path: Path) -> None:
    events, refused = read_log(tmp_path / "x.evtx", evtx([SCRIPT]))
    assert refused == []
    assert columns(events[Domain.ENDPOINT])["script_content"].lower() == "get-process |\n  out-null"


def test_the_envelope_wins_over_data_of_the_same_name_which_stay_under_another() -> None:
    data = [("Computer", "evil"), ("Hostname", "evil"), ("ProcessID", "77"), ("UserID", "evil"), ("EventData", "<x>")]
    ((record,), _) = lines_of(evtx([Event(5, "System", data)]))
    envelope = {"EventID": 5, "Channel": "System", "Computer": "WS1.corp.com", "RecordNumber": 1, "UserID": "S-1-5-18"}
    envelope |= {"@timestamp": "2020-10-19T12:00:00.500000Z", "Keywords": "0x8020000000000000"}
    envelope |= {"ProviderName": "Microsoft-Windows-Security-Auditing", "Version": 2}
    kept = {f"EventData{name}": "evil" for name in ("Computer", "Hostname", "UserID")} | {"EventDataEventData": "<x>"}
    processes = {"ExecutionProcessID": 4321, "ExecutionThreadID": 4321, "ProcessID": "77"}
    assert record == envelope | kept | processes


def test_user_data_lie_flat_by_the_name_of_the_innermost_element() -> None:
    inner = Element("Session", {"Kind": text("remote")}, inside=[Element("User", value=text("CORP\\bob"))])
    user_data = Element("EventXML", {"xmlns": text("Event_NS")}, inside=[inner, Element("Address", value=text("::1"))])
    ((record,), _) = lines_of(evtx([Event(21, "System", user_data=user_data)]))
    fields = ("Kind", "User", "Address", "xmlns")
    assert [record.get(name) for name in fields] == ["remote", "CORP\\bob", "::1", None]


def test_a_record_of_no_channel_has_its_provider_for_one(tmp_path: Path) -> None:
    events, _ = read_log(tmp_path / "trace.evtx", evtx([Event(5, "", provider="Microsoft-Windows-RPC")]))
    (frame,) = events.values()
    assert columns(frame)["event_code"] == "rpc/5"


# However it is packed


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, zipped, tarred])
def test_a_packed_log_is_read_like_a_plain_one(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    events, refused = read_log(tmp_path / "log", pack(evtx([LOGON, LAUNCH], chunk_events=1)))
    assert refused == []
    assert {domain: frame.height for domain, frame in events.items()} == {Domain.IDENTITY: 1, Domain.ENDPOINT: 1}


def test_a_log_cut_inside_gzip_gives_what_came_before_and_both_reasons(tmp_path: Path) -> None:
    noise = [Event(4624, SECURITY, [("TargetUserName", str(pow(7, at, 10**40)))]) for at in range(400)]
    packed = gzip.compress(evtx(noise, chunk_events=40))
    events, (reason,) = read_log(tmp_path / "log.gz", packed[: len(packed) // 2])
    assert 40 < events[Domain.IDENTITY].height < 400
    assert "gzip data ends early" in reason
    assert "it ends early" in reason


# Damage


def test_a_garbled_record_is_counted_and_its_neighbours_come_out(tmp_path: Path) -> None:
    log = evtx(MANY, templates=False)
    at, size = records_of(log)[2]
    events, (reason,) = read_log(tmp_path / "x.evtx", overwritten(log, at + 30, b"\xff" * (size - 40)))
    assert events[Domain.IDENTITY]["uid"].str.split(":").list.last().to_list() == ["1", "2", "4", "5", "6"]
    assert "unreadable records: 1" in reason


def test_a_record_whose_size_is_garbled_is_itself_saved() -> None:
    log = evtx(MANY, templates=False)
    at, _ = records_of(log)[2]
    came, damage = numbers(overwritten(log, at + 4, bytes(4)))
    assert came == [1, 2, 3, 4, 5, 6]
    assert "chunks with garbled values: 1" in damage


def test_a_record_written_at_an_impossible_time_stops_nothing() -> None:
    log = evtx(MANY, templates=False)
    at, _ = records_of(log)[2]
    came, damage = numbers(overwritten(log, at + 16, b"\xff" * 8))
    assert came == [1, 2, 3, 4, 5, 6]
    assert "chunks with garbled values: 1" in damage


def test_records_filled_with_zeros_are_counted() -> None:
    log = evtx(MANY, templates=False)
    (at, _), (end, _) = records_of(log)[2], records_of(log)[4]
    came, damage = numbers(overwritten(log, at, bytes(end - at)))
    assert came == [1, 2, 5, 6]
    assert "unreadable records: 2" in damage


def test_a_garbled_chunk_is_counted_and_those_around_it_come_out() -> None:
    log = evtx(MANY, chunk_events=2)
    came, damage = numbers(overwritten(log, LAST_SECOND, b"garbage!"))
    assert came == [1, 2, 5, 6]
    assert "unreadable chunks: 1" in damage


def test_a_value_changed_on_disk_comes_out_but_is_told() -> None:
    log = evtx(MANY)
    at = log.index("bob".encode("utf-16-le"))
    records, damage = lines_of(overwritten(log, at, b"r"))
    assert [record["TargetUserName"] for record in records] == ["rob", *["bob"] * 5]
    assert "chunks with garbled values: 1" in damage


def test_what_lies_behind_the_last_chunk_is_no_damage() -> None:
    log = evtx(MANY, spare=1)
    assert numbers(log[:-CHUNK_BYTES] + b"stale" * 13107 + b"!") == ([1, 2, 3, 4, 5, 6], "")


def test_a_log_in_use_whose_header_lags_gives_every_chunk() -> None:
    log = evtx(MANY, chunk_events=2)
    assert numbers(overwritten(log, 42, b"\x01\0")) == ([1, 2, 3, 4, 5, 6], "")


def test_names_that_point_in_a_circle_end() -> None:
    log = evtx(MANY, templates=False)
    chunk = HEADER_BYTES
    name = log.index("Event".encode("utf-16-le"), chunk) - 8 - chunk
    other = log.index("System".encode("utf-16-le"), chunk) - 8 - chunk
    for at, target in ((chunk + 128, name), (chunk + name, other), (chunk + other, name)):
        log = overwritten(log, at, target.to_bytes(4, "little"))
    assert numbers(log)[0] == [1, 2, 3, 4, 5, 6]


def test_a_log_without_records_is_refused_as_empty(tmp_path: Path) -> None:
    events, (reason,) = read_log(tmp_path / "x.evtx", evtx([], spare=1))
    assert events == {}
    assert "the log is empty" in reason


def test_other_binary_files_are_no_event_logs(tmp_path: Path) -> None:
    events, (reason,) = read_log(tmp_path / "x.evtx", b"ElfFile" + bytes(range(1, 200)))
    assert events == {}
    assert "no known log format" in reason
