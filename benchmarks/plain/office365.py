"""Office 365's unified audit log, as JSON lines or as the export around it, in a plain loop."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, finished, moment, text
from features.events import Domain

_LOGONS = ("UserLoggedIn", "UserLoginFailed")
_USER_TYPES = {
    "0": "Regular", "1": "Reserved", "2": "Admin", "3": "DcAdmin", "4": "System", "5": "Application",
    "6": "ServicePrincipal", "7": "CustomPolicy", "8": "SystemPolicy", "9": "PartnerTechnician", "10": "Guest",
}  # fmt: skip
_VERBS = {
    "delete": re.compile(r"(?i)^remove|delet|removed|recycled|purge"),
    "create": re.compile(r"(?i)^(new|add|install|consent)|creat|added|upload|copied"),
    "update": re.compile(r"(?i)^(set|enable|disable|reset)|set$|updat|modif|chang|moved|renamed|broken|restored"),
    "read": re.compile(r"(?i)^(get|search|list|test|export)|access|view|download|synced"),
}
_WORD = re.compile(r"^(\w+)[- ]")
_FAILED = re.compile(r"(?i)^(fail|false)")

Record = dict[str, Any]


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    for number, line in _entries(lines):
        try:
            entry = json.loads(line)
            operation = _given(entry, "Operation")
            if operation is None:
                continue
            domain = Domain.IDENTITY if operation in _LOGONS else Domain.CLOUD
            draft = {"line": number} | _common(entry, operation)
            draft |= _identity(entry) if domain == Domain.IDENTITY else _cloud(entry, operation)
            event = finished(draft, line)
        except REFUSED:
            continue
        yield domain.value, event


def _entries(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The audit's JSON of each line: the line itself, or its cell `AuditData` below a header."""
    lines = iter(lines)
    head = next(lines, "")
    number = 1 if head.startswith("#TYPE") else 0
    head = next(lines, "") if number else head
    columns = next(csv.reader([head]), [])
    if "AuditData" not in columns:
        yield from enumerate(chain([head], lines), number)
        return
    at = columns.index("AuditData")
    for row, cells in enumerate(csv.reader(lines), number + 1):
        if len(cells) == len(columns):
            yield row, cells[at]


def _given(entry: Record, *names: str) -> str | None:
    """The first of these fields that says something."""
    for name in names:
        value = entry.get(name)
        if value is not None:
            written = text(value).strip()
            if written:
                return written
    return None


def _extended(entry: Record, name: str) -> str | None:
    for each in entry.get("ExtendedProperties") or []:
        if each.get("Name") == name:
            return str(each["Value"])
    return None


def _has_failed(entry: Record, operation: str) -> bool:
    return operation == "UserLoginFailed" or bool(_FAILED.match(_given(entry, "ResultStatus") or ""))


def _activity(operation: str) -> str:
    found = _WORD.match(operation)
    word = found[1] if found else operation
    return next((verb for verb, pattern in _VERBS.items() if pattern.search(word)), "other")


def _common(entry: Record, operation: str) -> Draft:
    return {
        "time": moment(_given(entry, "CreationTime")),
        "uid": _given(entry, "Id"),
        "event_code": f"office365/{operation}",
        "status": "failure" if _has_failed(entry, operation) else "success",
        "src_endpoint_ip": _given(entry, "ClientIP", "ClientIPAddress", "ActorIpAddress"),
    }


def _identity(entry: Record) -> Draft:
    request = _extended(entry, "RequestType")
    return {
        "class_uid": 3002,
        "activity_name": "logon",
        "user_name": _given(entry, "UserId"),
        "logon_type": "cloud",
        "auth_protocol": request.partition(":")[0] if request else None,
        "service_name": _given(entry, "ApplicationDisplayName", "ApplicationId", "ObjectId"),
        "status_detail": _given(entry, "LogonError") or _extended(entry, "ResultStatusDetail"),
    }


def _cloud(entry: Record, operation: str) -> Draft:
    kind, workload = _given(entry, "UserType"), _given(entry, "Workload")
    return {
        "class_uid": 6003,
        "activity_name": _activity(operation),
        "actor_user_name": _given(entry, "UserId"),
        "actor_user_type": _USER_TYPES.get(kind, kind) if kind else None,
        "api_service_name": workload and workload.lower(),
        "api_operation": operation,
        "api_response_error": _given(entry, "ResultStatus") if _has_failed(entry, operation) else None,
        "cloud_account_uid": _given(entry, "OrganizationId"),
        "resource_name": _given(entry, "ObjectId", "MailboxOwnerUPN", "SiteUrl", "Site"),
        "http_request_user_agent": _given(entry, "UserAgent") or _extended(entry, "UserAgent"),
    }
