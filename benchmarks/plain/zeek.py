"""Zeek's logs, tab-separated or JSON lines, in a plain loop."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, finished, first, hashed, moment, text
from features.events import Domain

_DOMAINS = {
    "conn": Domain.NETWORK,
    "dns": Domain.DNS,
    "http": Domain.WEB,
    "kerberos": Domain.IDENTITY,
    "ntlm": Domain.IDENTITY,
}
_CLASS_UIDS = {"conn": 4001, "dns": 4003, "http": 4002, "kerberos": 3002, "ntlm": 3002, "ssh": 4007, "smb_files": 4006}
_CLASS_UIDS |= {"smb_mapping": 4006, "dhcp": 4004, "rdp": 4005, "ftp": 4008, "smtp": 4009, "ntp": 4013, "tunnel": 4014}
_ACTIVITIES = {"conn": "connect", "dns": "query", "http": "request", "kerberos": "kerberos ticket", "ntlm": "logon"}
_NO_ONES_ACT = set(
    "packet_filter capture_loss stats reporter x509 pe analyzer loaded_scripts ocsp cluster broker config stderr "
    "stdout known_hosts known_services known_certs known_modbus known_devices software traceroute telemetry".split()
)
_DETAILS = {
    "conn": "conn_state", "weird": "name", "notice": "note", "ssl": "server_name", "smb_mapping": "path",
    "smb_files": "path", "dce_rpc": "operation", "dpd": "analyzer", "files": "mime_type", "sip": "method",
    "tunnel": "tunnel_type", "dhcp": "msg_types", "rdp": "cookie", "ftp": "command", "smtp": "mailfrom",
    "ssh": "version", "snmp": "version", "irc": "command", "mqtt_publish": "topic", "signatures": "sig_id",
}  # fmt: skip
_FLAT = {name.replace(".", "_"): name for name in ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")}
_LISTS = ("answers", "tx_hosts", "rx_hosts", "uids", "msg_types")
_UNSET = ("-", "(empty)", "")
_REFUSED = ("S0", "REJ", "RSTOS0", "RSTRH", "SH")

Record = dict[str, Any]


@dataclass
class _Header:
    log: str
    separator: str = "\t"
    fields: tuple[str, ...] = ()
    unset: str = "-"


def events(lines: Iterable[str], name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    header = _Header(name.lower().partition(".")[0].removeprefix("labeled-"))
    for number, line in enumerate(lines):
        line = line.rstrip("\r\n")
        try:
            log, record = _json(line, header) if line.startswith("{") else _row(line, header)
            if record and log not in _NO_ONES_ACT:
                domain = _DOMAINS.get(log, Domain.NETWORK)
                draft = {"line": number} | _common(record, log, line) | _COLUMNS[domain](record, log)
                event = finished(draft, line)
                yield domain.value, event
        except REFUSED:
            continue


def _json(line: str, header: _Header) -> tuple[str, Record]:
    record = json.loads(line)
    for name in _LISTS:
        if isinstance(record.get(name), list):
            record[name] = ",".join(map(text, record[name]))
    for flat, name in _FLAT.items():
        if flat in record:
            record.setdefault(name, record[flat])
    log = first(record, "_path", "@stream") or header.log
    return log, {name: value for name, value in record.items() if value not in _UNSET}


def _row(line: str, header: _Header) -> tuple[str, Record]:
    if line.startswith(("#", "ts,uid")):
        _read_header(line, header)
        return header.log, {}
    parts = line.split(header.separator)
    if len(parts) != len(header.fields):
        raise ValueError(f"expected {len(header.fields)} fields")
    pairs = zip(header.fields, parts, strict=True)
    return header.log, {name: value for name, value in pairs if value != header.unset and value not in _UNSET}


def _read_header(line: str, header: _Header) -> None:
    if not line.startswith("#"):
        header.log, header.separator, header.fields = "conn", ",", tuple(line.split(","))
        return
    if line.startswith("#separator"):
        header.separator = line.split(maxsplit=1)[-1].encode().decode("unicode_escape")
        return
    name, *values = line[1:].split(header.separator)
    if name == "fields":
        header.fields = tuple(values)
    elif name == "path":
        header.log = values[0]
    elif name == "unset_field":
        header.unset = values[0]


def _leading(record: Record, name: str) -> str | None:
    """The first of a list."""
    value = record.get(name)
    return None if value is None else text(value).partition(",")[0]


def _common(record: Record, log: str, line: str) -> Draft:
    own = record.get("uid") or _leading(record, "uids") or record.get("fuid")
    uid = own and (f"{log}:{own}" if log == "conn" else f"{log}:{own}:{hashed(line)}")
    return {
        "time": moment(record.get("ts")),
        "uid": uid,
        "class_uid": _CLASS_UIDS.get(log, 0),
        "activity_name": _ACTIVITIES.get(log, log),
        "event_code": f"zeek/{log}",
        "status": _status(record, log),
        "actor_user_name": first(record, "username", "user"),
        "src_endpoint_ip": first(record, "id.orig_h", "client_addr", "src") or _leading(record, "tx_hosts"),
    }


def _status(record: Record, log: str) -> str | None:
    if log == "dns":
        told, is_good = record.get("rcode_name"), record.get("rcode_name") == "NOERROR"
    elif log == "http":
        told = record.get("status_code")
        is_good = told is not None and int(told) < 400
    elif log == "conn":
        told = record.get("conn_state")
        told, is_good = None if told == "OTH" else told, told not in _REFUSED
    else:
        told = first(record, "success", "established", "auth_success")
        is_good = told is not None and text(told).lower().startswith("t")
    return None if told is None else "success" if is_good else "failure"


def _peer(record: Record) -> str | None:
    return first(record, "id.resp_h", "server_addr", "dst") or _leading(record, "rx_hosts")


def _network(record: Record, log: str) -> Draft:
    return {
        "src_endpoint_port": record.get("id.orig_p"),
        "dst_endpoint_ip": _peer(record),
        "dst_endpoint_port": first(record, "id.resp_p", "p"),
        "connection_info_protocol_name": record.get("proto"),
        "app_name": record.get("service") or (None if log == "conn" else log),
        "status_detail": record.get(_DETAILS[log]) if log in _DETAILS else None,
        "duration": record.get("duration"),
        "traffic_bytes_out": record.get("orig_bytes"),
        "traffic_bytes_in": record.get("resp_bytes"),
        "traffic_packets_out": record.get("orig_pkts"),
        "traffic_packets_in": record.get("resp_pkts"),
    }


def _dns(record: Record, _log: str) -> Draft:
    return {
        "dst_endpoint_ip": _peer(record),
        "query_hostname": record.get("query"),
        "query_type": record.get("qtype_name"),
        "rcode": record.get("rcode_name"),
        "answers": record.get("answers"),
    }


def _web(record: Record, _log: str) -> Draft:
    path, mark, query = record.get("uri", "").partition("?")
    return {
        "dst_endpoint_hostname": first(record, "host", "id.resp_h"),
        "dst_endpoint_ip": _peer(record),
        "http_request_http_method": record.get("method"),
        "http_request_url_path": path if "uri" in record else None,
        "http_request_url_query_string": query if mark else None,
        "http_request_user_agent": record.get("user_agent"),
        "http_request_referrer": record.get("referrer"),
        "http_response_code": record.get("status_code"),
        "http_response_length": record.get("response_body_len"),
    }


def _identity(record: Record, _log: str) -> Draft:
    client = record.get("client")
    return {
        "user_name": client.rpartition("/")[0] or client if client else record.get("username"),
        "src_endpoint_hostname": record.get("hostname"),
        "service_name": record.get("service"),
        "status_detail": record.get("error_msg"),
    }


_COLUMNS: dict[Domain, Callable[[Record, str], Draft]] = {
    Domain.NETWORK: _network,
    Domain.DNS: _dns,
    Domain.WEB: _web,
    Domain.IDENTITY: _identity,
}
