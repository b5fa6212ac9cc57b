"""Suricata's EVE records become events of the domain they are about, in each version that wrote them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.admission import admit
from features.events import Domain, schema
from features.reading import read, sources
from features.sources.suricata import SOURCE

HEAD = {
    "timestamp": "2024-05-02T17:46:48.515262+0200",
    "flow_id": 1234,
    "in_iface": "eth0",
    "src_ip": "10.0.0.1",
    "src_port": 5555,
    "dest_ip": "10.0.0.2",
    "dest_port": 80,
    "proto": "TCP",
    "host": "sensor-1",
}


def record(kind: str, **own: Any) -> dict[str, Any]:
    """An EVE record of some type."""
    return HEAD | {"event_type": kind} | own


def read_records(folder: Path, *records: dict[str, Any] | str) -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    path = folder / "eve.json"
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records))
    (chunk,) = read([path])
    for domain, frame in chunk.events.items():
        assert frame.schema == schema(domain)
    return chunk.events, chunk.refused


def one(folder: Path, each: dict[str, Any], domain: Domain) -> dict[str, Any]:
    """The only event, and what its columns say."""
    events, refused = read_records(folder, each)
    assert refused.is_empty(), refused["reason"].to_list()
    assert list(events) == [domain]
    (row,) = events[domain].to_dicts()
    return {column: value for column, value in row.items() if value is not None}


FLOW = {
    "pkts_toserver": 5,
    "pkts_toclient": 4,
    "bytes_toserver": 500,
    "bytes_toclient": 400,
    "start": "2024-05-02T17:46:40.000000+0200",
    "end": "2024-05-02T17:46:41.250000+0200",
    "age": 1,
    "state": "closed",
    "reason": "timeout",
    "alerted": False,
}


def test_a_flow_has_every_column_and_not_the_sensors_name(tmp_path: Path) -> None:
    event = one(tmp_path, record("flow", app_proto="http", flow=FLOW), Domain.NETWORK)
    assert event == {
        "source": str(tmp_path / "eve.json"),
        "line": 0,
        "time": datetime(2024, 5, 2, 15, 46, 48, 515262, UTC),
        "uid": "1234:flow",
        "class_uid": 4001,
        "activity_name": "connect",
        "event_code": "suricata/flow",
        "status": "success",
        "src_endpoint_ip": "10.0.0.1",
        "src_endpoint_port": 5555,
        "dst_endpoint_ip": "10.0.0.2",
        "dst_endpoint_port": 80,
        "connection_info_protocol_name": "tcp",
        "app_name": "http",
        "status_detail": "closed/timeout",
        "duration": 1.25,
        "traffic_bytes_out": 500,
        "traffic_bytes_in": 400,
        "traffic_packets_out": 5,
        "traffic_packets_in": 4,
    }


def test_a_flow_nobody_answered_failed_and_lasts_its_age(tmp_path: Path) -> None:
    event = one(tmp_path, record("flow", flow={"age": 3, "state": "new"}), Domain.NETWORK)
    assert (event["status"], event["duration"], event["status_detail"]) == ("failure", 3.0, "new")


QUERY = {"query_hostname": "www.a.b", "query_type": "A", "activity_name": "query"}
ANSWER = {"query_hostname": "www.a.b", "query_type": "A", "activity_name": "answer", "rcode": "NOERROR"}
ANSWER |= {"status": "success", "answers": "1.1.1.1,2.2.2.2"}


@pytest.mark.parametrize(
    ("dns", "expected"),
    [
        ({"type": "query", "id": 1, "rrname": "www.a.b", "rrtype": "A", "tx_id": 0}, QUERY),
        (
            {"type": "answer", "id": 1, "rcode": "NOERROR", "rrname": "www.a.b", "rrtype": "A", "rdata": "1.1.1.1"},
            ANSWER | {"answers": "1.1.1.1"},
        ),
        ({"type": "answer", "rcode": "NXDOMAIN", "rrname": "www.a.b"}, {"rcode": "NXDOMAIN", "status": "failure"}),
        (
            {
                "version": 2,
                "type": "answer",
                "rcode": "NOERROR",
                "rrname": "www.a.b",
                "rrtype": "A",
                "answers": [
                    {"rrname": "www.a.b", "rrtype": "A", "ttl": 1, "rdata": "1.1.1.1"},
                    {"rrname": "a.b", "rrtype": "SOA", "soa": {"mname": "ns"}},
                    {"rrname": "www.a.b", "rrtype": "A", "ttl": 1, "rdata": "2.2.2.2"},
                ],
                "grouped": {"A": ["1.1.1.1", "2.2.2.2"]},
            },
            ANSWER,
        ),
        (
            {
                "version": 2,
                "type": "answer",
                "rcode": "NOERROR",
                "rrname": "www.a.b",
                "rrtype": "A",
                "grouped": {"CNAME": ["2.2.2.2"], "A": ["1.1.1.1"]},
            },
            ANSWER,
        ),
        ({"version": 3, "type": "request", "queries": [{"rrname": "www.a.b", "rrtype": "A"}]}, QUERY),
        (
            {
                "version": 3,
                "type": "response",
                "rcode": "NOERROR",
                "queries": [{"rrname": "www.a.b", "rrtype": "A"}],
                "answers": [{"rdata": "1.1.1.1"}, {"rdata": "2.2.2.2"}],
            },
            ANSWER,
        ),
    ],
)
def test_dns_says_the_same_in_each_version(tmp_path: Path, dns: dict[str, Any], expected: dict[str, Any]) -> None:
    event = one(tmp_path, record("dns", dns=dns, tx_id=7), Domain.DNS)
    assert {name: event.get(name) for name in expected} == expected
    assert event["uid"].startswith("1234:dns:7:")
    assert (event["class_uid"], event["event_code"]) == (4003, "suricata/dns")
    assert (event["src_endpoint_ip"], event["dst_endpoint_ip"]) == ("10.0.0.1", "10.0.0.2")


def test_an_answer_as_the_server_sent_it_is_the_clients(tmp_path: Path) -> None:
    answer = record("dns", dns={"type": "answer", "rrname": "a.b"}, src_port=53, dest_port=4000)
    event = one(tmp_path, answer, Domain.DNS)
    assert (event["src_endpoint_ip"], event["dst_endpoint_ip"]) == ("10.0.0.2", "10.0.0.1")


def test_a_query_and_its_answer_have_uids_of_their_own(tmp_path: Path) -> None:
    both = [record("dns", tx_id=0, dns={"type": kind, "rrname": "a.b"}) for kind in ("query", "answer")]
    events, _ = read_records(tmp_path, *both)
    assert events[Domain.DNS]["uid"].n_unique() == 2


@pytest.mark.parametrize("url", ["/a/b?c=d?e", "http://www.example.com/a/b?c=d?e"])
def test_a_request_is_of_the_web(tmp_path: Path, url: str) -> None:
    http = {
        "hostname": "WWW.Example.com",
        "url": url,
        "http_user_agent": "curl",
        "http_refer": "http://r/",
        "http_method": "GET",
        "status": 404,
        "length": 12,
    }
    event = one(tmp_path, record("http", http=http), Domain.WEB)
    expected = {
        "class_uid": 4002,
        "activity_name": "request",
        "status": "failure",
        "dst_endpoint_hostname": "www.example.com",
        "dst_endpoint_ip": "10.0.0.2",
        "http_request_http_method": "GET",
        "http_request_url_path": "/a/b",
        "http_request_url_query_string": "c=d?e",
        "http_request_user_agent": "curl",
        "http_request_referrer": "http://r/",
        "http_response_code": 404,
        "http_response_length": 12,
    }
    assert {name: event.get(name) for name in expected} == expected


ALERT = {"action": "blocked", "signature_id": 2019236, "signature": "ET SCAN x", "category": "Attempted Recon"}


@pytest.mark.parametrize(
    ("kind", "own", "expected"),
    [
        (
            "alert",
            {"alert": ALERT, "app_proto": "http", "flow": {"bytes_toserver": 9, "start": FLOW["start"]}},
            {
                "class_uid": 2004,
                "activity_name": "alert",
                "event_code": "suricata/2019236",
                "status": "failure",
                "status_detail": "ET SCAN x",
                "app_name": "attempted recon",
                "traffic_bytes_out": 9,
                "duration": None,
            },
        ),
        (
            "alert",
            {"alert": ALERT | {"category": "", "action": "allowed"}, "app_proto": "tls", "tls": {"sni": "no"}},
            {"app_name": "tls", "status": "success", "status_detail": "ET SCAN x"},
        ),
        ("alert", {}, {"event_code": "suricata/alert", "status": None}),
        (
            "tls",
            {"tls": {"sni": "www.a.b", "version": "TLS 1.3"}},
            {"activity_name": "ssl", "status_detail": "www.a.b", "class_uid": 4001},
        ),
        (
            "netflow",
            {"netflow": {"pkts": 2, "bytes": 99, "age": 4}},
            {"activity_name": "netflow", "traffic_bytes_out": 99, "traffic_packets_out": 2, "duration": 4.0},
        ),
        ("anomaly", {"anomaly": {"event": "x.y"}}, {"activity_name": "anomaly", "status_detail": "x.y"}),
        ("bittorrent_dht", {"bittorrent_dht": [1]}, {"event_code": "suricata/bittorrent_dht", "class_uid": 0}),
    ],
)
def test_all_else_is_of_the_network(
    tmp_path: Path, kind: str, own: dict[str, Any], expected: dict[str, object]
) -> None:
    event = one(tmp_path, record(kind, **own), Domain.NETWORK)
    assert {name: event.get(name) for name in expected} == expected
    assert event["uid"].startswith(f"1234:{kind}:")


def test_without_a_flow_the_text_names_the_record(tmp_path: Path) -> None:
    each = record("arp")
    del each["flow_id"]
    assert len(one(tmp_path, each, Domain.NETWORK)["uid"]) == 16


def test_statistics_are_refused_once_a_log(tmp_path: Path) -> None:
    stats = {"timestamp": HEAD["timestamp"], "event_type": "stats", "stats": {"uptime": 5, "capture": {"x": 1}}}
    events, refused = read_records(tmp_path, stats, record("flow"), stats)
    assert events[Domain.NETWORK]["line"].to_list() == [1]
    assert refused.select("line", "field", "value", "reason").rows() == [
        (None, "event_type", "stats", "suricata's stats records hold no events of a domain")
    ]


def test_bad_lines_are_refused_by_number_and_their_neighbours_kept(tmp_path: Path) -> None:
    events, refused = read_records(
        tmp_path,
        record("flow"),
        json.dumps(record("flow"))[:-9],
        record("flow", flow=7),
        record(" "),
        {"timestamp": HEAD["timestamp"], "src_ip": "10.0.0.1"},
        record("flow", timestamp="never"),
        record("tls", src_port=70_000),
        record("dns", dns={"answers": "x"}),
        '["flow"]',
        record("http"),
    )
    assert refused.select("line", "field").rows() == [
        (1, "line"),
        (2, "line"),
        (3, "event_type"),
        (4, "event_type"),
        (5, "time"),
        (6, "src_endpoint_port"),
        (7, "line"),
        (8, "line"),
    ]
    assert events[Domain.NETWORK]["line"].to_list() == [0]
    assert events[Domain.WEB]["line"].to_list() == [9]


STATS = {"timestamp": "2024-05-02T17:46:48", "event_type": "stats", "stats": {"uptime": 1}}


@pytest.mark.parametrize("each", [record("flow", flow=FLOW), record("dns"), record("alert", alert=ALERT), STATS])
def test_suricata_alone_knows_its_log(each: dict[str, Any]) -> None:
    head = [json.dumps(each)]
    assert [name for name, source in sources().items() if source.recognises(head)] == ["suricata"]


@pytest.mark.parametrize("text", ["{", "[]", '{"timestamp": "x"}', '{"timestamp": "x", "event_type": "y"}', "a b"])
def test_other_logs_are_left_to_others(text: str) -> None:
    assert not SOURCE.recognises([text])


WORDS = st.text("abcXYZ é\"\\/{}[],:'", min_size=1, max_size=8).map(str.strip).filter(bool)
ADDRESSES = st.ip_addresses(v=4).map(str)
MOMENTS = st.integers(0, 4 * 10**15).map(lambda moment: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=moment))
COUNTS = st.integers(0, 2**53)
PORTS = st.integers(0, 65_535)
FLOWS = st.fixed_dictionaries(
    {
        "time": MOMENTS,
        "flow_id": st.integers(0, 2**63 - 1),
        "src_endpoint_ip": ADDRESSES,
        "src_endpoint_port": PORTS,
        "dst_endpoint_ip": ADDRESSES,
        "dst_endpoint_port": PORTS,
        "traffic_bytes_out": COUNTS,
        "traffic_bytes_in": COUNTS,
        "traffic_packets_out": COUNTS,
        "traffic_packets_in": COUNTS,
        "duration": st.integers(0, 10**10).map(lambda microseconds: microseconds / 1e6),
        "status_detail": WORDS,
    }
)


def written(flow: dict[str, Any]) -> dict[str, Any]:
    """The EVE record that tells of a flow."""
    start = flow["time"] - timedelta(seconds=flow["duration"])
    return {
        "timestamp": flow["time"].isoformat(),
        "event_type": "flow",
        "flow_id": flow["flow_id"],
        "src_ip": flow["src_endpoint_ip"],
        "src_port": flow["src_endpoint_port"],
        "dest_ip": flow["dst_endpoint_ip"],
        "dest_port": flow["dst_endpoint_port"],
        "flow": {
            "start": start.isoformat(),
            "end": flow["time"].isoformat(),
            "bytes_toserver": flow["traffic_bytes_out"],
            "bytes_toclient": flow["traffic_bytes_in"],
            "pkts_toserver": flow["traffic_packets_out"],
            "pkts_toclient": flow["traffic_packets_in"],
            "reason": flow["status_detail"],
        },
    }


@settings(max_examples=30, deadline=None)
@given(st.lists(FLOWS, min_size=1, max_size=8))
def test_a_written_flow_is_read_back(flows: list[dict[str, Any]]) -> None:
    texts = [json.dumps(written(flow)) for flow in flows]
    drafts = SOURCE.parse(pl.DataFrame({"line": range(len(texts)), "text": texts}), None)
    admitted = admit(drafts, "eve.json", None)
    assert admitted.refused.is_empty(), admitted.refused["reason"].to_list()
    columns = [name for name in flows[0] if name != "flow_id"]
    rows = admitted.events[Domain.NETWORK].select(columns).to_dicts()
    assert rows == [{name: flow[name] for name in columns} for flow in flows]
