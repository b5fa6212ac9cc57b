"""OCSF events as JSON lines, each attribute found by its dotted path.

A Detection Finding (class 2004) is an event of the domain that its data sources name; where they name none, its
product does, then its types and title; else endpoint. What its first piece of evidence or its observables tell fills
the columns it has not itself. Its title is `status_detail` (identity, network) and, without an API call,
`api_operation` (cloud); elsewhere `event_code` alone tells the detection: its analytic or rule, at worst its title.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from features.events import Domain
from features.findings import domains_named
from features.moments import moment
from features.records import Records, Wanted, by_path, is_json_object, json_records
from features.source import Drafts, Source, refusals

_EVIDENCE = "evidences[0]"
_EVIDENT_ACTOR = (f"{_EVIDENCE}.actor.process.file.path", f"{_EVIDENCE}.actor.process.name")

#: Every column of our events and its paths in OCSF 1.x, best first; `[]` gathers a list, joined with commas.
#: Other versions' and findings' ways come last. A file, registry or module event has no process of its own but the
#: acting one.
PATHS: dict[str, tuple[str, ...]] = {
    "time": ("time", "time_dt"),
    "uid": ("metadata.uid", "finding_info.uid"),
    "class_uid": ("class_uid",),
    "activity_name": ("activity_name",),
    "event_code": ("metadata.event_code", "finding_info.analytic.uid", "finding_info.analytic.name"),
    "status": ("status",),
    "status_detail": ("status_detail", "status_code", "finding_info.title"),
    "device_hostname": ("device.hostname", "device.name"),
    "actor_user_name": ("actor.user.name", "actor.user.uid", f"{_EVIDENCE}.actor.user.name"),
    "actor_user_type": ("actor.user.type",),
    "actor_process_file_path": ("actor.process.file.path", "actor.process.name", *_EVIDENT_ACTOR),
    "actor_process_uid": ("actor.process.uid", "actor.process.pid"),
    "process_file_path": (
        *("process.file.path", "process.path", "process.name", "actor.process.file.path", "actor.process.name"),
        *(f"{_EVIDENCE}.process.file.path", f"{_EVIDENCE}.process.name", *_EVIDENT_ACTOR),
    ),
    "process_uid": ("process.uid", "process.pid", "actor.process.uid", "actor.process.pid"),
    "process_cmd_line": ("process.cmd_line", f"{_EVIDENCE}.process.cmd_line", f"{_EVIDENCE}.actor.process.cmd_line"),
    "process_integrity": ("process.integrity",),
    "file_path": ("file.path", "file.name", f"{_EVIDENCE}.file.path", f"{_EVIDENCE}.file.name"),
    "reg_key_path": ("reg_key.path", "reg_value.path"),
    "module_file_path": ("module.file.path",),
    "script_content": ("script.script_content.value", "script.script_content"),
    "actual_permissions": ("actual_permissions",),
    "user_name": ("user.name", "user.uid", "actor.user.name", f"{_EVIDENCE}.user.name", f"{_EVIDENCE}.actor.user.name"),
    "src_endpoint_ip": ("src_endpoint.ip", f"{_EVIDENCE}.src_endpoint.ip"),
    "src_endpoint_port": ("src_endpoint.port", f"{_EVIDENCE}.src_endpoint.port"),
    "src_endpoint_hostname": ("src_endpoint.hostname", "src_endpoint.name"),
    "dst_endpoint_ip": ("dst_endpoint.ip", f"{_EVIDENCE}.dst_endpoint.ip"),
    "dst_endpoint_port": ("dst_endpoint.port", f"{_EVIDENCE}.dst_endpoint.port"),
    "dst_endpoint_hostname": ("http_request.url.hostname", "dst_endpoint.hostname", "dst_endpoint.name"),
    "logon_type": ("logon_type",),
    "auth_protocol": ("auth_protocol",),
    "service_name": ("service.name",),
    "group_name": ("group.name",),
    "connection_info_protocol_name": ("connection_info.protocol_name", f"{_EVIDENCE}.connection_info.protocol_name"),
    "app_name": ("app_name",),
    "duration": ("duration",),
    "traffic_bytes_out": ("traffic.bytes_out",),
    "traffic_bytes_in": ("traffic.bytes_in",),
    "traffic_packets_out": ("traffic.packets_out",),
    "traffic_packets_in": ("traffic.packets_in",),
    "query_hostname": ("query.hostname", f"{_EVIDENCE}.query.hostname"),
    "query_type": ("query.type",),
    "rcode": ("rcode",),
    "answers": ("answers[].rdata",),
    "http_request_http_method": ("http_request.http_method",),
    "http_request_url_path": ("http_request.url.path",),
    "http_request_url_query_string": ("http_request.url.query_string",),
    "http_request_user_agent": ("http_request.user_agent",),
    "http_request_referrer": ("http_request.referrer",),
    "http_response_code": ("http_response.code", "http_status"),
    "http_response_length": ("http_response.length",),
    "api_service_name": ("api.service.name", f"{_EVIDENCE}.api.service.name"),
    "api_operation": ("api.operation", f"{_EVIDENCE}.api.operation"),
    "api_response_error": ("api.response.error",),
    "cloud_region": ("cloud.region",),
    "cloud_account_uid": ("cloud.account.uid",),
    "resource_name": ("resources[0].name", "resources[0].uid"),
    "is_mfa": ("is_mfa",),
}

#: What helps to fill the columns: captions' numbers, and what a finding is about.
_HINTS = {
    "status_id": "status_id",
    "type_name": "type_name",
    "finding_sources": "finding_info.data_sources",
    "finding_types": "finding_info.types",
    "finding_title": "finding_info.title",
    "product": "metadata.product.name",
    "product_feature": "metadata.product.feature.name",
    "log_name": "metadata.log_name",
}
_FINDING = "2004"
_STATUSES = {"1": "success", "2": "failure"}

#: What an observable may be that fills a column, and its `type_id`.
_OBSERVABLES = {"observed_host": "1", "observed_address": "2", "observed_user": "4"}

#: The domain of each event class; others are refused.
DOMAINS: dict[int, Domain] = {
    3001: Domain.IDENTITY, 3002: Domain.IDENTITY, 3003: Domain.IDENTITY, 3004: Domain.IDENTITY, 3005: Domain.IDENTITY,
    3006: Domain.IDENTITY, 4001: Domain.NETWORK, 4005: Domain.NETWORK, 4006: Domain.NETWORK, 4007: Domain.NETWORK,
    4008: Domain.NETWORK, 4009: Domain.NETWORK, 4013: Domain.NETWORK, 4014: Domain.NETWORK, 4004: Domain.NETWORK,
    4003: Domain.DNS, 4002: Domain.WEB, 6003: Domain.CLOUD, 1001: Domain.ENDPOINT, 1002: Domain.ENDPOINT,
    1003: Domain.ENDPOINT, 1004: Domain.ENDPOINT, 1005: Domain.ENDPOINT, 1006: Domain.ENDPOINT, 1007: Domain.ENDPOINT,
    1008: Domain.ENDPOINT, 1009: Domain.ENDPOINT, 201001: Domain.ENDPOINT, 201002: Domain.ENDPOINT,
    201003: Domain.ENDPOINT, 201004: Domain.ENDPOINT,
}  # fmt: skip

_CLASSES = ", ".join(map(str, sorted([*DOMAINS, int(_FINDING)])))


def recognises(head: Sequence[str]) -> bool:
    """JSON with an OCSF class."""
    return any(is_json_object(line) and '"class_uid"' in line for line in head[:10])


def begin(_name: str, _frames: Iterator[pl.DataFrame]) -> None:
    """An OCSF event needs no context."""


def parse(lines: pl.DataFrame, _context: None) -> Drafts:
    """Events by class, findings by their data source; an unknown class is refused."""
    read = json_records(lines, _WANTED)
    answers = read.gathered("answers", "answers[].rdata")
    observed = [_observed(read, number).alias(name) for name, number in _OBSERVABLES.items()]
    records = read.fields.with_columns(answers, *observed)
    hints = (pl.col(path).alias(name) for name, path in _HINTS.items())
    flat = records.select("line", "text", *(_column(name) for name in PATHS), *hints, *_OBSERVABLES)
    domain = pl.col("class_uid").cast(pl.Int64, strict=False).replace_strict(DOMAINS, default=None)
    flat = _with_findings(flat.with_columns(**_DERIVED, domain=domain.cast(pl.String)))
    foreign = refusals(flat.filter(pl.col("domain").is_null()), "class_uid", f"expected one of {_CLASSES}", "class_uid")
    present = flat["domain"].unique()
    events = {domain: flat.filter(pl.col("domain") == domain) for domain in Domain if domain in present}
    return Drafts(events, pl.concat([read.refused, foreign]), read.unmapped, read.total)


def _with_findings(flat: pl.DataFrame) -> pl.DataFrame:
    """Findings with their domain, and with what they say in their own way."""
    is_finding = (flat["class_uid"] == _FINDING).fill_null(False)
    if not is_finding.any():
        return flat
    findings = flat.filter(is_finding)
    findings = findings.with_columns(**_OF_FINDINGS, domain=domains_named(findings.select(**_ABOUT)))
    return pl.concat([flat.filter(~is_finding), findings]).sort("line")


def _column(name: str) -> pl.Expr:
    return pl.coalesce(PATHS[name]).alias(name)


def _milliseconds(name: str) -> pl.Expr:
    """Seconds, as text; what is no number is left for the door to refuse."""
    return (pl.col(name).cast(pl.Float64, strict=False) / 1000).cast(pl.String).fill_null(pl.col(name))


def _observed(read: Records, type_id: str) -> pl.Series:
    """The first observable of a kind."""
    of_kind = read.elements["observables"].filter(pl.col("observables[].type_id") == type_id)
    return read.gathered("observables", "observables[].value", of_kind.unique("row", keep="first"))


_DERIVED: dict[str, pl.Expr] = {
    "time_text": pl.col("time"),
    "time": moment(pl.col("time")),
    "activity_name": pl.coalesce("activity_name", pl.col("type_name").str.extract(r": (.+)$")),
    "status": pl.coalesce("status", pl.col("status_id").replace_strict(_STATUSES, default=None)),
    "duration": _milliseconds("duration"),
}

#: A finding's status is what became of it, not an outcome. On the web the host is the one that is visited.
_OF_FINDINGS: dict[str, pl.Expr] = {
    "activity_name": pl.coalesce("activity_name", pl.lit("alert")),
    "event_code": pl.coalesce("event_code", "log_name", "finding_title"),
    "status": pl.lit(None, pl.String),
    "device_hostname": pl.coalesce("device_hostname", "observed_host"),
    "dst_endpoint_hostname": pl.coalesce("dst_endpoint_hostname", "device_hostname", "observed_host"),
    "src_endpoint_ip": pl.coalesce("src_endpoint_ip", "observed_address"),
    "user_name": pl.coalesce("user_name", "observed_user"),
    "actor_user_name": pl.coalesce("actor_user_name", "observed_user"),
    "api_operation": pl.coalesce("api_operation", "finding_title", "event_code", pl.lit("alert")),
}

#: What tells a finding's domain, best first.
_ABOUT = {
    "sources": pl.col("finding_sources"),
    "product": pl.concat_str("product", "product_feature", separator=" ", ignore_nulls=True),
    "finding": pl.concat_str("finding_types", "finding_title", separator=" ", ignore_nulls=True),
}

_WANTED = Wanted(
    by_path(dict.fromkeys(path for paths in PATHS.values() for path in paths))
    | by_path(_HINTS.values())
    | by_path(["observables[].type_id", "observables[].value"]),
    whole=("finding_info.data_sources", "finding_info.types"),
)

SOURCE = Source("ocsf", recognises, begin, parse)
