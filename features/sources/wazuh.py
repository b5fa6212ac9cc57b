"""Wazuh's alerts as JSON lines (`alerts.json`): what another detector saw, as events of the domain it looked at.

The rule's groups, the decoder and the Windows channel name the domain. `event_code` is the rule's number in every
domain. The rule's description is `status_detail` in identity and network, and `api_operation` in cloud where the
record names no call; the other domains have no column for words about an event, so there the number speaks alone.
For identity `user_name` is the account an alert is about and `actor_user_name` the one who acted; elsewhere the
actor is whoever is named. On the web the agent is the site that was asked.
"""

from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from features.events import Domain
from features.findings import domains_named
from features.moments import moment
from features.records import Wanted, by_path, json_as, json_records, paths_below
from features.source import Drafts, Source, refusals

_WANTED = Wanted(
    by_path(
        [
            *("timestamp", "id", "agent.name", "syscheck.path", "data.audit.exe", "data.win.system.channel"),
            *paths_below("rule", "id description groups"),
            *paths_below("predecoder", "hostname program_name"),
            *paths_below("decoder", "name parent"),
            *paths_below(
                "data",
                "srcip src_ip srcport src_port dstip dest_ip dstport dest_port protocol proto app_proto srcuser "
                "dstuser user url id user_agent query file",
            ),
            *paths_below(
                "data.win.eventdata",
                "targetUserName subjectUserName user ipAddress sourceIp sourcePort destinationIp destinationPort "
                "protocol workstationName authenticationPackageName serviceName queryName queryResults image "
                "sourceImage parentImage newProcessName parentProcessName processName targetImage commandLine "
                "integrityLevel imageLoaded targetFilename targetObject objectName scriptBlockText",
            ),
            *paths_below(
                "data.aws",
                "eventName eventSource awsRegion userAgent sourceIPAddress source_ip_address errorCode "
                "recipientAccountId aws_account_id userIdentity.userName userIdentity.arn userIdentity.type",
            ),
            *paths_below("data.office365", "Operation Workload UserId ClientIP"),
            *paths_below(
                "data.gcp.protoPayload",
                "methodName serviceName authenticationInfo.principalEmail requestMetadata.callerIp "
                "requestMetadata.callerSuppliedUserAgent",
            ),
        ]
    ),
    whole=("rule.groups",),
    unset=("", "-"),
)


class _Rule(msgspec.Struct):
    id: str | int
    level: int


class _Head(msgspec.Struct):
    """What an alert has at its top, so that other JSON with rules in it is not taken for one."""

    timestamp: str
    rule: _Rule
    agent: dict[str, msgspec.Raw] | None = None
    manager: dict[str, msgspec.Raw] | None = None


def recognises(head: Sequence[str]) -> bool:
    """JSON with a timestamp, a rule with its level and, beside them, an agent or a manager."""
    return any(map(_is_alert, head[:10]))


def begin(_name: str, _frames: Iterator[pl.DataFrame]) -> None:
    """An alert needs no context."""


def parse(lines: pl.DataFrame, _context: None) -> Drafts:
    """Every alert as an event; JSON without a rule's number is refused."""
    records = json_records(lines, _WANTED)
    fields = records.fields
    ruleless = refusals(fields.filter(_RULE.is_null()), "rule.id", "expected a Wazuh alert with the id of its rule")
    alerts = fields.filter(_RULE.is_not_null())
    alerts = alerts.with_columns(domain=domains_named(alerts.select(words=_words())))
    present = alerts["domain"].unique()
    events = {domain: _draft(alerts, domain) for domain in _COLUMNS if domain in present}
    refused = pl.concat([records.refused, ruleless])
    return Drafts(events, refused, records.unmapped, records.total)


def _is_alert(line: str) -> bool:
    head = json_as(line, _Head)
    return head is not None and (head.agent is not None or head.manager is not None)


def _draft(alerts: pl.DataFrame, domain: Domain) -> pl.DataFrame:
    rows = alerts.filter(pl.col("domain") == domain)
    return rows.select("line", "text", pl.col("timestamp").alias("time_text"), **(_COMMON | _COLUMNS[domain]))


# Meaning


def _first(under: str, names: str) -> pl.Expr:
    """The first value under a dotted path; the names, dotted too, are in order of preference."""
    return pl.coalesce(pl.col(f"{under}.{name}") for name in names.split())


_RULE = pl.col("rule.id")
_DESCRIPTION = pl.col("rule.description")
_AGENT = pl.coalesce(pl.col("agent.name"), pl.col("predecoder.hostname"))


def _words() -> pl.Expr:
    """What names the domain; BIND calls itself `named`, which is a word of English elsewhere."""
    decoders = (pl.col(f"decoder.{name}").str.replace("^named$", "dns") for name in ("name", "parent"))
    channel = pl.col("data.win.system.channel")
    return pl.concat_str(pl.col("rule.groups"), *decoders, channel, separator=" ", ignore_nulls=True)


def _status() -> pl.Expr:
    groups = pl.col("rule.groups")
    failed = groups.str.contains("authentication_fail|invalid_login|login_denied|access_denied|firewall_drop")
    succeeded = groups.str.contains("authentication_success", literal=True)
    return pl.when(failed).then(pl.lit("failure")).when(succeeded).then(pl.lit("success"))


_CLOUD_USER = pl.coalesce(
    _first("data.aws.userIdentity", "userName arn"),
    pl.col("data.office365.UserId"),
    pl.col("data.gcp.protoPayload.authenticationInfo.principalEmail"),
)
_ACTOR = pl.coalesce(_first("data", "srcuser user win.eventdata.user win.eventdata.subjectUserName"), _CLOUD_USER)
_ACCOUNT = _first("data", "dstuser win.eventdata.targetUserName")
_SOURCES = "srcip src_ip win.eventdata.ipAddress win.eventdata.sourceIp aws.sourceIPAddress aws.source_ip_address "
_SOURCES += "office365.ClientIP gcp.protoPayload.requestMetadata.callerIp"

_COMMON: dict[str, pl.Expr] = {
    "time": moment(pl.col("timestamp")),
    "uid": pl.col("id"),
    "class_uid": pl.lit(2004),
    "activity_name": pl.lit("alert"),
    "event_code": "wazuh/" + _RULE,
    "status": _status(),
    "device_hostname": _AGENT,
    "actor_user_name": pl.coalesce(_ACTOR, _ACCOUNT),
    "src_endpoint_ip": _first("data", _SOURCES),
}

_EVENT = "data.win.eventdata"
_PROCESS = pl.coalesce(_first(_EVENT, "image newProcessName sourceImage processName"), pl.col("data.audit.exe"))
_IS_KEY = pl.col("syscheck.path").str.contains(r"^(?:\[x\d\d\] )?HKEY_")
_URL = pl.col("data.url")

_COLUMNS: dict[Domain, dict[str, pl.Expr]] = {
    Domain.IDENTITY: {
        "actor_user_name": _ACTOR,
        "user_name": pl.coalesce(_ACCOUNT, _ACTOR),
        "src_endpoint_hostname": pl.col(f"{_EVENT}.workstationName"),
        "auth_protocol": pl.col(f"{_EVENT}.authenticationPackageName"),
        "service_name": pl.coalesce(
            pl.col(f"{_EVENT}.serviceName"), pl.col("predecoder.program_name"), pl.col("decoder.name")
        ),
        "status_detail": _DESCRIPTION,
        "actor_process_file_path": _PROCESS,
    },
    Domain.NETWORK: {
        "src_endpoint_port": _first("data", "srcport src_port win.eventdata.sourcePort"),
        "dst_endpoint_ip": _first("data", "dstip dest_ip win.eventdata.destinationIp"),
        "dst_endpoint_port": _first("data", "dstport dest_port win.eventdata.destinationPort"),
        "connection_info_protocol_name": _first("data", "proto protocol win.eventdata.protocol"),
        "app_name": pl.coalesce(pl.col("data.app_proto"), pl.col("decoder.name")),
        "status_detail": _DESCRIPTION,
        "actor_process_file_path": _PROCESS,
    },
    Domain.DNS: {
        "dst_endpoint_ip": _first("data", "dstip dest_ip"),
        "query_hostname": _first("data", "query win.eventdata.queryName"),
        "answers": pl.col(f"{_EVENT}.queryResults"),
        "actor_process_file_path": _PROCESS,
    },
    Domain.WEB: {
        "dst_endpoint_hostname": _AGENT,
        "dst_endpoint_ip": _first("data", "dstip dest_ip"),
        "http_request_http_method": pl.col("data.protocol").str.extract(r"^([A-Z]+)$"),
        "http_request_url_path": _URL.str.extract(r"^([^?]*)"),
        "http_request_url_query_string": _URL.str.extract(r"\?(.*)$"),
        "http_request_user_agent": pl.col("data.user_agent"),
        "http_response_code": pl.col("data.id").str.extract(r"^(\d{3})$"),
    },
    Domain.CLOUD: {
        "actor_user_type": pl.col("data.aws.userIdentity.type"),
        "api_service_name": _first("data", "aws.eventSource office365.Workload gcp.protoPayload.serviceName"),
        "api_operation": pl.coalesce(
            _first("data", "aws.eventName office365.Operation gcp.protoPayload.methodName"), _DESCRIPTION
        ),
        "api_response_error": pl.col("data.aws.errorCode"),
        "cloud_region": pl.col("data.aws.awsRegion"),
        "cloud_account_uid": _first("data.aws", "recipientAccountId aws_account_id"),
        "http_request_user_agent": _first(
            "data", "aws.userAgent gcp.protoPayload.requestMetadata.callerSuppliedUserAgent"
        ),
    },
    Domain.ENDPOINT: {
        "actor_process_file_path": pl.coalesce(_first(_EVENT, "parentImage parentProcessName"), _PROCESS),
        "process_file_path": pl.coalesce(pl.col(f"{_EVENT}.targetImage"), _PROCESS),
        "process_cmd_line": pl.col(f"{_EVENT}.commandLine"),
        "process_integrity": pl.col(f"{_EVENT}.integrityLevel"),
        "file_path": pl.coalesce(
            pl.when(~_IS_KEY).then(pl.col("syscheck.path")), pl.col(f"{_EVENT}.targetFilename"), pl.col("data.file")
        ),
        "reg_key_path": pl.coalesce(pl.when(_IS_KEY).then(pl.col("syscheck.path")), pl.col(f"{_EVENT}.targetObject")),
        "module_file_path": pl.col(f"{_EVENT}.imageLoaded"),
        "script_content": pl.col(f"{_EVENT}.scriptBlockText"),
    },
}

SOURCE = Source("wazuh", recognises, begin, parse)
