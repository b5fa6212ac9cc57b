"""Zeek's logs: tab-separated with headers, JSON lines, and the comma-separated copies of data sets."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import polars as pl

from features.events import Domain
from features.hashing import hex64
from features.moments import moment
from features.records import Wanted, is_json_object, json_records
from features.source import NAMELESS, Drafts, Source, refusal, refusals

#: What each log is about; others are network, named by their log.
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

#: Logs of Zeek about itself, or of things nobody did.
_NO_ONES_ACT = frozenset(
    "packet_filter capture_loss stats reporter x509 pe analyzer loaded_scripts ocsp cluster broker config stderr "
    "stdout known_hosts known_services known_certs known_modbus known_devices software traceroute telemetry".split()
)

#: The field that tells one event of a log from another: `status_detail` of network events.
_DETAILS = {
    "conn": "conn_state", "weird": "name", "notice": "note", "ssl": "server_name", "smb_mapping": "path",
    "smb_files": "path", "dce_rpc": "operation", "dpd": "analyzer", "files": "mime_type", "sip": "method",
    "tunnel": "tunnel_type", "dhcp": "msg_types", "rdp": "cookie", "ftp": "command", "smtp": "mailfrom",
    "ssh": "version", "snmp": "version", "irc": "command", "mqtt_publish": "topic", "signatures": "sig_id",
}  # fmt: skip
_FIELDS = (
    "ts", "uid", "uids", "fuid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration",
    "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "query", "qtype_name", "rcode_name", "answers", "method",
    "host", "uri", "referrer", "user_agent", "status_code", "response_body_len", "client", "success", "error_msg",
    "username", "user", "hostname", "tx_hosts", "rx_hosts", "client_addr", "server_addr", "src", "dst", "p",
    "established", "auth_success", *sorted(set(_DETAILS.values()) - {"method"}),
)  # fmt: skip
_LISTS = ("answers", "tx_hosts", "rx_hosts", "uids", "msg_types")
_WANTED = Wanted(
    {name: (name, name.replace(".", "_")) if "." in name else (name,) for name in _FIELDS}
    | {"log": ("_path", "@stream")},
    whole=_LISTS,
    hidden=("id",),
)
#: Different logs in one frame, at most: each takes its own steps.
_MOST_LOGS = 64
_UNSET = ["-", "(empty)", ""]

_SEPARATOR, _WRITTEN_BYTE = re.compile(r"#separator\s+((?:\\x[\da-fA-F]{2}|[^\\\s])+)"), re.compile(r"\\x(..)")


@dataclass(frozen=True)
class Header:
    """How the lines that follow are to be read; `fields` is empty until a header has named them.

    `file` is the log as the file's name has it, `log` as the last header has it.
    """

    file: str
    log: str
    separator: str = "\t"
    fields: tuple[str, ...] = ()
    unset: str = "-"


def recognises(head: Sequence[str]) -> bool:
    """A `#fields` header, a header of comma-separated Zeek columns, or JSON with Zeek's names."""
    return (
        any(line.startswith(("#separator", "#fields\t")) for line in head)
        or _is_csv(head[0])
        or any(map(_is_json, head[:10]))
    )


def begin(name: str, _frames: Iterator[pl.DataFrame]) -> Header:
    """The log's name, for lines that do not tell it: `conn.log.gz` -> `conn`."""
    log = name.lower().partition(".")[0].removeprefix("labeled-")
    return Header(log, log)


def parse(lines: pl.DataFrame, header: Header) -> Drafts:
    """Lines of one log or of several: objects of JSON, and rows, each under the header above it."""
    is_object = lines["text"].str.contains(r"^\s*\{")
    objects, rows = lines.filter(is_object), lines.filter(~is_object)
    parts = [_parse_json(objects, header.file)] if objects.height else []
    blocks, _ = _blocks(rows, header)
    parts += [_parse_rows(pl.concat(rows), header) for header, rows in islice(blocks.items(), _MOST_LOGS)]
    surplus = [row for rows in islice(blocks.values(), _MOST_LOGS, None) for row in rows]
    return _joined([*parts, Drafts(refused=_too_many(pl.concat(surplus)))] if surplus else parts)


def _too_many(rows: pl.DataFrame) -> pl.DataFrame:
    return refusals(rows, "log", f"expected at most {_MOST_LOGS} different logs side by side; split the file")


def goes_on(lines: pl.DataFrame, header: Header) -> Header:
    """The last header that is there."""
    for at in _header_rows(lines):
        header = _read_header(lines["text"][at], header)
    return header


def _blocks(lines: pl.DataFrame, header: Header) -> tuple[dict[Header, list[pl.DataFrame]], Header]:
    """The rows under each header, those under like ones together; and the last header."""
    blocks: dict[Header, list[pl.DataFrame]] = {}
    start = 0
    for at in [*_header_rows(lines), lines.height]:
        if at > start:
            blocks.setdefault(header, []).append(lines[start:at])
        header = _read_header(lines["text"][at], header) if at < lines.height else header
        start = at + 1
    return blocks, header


def _is_csv(line: str) -> bool:
    return line.startswith("ts,") and "id.orig_h" in line.split(",")


def _is_json(line: str) -> bool:
    names = ('"_path"', '"@stream"', '"id.orig_h"', '"id_orig_h"')
    return is_json_object(line) and (any(name in line for name in names) or ('"ts"' in line and '"uid"' in line))


# Headers and rows


def _header_rows(lines: pl.DataFrame) -> list[int]:
    is_header = pl.col("text").str.starts_with("#") | pl.col("text").str.starts_with("ts,uid")
    return lines.select(is_header.arg_true()).to_series().to_list()


def _read_header(line: str, header: Header) -> Header:
    if not line.startswith("#"):
        return replace(header, log="conn", separator=",", fields=tuple(line.split(",")))
    if line.startswith("#separator"):
        return replace(header, separator=_separator(line) or header.separator, fields=())
    name, *values = line[1:].split(header.separator)
    if name == "path" and values:
        return replace(header, log=values[0])
    if name == "fields":
        return replace(header, fields=tuple(values))
    if name == "unset_field" and values:
        return replace(header, unset=values[0])
    return header


def _separator(line: str) -> str | None:
    r"""What the header says, bytes written like `\x09`; none where it says nothing that Zeek could mean."""
    written = _SEPARATOR.fullmatch(line)
    return _WRITTEN_BYTE.sub(lambda byte: chr(int(byte[1], 16)), written[1]) if written else None


def _parse_rows(rows: pl.DataFrame, header: Header) -> Drafts:
    if not header.fields:
        return Drafts(refused=refusals(rows, "line", "expected a #fields header above the first record"))
    known = [name for name in header.fields if name in _FIELDS]
    if len(set(known)) < len(known):
        return Drafts(refused=refusals(rows, "line", "expected every field once in the #fields header above"))
    if header.log in _NO_ONES_ACT:
        return _no_ones_act(header.log)
    separators = pl.col("text").str.count_matches(header.separator, literal=True)
    is_whole = rows.select(separators == len(header.fields) - 1).to_series()
    reason = f"expected {len(header.fields)} fields, as the header of this {header.log} log says"
    refused = refusals(rows.filter(~is_whole), "line", reason)
    whole = rows if is_whole.all() else rows.filter(is_whole)
    unmapped = {name: whole.height for name in header.fields if name not in _FIELDS}
    drafts = _drafts(_columns(whole, header), header.log)
    return Drafts(drafts.events, refused, unmapped, whole.height * len(header.fields))


def _no_ones_act(log: str) -> Drafts:
    return Drafts(refused=refusal("log", log, f"zeek log {log!r} holds no events of a domain"))


def _columns(rows: pl.DataFrame, header: Header) -> pl.DataFrame:
    """One text column for each known field of the header; labels of data sets are never read."""
    parts = pl.col("text").str.split(header.separator)
    wanted = [(at, name) for at, name in enumerate(header.fields) if name in _FIELDS]
    split = rows.select("line", "text", parts.alias("parts"))
    value = [pl.col("parts").list.get(at).alias(name) for at, name in wanted]
    return split.select("line", "text", *(pl.when(part != header.unset).then(part) for part in value))


# JSON


def _parse_json(lines: pl.DataFrame, file: str) -> Drafts:
    read = json_records(lines, _WANTED)
    records = read.fields.with_columns(pl.col("log").fill_null(file))
    logs = records["log"].unique(maintain_order=True)
    surplus = records.filter(pl.col("log").is_in(logs[_MOST_LOGS:].implode()))
    known = records.filter(pl.col("log").is_in(logs[:_MOST_LOGS].implode()))
    parts = [_parse_json_log(rows, str(log)) for (log,), rows in known.partition_by("log", as_dict=True).items()]
    refused = pl.concat([read.refused, _too_many(surplus)])
    return _joined([Drafts({}, refused, read.unmapped, read.total), *parts])


def _parse_json_log(records: pl.DataFrame, log: str) -> Drafts:
    if log in _NO_ONES_ACT:
        return _no_ones_act(log)
    plain = records.with_columns(pl.col(_LISTS).str.replace_all(r'[\[\]"]|, ?(")', "${1}").str.replace_all('"', ","))
    return _drafts(plain, log)


# Events


def _drafts(rows: pl.DataFrame, log: str) -> Drafts:
    if rows.is_empty():
        return Drafts()
    domain = _DOMAINS.get(log, Domain.NETWORK)
    fields = rows.select("line", "text", *(_field(name, rows) for name in _FIELDS))
    columns = _common(log) | _EVENTS[domain] | (_telling(log) if domain == Domain.NETWORK else {})
    return Drafts({domain: fields.select("line", "text", pl.col("ts").alias("time_text"), **columns)})


def _field(name: str, rows: pl.DataFrame) -> pl.Expr:
    if name not in rows.columns:
        return pl.lit(None, pl.String).alias(name)
    return pl.when(~pl.col(name).is_in(_UNSET)).then(pl.col(name))


def _first(name: str) -> pl.Expr:
    return pl.col(name).str.split(",").list.first()


def _common(log: str) -> dict[str, pl.Expr]:
    own = pl.coalesce("uid", _first("uids"), "fuid")
    name = pl.lit(log + ":") + own
    return {
        "time": moment(pl.col("ts")),
        "uid": name if log == "conn" else name + ":" + pl.col("text").map_batches(hex64, return_dtype=pl.String),
        "class_uid": pl.lit(_CLASS_UIDS.get(log, 0)),
        "activity_name": pl.lit(_ACTIVITIES.get(log, log)),
        "event_code": pl.lit(f"zeek/{log}"),
        "status": _status(log),
        "actor_user_name": pl.coalesce("username", "user"),
        "src_endpoint_ip": pl.coalesce("id.orig_h", "client_addr", "src", _first("tx_hosts")),
    }


def _telling(log: str) -> dict[str, pl.Expr]:
    """What an event of network is about: the service, or the log that saw it, and its detail."""
    app = pl.col("service") if log == "conn" else pl.coalesce("service", pl.lit(log))
    return {"app_name": app, "status_detail": pl.col(_DETAILS[log]) if log in _DETAILS else pl.lit(None, pl.String)}


def _status(log: str) -> pl.Expr:
    if log == "dns":
        return _outcome(pl.col("rcode_name") == "NOERROR")
    if log == "http":
        return _outcome(pl.col("status_code").cast(pl.Int64, strict=False) < 400)
    if log == "conn":
        refused = pl.col("conn_state").is_in(["S0", "REJ", "RSTOS0", "RSTRH", "SH"])
        return _outcome(pl.when(pl.col("conn_state") != "OTH").then(~refused))
    return _outcome(pl.coalesce("success", "established", "auth_success").str.to_lowercase().str.starts_with("t"))


def _outcome(is_good: pl.Expr) -> pl.Expr:
    return pl.when(is_good).then(pl.lit("success")).when(~is_good).then(pl.lit("failure"))


_PEER = pl.coalesce("id.resp_h", "server_addr", "dst", _first("rx_hosts"))

_EVENTS: dict[Domain, dict[str, pl.Expr]] = {
    Domain.NETWORK: {
        "src_endpoint_port": pl.col("id.orig_p"),
        "dst_endpoint_ip": _PEER,
        "dst_endpoint_port": pl.coalesce("id.resp_p", "p"),
        "connection_info_protocol_name": pl.col("proto"),
        "duration": pl.col("duration"),
        "traffic_bytes_out": pl.col("orig_bytes"),
        "traffic_bytes_in": pl.col("resp_bytes"),
        "traffic_packets_out": pl.col("orig_pkts"),
        "traffic_packets_in": pl.col("resp_pkts"),
    },
    Domain.DNS: {
        "dst_endpoint_ip": _PEER,
        "query_hostname": pl.col("query"),
        "query_type": pl.col("qtype_name"),
        "rcode": pl.col("rcode_name"),
        "answers": pl.col("answers"),
    },
    Domain.WEB: {
        "dst_endpoint_hostname": pl.coalesce("host", "id.resp_h"),
        "dst_endpoint_ip": _PEER,
        "http_request_http_method": pl.col("method"),
        "http_request_url_path": pl.col("uri").str.extract(r"^([^?]*)"),
        "http_request_url_query_string": pl.col("uri").str.extract(r"\?(.*)$"),
        "http_request_user_agent": pl.col("user_agent"),
        "http_request_referrer": pl.col("referrer"),
        "http_response_code": pl.col("status_code"),
        "http_response_length": pl.col("response_body_len"),
    },
    Domain.IDENTITY: {
        "user_name": pl.coalesce(pl.col("client").str.replace("/[^/]*$", ""), "username"),
        "src_endpoint_hostname": pl.col("hostname"),
        "service_name": pl.col("service"),
        "status_detail": pl.col("error_msg"),
    },
}


def _joined(parts: list[Drafts]) -> Drafts:
    """The drafts of several logs, each domain in the order of its lines."""
    frames: dict[Domain, list[pl.DataFrame]] = {}
    for part in parts:
        for domain, frame in part.events.items():
            frames.setdefault(domain, []).append(frame)
    events = {domain: pl.concat(some, how="vertical_relaxed").sort("line") for domain, some in frames.items()}
    unmapped: Counter[str] = Counter()
    for part in parts:
        unmapped.update(part.unmapped)
    refused = pl.concat([pl.DataFrame(schema=NAMELESS), *(part.refused for part in parts)])
    return Drafts(events, refused, unmapped, sum(part.total for part in parts))


SOURCE = Source("zeek", recognises, begin, parse, goes_on)
