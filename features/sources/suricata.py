"""Suricata's EVE log as JSON lines.

Every record becomes one event of one domain: dns records of dns, http records of web, all others of network. `time`
is the record's own stamp, by which the log is in order: of a flow that is when Suricata gave it up, a little after
its end. The sensor's name (`host`) is not read, for it is not the host the event is about.

For network, `status_detail` is what tells one event from another: of a flow how it ended (`closed/timeout`), of an
alert its signature, of TLS the name asked for. An alert's `app_name` is its category, of others the protocol.
For dns, a query and its answer are two events, as they are two records; an answer of version 1 holds one address.
"""

from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from features.events import Domain
from features.hashing import hex64
from features.moments import moment
from features.records import Records, Wanted, by_path, json_as, json_records, paths_below
from features.source import NAMELESS, Drafts, Source, refusal, refusals

_DOMAINS = {"dns": Domain.DNS, "http": Domain.WEB}
_ACTIVITIES = {"flow": "connect", "dns": "query", "http": "request", "tls": "ssl"}
_CLASS_UIDS = {"flow": 4001, "netflow": 4001, "tls": 4001, "dns": 4003, "http": 4002, "alert": 2004, "dhcp": 4004}
_CLASS_UIDS |= {"rdp": 4005, "smb": 4006, "ssh": 4007, "ftp": 4008, "smtp": 4009}

#: The field that tells one event of a type from another.
_DETAILS = {
    "alert": "signature", "tls": "sni", "quic": "sni", "anomaly": "event", "dhcp": "dhcp_type", "fileinfo": "filename",
    "ftp": "command", "krb5": "msg_type", "rdp": "event_type", "sip": "method", "smb": "command", "snmp": "pdu_type",
}  # fmt: skip

#: Record types that version 2 groups its answers by, if it is told to.
_GROUPS = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT")


_WANTED = Wanted(
    by_path(
        [
            *"timestamp event_type flow_id tx_id src_ip src_port dest_ip dest_port proto app_proto".split(),
            *(f"{kind}.{name}" for kind, name in _DETAILS.items()),
            *paths_below(
                "flow", "start end age state reason bytes_toserver bytes_toclient pkts_toserver pkts_toclient"
            ),
            *paths_below("netflow", "age bytes pkts"),
            *paths_below("alert", "signature_id category action"),
            *paths_below("http", "hostname url http_method http_user_agent http_refer status length"),
            *paths_below("dns", "type rrname rrtype rcode rdata queries[0].rrname queries[0].rrtype answers[].rdata"),
            *(f"dns.grouped.{name}[]" for name in _GROUPS),
        ]
    )
)


class _Head(msgspec.Struct):
    """What an EVE record has at its top, so that an alert of Wazuh that holds one is not taken for it."""

    timestamp: str
    event_type: str
    flow_id: int | None = None
    src_ip: str | None = None
    stats: dict[str, msgspec.Raw] | None = None


def recognises(head: Sequence[str]) -> bool:
    """JSON with an event type and a timestamp and, beside them, a flow, an address or statistics."""
    return any(map(_is_eve, head[:10]))


def begin(_name: str, _frames: Iterator[pl.DataFrame]) -> None:
    """A record needs no context."""


def parse(lines: pl.DataFrame, _context: None) -> Drafts:
    """Every record as an event, but statistics, which are refused as a whole, and JSON without an event type."""
    read = json_records(lines, _WANTED)
    kind = pl.col("event_type").str.strip_chars()
    records = read.fields.with_columns(pl.when(kind != "").then(kind).alias("event_type"), answers=_answers(read))
    nameless = refusals(records.filter(pl.col("event_type").is_null()), "event_type", "expected an EVE event_type")
    statistics = _refused_statistics(records)
    acts = records.filter(pl.col("event_type") != "stats")
    domain = _KIND.replace_strict(_DOMAINS, default=Domain.NETWORK, return_dtype=pl.String)
    common = acts.select("line", "text", pl.col("timestamp").alias("time_text"), domain=domain, **_COMMON)
    present = common["domain"].unique()
    events = {domain: _draft(acts, common, domain) for domain in _COLUMNS if domain in present}
    return Drafts(events, pl.concat([read.refused, nameless, statistics]), read.unmapped, read.total)


def _is_eve(line: str) -> bool:
    head = json_as(line, _Head)
    return head is not None and (head.flow_id is not None or head.src_ip is not None or head.stats is not None)


def _refused_statistics(records: pl.DataFrame) -> pl.DataFrame:
    if (records["event_type"] == "stats").any():
        return refusal("event_type", "stats", "suricata's stats records hold no events of a domain")
    return pl.DataFrame(schema=NAMELESS)


def _answers(read: Records) -> pl.Series:
    """What was answered in each record, listed or else grouped by type, joined with commas; or its one answer."""
    listed = read.gathered("dns.answers", "dns.answers[].rdata")
    grouped = (read.gathered(f"dns.grouped.{name}", f"dns.grouped.{name}[]") for name in _GROUPS)
    together = pl.concat_str(*grouped, separator=",", ignore_nulls=True)
    texts = (listed, together, pl.col("dns.rdata"))
    return read.fields.select(pl.coalesce(pl.when(text != "").then(text) for text in texts)).to_series()


def _draft(acts: pl.DataFrame, common: pl.DataFrame, domain: Domain) -> pl.DataFrame:
    own = acts.select(**_COLUMNS[domain])
    return common.with_columns(own.get_columns()).filter(pl.col("domain") == domain)


# Meaning


def _of(name: str, *fields: str) -> pl.Expr:
    """The first of these fields of the object `name` that has a value."""
    return pl.coalesce(f"{name}.{field}" for field in fields)


def _outcome(is_good: pl.Expr) -> pl.Expr:
    return pl.when(is_good).then(pl.lit("success")).when(~is_good).then(pl.lit("failure"))


_KIND = pl.col("event_type")
_IS_ALERT, _IS_FLOW, _IS_DNS, _IS_HTTP = (_KIND.is_in([kind]) for kind in ("alert", "flow", "dns", "http"))
_IS_ANSWER = _IS_DNS & _of("dns", "type").is_in(["answer", "response"])

#: Some versions write an answer as the server sent it.
_IS_TURNED = _IS_ANSWER & (pl.col("src_port") == "53") & (pl.col("dest_port") != "53")


def _uid() -> pl.Expr:
    """Flow, type and transaction; several records can share these, so all but flows add their text's hash."""
    name = pl.concat_str("flow_id", _KIND, "tx_id", separator=":", ignore_nulls=True)
    hashed = name + ":" + pl.col("text").map_batches(hex64, return_dtype=pl.String)
    return pl.when(pl.col("flow_id").is_not_null()).then(pl.when(_IS_FLOW).then(name).otherwise(hashed))


def _status() -> pl.Expr:
    """Blocked traffic, a flow nobody answered, an error from a server: failures."""
    good = (
        pl.when(_IS_ALERT)
        .then(_of("alert", "action") != "blocked")
        .when(_IS_FLOW)
        .then(_of("flow", "state") != "new")
        .when(_IS_DNS)
        .then(_of("dns", "rcode") == "NOERROR")
        .when(_IS_HTTP)
        .then(_of("http", "status").cast(pl.Int64, strict=False) < 400)
    )
    return _outcome(good)


def _detail() -> pl.Expr:
    said = [pl.when(_KIND.is_in([kind])).then(_of(kind, field)) for kind, field in _DETAILS.items()]
    end = pl.coalesce(
        pl.concat_str(_of("flow", "state"), _of("flow", "reason"), separator="/"), _of("flow", "state", "reason")
    )
    return pl.coalesce(pl.when(_IS_FLOW).then(end), *said)


def _duration() -> pl.Expr:
    """Seconds between a flow's first and last packet; its age, in whole seconds, where it lacks either."""
    lasted = moment(_of("flow", "end")) - moment(_of("flow", "start"))
    exact = (lasted.dt.total_microseconds() / 1e6).round(6).cast(pl.String)
    return pl.coalesce(exact, _of("flow", "age"), _of("netflow", "age"))


def _asked(field: str) -> pl.Expr:
    return pl.coalesce(f"dns.{field}", f"dns.queries[0].{field}")


_COMMON: dict[str, pl.Expr] = {
    "time": moment(pl.col("timestamp")),
    "uid": _uid(),
    "class_uid": _KIND.replace_strict(_CLASS_UIDS, default=0, return_dtype=pl.Int32),
    "activity_name": pl.when(_IS_ANSWER).then(pl.lit("answer")).otherwise(_KIND.replace(_ACTIVITIES)),
    "event_code": "suricata/" + pl.coalesce(pl.when(_IS_ALERT).then(_of("alert", "signature_id")), _KIND),
    "status": _status(),
    "src_endpoint_ip": pl.when(_IS_TURNED).then("dest_ip").otherwise("src_ip"),
}

_PEER = pl.when(_IS_TURNED).then("src_ip").otherwise("dest_ip")

_COLUMNS: dict[Domain, dict[str, pl.Expr]] = {
    Domain.NETWORK: {
        "src_endpoint_port": pl.col("src_port"),
        "dst_endpoint_ip": _PEER,
        "dst_endpoint_port": pl.col("dest_port"),
        "connection_info_protocol_name": pl.col("proto"),
        "app_name": pl.coalesce(pl.when(_IS_ALERT).then(_of("alert", "category").replace("", None)), "app_proto"),
        "status_detail": _detail(),
        "duration": _duration(),
        "traffic_bytes_out": pl.coalesce(_of("flow", "bytes_toserver"), _of("netflow", "bytes")),
        "traffic_bytes_in": _of("flow", "bytes_toclient"),
        "traffic_packets_out": pl.coalesce(_of("flow", "pkts_toserver"), _of("netflow", "pkts")),
        "traffic_packets_in": _of("flow", "pkts_toclient"),
    },
    Domain.DNS: {
        "dst_endpoint_ip": _PEER,
        "query_hostname": _asked("rrname"),
        "query_type": _asked("rrtype"),
        "rcode": _of("dns", "rcode"),
        "answers": pl.col("answers"),
    },
    Domain.WEB: {
        "dst_endpoint_hostname": pl.coalesce(_of("http", "hostname"), "dest_ip"),
        "dst_endpoint_ip": _PEER,
        "http_request_http_method": _of("http", "http_method"),
        "http_request_url_path": _of("http", "url").str.extract(r"^(?:[a-z]+://[^/?]*)?([^?]*)"),
        "http_request_url_query_string": _of("http", "url").str.extract(r"\?(.*)$"),
        "http_request_user_agent": _of("http", "http_user_agent"),
        "http_request_referrer": _of("http", "http_refer"),
        "http_response_code": _of("http", "status"),
        "http_response_length": _of("http", "length"),
    },
}

SOURCE = Source("suricata", recognises, begin, parse)
