"""Records of Suricata and Wazuh, made up with the fields that real ones have, for want of real logs."""

import json
import random
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

#: An alert's groups, its decoder, and what else it holds.
Made = tuple[list[str], str, dict[str, Any]]


def line(record: dict[str, Any]) -> bytes:
    """A record as a line of JSON."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def suricata(_data: Path) -> Iterator[bytes]:
    """Records of an EVE log without end, each with values of its own."""
    chance = random.Random(0)  # noqa: S311, no secret hangs on it
    return (line(_eve(chance, number)) for number in count())


def wazuh(_data: Path) -> Iterator[bytes]:
    """Alerts without end, each with values of its own."""
    chance = random.Random(0)  # noqa: S311, no secret hangs on it
    return (line(_alert(chance, number)) for number in count())


def _stamp(number: int, zone: str = "+0200", digits: int = 6) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_714_000_000 + number // 50))
    return f"{moment}.{number % 50 * 20_000 + 123:06}"[: 20 + digits] + zone


def _eve(chance: random.Random, number: int) -> dict[str, Any]:
    """A record of Suricata's, of a kind and with fields that its documentation shows."""
    kind = chance.choice(["flow", "flow", "dns", "dns", "http", "tls", "alert", "fileinfo"])
    head = {
        "timestamp": _stamp(number),
        "flow_id": chance.getrandbits(50),
        "in_iface": "eth0",
        "event_type": kind,
        "src_ip": f"10.0.{chance.randrange(4)}.{chance.randrange(1, 255)}",
        "src_port": chance.randrange(1024, 65_536),
        "dest_ip": chance.choice(
            ["10.0.0.53", "93.184.216.34", "2606:2800:0220:0001:0248:1893:25c8:1946", "172.16.3.9"]
        ),
        "dest_port": chance.choice([53, 80, 443, 445]),
        "proto": chance.choice(["TCP", "UDP"]),
    }
    return head | _EVE[kind](chance, number)


def _eve_flow(chance: random.Random, number: int) -> dict[str, Any]:
    packets = chance.randrange(1, 99)
    flow = {
        "pkts_toserver": packets,
        "pkts_toclient": packets // 2,
        "bytes_toserver": packets * chance.randrange(60, 1500),
        "bytes_toclient": packets // 2 * chance.randrange(60, 1500),
        "start": _stamp(max(number - chance.randrange(3000), 0)),
        "end": _stamp(number),
        "age": chance.randrange(60),
        "state": chance.choice(["new", "established", "closed"]),
        "reason": chance.choice(["timeout", "forced"]),
        "alerted": False,
    }
    tcp = {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "syn": True, "fin": True, "state": "closed"}
    return {"app_proto": chance.choice(["http", "tls", "dns", "failed"]), "flow": flow, "tcp": tcp}


def _eve_dns(chance: random.Random, number: int) -> dict[str, Any]:
    name = f"{chance.choice(['www', 'mail', 'cdn', 'api'])}.site{chance.randrange(500)}.com"
    asked = {"id": chance.randrange(65_536), "rrname": name, "rrtype": chance.choice(["A", "AAAA", "TXT"])}
    if number % 2:
        return {"dns": {"type": "query", "tx_id": 0, **asked}}
    answers = [{"rrname": name, "rrtype": "A", "ttl": 60, "rdata": f"1.2.3.{n}"} for n in range(chance.randrange(3))]
    grouped = {"A": [answer["rdata"] for answer in answers]} if answers else {}
    told = {"version": 2, "type": "answer", "flags": "8180", "rcode": chance.choice(["NOERROR", "NXDOMAIN"])}
    return {"dns": {**told, **asked, "answers": answers, "grouped": grouped}}


def _eve_http(chance: random.Random, _number: int) -> dict[str, Any]:
    http = {
        "hostname": f"Site{chance.randrange(500)}.com",
        "url": f"/page/{chance.randrange(9999)}" + chance.choice(["", f"?q={chance.randrange(99)}"]),
        "http_user_agent": chance.choice(
            ["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/125.0"]
        ),
        "http_content_type": "text/html",
        "http_method": chance.choice(["GET", "POST"]),
        "protocol": "HTTP/1.1",
        "status": chance.choice([200, 302, 404, 500]),
        "length": chance.randrange(99_999),
    }
    return {"tx_id": 0, "http": http}


def _eve_tls(chance: random.Random, _number: int) -> dict[str, Any]:
    tls = {"subject": "CN=*.site.com", "issuerdn": "C=US, O=Let's Encrypt, CN=R3", "version": "TLS 1.3"}
    return {"tls": {**tls, "sni": f"site{chance.randrange(500)}.com", "notafter": "2025-01-01T00:00:00"}}


def _eve_alert(chance: random.Random, _number: int) -> dict[str, Any]:
    alert = {
        "action": chance.choice(["allowed", "blocked"]),
        "gid": 1,
        "signature_id": chance.randrange(2_000_000, 2_050_000),
        "rev": 3,
        "signature": f"ET SCAN Suspicious inbound to port {chance.randrange(9999)}",
        "category": chance.choice(["Potentially Bad Traffic", "Attempted Information Leak", ""]),
        "severity": 2,
    }
    return {"alert": alert, "app_proto": "http", "flow": {"pkts_toserver": 3, "bytes_toserver": 186}}


def _eve_fileinfo(chance: random.Random, _number: int) -> dict[str, Any]:
    return {"app_proto": "http", "fileinfo": {"filename": f"/f/{chance.randrange(999)}.bin", "state": "CLOSED"}}


_EVE: dict[str, Callable[[random.Random, int], dict[str, Any]]] = {
    "flow": _eve_flow,
    "dns": _eve_dns,
    "http": _eve_http,
    "tls": _eve_tls,
    "alert": _eve_alert,
    "fileinfo": _eve_fileinfo,
}


def _alert(chance: random.Random, number: int) -> dict[str, Any]:
    """An alert of Wazuh's, with one of the decoders its rules are about."""
    groups, decoder, data = chance.choice([_alert_ssh, _alert_web, _alert_windows, _alert_aws, _alert_file])(chance)
    level = chance.randrange(3, 12)
    return {
        "timestamp": _stamp(number, "+0000", 3),
        "rule": {
            "level": level,
            "description": f"What rule {level} saw.",
            "id": str(chance.randrange(500, 99_999)),
            "mitre": {"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]},
            "firedtimes": chance.randrange(99),
            "mail": False,
            "groups": groups,
        },
        "agent": {"id": f"{number % 20:03}", "name": f"HOST{number % 20}.corp.com", "ip": f"10.0.0.{number % 20}"},
        "manager": {"name": "wazuh-manager"},
        "id": f"{1_714_000_000 + number // 50}.{number}",
        "decoder": {"name": decoder},
        "location": "/var/log/x",
    } | data


def _address(chance: random.Random) -> str:
    return f"{chance.randrange(1, 224)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}"


def _alert_ssh(chance: random.Random) -> Made:
    data = {"srcip": _address(chance), "srcport": str(chance.randrange(1024, 65_536)), "dstuser": "Root"}
    predecoder = {"program_name": "sshd", "timestamp": "Apr 25 01:06:40", "hostname": "web1"}
    groups = ["syslog", "sshd", chance.choice(["authentication_failed", "authentication_success"])]
    return groups, "sshd", {"predecoder": predecoder, "data": data, "full_log": "Apr 25 01:06:40 web1 sshd[1]: text"}


def _alert_web(chance: random.Random) -> Made:
    url = f"/page/{chance.randrange(999)}" + chance.choice(["", "?id=1%27"])
    data = {"protocol": "GET", "srcip": _address(chance), "id": chance.choice(["404", "400"]), "url": url}
    return ["web", "accesslog", "attack"], "web-accesslog", {"data": data}


def _alert_windows(chance: random.Random) -> Made:
    event = {
        "utcTime": "2024-04-25 01:06:40.123",
        "processGuid": "{4dc16835-5bd1-6628-6bfe-020000000000}",
        "image": f"C:\\\\Users\\\\ann\\\\tool{chance.randrange(99)}.exe",
        "commandLine": f"tool.exe -n {chance.randrange(9999)}",
        "integrityLevel": "High",
        "parentImage": "C:\\\\Windows\\\\explorer.exe",
        "user": "CORP\\\\Ann",
    }
    system = {"channel": "Microsoft-Windows-Sysmon/Operational", "eventID": "1", "computer": "HOST1.corp.com"}
    return (
        ["sysmon", "sysmon_event1"],
        "windows_eventchannel",
        {"data": {"win": {"system": system, "eventdata": event}}},
    )


def _alert_aws(chance: random.Random) -> Made:
    aws = {
        "eventName": chance.choice(["ConsoleLogin", "RunInstances", "GetObject"]),
        "eventSource": "ec2.amazonaws.com",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": _address(chance),
        "userAgent": "aws-cli/2.15.0",
        "recipientAccountId": "123456789012",
        "userIdentity": {"type": "IAMUser", "userName": f"user{chance.randrange(50)}", "arn": "arn:aws:iam::1:user/x"},
    }
    return ["amazon", "aws", "aws_cloudtrail"], "json", {"data": {"integration": "aws", "aws": aws}}


def _alert_file(chance: random.Random) -> Made:
    path = chance.choice([f"/etc/file{chance.randrange(99)}", "HKEY_LOCAL_MACHINE\\Software\\X"])
    return ["ossec", "syscheck"], "syscheck_integrity_changed", {"syscheck": {"path": path, "event": "modified"}}
