"""Suricata's EVE log as JSON lines, in a plain loop."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, finished, first, hashed, moment
from features.events import Domain

_DOMAINS = {"dns": Domain.DNS, "http": Domain.WEB}
_ACTIVITIES = {"flow": "connect", "dns": "query", "http": "request", "tls": "ssl"}
_CLASS_UIDS = {"flow": 4001, "netflow": 4001, "tls": 4001, "dns": 4003, "http": 4002, "alert": 2004, "dhcp": 4004}
_CLASS_UIDS |= {"rdp": 4005, "smb": 4006, "ssh": 4007, "ftp": 4008, "smtp": 4009}
_DETAILS = {
    "alert": "signature", "tls": "sni", "quic": "sni", "anomaly": "event", "dhcp": "dhcp_type", "fileinfo": "filename",
    "ftp": "command", "krb5": "msg_type", "rdp": "event_type", "sip": "method", "smb": "command", "snmp": "pdu_type",
}  # fmt: skip
_GROUPS = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT")
_SITE = re.compile(r"^[a-z]+://[^/?]*")

Record = dict[str, Any]


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
            kind = (record.get("event_type") or "").strip()
            if kind in ("", "stats"):
                continue
            domain = _DOMAINS.get(kind, Domain.NETWORK)
            is_turned = _is_answer(record, kind) and _is_turned(record)
            ends = ("dest_ip", "src_ip") if is_turned else ("src_ip", "dest_ip")
            source, peer = (record.get(end) for end in ends)
            draft = {"line": number, "src_endpoint_ip": source, "dst_endpoint_ip": peer}
            event = finished(draft | _common(record, kind, line) | _COLUMNS[domain](record, kind), line)
        except REFUSED:
            continue
        yield domain.value, event


def _is_answer(record: Record, kind: str) -> bool:
    return kind == "dns" and record.get("dns", {}).get("type") in ("answer", "response")


def _is_turned(record: Record) -> bool:
    """Some versions write an answer as the server sent it."""
    return record.get("src_port") == 53 and record.get("dest_port") not in (53, None)


def _common(record: Record, kind: str, line: str) -> Draft:
    signature = record.get("alert", {}).get("signature_id") if kind == "alert" else None
    return {
        "time": moment(record.get("timestamp")),
        "uid": _uid(record, kind, line),
        "class_uid": _CLASS_UIDS.get(kind, 0),
        "activity_name": "answer" if _is_answer(record, kind) else _ACTIVITIES.get(kind, kind),
        "event_code": f"suricata/{kind if signature is None else signature}",
        "status": _status(record, kind),
    }


def _uid(record: Record, kind: str, line: str) -> str | None:
    """Flow, type and transaction; all but flows add their text's hash, as several can share these."""
    flow, transaction = record.get("flow_id"), record.get("tx_id")
    if flow is None:
        return None
    name = f"{flow}:{kind}" if transaction is None else f"{flow}:{kind}:{transaction}"
    return name if kind == "flow" else f"{name}:{hashed(line)}"


def _status(record: Record, kind: str) -> str | None:
    """Blocked traffic, a flow nobody answered, an error from a server: failures."""
    own = record.get(kind, {})
    if kind == "alert":
        told, is_good = own.get("action"), own.get("action") != "blocked"
    elif kind == "flow":
        told, is_good = own.get("state"), own.get("state") != "new"
    elif kind == "dns":
        told, is_good = own.get("rcode"), own.get("rcode") == "NOERROR"
    elif kind == "http":
        told = own.get("status")
        is_good = told is not None and int(told) < 400
    else:
        return None
    return None if told is None else "success" if is_good else "failure"


def _network(record: Record, kind: str) -> Draft:
    flow, netflow = record.get("flow", {}), record.get("netflow", {})
    category = record.get("alert", {}).get("category") if kind == "alert" else None
    duration = _duration(flow)
    return {
        "src_endpoint_port": record.get("src_port"),
        "dst_endpoint_port": record.get("dest_port"),
        "connection_info_protocol_name": record.get("proto"),
        "app_name": category or record.get("app_proto"),
        "status_detail": _detail(record, flow, kind),
        "duration": first(flow, "age") or netflow.get("age") if duration is None else duration,
        "traffic_bytes_out": flow["bytes_toserver"] if "bytes_toserver" in flow else netflow.get("bytes"),
        "traffic_bytes_in": flow.get("bytes_toclient"),
        "traffic_packets_out": flow["pkts_toserver"] if "pkts_toserver" in flow else netflow.get("pkts"),
        "traffic_packets_in": flow.get("pkts_toclient"),
    }


def _duration(flow: Record) -> float | None:
    """Seconds between a flow's first and last packet."""
    start, end = moment(flow.get("start")), moment(flow.get("end"))
    return (end - start).total_seconds() if start and end else None


def _detail(record: Record, flow: Record, kind: str) -> str | None:
    if kind == "flow":
        return "/".join(flow[name] for name in ("state", "reason") if name in flow) or None
    return record.get(kind, {}).get(_DETAILS[kind]) if kind in _DETAILS else None


def _dns(record: Record, _kind: str) -> Draft:
    dns = record.get("dns", {})
    queries = dns.get("queries") or [{}]
    return {
        "query_hostname": dns.get("rrname") or queries[0].get("rrname"),
        "query_type": dns.get("rrtype") or queries[0].get("rrtype"),
        "rcode": dns.get("rcode"),
        "answers": _answers(dns),
    }


def _answers(dns: Record) -> str | None:
    listed = [answer["rdata"] for answer in dns.get("answers") or [] if answer.get("rdata") is not None]
    grouped = dns.get("grouped") or {}
    gathered = [value for name in _GROUPS for value in grouped.get(name) or []]
    return ",".join(listed or gathered) or dns.get("rdata") or None


def _web(record: Record, _kind: str) -> Draft:
    http = record.get("http", {})
    path, mark, query = _SITE.sub("", http.get("url", "")).partition("?")
    return {
        "dst_endpoint_hostname": first(http, "hostname") or record.get("dest_ip"),
        "http_request_http_method": http.get("http_method"),
        "http_request_url_path": path if "url" in http else None,
        "http_request_url_query_string": query if mark else None,
        "http_request_user_agent": http.get("http_user_agent"),
        "http_request_referrer": http.get("http_refer"),
        "http_response_code": http.get("status"),
        "http_response_length": http.get("length"),
    }


_COLUMNS: dict[Domain, Callable[[Record, str], Draft]] = {
    Domain.NETWORK: _network,
    Domain.DNS: _dns,
    Domain.WEB: _web,
}
