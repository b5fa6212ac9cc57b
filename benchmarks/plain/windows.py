"""Windows event logs as JSON lines, in a plain loop."""

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, finished, first, moment, said, text
from features.events import Domain
from features.windows_codes import ACTS, DOMAIN_OF_CHANNEL, FAILURE_CODES, GROUP_CODES, OTHER, Act

_CODE = re.compile(r"(\d+)(?:\.0)?")
_CHANNELS = ("Channel", "log_name", "SourceName", "source_name", "EventSourceName", "Provider")
_ENVELOPE = {
    "code": ("EventID", "event_id"),
    "channel": _CHANNELS,
    "computer": ("Hostname", "Computer", "computer_name"),
    "stamp": ("@timestamp", "TimeCreated", "TimeGenerated", "EventTime"),
    "record": ("RecordNumber", "record_number"),
    "keywords": ("EventType", "Keywords", "keywords"),
}
_WINLOG = {"code": "event_id", "channel": "channel", "computer": "computer_name", "record": "record_id"}
_WINLOG |= {"keywords": "keywords"}
_XML = re.compile(r"<Data Name=[\"']([^\"']*)[\"']>([^<]*)</Data>")
_LOGON_TYPES = {
    "0": "system", "2": "interactive", "3": "network", "4": "batch", "5": "os service", "7": "unlock",
    "8": "network cleartext", "9": "new credentials", "10": "remote interactive", "11": "cached interactive",
    "12": "cached remote interactive", "13": "cached unlock",
}  # fmt: skip
_INTEGRITY = {"S-1-16-0": "untrusted", "S-1-16-4096": "low", "S-1-16-8192": "medium", "S-1-16-8448": "medium plus"}
_INTEGRITY |= {"S-1-16-12288": "high", "S-1-16-16384": "system", "S-1-16-20480": "protected"}
_PROTOCOLS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "58": "ipv6-icmp"}
_QUERY_TYPES = {"1": "A", "2": "NS", "5": "CNAME", "6": "SOA", "12": "PTR", "15": "MX", "16": "TXT", "28": "AAAA"}
_QUERY_TYPES |= {"33": "SRV", "64": "SVCB", "65": "HTTPS", "255": "ANY"}
_RCODES = {"0": "NOERROR", "9001": "FORMERR", "9002": "SERVFAIL", "9003": "NXDOMAIN", "9005": "REFUSED"}
_DIRECTIONS = {"%%14592": "inbound", "%%14593": "outbound", "true": "outbound", "false": "inbound"}
_AUDIT_FAILURE = re.compile(r"AUDIT_FAILURE|Audit Failure|^0x801\d{13}$|^-9218868437227405312$")
_AUDIT_SUCCESS = re.compile(r"AUDIT_SUCCESS|Audit Success|^0x802\d{13}$|^-9214364837600034816$")
_CHECKS = {"security/4768", "security/4769", "security/4776"}
_FAILURES, _GROUPS = set(FAILURE_CODES), set(GROUP_CODES)
_USER = re.compile(r"\n\s*User(?:Id)? ?= ?([^\r\n]*)")
_APPLICATION = re.compile(r"Host ?Application ?= ?([^\r\n]*)")
_MEMBER = re.compile(r"^cn=([^,]*).*$", re.IGNORECASE)
_ACTING = ("Image", "SourceImage", "ProcessName", "Application", "CallerProcessName", "ModifyingApplication")
_ACTING_UID = ("ProcessGuid", "SourceProcessGUID", "SourceProcessGuid", "ProcessId", "ProcessID")

Record = dict[str, Any]


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    records = _records(lines)
    head = list(islice(records, 5000))
    shift = _shift(head)
    for number, line, envelope, data in chain(head, records):
        channel, code = envelope["channel"], f"{envelope['channel']}/{envelope['code']}"
        act = ACTS.get(code) or DOMAIN_OF_CHANNEL.get(channel, OTHER)
        draft = _common(envelope, data, code, act, shift)
        draft |= {"line": number} | _COLUMNS[act.domain](data, draft, channel)
        try:
            event = finished(draft, line)
        except REFUSED:
            continue
        yield act.domain.value, event


def _records(lines: Iterable[str]) -> Iterator[tuple[int, str, Record, Record]]:
    """Number, text, envelope and data of each line that is a Windows event."""
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        envelope = {part: first(record, *names) for part, names in _ENVELOPE.items()}
        winlog = record.get("winlog")
        if winlog:
            envelope |= {p: winlog.get(name) for p, name in _WINLOG.items() if envelope[p] is None}
        code = _CODE.fullmatch(text(envelope["code"]))
        if code:
            envelope |= {"code": code[1], "channel": _channel(envelope["channel"])}
            yield number, line, envelope, _data(record, winlog)


def _channel(name: str | None) -> str:
    if name is None:
        return "unknown"
    short = name.lower().removeprefix("microsoft-windows-").removesuffix("/operational")
    return "security" if short == "security-auditing" else short.replace(" ", "-")


def _data(record: Record, winlog: Record | None) -> Record:
    """The event's own fields, which stand in the record or in a container."""
    containers = [(winlog or {}).get("event_data"), record.get("event_data")]
    containers[:0] = [_unpacked(record[name]) for name in ("EventData_dynamic", "EventData") if record.get(name)]
    data: Record = {}
    for container in containers:
        data |= container or {}
    return data | {name: value for name, value in record.items() if value is not None} if data else record


def _unpacked(packed: str) -> Record:
    try:
        return dict(json.loads(packed)) if packed.startswith("{") else _tagged(packed)
    except ValueError:
        return {}


def _tagged(xml: str) -> Record:
    return {name: html.unescape(value) for name, value in _XML.findall(xml)}


def _shift(head: list[tuple[int, str, Record, Record]]) -> timedelta:
    """What must be added to the stamps to make them UTC: the commonest difference to Sysmon's own time."""
    shifts: Counter[int] = Counter()
    for _, _, envelope, data in head:
        if "sysmon" in envelope["channel"] and envelope["code"] not in ("3", "22"):
            own, stamp = moment(data.get("UtcTime")), moment(envelope["stamp"])
            if own and stamp:
                shifts[round((own - stamp) / timedelta(minutes=15))] += 1
    return timedelta(minutes=15) * shifts.most_common(1)[0][0] if shifts else timedelta(0)


def _given(data: Record, *names: str) -> str | None:
    return said(data, names, ("", "-", "(null)"))


def _common(envelope: Record, data: Record, code: str, act: Act, shift: timedelta) -> Draft:
    channel, computer, record = envelope["channel"], envelope["computer"], envelope["record"]
    is_named = computer is not None and record is not None
    return {
        "time": _time(data.get("UtcTime"), envelope["stamp"], code, shift),
        "uid": f"{channel}:{computer.lower()}:{record}" if is_named else None,
        "class_uid": act.class_uid,
        "activity_name": _activity(envelope, data, code, act),
        "event_code": code,
        "status": _status(envelope, data, code),
        "device_hostname": computer,
        "actor_user_name": _actor(data, channel),
        "src_endpoint_ip": _given(data, "SourceIp", "SourceAddress", "IpAddress", "ClientAddress"),
    }


def _time(utc: str | None, written: str | None, code: str, shift: timedelta) -> datetime | None:
    own, stamp = moment(utc), moment(written)
    if stamp is None:
        return own
    stamp += shift
    if own is None or not code.startswith("sysmon/"):
        return stamp
    is_late = code in ("sysmon/3", "sysmon/22") and abs(own - stamp) > timedelta(minutes=2)
    return stamp if is_late else own


def _activity(envelope: Record, data: Record, code: str, act: Act) -> str:
    if code == "sysmon/12":
        step = data.get("EventTypeOrignal") or envelope["keywords"] or ""
        return "registry delete" if step.startswith("Delete") else act.activity
    return act.activity


def _status(envelope: Record, data: Record, code: str) -> str | None:
    keywords = text(envelope["keywords"])
    is_refused = code in _CHECKS and data.get("Status") not in (None, "0x0")
    if is_refused or code in _FAILURES or _AUDIT_FAILURE.search(keywords):
        return "failure"
    return "success" if envelope["channel"] == "security" or _AUDIT_SUCCESS.search(keywords) else None


def _actor(data: Record, channel: str) -> str | None:
    user = _given(data, "User", "SourceUser", "SubjectUserName") or _after(data, _USER)
    return user if user is not None or channel == "sysmon" else _given(data, "AccountName")


def _after(data: Record, label: re.Pattern[str]) -> str | None:
    """The rest of the line behind a label, in the fields that hold whole lines."""
    for name in ("ContextInfo", "param2", "param3"):
        found = label.search(data.get(name) or "")
        if found:
            return found[1]
    return None


def _replaced(value: str | None, names: dict[str, str]) -> str | None:
    return None if value is None else names.get(value, value)


def _squeezed(value: str | None) -> str | None:
    return None if value is None else " ".join(value.split())


def _endpoint(data: Record, draft: Draft, channel: str) -> Draft:
    is_key = data.get("ObjectType") == "Key"
    script = _given(data, "ScriptBlockText", "Payload")
    if script is None and channel == "windows-powershell":
        script = _given(data, "param3", "param1")
    rights = _given(data, "GrantedAccess", "AccessMask", "PrivilegeList", "EnabledPrivilegeList")
    return _processes(data, draft["activity_name"]) | {
        "process_cmd_line": _given(data, "CommandLine") or _after(data, _APPLICATION),
        "process_integrity": _replaced(_given(data, "IntegrityLevel", "MandatoryLabel"), _INTEGRITY),
        "file_path": _given(data, "TargetFilename", "PipeName")
        or (None if is_key else _given(data, "ObjectName"))
        or _given(data, "ServiceFileName", "ImagePath", "TaskName", "Device"),
        "reg_key_path": _given(data, "TargetObject") or (_given(data, "ObjectName") if is_key else None),
        "module_file_path": _given(data, "ImageLoaded"),
        "script_content": script and script[:4096],
        "actual_permissions": _squeezed(rights),
    }


def _processes(data: Record, activity: str) -> Draft:
    if activity == "launch":
        return {
            "actor_process_file_path": _given(data, "ParentImage", "ParentProcessName"),
            "actor_process_uid": _given(data, "ParentProcessGuid", "ProcessId"),
            "process_file_path": _given(data, "Image", "NewProcessName"),
            "process_uid": _given(data, "ProcessGuid", "NewProcessId"),
        }
    acting, acting_uid = _given(data, *_ACTING), _given(data, *_ACTING_UID)
    is_target = activity in ("access", "inject")
    return {
        "actor_process_file_path": acting,
        "actor_process_uid": acting_uid,
        "process_file_path": _given(data, "TargetImage") if is_target else acting,
        "process_uid": _given(data, "TargetProcessGUID", "TargetProcessGuid") if is_target else acting_uid,
    }


def _identity(data: Record, draft: Draft, _channel: str) -> Draft:
    target, is_group = _given(data, "TargetUserName"), draft["event_code"] in _GROUPS
    member = _given(data, "MemberName") if is_group else target
    user = _MEMBER.sub(r"\1", member) if is_group and member else member
    detail = _given(data, "RelativeTargetName", "Properties", "SubStatus", "Status", "AttributeLDAPDisplayName")
    return {
        "user_name": user or _given(data, "SubjectUserName", "AccountName"),
        "src_endpoint_hostname": _given(data, "WorkstationName", "Workstation"),
        "logon_type": _replaced(_given(data, "LogonType"), _LOGON_TYPES),
        "auth_protocol": _protocol(data, draft["activity_name"]),
        "service_name": _given(data, "ServiceName", "ShareName", "TargetName", "ObjectServer"),
        "status_detail": _squeezed(detail),
        "group_name": target if is_group else None,
        "actor_process_file_path": _given(data, *_ACTING),
    }


def _protocol(data: Record, activity: str) -> str | None:
    if activity.startswith("kerberos"):
        return "kerberos"
    return "ntlm" if activity == "credential check" else _given(data, "AuthenticationPackageName")


def _network(data: Record, _draft: Draft, _channel: str) -> Draft:
    return {
        "src_endpoint_port": data.get("SourcePort"),
        "dst_endpoint_ip": _given(data, "DestinationIp", "DestAddress"),
        "dst_endpoint_port": first(data, "DestinationPort", "DestPort"),
        "connection_info_protocol_name": _replaced(_given(data, "Protocol"), _PROTOCOLS),
        "status_detail": _replaced(_given(data, "Direction", "Initiated"), _DIRECTIONS) or _given(data, "FilterName"),
        "actor_process_file_path": _given(data, *_ACTING),
    }


def _dns(data: Record, _draft: Draft, _channel: str) -> Draft:
    answers = _given(data, "QueryResults")
    return {
        "dst_endpoint_ip": _given(data, "DnsServerIpAddress", "DNSServerAddress"),
        "query_hostname": _given(data, "QueryName"),
        "query_type": _replaced(_given(data, "QueryType"), _QUERY_TYPES),
        "rcode": _replaced(_given(data, "QueryStatus", "Status"), _RCODES),
        "answers": answers and answers.replace("::ffff:", "").strip(";").replace(";", ","),
        "actor_process_file_path": _given(data, *_ACTING),
    }


_COLUMNS: dict[Domain, Callable[[Record, Draft, str], Draft]] = {
    Domain.ENDPOINT: _endpoint,
    Domain.IDENTITY: _identity,
    Domain.NETWORK: _network,
    Domain.DNS: _dns,
}
