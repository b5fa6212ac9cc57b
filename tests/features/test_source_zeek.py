"""Zeek's logs become events of the domain they are about, in every way Zeek and its users write them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.events import Domain, schema
from features.reading import read
from features.sources.zeek import SOURCE

DATA = Path(__file__).parents[3] / "shared" / "data" / "network" / "stratosphere_zeek"

CONN = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state label"
ROW = [
    "1655071198.444458",
    "C1",
    "10.0.0.1",
    "5000",
    "10.0.0.2",
    "443",
    "tcp",
    "ssl",
    "1.5",
    "10",
    "-",
    "SF",
    "Malicious",
]


def tsv(log: str, fields: str, *rows: list[str]) -> str:
    """A log as Zeek writes it."""
    header = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", f"#path\t{log}"]
    header += ["#open\t2022-06-12-00-00-00", "#fields\t" + "\t".join(fields.split()), "#types\ttime"]
    return "\n".join([*header, *("\t".join(row) for row in rows), "#close\t2022-06-13-00-00-00"]) + "\n"


def read_text(folder: Path, text: str, name: str = "some.log") -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    (folder / name).write_text(text)
    (chunk,) = read([folder / name])
    for domain, frame in chunk.events.items():
        assert frame.schema == schema(domain)
    return chunk.events, chunk.refused


def one(folder: Path, text: str, domain: Domain, name: str = "some.log") -> dict[str, Any]:
    """The only event, and what its columns say."""
    events, refused = read_text(folder, text, name)
    assert refused.is_empty(), refused["reason"].to_list()
    assert list(events) == [domain]
    (row,) = events[domain].to_dicts()
    return {column: value for column, value in row.items() if value is not None}


CONNECTION = {
    "line": 8,
    "time": datetime(2022, 6, 12, 21, 59, 58, 444458, UTC),
    "uid": "conn:C1",
    "class_uid": 4001,
    "activity_name": "connect",
    "event_code": "zeek/conn",
    "status": "success",
    "src_endpoint_ip": "10.0.0.1",
    "src_endpoint_port": 5000,
    "dst_endpoint_ip": "10.0.0.2",
    "dst_endpoint_port": 443,
    "connection_info_protocol_name": "tcp",
    "app_name": "ssl",
    "status_detail": "SF",
    "duration": 1.5,
    "traffic_bytes_out": 10,
}


def test_a_connection_has_every_column_and_no_label(tmp_path: Path) -> None:
    event = one(tmp_path, tsv("conn", CONN, ROW), Domain.NETWORK)
    assert event == CONNECTION | {"source": str(tmp_path / "some.log")}


@pytest.mark.parametrize("dot", [".", "_"])
def test_json_lines_tell_the_same_connection(tmp_path: Path, dot: str) -> None:
    values = [float(ROW[0]), *ROW[1:3], 5000, ROW[4], 443, "tcp", "ssl", 1.5, 10, None, "SF", "Malicious"]
    names = [name.replace(".", dot) for name in CONN.split()]
    text = json.dumps(dict(zip(names, values, strict=True)))
    event = one(tmp_path, text, Domain.NETWORK, "conn.log")
    assert event == CONNECTION | {"source": str(tmp_path / "conn.log"), "line": 0}


def test_the_comma_separated_copy_tells_the_same_connection(tmp_path: Path) -> None:
    row = ",".join("" if value == "-" else value for value in ROW)
    event = one(tmp_path, CONN.replace(" ", ",") + "\n" + row + "\n", Domain.NETWORK)
    assert event == CONNECTION | {"source": str(tmp_path / "some.log"), "line": 1}


IDS = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p"
ID = ["1.5", "C1", "10.0.0.1", "1", "10.0.0.2", "2"]


@pytest.mark.parametrize(
    ("log", "fields", "values", "domain", "expected"),
    [
        (
            "dns",
            "query qtype_name rcode_name answers",
            ["A.B", "AAAA", "NXDOMAIN", "x,y"],
            Domain.DNS,
            {"query_hostname": "a.b", "query_type": "AAAA", "rcode": "NXDOMAIN", "answers": "x,y", "status": "failure"},
        ),
        (
            "http",
            "method host uri user_agent referrer status_code response_body_len",
            ["GET", "WWW.Example.com:80", "/a?b=c?d", "curl", "-", "404", "12"],
            Domain.WEB,
            {
                "dst_endpoint_hostname": "www.example.com",
                "http_request_http_method": "GET",
                "http_request_url_path": "/a",
                "http_request_url_query_string": "b=c?d",
                "http_request_user_agent": "curl",
                "http_response_code": 404,
                "http_response_length": 12,
                "status": "failure",
            },
        ),
        (
            "kerberos",
            "client service success error_msg",
            ["bob/CORP.COM", "krbtgt/CORP.COM", "F", "KDC_ERR"],
            Domain.IDENTITY,
            {"user_name": "bob", "service_name": "krbtgt/corp.com", "status": "failure", "status_detail": "KDC_ERR"},
        ),
        (
            "ntlm",
            "username hostname success",
            ["Bob", "WS1", "T"],
            Domain.IDENTITY,
            {"user_name": "bob", "src_endpoint_hostname": "ws1", "status": "success", "activity_name": "logon"},
        ),
        ("weird", "name", ["odd_thing"], Domain.NETWORK, {"status_detail": "odd_thing", "activity_name": "weird"}),
        ("ssl", "server_name established", ["a.b", "T"], Domain.NETWORK, {"status_detail": "a.b", "status": "success"}),
        ("notice", "note src dst p", ["N::X", "-", "-", "-"], Domain.NETWORK, {"status_detail": "N::X"}),
        ("dce_rpc", "operation", ["DRSBind"], Domain.NETWORK, {"status_detail": "DRSBind", "app_name": "dce_rpc"}),
        ("radius", "result", ["ok"], Domain.NETWORK, {"activity_name": "radius", "event_code": "zeek/radius"}),
    ],
)
def test_each_log_is_about_its_domain(
    tmp_path: Path, log: str, fields: str, values: list[str], domain: Domain, expected: dict[str, object]
) -> None:
    event = one(tmp_path, tsv(log, f"{IDS} {fields}", ID + values), domain)
    assert {name: event.get(name) for name in expected} == expected
    assert event["uid"].startswith(f"{log}:C1:")
    assert event["src_endpoint_ip"] == "10.0.0.1"


def test_a_file_is_from_its_sender_to_its_receiver(tmp_path: Path) -> None:
    record = {
        "@stream": "files",
        "ts": 1.5,
        "fuid": "F1",
        "tx_hosts": ["10.0.0.1"],
        "rx_hosts": ["10.0.0.2", "10.0.0.3"],
    }
    event = one(tmp_path, json.dumps(record), Domain.NETWORK)
    assert (event["src_endpoint_ip"], event["dst_endpoint_ip"]) == ("10.0.0.1", "10.0.0.2")
    assert event["uid"].startswith("files:F1:")


def test_json_answers_are_joined(tmp_path: Path) -> None:
    record = {
        "_path": "dns",
        "ts": "2022-06-11T21:59:58Z",
        "uid": "C1",
        "id.orig_h": "1.1.1.1",
        "answers": ["a", "b, c"],
    }
    assert one(tmp_path, json.dumps(record), Domain.DNS)["answers"] == "a,b, c"


def test_several_headers_in_one_stream_are_several_logs_in_order(tmp_path: Path) -> None:
    text = tsv("conn", CONN, ROW) + tsv("dns", f"{IDS} query", [*ID, "a.b"]) + tsv("conn", CONN, ROW)
    events, refused = read_text(tmp_path, text)
    assert refused.is_empty()
    assert events[Domain.NETWORK]["line"].to_list() == [8, 28]
    assert events[Domain.DNS]["query_hostname"].to_list() == ["a.b"]


def test_several_logs_in_one_json_stream_keep_their_order(tmp_path: Path) -> None:
    records = [
        {"_path": log, "ts": 1, "uid": "C", "id.orig_h": "1.1.1.1"} for log in ("ssl", "conn", "ssl", "x509", "x509")
    ]
    events, refused = read_text(tmp_path, "\n".join(map(json.dumps, records)))
    assert events[Domain.NETWORK].select("line", "activity_name").rows() == [(0, "ssl"), (1, "connect"), (2, "ssl")]
    assert refused["reason"].to_list() == ["zeek log 'x509' holds no events of a domain"]


def test_a_log_about_no_ones_act_is_refused_once_and_whole(tmp_path: Path) -> None:
    events, refused = read_text(
        tmp_path, tsv("x509", "ts id", ["1", "F"], ["2", "G"]) + tsv("x509", "ts id", ["1", "F"])
    )
    assert events == {}
    assert refused.select("line", "field", "value").rows() == [(None, "log", "x509")]


def test_rows_that_do_not_fit_the_header_are_refused_and_their_neighbours_kept(tmp_path: Path) -> None:
    text = tsv(
        "conn", CONN, ROW, ROW[:-1], ["never", *ROW[1:]], [*ROW[:8], "inf", *ROW[9:]], [*ROW[:3], "-1", *ROW[4:]], ROW
    )
    events, refused = read_text(tmp_path, text)
    assert events[Domain.NETWORK]["line"].to_list() == [8, 13]
    assert refused.select("line", "field").rows() == [
        (9, "line"),
        (10, "time"),
        (11, "duration"),
        (12, "src_endpoint_port"),
    ]
    assert refused["reason"][0] == "expected 13 fields, as the header of this conn log says"
    assert refused["value"][1:].to_list() == ["never", "inf", "-1"]


def test_a_log_without_a_single_whole_row_gives_refusals_only(tmp_path: Path) -> None:
    events, refused = read_text(tmp_path, tsv("conn", CONN, ROW[:-1]))
    assert (events, refused["line"].to_list()) == ({}, [8])


def test_no_lines_change_nothing() -> None:
    header = SOURCE.begin("conn.log", iter([]))
    nothing = pl.DataFrame(schema={"line": pl.Int64, "text": pl.String})
    assert (SOURCE.parse(nothing, header).events, SOURCE.goes_on(nothing, header)) == ({}, header)


def test_rows_above_any_header_are_refused(tmp_path: Path) -> None:
    events, refused = read_text(tmp_path, "1\t2\n" + tsv("conn", CONN, ROW))
    assert refused["reason"].to_list() == ["expected a #fields header above the first record"]
    assert events[Domain.NETWORK].height == 1


def test_another_separator_and_unset_mark_are_honoured(tmp_path: Path) -> None:
    text = tsv("conn", CONN, ROW).replace("\\x09", "\\x7c").replace("\t", "|").replace("unset_field|-", "unset_field|?")
    text = text.replace("|-|", "|?|")
    event = one(tmp_path, text, Domain.NETWORK)
    assert event == CONNECTION | {"source": str(tmp_path / "some.log")}


@pytest.mark.skipif(not DATA.exists(), reason="the shared real logs are not beside this project")
def test_a_real_day_is_read_without_a_refusal() -> None:
    chunks = list(read([DATA / "008-zeek-mixed" / "data"]))
    assert sum(chunk.refused.height for chunk in chunks) == 0
    assert sum(frame.height for chunk in chunks for frame in chunk.events.values()) > 5000


def test_more_kinds_of_logs_than_there_are_are_refused_and_the_first_ones_kept(tmp_path: Path) -> None:
    record = {"ts": 1.5, "uid": "C1", "id.orig_h": "10.0.0.1"}
    lines = [json.dumps(record | {"_path": f"log{number}"}) for number in range(66)]
    events, refused = read_text(tmp_path, "\n".join(lines))
    assert events[Domain.NETWORK]["line"].to_list() == list(range(64))
    assert refused.select("line", "field").rows() == [(64, "log"), (65, "log")]
    text = "".join(tsv(f"log{number}", CONN, ROW) for number in range(66))
    events, refused = read_text(tmp_path, text)
    assert (events[Domain.NETWORK].height, refused["field"].to_list()) == (64, ["log", "log"])
