"""Wazuh's alerts as JSON lines, in a plain loop."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, domain_named, finished, moment, said
from features.events import Domain

_FAILED = re.compile("authentication_fail|invalid_login|login_denied|access_denied|firewall_drop")
_KEY = re.compile(r"^(?:\[x\d\d\] )?HKEY_")
_METHOD = re.compile(r"[A-Z]+")
_CODE = re.compile(r"\d{3}")

Record = dict[str, Any]


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    for number, line in enumerate(lines):
        try:
            alert = _Alert(json.loads(line))
            if alert.rule is None:
                continue
            domain = domain_named(alert.words())
            event = finished({"line": number} | _common(alert) | _COLUMNS[domain](alert), line)
        except REFUSED:
            continue
        yield domain.value, event


class _Alert:
    """The objects of an alert, empty where it has none, and what several columns ask for."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.data: Record = record.get("data") or {}
        windows = self.data.get("win") or {}
        self.event: Record = windows.get("eventdata") or {}
        self.system: Record = windows.get("system") or {}
        self.aws: Record = self.data.get("aws") or {}
        self.identity: Record = self.aws.get("userIdentity") or {}
        self.office: Record = self.data.get("office365") or {}
        self.google: Record = (self.data.get("gcp") or {}).get("protoPayload") or {}
        self.asked: Record = self.google.get("requestMetadata") or {}
        self.decoder: Record = record.get("decoder") or {}
        self.predecoder: Record = record.get("predecoder") or {}
        rule: Record = record.get("rule") or {}
        self.rule, self.description = _given(rule, "id"), _given(rule, "description")
        self.groups = _given(rule, "groups")

    def words(self) -> str:
        """What names the domain; BIND calls itself `named`."""
        decoders = (_given(self.decoder, name) for name in ("name", "parent"))
        named = ("dns" if decoder == "named" else decoder for decoder in decoders)
        return " ".join(word for word in (self.groups, *named, _given(self.system, "channel")) if word)

    def host(self) -> str | None:
        return _given(self.record.get("agent") or {}, "name") or _given(self.predecoder, "hostname")

    def actor(self) -> str | None:
        return (
            _given(self.data, "srcuser", "user")
            or _given(self.event, "user", "subjectUserName")
            or _given(self.identity, "userName", "arn")
            or _given(self.office, "UserId")
            or _given(self.google.get("authenticationInfo") or {}, "principalEmail")
        )

    def account(self) -> str | None:
        return _given(self.data, "dstuser") or _given(self.event, "targetUserName")

    def process(self) -> str | None:
        image = _given(self.event, "image", "newProcessName", "sourceImage", "processName")
        return image or _given(self.data.get("audit") or {}, "exe")


def _given(record: Record, *names: str) -> str | None:
    return said(record, names, ("", "-"))


def _fitting(value: str | None, pattern: re.Pattern[str]) -> str | None:
    return value if value and pattern.fullmatch(value) else None


def _status(groups: str | None) -> str | None:
    if groups and _FAILED.search(groups):
        return "failure"
    return "success" if groups and "authentication_success" in groups else None


def _common(alert: _Alert) -> Draft:
    return {
        "time": moment(alert.record.get("timestamp")),
        "uid": _given(alert.record, "id"),
        "class_uid": 2004,
        "activity_name": "alert",
        "event_code": f"wazuh/{alert.rule}",
        "status": _status(alert.groups),
        "device_hostname": alert.host(),
        "actor_user_name": alert.actor() or alert.account(),
        "src_endpoint_ip": _given(alert.data, "srcip", "src_ip")
        or _given(alert.event, "ipAddress", "sourceIp")
        or _given(alert.aws, "sourceIPAddress", "source_ip_address")
        or _given(alert.office, "ClientIP")
        or _given(alert.asked, "callerIp"),
    }


def _identity(alert: _Alert) -> Draft:
    return {
        "actor_user_name": alert.actor(),
        "user_name": alert.account() or alert.actor(),
        "src_endpoint_hostname": _given(alert.event, "workstationName"),
        "auth_protocol": _given(alert.event, "authenticationPackageName"),
        "service_name": _given(alert.event, "serviceName")
        or _given(alert.predecoder, "program_name")
        or _given(alert.decoder, "name"),
        "status_detail": alert.description,
        "actor_process_file_path": alert.process(),
    }


def _network(alert: _Alert) -> Draft:
    data, event = alert.data, alert.event
    return {
        "src_endpoint_port": _given(data, "srcport", "src_port") or _given(event, "sourcePort"),
        "dst_endpoint_ip": _given(data, "dstip", "dest_ip") or _given(event, "destinationIp"),
        "dst_endpoint_port": _given(data, "dstport", "dest_port") or _given(event, "destinationPort"),
        "connection_info_protocol_name": _given(data, "proto", "protocol") or _given(event, "protocol"),
        "app_name": _given(data, "app_proto") or _given(alert.decoder, "name"),
        "status_detail": alert.description,
        "actor_process_file_path": alert.process(),
    }


def _dns(alert: _Alert) -> Draft:
    return {
        "dst_endpoint_ip": _given(alert.data, "dstip", "dest_ip"),
        "query_hostname": _given(alert.data, "query") or _given(alert.event, "queryName"),
        "answers": _given(alert.event, "queryResults"),
        "actor_process_file_path": alert.process(),
    }


def _web(alert: _Alert) -> Draft:
    url = _given(alert.data, "url")
    path, mark, query = (url or "").partition("?")
    return {
        "dst_endpoint_hostname": alert.host(),
        "dst_endpoint_ip": _given(alert.data, "dstip", "dest_ip"),
        "http_request_http_method": _fitting(_given(alert.data, "protocol"), _METHOD),
        "http_request_url_path": path if url else None,
        "http_request_url_query_string": query if mark else None,
        "http_request_user_agent": _given(alert.data, "user_agent"),
        "http_response_code": _fitting(_given(alert.data, "id"), _CODE),
    }


def _cloud(alert: _Alert) -> Draft:
    aws, office, google = alert.aws, alert.office, alert.google
    service = _given(aws, "eventSource") or _given(office, "Workload") or _given(google, "serviceName")
    operation = _given(aws, "eventName") or _given(office, "Operation") or _given(google, "methodName")
    return {
        "actor_user_type": _given(alert.identity, "type"),
        "api_service_name": service,
        "api_operation": operation or alert.description,
        "api_response_error": _given(aws, "errorCode"),
        "cloud_region": _given(aws, "awsRegion"),
        "cloud_account_uid": _given(aws, "recipientAccountId", "aws_account_id"),
        "http_request_user_agent": _given(aws, "userAgent") or _given(alert.asked, "callerSuppliedUserAgent"),
    }


def _endpoint(alert: _Alert) -> Draft:
    event, changed = alert.event, _given(alert.record.get("syscheck") or {}, "path")
    is_key = bool(changed and _KEY.match(changed))
    return {
        "actor_process_file_path": _given(event, "parentImage", "parentProcessName") or alert.process(),
        "process_file_path": _given(event, "targetImage") or alert.process(),
        "process_cmd_line": _given(event, "commandLine"),
        "process_integrity": _given(event, "integrityLevel"),
        "file_path": (None if is_key else changed) or _given(event, "targetFilename") or _given(alert.data, "file"),
        "reg_key_path": (changed if is_key else None) or _given(event, "targetObject"),
        "module_file_path": _given(event, "imageLoaded"),
        "script_content": _given(event, "scriptBlockText"),
    }


_COLUMNS: dict[Domain, Callable[[_Alert], Draft]] = {
    Domain.IDENTITY: _identity,
    Domain.NETWORK: _network,
    Domain.DNS: _dns,
    Domain.WEB: _web,
    Domain.CLOUD: _cloud,
    Domain.ENDPOINT: _endpoint,
}
