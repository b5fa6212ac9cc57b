"""Wazuh's alerts become events of the domain their data source names."""

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
from features.sources.wazuh import SOURCE


def alert(groups: list[str], decoder: str = "json", **own: Any) -> dict[str, Any]:
    """An alert as `alerts.json` holds it."""
    return {
        "timestamp": "2024-01-15T10:23:45.123+0200",
        "rule": {"level": 5, "description": "What the rule saw.", "id": "5760", "firedtimes": 1, "groups": groups},
        "agent": {"id": "001", "name": "WEB1.corp.com", "ip": "10.0.0.5"},
        "manager": {"name": "wm"},
        "id": "1705314225.1234",
        "decoder": {"name": decoder},
        "location": "/var/log/x",
    } | own


def read_alerts(folder: Path, *alerts: dict[str, Any] | str) -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    path = folder / "alerts.json"
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in alerts))
    (chunk,) = read([path])
    for domain, frame in chunk.events.items():
        assert frame.schema == schema(domain)
    return chunk.events, chunk.refused


def one(folder: Path, each: dict[str, Any], domain: Domain) -> dict[str, Any]:
    """The only event, and what its columns say."""
    events, refused = read_alerts(folder, each)
    assert refused.is_empty(), refused["reason"].to_list()
    assert list(events) == [domain]
    (row,) = events[domain].to_dicts()
    return {column: value for column, value in row.items() if value is not None}


SSHD = alert(
    ["syslog", "sshd", "authentication_failed"],
    "sshd",
    data={"srcip": "1.2.3.4", "srcport": "4444", "dstuser": "Root"},
    predecoder={"program_name": "sshd", "hostname": "web1"},
)


def test_a_refused_logon_has_every_column(tmp_path: Path) -> None:
    assert one(tmp_path, SSHD, Domain.IDENTITY) == {
        "source": str(tmp_path / "alerts.json"),
        "line": 0,
        "time": datetime(2024, 1, 15, 8, 23, 45, 123000, UTC),
        "uid": "1705314225.1234",
        "class_uid": 2004,
        "activity_name": "alert",
        "event_code": "wazuh/5760",
        "status": "failure",
        "device_hostname": "web1",
        "src_endpoint_ip": "1.2.3.4",
        "user_name": "root",
        "service_name": "sshd",
        "status_detail": "What the rule saw.",
    }


def windows(channel: str, **data: str) -> dict[str, Any]:
    """What Wazuh keeps of a Windows event."""
    return {"win": {"system": {"channel": channel, "eventID": "1"}, "eventdata": data}}


@pytest.mark.parametrize(
    ("each", "domain", "expected"),
    [
        (
            alert(
                ["windows", "windows_security", "authentication_success"],
                "windows_eventchannel",
                data=windows(
                    "Security", targetUserName="bob", subjectUserName="WS1$", ipAddress="10.1.1.1", workstationName="-"
                ),
            ),
            Domain.IDENTITY,
            {
                "user_name": "bob",
                "actor_user_name": "ws1$",
                "src_endpoint_ip": "10.1.1.1",
                "status": "success",
                "src_endpoint_hostname": None,
                "service_name": "windows_eventchannel",
            },
        ),
        (alert(["pam", "syslog"], "pam", data={"srcuser": "eve"}), Domain.IDENTITY, {"user_name": "eve"}),
        (
            alert(
                ["web", "accesslog", "attack"],
                "web-accesslog",
                data={"srcip": "1.2.3.4", "protocol": "GET", "url": "/a?b=c", "id": "404"},
            ),
            Domain.WEB,
            {
                "dst_endpoint_hostname": "web1.corp.com",
                "http_request_http_method": "GET",
                "http_request_url_path": "/a",
                "http_request_url_query_string": "b=c",
                "http_response_code": 404,
                "status": None,
            },
        ),
        (
            alert(["apache", "authentication_failed"], data={"id": "AH01618", "dstuser": "eve"}),
            Domain.WEB,
            {"http_response_code": None, "actor_user_name": "eve", "status": "failure"},
        ),
        (alert(["x"], "nginx-errorlog"), Domain.WEB, {"event_code": "wazuh/5760"}),
        (
            alert(
                ["ids", "suricata"],
                data={"src_ip": "1.1.1.1", "src_port": "1", "dest_ip": "2.2.2.2", "dest_port": "2", "proto": "TCP"},
            ),
            Domain.NETWORK,
            {
                "src_endpoint_ip": "1.1.1.1",
                "src_endpoint_port": 1,
                "dst_endpoint_ip": "2.2.2.2",
                "dst_endpoint_port": 2,
                "connection_info_protocol_name": "tcp",
                "app_name": "json",
                "status_detail": "What the rule saw.",
            },
        ),
        (alert(["firewall", "firewall_drop"], "iptables"), Domain.NETWORK, {"status": "failure"}),
        (alert(["syslog", "named"], "named", data={"query": "A.B"}), Domain.DNS, {"query_hostname": "a.b"}),
        (
            alert(
                ["amazon", "aws", "authentication_success"],
                data={
                    "aws": {
                        "eventName": "ConsoleLogin",
                        "eventSource": "signin.amazonaws.com",
                        "awsRegion": "eu-1",
                        "source_ip_address": "1.2.3.4",
                        "userIdentity": {"type": "IAMUser", "userName": "bob"},
                    }
                },
            ),
            Domain.CLOUD,
            {
                "api_operation": "ConsoleLogin",
                "api_service_name": "signin.amazonaws.com",
                "cloud_region": "eu-1",
                "src_endpoint_ip": "1.2.3.4",
                "actor_user_name": "bob",
                "actor_user_type": "IAMUser",
            },
        ),
        (
            alert(
                ["office365"], data={"office365": {"UserId": "a@b.c", "Workload": "Exchange", "ClientIP": "[::1]:5"}}
            ),
            Domain.CLOUD,
            {"actor_user_name": "a", "src_endpoint_ip": "::1", "api_operation": "What the rule saw."},
        ),
        (
            alert(
                ["gcp"],
                data={
                    "gcp": {
                        "protoPayload": {
                            "methodName": "x.y",
                            "authenticationInfo": {"principalEmail": "a@b.c"},
                            "requestMetadata": {"callerIp": "1.2.3.4"},
                        }
                    }
                },
            ),
            Domain.CLOUD,
            {"api_operation": "x.y", "actor_user_name": "a", "src_endpoint_ip": "1.2.3.4"},
        ),
        (
            alert(
                ["windows", "sysmon", "sysmon_event1"],
                data=windows("Microsoft-Windows-Sysmon/Operational", image="C:\\a.exe", parentImage="C:\\b.exe"),
            ),
            Domain.ENDPOINT,
            {"process_file_path": "c:\\a.exe", "actor_process_file_path": "c:\\b.exe"},
        ),
        (
            alert(["ossec", "syscheck"], "syscheck_integrity_changed", syscheck={"path": "/etc/Passwd"}),
            Domain.ENDPOINT,
            {"file_path": "/etc/passwd", "reg_key_path": None},
        ),
        (
            alert(["syscheck"], syscheck={"path": "HKEY_LOCAL_MACHINE\\SOFTWARE\\X"}),
            Domain.ENDPOINT,
            {"file_path": None, "reg_key_path": "hklm\\software\\x"},
        ),
        (
            alert(["audit"], "auditd", data={"audit": {"exe": "/bin/sh"}}),
            Domain.ENDPOINT,
            {"process_file_path": "/bin/sh"},
        ),
        (alert([], "other", data=None), Domain.ENDPOINT, {"event_code": "wazuh/5760", "actor_user_name": None}),
    ],
)
def test_the_data_source_names_the_domain(
    tmp_path: Path, each: dict[str, Any], domain: Domain, expected: dict[str, object]
) -> None:
    event = one(tmp_path, each, domain)
    assert {name: event.get(name) for name in expected} == expected
    assert (event["activity_name"], event["class_uid"]) == ("alert", 2004)


def test_bad_lines_are_refused_by_number_and_their_neighbours_kept(tmp_path: Path) -> None:
    events, refused = read_alerts(
        tmp_path,
        SSHD,
        json.dumps(SSHD)[:-5],
        SSHD | {"rule": {"level": 3}},
        SSHD | {"data": "text"},
        SSHD | {"timestamp": "never"},
        alert(["ids"], data={"dstport": "-1"}),
        "7",
        SSHD,
    )
    assert refused.select("line", "field").rows() == [
        (1, "line"),
        (2, "rule.id"),
        (3, "line"),
        (4, "time"),
        (5, "dst_endpoint_port"),
        (6, "line"),
    ]
    assert refused["reason"][1] == "expected a Wazuh alert with the id of its rule"
    assert events[Domain.IDENTITY]["line"].to_list() == [0, 7]


EVE = {"timestamp": "2024-01-15T10:23:45", "event_type": "alert", "flow_id": 1, "alert": {"signature_id": 1}}
AUTHORED = alert(["amazon", "aws"], data={"aws": {"eventName": "x", "eventSource": "y", "eventVersion": "1.08"}})


@pytest.mark.parametrize("each", [SSHD, alert(["ids"], data=EVE), AUTHORED, alert(["windows"], data=windows("System"))])
def test_wazuh_alone_knows_its_log_whatever_an_alert_holds(each: dict[str, Any]) -> None:
    head = [json.dumps(each)]
    assert [name for name, source in sources().items() if source.recognises(head)] == ["wazuh"]


@pytest.mark.parametrize("each", ["{", '{"timestamp": "x", "rule": {"id": "1", "level": 3}}', json.dumps(EVE)])
def test_other_logs_are_left_to_others(each: str) -> None:
    assert not SOURCE.recognises([each])


TEXTS = st.text("abc XYZé\"\\/{}[],:'", min_size=1, max_size=12).filter(lambda text: text != "-")
ALERTS = st.fixed_dictionaries(
    {
        "time": st.integers(0, 4 * 10**15).map(lambda us: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us)),
        "uid": st.from_regex(r"[0-9]{10}\.[0-9]{1,9}", fullmatch=True),
        "event_code": st.integers(1, 999_999).map(lambda number: f"wazuh/{number}"),
        "device_hostname": st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
        "src_endpoint_ip": st.ip_addresses().map(lambda ip: str(getattr(ip, "ipv4_mapped", None) or ip)),
        "user_name": st.none() | st.from_regex(r"[a-z][a-z0-9_$]{0,9}", fullmatch=True),
        "status_detail": TEXTS,
    }
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ALERTS, min_size=1, max_size=8))
def test_a_written_alert_is_read_back(events: list[dict[str, Any]]) -> None:
    texts = [
        json.dumps(
            {
                "timestamp": event["time"].isoformat(),
                "id": event["uid"],
                "rule": {
                    "id": event["event_code"].removeprefix("wazuh/"),
                    "level": 3,
                    "description": event["status_detail"],
                    "groups": ["pam"],
                },
                "agent": {"name": event["device_hostname"]},
                "data": {"srcip": event["src_endpoint_ip"], "dstuser": event["user_name"]},
            }
        )
        for event in events
    ]
    drafts = SOURCE.parse(pl.DataFrame({"line": range(len(texts)), "text": texts}), None)
    admitted = admit(drafts, "alerts.json", None)
    assert admitted.refused.is_empty(), admitted.refused["reason"].to_list()
    assert admitted.events[Domain.IDENTITY].select(list(events[0])).to_dicts() == events
