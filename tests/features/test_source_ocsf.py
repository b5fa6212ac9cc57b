"""An OCSF event keeps every attribute our columns name."""

import json
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.admission import admit
from features.events import ATTRIBUTES, COMMON, ORIGIN, Domain, schema
from features.reading import read, sources
from features.sources.ocsf import DOMAINS, PATHS, SOURCE

ALERTS = Path(__file__).parents[3] / "shared" / "data" / "alerts"


def nested(path: str, value: object) -> dict[str, Any]:
    """An object with `value` at a dotted path, lists as `name[]` or `name[0]`."""
    head, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    name, is_list, _ = head.partition("[")
    return {name: [inner] if is_list else inner}


def merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    both = {name: merged(left[name], value) for name, value in right.items() if isinstance(left.get(name), dict)}
    return left | right | both


SOMEBODY = {"device": {"hostname": "pc"}, "actor": {"user": {"name": "ann"}}}


def read_events(folder: Path, *records: dict[str, Any]) -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    """What comes in of some records; those that name nobody are about somebody."""
    path = folder / "events.jsonl"
    about = [record if {"evidences", "observables", "actor"} & set(record) else SOMEBODY | record for record in records]
    path.write_text("".join(json.dumps(record) + "\n" for record in about))
    (chunk,) = read([path])
    return chunk.events, chunk.refused


def test_every_column_of_the_schema_has_a_path() -> None:
    columns = set(COMMON).union(*ATTRIBUTES.values()) - set(ORIGIN)
    assert columns == set(PATHS)


@pytest.mark.parametrize("domain", list(Domain))
def test_every_attribute_comes_through(tmp_path: Path, domain: Domain) -> None:
    class_uid = next(code for code, owner in DOMAINS.items() if owner == domain)
    columns = [name for name in schema(domain) if name not in ORIGIN and name not in ("time", "class_uid")]
    numbers = {name for name, kind in schema(domain).items() if kind.is_numeric()}
    record: dict[str, Any] = {"class_uid": class_uid, "time": 1_700_000_000_250}
    for name in columns:
        record = merged(record, nested(PATHS[name][0], 7 if name in numbers else f"v-{name.lower()}"))
    events, refused = read_events(tmp_path, record)
    assert refused.is_empty()
    row = events[domain].row(0, named=True)
    expected: dict[str, object] = {name: 7 if name in numbers else f"v-{name.lower()}" for name in columns}
    expected |= {"duration": 0.007} if "duration" in columns else {}
    upper = {"query_type", "rcode", "http_request_http_method"}
    assert {name: row[name] for name in columns} == {
        name: str(value).upper() if name in upper else value for name, value in expected.items()
    }
    assert row["time"].timestamp() == 1_700_000_000.25


def test_answers_are_joined_and_long_strings_opened(tmp_path: Path) -> None:
    events, _ = read_events(
        tmp_path,
        {"class_uid": 4003, "time": 1, "answers": [{"rdata": "1.1.1.1"}, {"rdata": "b"}]},
        {"class_uid": 1009, "time": 1, "script": {"script_content": {"value": 'say "x"', "is_truncated": False}}},
        {"class_uid": 1001, "time_dt": "2023-01-01T00:00:00Z", "actor": {"process": {"file": {"path": "C:\\A"}}}},
        {"class_uid": 6003, "time": 1, "resources": [], "api": {"operation": "Get"}},
    )
    assert events[Domain.DNS]["answers"].to_list() == ["1.1.1.1,b"]
    assert events[Domain.ENDPOINT]["script_content"].to_list() == ['say "x"', None]
    assert events[Domain.ENDPOINT]["process_file_path"].to_list() == [None, "c:\\a"]
    assert events[Domain.CLOUD]["resource_name"].to_list() == [None]


def test_foreign_classes_wrong_kinds_and_missing_times_are_refused(tmp_path: Path) -> None:
    events, refused = read_events(
        tmp_path,
        {"class_uid": 99, "time": 1},
        {"class_uid": "x", "time": 1},
        {"class_uid": 4001},
        {"class_uid": 4001, "time": 1, "traffic": 7},
        {"class_uid": 4001, "time": 1, "duration": "long"},
        {"class_uid": 4001, "time": 1, "duration": 1500},
    )
    assert refused.select("line", "field").rows() == [
        (0, "class_uid"),
        (1, "class_uid"),
        (2, "time"),
        (3, "line"),
        (4, "duration"),
    ]
    assert events[Domain.NETWORK]["duration"].to_list() == [1.5]


def finding(about: dict[str, Any], **own: Any) -> dict[str, Any]:
    """A detection finding with some `finding_info`."""
    return {"class_uid": 2004, "time": 1_700_000_000_000, "finding_info": {"uid": "f-1"} | about} | own


def one(folder: Path, record: dict[str, Any], domain: Domain) -> dict[str, Any]:
    """The only event, and what its columns say."""
    events, refused = read_events(folder, record)
    assert refused.is_empty(), refused["reason"].to_list()
    assert list(events) == [domain]
    (row,) = events[domain].to_dicts()
    return {column: value for column, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("record", "domain"),
    [
        (finding({"data_sources": ["web access log"], "title": "New DNS name"}), Domain.WEB),
        (finding({"data_sources": ["http"]}), Domain.WEB),
        (finding({"data_sources": ["Authentication Log"]}), Domain.IDENTITY),
        (finding({"data_sources": ["dns log"]}), Domain.DNS),
        (finding({"data_sources": ["tls"]}), Domain.NETWORK),
        (finding({"data_sources": ["audit log"], "title": "New login parameter"}), Domain.ENDPOINT),
        (finding({"data_sources": ["any log"], "title": "First time this IDS alert is seen"}), Domain.NETWORK),
        (finding({"title": "DNS to .to"}, metadata={"product": {"name": "Suricata"}}), Domain.NETWORK),
        (
            finding({}, metadata={"product": {"name": "Falcon", "feature": {"name": "Identity Protection"}}}),
            Domain.IDENTITY,
        ),
        (finding({}, metadata={"product": {"name": "Amazon GuardDuty"}}), Domain.CLOUD),
        (finding({"types": ["Web/Scan"], "title": "New login"}), Domain.WEB),
        (finding({"title": "A failed password"}), Domain.ENDPOINT),
        (finding({}), Domain.ENDPOINT),
    ],
)
def test_a_finding_is_of_the_domain_its_source_names(tmp_path: Path, record: dict[str, Any], domain: Domain) -> None:
    event = one(tmp_path, record, domain)
    assert (event["class_uid"], event["activity_name"], event["uid"]) == (2004, "alert", "f-1")


EVIDENCE = {
    "src_endpoint": {"ip": "1.1.1.1", "port": 5},
    "dst_endpoint": {"ip": "2.2.2.2", "port": 80},
    "connection_info": {"protocol_name": "tcp"},
    "actor": {"user": {"name": "eve"}, "process": {"file": {"path": "/bin/a"}}},
}
OBSERVABLES = [
    {"name": "x", "type_id": 6, "value": "http://x"},
    {"name": "x", "type_id": 1, "value": "WS1.corp.com"},
    {"name": "x", "type_id": 2, "value": "1.1.1.1"},
    {"name": "x", "type_id": 2, "value": "9.9.9.9"},
    {"name": "x", "type_id": 4, "value": "eve"},
]


@pytest.mark.parametrize(
    ("record", "domain", "expected"),
    [
        (
            finding(
                {"data_sources": ["network"], "title": "T", "analytic": {"uid": "r1"}},
                evidences=[EVIDENCE],
                status="New",
            ),
            Domain.NETWORK,
            {
                "src_endpoint_ip": "1.1.1.1",
                "src_endpoint_port": 5,
                "dst_endpoint_ip": "2.2.2.2",
                "dst_endpoint_port": 80,
                "connection_info_protocol_name": "tcp",
                "actor_user_name": "eve",
                "actor_process_file_path": "/bin/a",
                "event_code": "r1",
                "status_detail": "T",
                "status": None,
            },
        ),
        (
            finding(
                {"data_sources": ["logon"], "title": "T"}, observables=OBSERVABLES, status_id=1, activity_name="Close"
            ),
            Domain.IDENTITY,
            {
                "device_hostname": "ws1",
                "src_endpoint_ip": "1.1.1.1",
                "user_name": "eve",
                "actor_user_name": "eve",
                "event_code": "T",
                "status": None,
                "activity_name": "close",
            },
        ),
        (
            finding({"data_sources": ["web"]}, device={"hostname": "Shop"}, metadata={"log_name": "W-1"}),
            Domain.WEB,
            {"dst_endpoint_hostname": "shop", "device_hostname": "shop", "event_code": "W-1"},
        ),
        (
            finding(
                {"data_sources": ["aws"], "title": "T"}, src_endpoint={"ip": "3.3.3.3"}, observables=[], evidences=[]
            ),
            Domain.CLOUD,
            {"api_operation": "T", "src_endpoint_ip": "3.3.3.3"},
        ),
    ],
)
def test_evidence_and_observables_fill_a_findings_columns(
    tmp_path: Path, record: dict[str, Any], domain: Domain, expected: dict[str, object]
) -> None:
    event = one(tmp_path, record, domain)
    assert {name: event.get(name) for name in expected} == expected


def test_numbers_speak_where_their_captions_are_left_out(tmp_path: Path) -> None:
    events, _ = read_events(
        tmp_path,
        {"class_uid": 3002, "time": 1, "status_id": 2, "type_name": "Authentication: Logon"},
        {"class_uid": 3002, "time": 1, "status_id": 0, "status": "Success", "activity_name": "Logoff"},
        {"class_uid": 4002, "time": 1, "status_id": 99, "http_status": 404},
    )
    said = events[Domain.IDENTITY].select("status", "activity_name").rows()
    assert said == [("failure", "logon"), ("success", "logoff")]
    assert events[Domain.WEB].select("status", "http_response_code").rows() == [(None, 404)]


def test_findings_keep_their_place_among_other_events(tmp_path: Path) -> None:
    flow, alert = {"class_uid": 4001, "time": 1}, finding({"data_sources": ["network"]})
    events, refused = read_events(tmp_path, flow, alert, {"time": 1}, alert | {"time": None}, flow, alert)
    assert events[Domain.NETWORK].select("line", "class_uid").rows() == [(0, 4001), (1, 2004), (4, 4001), (5, 2004)]
    assert refused.select("line", "field").rows() == [(2, "class_uid"), (3, "time")]


@pytest.mark.parametrize("record", [finding({"data_sources": ["office365"]}), {"class_uid": 3002, "time": 1}])
def test_ocsf_alone_knows_its_log(record: dict[str, Any]) -> None:
    head = [json.dumps(record)]
    assert [name for name, source in sources().items() if source.recognises(head)] == ["ocsf"]


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
FINDINGS = st.fixed_dictionaries(
    {
        "time": st.integers(10**11, 4 * 10**12).map(
            lambda ms: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
        ),
        "uid": st.uuids().map(str),
        "event_code": st.text("abc XYZé\"\\/{}[],:'", min_size=1),
        "device_hostname": NAMES,
        "src_endpoint_ip": st.ip_addresses(v=4).map(str),
        "src_endpoint_port": st.integers(0, 65_535),
        "status_detail": st.text("abc XYZé\"\\/{}[],:'", min_size=1),
    }
)


@settings(max_examples=30, deadline=None)
@given(st.lists(FINDINGS, min_size=1, max_size=8))
def test_a_written_finding_is_read_back(events: list[dict[str, Any]]) -> None:
    texts = [
        json.dumps(
            finding(
                {
                    "uid": event["uid"],
                    "title": event["status_detail"],
                    "analytic": {"name": event["event_code"]},
                    "data_sources": ["network flow"],
                },
                time=round(event["time"].timestamp() * 1000),
                device={"hostname": event["device_hostname"]},
                evidences=[{"src_endpoint": {"ip": event["src_endpoint_ip"], "port": event["src_endpoint_port"]}}],
            )
        )
        for event in events
    ]
    drafts = SOURCE.parse(pl.DataFrame({"line": range(len(texts)), "text": texts}), None)
    admitted = admit(drafts, "findings.json", None)
    assert admitted.refused.is_empty(), admitted.refused["reason"].to_list()
    assert admitted.events[Domain.NETWORK].select(list(events[0])).to_dicts() == events


@pytest.mark.skipif(not ALERTS.exists(), reason="the shared real alerts are not beside this project")
def test_real_alerts_are_all_admitted_to_the_domain_of_their_log(tmp_path: Path) -> None:
    tool = runpy.run_path(str(ALERTS / "to_ocsf.py"))
    rows = tool["rows"](str(ALERTS / "ait_ads" / "alerts.zip"), "wardbeck")[::20]
    events, refused = read_events(tmp_path, *(tool["finding"](row, str(n)) for n, row in enumerate(rows)))
    assert refused.is_empty()
    assert sum(frame.height for frame in events.values()) == len(rows) > 1000
    logs = {"Acc": Domain.WEB, "Err": Domain.WEB, "Aut": Domain.IDENTITY, "Dns": Domain.DNS, "Tls": Domain.NETWORK}
    logs |= {"Flw": Domain.NETWORK, "Htt": Domain.WEB, "Aud": Domain.ENDPOINT, "Mon": Domain.ENDPOINT}
    codes = [(domain, code.split("-")[1]) for domain, frame in events.items() for code in frame["event_code"]]
    assert {(domain, log) for domain, log in codes if log in logs and domain != logs[log]} == set()
