"""Windows event logs as JSON lines: exported flat (NXLog, Get-WinEvent), by Winlogbeat, or from Log Analytics.

Every record becomes one event of one domain. For endpoint, a process launch has the parent as actor and the new
process as process; access and injection have the acting process as actor and their TARGET as process; every other
event has the acting process in both. `process_uid` is Sysmon's GUID where there is one, else the process number.
For identity, `user_name` is the account the event is about (the one logged on, changed or ticketed) and
`actor_user_name` the one who asked; of a group event `group_name` is the group. For network, `status_detail` is
the direction, or the filter that was changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl

from features.events import Domain
from features.moments import moment
from features.records import Records, Wanted, by_path, is_json_object, json_records
from features.source import Drafts, Source, refusals
from features.windows_codes import ACTS, DOMAIN_OF_CHANNEL, FAILURE_CODES, GROUP_CODES, OTHER, Act

#: Script text kept, in characters.
SCRIPT_CHARS = 4096

#: How many stamps tell a log's clock, and how many frames are looked at for them.
_CLOCK_STAMPS, _CLOCK_FRAMES = 5000, 8
_CLOCK_STEP = timedelta(minutes=15)
#: The most a clock can be wrong, in minutes: the widest time zone, and half a day for one that counts twelve hours.
_MOST_WRONG = 26 * 60
_NEAR = timedelta(minutes=2)
_LATE_CLOCKS = ["sysmon/3", "sysmon/22"]

#: Our name of each part of the envelope, and the names exporters give it, best first.
_ENVELOPE = {
    "code": ("EventID", "event_id", "winlog.event_id"),
    "channel": ("Channel", "log_name", "winlog.channel", "SourceName", "source_name", "EventSourceName", "Provider"),
    "computer": ("Hostname", "Computer", "computer_name", "winlog.computer_name"),
    "stamp": ("@timestamp", "TimeCreated", "TimeGenerated", "EventTime"),
    "record": ("RecordNumber", "record_number", "winlog.record_id"),
    "keywords": ("EventType", "Keywords", "keywords", "winlog.keywords"),
}

#: Where exporters put the event's own fields: flat, as Winlogbeat of two generations, as an object.
_PLACES = ("", "event_data.", "winlog.event_data.", "EventData.")

#: Log Analytics' own fields, as JSON or XML in a string.
_PACKED = ("EventData", "EventData_dynamic")

#: The event's own fields that are read.
_DATA = (
    "UtcTime", "User", "SourceUser", "AccountName", "SubjectUserName", "TargetUserName", "MemberName",
    "ProcessGuid", "SourceProcessGUID", "SourceProcessGuid", "TargetProcessGUID", "TargetProcessGuid",
    "ParentProcessGuid", "ProcessId", "ProcessID", "NewProcessId", "Image", "ParentImage", "SourceImage", "TargetImage",
    "NewProcessName", "ParentProcessName", "ProcessName", "Application", "CallerProcessName", "ModifyingApplication",
    "CommandLine", "IntegrityLevel", "MandatoryLabel", "ImageLoaded", "TargetFilename", "PipeName", "Device",
    "TargetObject", "ObjectName", "ObjectType", "ObjectServer", "EventTypeOrignal", "ServiceFileName", "ImagePath",
    "TaskName", "GrantedAccess", "AccessMask", "PrivilegeList", "EnabledPrivilegeList", "ScriptBlockText", "Payload",
    "ContextInfo", "param1", "param2", "param3", "IpAddress", "IpPort", "ClientAddress", "SourceIp", "SourceAddress",
    "SourcePort", "DestinationIp", "DestAddress", "DestinationPort", "DestPort", "Protocol", "Initiated", "Direction",
    "FilterName", "QueryName", "QueryType", "QueryStatus", "QueryResults", "DnsServerIpAddress", "DNSServerAddress",
    "LogonType", "AuthenticationPackageName", "Status", "SubStatus", "ServiceName", "TargetName", "ShareName",
    "RelativeTargetName", "WorkstationName", "Workstation", "Properties", "AttributeLDAPDisplayName",
)  # fmt: skip

#: Texts that say nothing.
_NOTHING = ("", "-", "(null)")

_OWN = Wanted(by_path(_DATA), unset=_NOTHING)
_WANTED = Wanted(
    {name: tuple(place + name for place in _PLACES) for name in _DATA}
    | by_path(name for names in _ENVELOPE.values() for name in names)
    | by_path(_PACKED),
    whole=("keywords", "winlog.keywords"),
    unset=_NOTHING,
)

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
_XML_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}
_AUDIT_FAILURE = r"AUDIT_FAILURE|Audit Failure|^0x801\d{13}$|^-9218868437227405312$"
_AUDIT_SUCCESS = r"AUDIT_SUCCESS|Audit Success|^0x802\d{13}$|^-9214364837600034816$"


@dataclass(frozen=True)
class Clock:
    """What must be added to a log's stamps to make them UTC."""

    shift: timedelta


def recognises(head: Sequence[str]) -> bool:
    """JSON with an event code and, beside it, a channel, provider or computer."""
    return any(is_json_object(line) and _has_windows_names(line) for line in head[:10])


def _has_windows_names(line: str) -> bool:
    has_code = '"EventID"' in line or '"event_id"' in line
    names = ('"Channel"', '"log_name"', '"winlog"', '"EventData', '"event_data"', '"Hostname"', '"computer_name"')
    return has_code and any(name in line for name in names)


def begin(_name: str, frames: Iterator[pl.DataFrame]) -> Clock:
    """The log's clock, read off Sysmon's own `UtcTime` (not of events 3 and 22, whose `UtcTime` lags).

    Some exporters write local time, even a 12-hour one, as if it were UTC. The shift is the commonest difference,
    rounded to a quarter of an hour; zero where nothing tells it. Sysmon's records keep their own `UtcTime`.
    """
    shifts: list[pl.Series] = []
    for _, frame in zip(range(_CLOCK_FRAMES), frames, strict=False):
        shifts.append(_shifts(frame))
        if sum(map(len, shifts)) >= _CLOCK_STAMPS:
            break
    return Clock(_commonest(pl.concat(shifts)) if shifts else timedelta(0))


def _commonest(shifts: pl.Series) -> timedelta:
    counted = shifts.value_counts().sort("count", shifts.name, descending=[True, False])
    return timedelta(minutes=counted[shifts.name][0]) if counted.height else timedelta(0)


def _shifts(lines: pl.DataFrame) -> pl.Series:
    """Minutes between each Sysmon record's `UtcTime` and its stamp."""
    tells_time = lines.filter(pl.col("text").str.contains("UtcTime", literal=True)).head(_CLOCK_STAMPS)
    records = _records(tells_time).fields
    told = records.filter(pl.col("channel").str.contains("(?i)sysmon"), ~pl.col("code").is_in(["3", "22"]))
    step = _CLOCK_STEP.total_seconds()
    apart = (moment(pl.col("UtcTime")) - moment(pl.col("stamp"))).dt.total_seconds() / step
    shifts = told.select(shift=apart.round().cast(pl.Int64) * (step // 60)).to_series().drop_nulls().cast(pl.Int64)
    return shifts.filter(shifts.is_between(-_MOST_WRONG, _MOST_WRONG))


def parse(lines: pl.DataFrame, clock: Clock) -> Drafts:
    """Every record as an event; JSON that has no event code is refused."""
    records = _records(lines)
    is_event = records.fields["code"].str.contains(r"^\d+(\.0)?$").fill_null(False)
    reason = "expected a Windows event with a whole number as EventID"
    nameless = refusals(records.fields.filter(~is_event), "EventID", reason)
    coded = _coded(records.fields.filter(is_event)).with_columns(time=_time(clock))
    present = coded["domain"].unique()
    events = {domain: _draft(coded, domain) for domain in _COLUMNS if domain in present}
    return Drafts(events, pl.concat([records.refused, nameless]), records.unmapped, records.total)


# Flavours


def _records(lines: pl.DataFrame) -> Records:
    """One row a record: `line`, `text`, the envelope's parts and the event's own fields, as text."""
    read = json_records(lines, _WANTED)
    fields = read.fields.with_columns(_first_given(read.fields, part) for part in _ENVELOPE)
    packed = [name for name in _PACKED if fields[name].null_count() < fields.height]
    places = [fields.select(_DATA), *(_packed(fields[name]) for name in packed)]
    own = (
        pl.DataFrame([_first([place[name] for place in places]) for name in _DATA]) if packed else fields.select(_DATA)
    )
    return replace(read, fields=fields.select("line", "text", *_ENVELOPE).hstack(own))


def _first_given(fields: pl.DataFrame, part: str) -> pl.Expr:
    """A part of the envelope from the best of its names; names that no record has are left out, for each costs time."""
    names = [name for name in _ENVELOPE[part] if fields[name].null_count() < fields.height]
    return pl.coalesce(names or _ENVELOPE[part][0]).alias(part)


def _first(places: list[pl.Series]) -> pl.Series:
    first, *others = places
    for other in others:
        first = first.zip_with(first.is_not_null(), other)
    return first


def _packed(texts: pl.Series) -> pl.DataFrame:
    """The fields inside Log Analytics' `EventData`, which is JSON or XML in a string."""
    numbered = pl.DataFrame({"line": range(len(texts)), "text": texts}, schema_overrides={"line": pl.Int64})
    as_json = numbered.filter(pl.col("text").str.starts_with("{"))
    parsed = json_records(as_json, _OWN).fields
    as_xml = numbered.filter(pl.col("text").str.starts_with("<"))
    tagged = as_xml.with_columns(_tagged(name) for name in _DATA)
    found = pl.concat([parsed, tagged]).drop("text")
    return numbered.select("line").join(found, on="line", how="left", maintain_order="left").select(_DATA)


def _tagged(name: str) -> pl.Expr:
    value = pl.col("text").str.extract(rf"<Data Name=[\"']{name}[\"']>([^<]*)</Data>")
    return pl.when(~value.is_in(_NOTHING)).then(value.str.replace_many(_XML_ENTITIES)).alias(name)


# Meaning


_MEANING = {"domain": pl.String, "activity": pl.String, "class_uid": pl.Int32}


def _coded(records: pl.DataFrame) -> pl.DataFrame:
    """With `event_code` and what it means: `domain`, `activity`, `class_uid`; the channel becomes a short one."""
    short = pl.col("channel").str.to_lowercase().str.replace("^microsoft-windows-", "").str.replace("/operational$", "")
    channel = short.str.replace("^security-auditing$", "security").str.replace_all(" ", "-").fill_null("unknown")
    names = records.select("channel", "code").unique()
    codes = names.select(short=channel, event_code=channel + "/" + pl.col("code").str.replace(r"\.0$", ""))
    acts = [_act(code, channel) for channel, code in codes.iter_rows()]
    meaning = names.hstack(codes).hstack(pl.DataFrame(acts, schema=_MEANING, orient="row"))
    coded = records.join(meaning, on=["channel", "code"], how="left", nulls_equal=True, maintain_order="left")
    return coded.with_columns(_refined_activity(), channel="short")


def _act(code: str, channel: str) -> Act:
    return ACTS.get(code) or DOMAIN_OF_CHANNEL.get(channel, OTHER)


def _refined_activity() -> pl.Expr:
    """Sysmon 12 tells creation and deletion of a key apart in its own field."""
    deletes = pl.coalesce("EventTypeOrignal", "keywords").str.starts_with("Delete")
    return (
        pl.when(pl.col("event_code") == "sysmon/12", deletes)
        .then(pl.lit("registry delete"))
        .otherwise("activity")
        .alias("activity")
    )


def _draft(coded: pl.DataFrame, domain: Domain) -> pl.DataFrame:
    rows = coded.filter(pl.col("domain") == domain)
    return rows.select("line", "text", "time", pl.col("stamp").alias("time_text"), **_COMMON, **_COLUMNS[domain])


def _time(clock: Clock) -> pl.Expr:
    """Sysmon's own time, but of events 3 and 22 only if it is near; else the stamp, put right."""
    own, stamp = moment(pl.col("UtcTime")), moment(pl.col("stamp")) + clock.shift
    is_late = pl.col("event_code").is_in(_LATE_CLOCKS) & ((own - stamp).abs() > _NEAR)
    is_own = (pl.col("channel") == "sysmon") & ~is_late.fill_null(False)
    return pl.coalesce(pl.when(is_own).then(own), stamp, own)


def _after(name: str, label: str) -> pl.Expr:
    """The rest of the line behind `label`. Two cuts are many times faster than one extraction."""
    tells = pl.when(pl.col(name).str.contains(label)).then(pl.col(name))
    return tells.str.replace(rf"(?s)^.*?{label}", "").str.replace(r"(?s)[\r\n].*$", "")


def _squeezed(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", " ").str.strip_chars()


def _status() -> pl.Expr:
    code, words = pl.col("event_code"), pl.concat_str("keywords", ignore_nulls=True)
    checks = code.is_in(["security/4768", "security/4769", "security/4776"])
    failed = code.is_in(FAILURE_CODES) | words.str.contains(_AUDIT_FAILURE) | (checks & (pl.col("Status") != "0x0"))
    succeeded = words.str.contains(_AUDIT_SUCCESS) | (pl.col("channel") == "security")
    return pl.when(failed).then(pl.lit("failure")).when(succeeded).then(pl.lit("success"))


def _uid() -> pl.Expr:
    """Channel, host and record number together name a record."""
    return pl.concat_str(pl.col("channel"), pl.col("computer").str.to_lowercase(), pl.col("record"), separator=":")


def _actor() -> pl.Expr:
    """Who acted. `AccountName` is NXLog's account of the writing process: of Sysmon that is always Sysmon itself."""
    writer = pl.when(pl.col("channel") != "sysmon").then(pl.col("AccountName"))
    said = [_after(name, r"\n\s*User(?:Id)? ?= ?") for name in ("ContextInfo", "param2", "param3")]
    return pl.coalesce(pl.coalesce("User", "SourceUser", "SubjectUserName"), *said, writer)


_COMMON: dict[str, pl.Expr] = {
    "uid": _uid(),
    "class_uid": pl.col("class_uid"),
    "activity_name": pl.col("activity"),
    "event_code": pl.col("event_code"),
    "status": _status(),
    "device_hostname": pl.col("computer"),
    "actor_user_name": _actor(),
    "src_endpoint_ip": pl.coalesce("SourceIp", "SourceAddress", "IpAddress", "ClientAddress"),
}

_LAUNCHES = pl.col("activity") == "launch"
_TARGETS = pl.col("activity").is_in(["access", "inject"])
_ACTING = pl.coalesce("Image", "SourceImage", "ProcessName", "Application", "CallerProcessName", "ModifyingApplication")
_ACTING_UID = pl.coalesce("ProcessGuid", "SourceProcessGUID", "SourceProcessGuid", "ProcessId", "ProcessID")
_HOST_APPLICATION = pl.coalesce(_after(name, r"Host ?Application ?= ?") for name in ("ContextInfo", "param2", "param3"))
_IS_KEY = pl.col("ObjectType") == "Key"
_IS_GROUP = pl.col("event_code").is_in(GROUP_CODES)
_MEMBER = pl.col("MemberName").str.replace(r"^(?i)cn=([^,]*).*$", "${1}")
_IS_KERBEROS = pl.col("activity").str.starts_with("kerberos")
_TARGET_USER = pl.when(_IS_GROUP).then(_MEMBER).otherwise(pl.col("TargetUserName"))
_PARENT = pl.coalesce("ParentImage", "ParentProcessName")
_DETAIL = _squeezed(pl.coalesce("RelativeTargetName", "Properties", "SubStatus", "Status", "AttributeLDAPDisplayName"))

_COLUMNS: dict[Domain, dict[str, pl.Expr]] = {
    Domain.ENDPOINT: {
        "actor_process_file_path": pl.when(_LAUNCHES).then(_PARENT).otherwise(_ACTING),
        "actor_process_uid": pl.when(_LAUNCHES)
        .then(pl.coalesce("ParentProcessGuid", "ProcessId"))
        .otherwise(_ACTING_UID),
        "process_file_path": pl.when(_LAUNCHES)
        .then(pl.coalesce("Image", "NewProcessName"))
        .when(_TARGETS)
        .then(pl.col("TargetImage"))
        .otherwise(_ACTING),
        "process_uid": pl.when(_LAUNCHES)
        .then(pl.coalesce("ProcessGuid", "NewProcessId"))
        .when(_TARGETS)
        .then(pl.coalesce("TargetProcessGUID", "TargetProcessGuid"))
        .otherwise(_ACTING_UID),
        "process_cmd_line": pl.coalesce(pl.col("CommandLine"), _HOST_APPLICATION),
        "process_integrity": pl.coalesce("IntegrityLevel", "MandatoryLabel").replace(_INTEGRITY),
        "file_path": pl.coalesce(
            pl.coalesce("TargetFilename", "PipeName"),
            pl.when(~_IS_KEY).then(pl.col("ObjectName")),
            pl.coalesce("ServiceFileName", "ImagePath", "TaskName", "Device"),
        ),
        "reg_key_path": pl.coalesce(pl.col("TargetObject"), pl.when(_IS_KEY).then(pl.col("ObjectName"))),
        "module_file_path": pl.col("ImageLoaded"),
        "script_content": pl.coalesce(
            pl.coalesce("ScriptBlockText", "Payload"),
            pl.when(pl.col("channel") == "windows-powershell").then(pl.coalesce("param3", "param1")),
        ).str.slice(0, SCRIPT_CHARS),
        "actual_permissions": _squeezed(
            pl.coalesce("GrantedAccess", "AccessMask", "PrivilegeList", "EnabledPrivilegeList")
        ),
    },
    Domain.IDENTITY: {
        "user_name": pl.coalesce(_TARGET_USER, pl.coalesce("SubjectUserName", "AccountName")),
        "src_endpoint_hostname": pl.coalesce("WorkstationName", "Workstation"),
        "logon_type": pl.col("LogonType").replace(_LOGON_TYPES),
        "auth_protocol": pl.when(_IS_KERBEROS)
        .then(pl.lit("kerberos"))
        .when(pl.col("activity") == "credential check")
        .then(pl.lit("ntlm"))
        .otherwise(pl.col("AuthenticationPackageName")),
        "service_name": pl.coalesce("ServiceName", "ShareName", "TargetName", "ObjectServer"),
        "status_detail": _DETAIL,
        "group_name": pl.when(_IS_GROUP).then(pl.col("TargetUserName")),
        "actor_process_file_path": _ACTING,
    },
    Domain.NETWORK: {
        "src_endpoint_port": pl.col("SourcePort"),
        "dst_endpoint_ip": pl.coalesce("DestinationIp", "DestAddress"),
        "dst_endpoint_port": pl.coalesce("DestinationPort", "DestPort"),
        "connection_info_protocol_name": pl.col("Protocol").replace(_PROTOCOLS),
        "status_detail": pl.coalesce(pl.coalesce("Direction", "Initiated").replace(_DIRECTIONS), pl.col("FilterName")),
        "actor_process_file_path": _ACTING,
    },
    Domain.DNS: {
        "dst_endpoint_ip": pl.coalesce("DnsServerIpAddress", "DNSServerAddress"),
        "query_hostname": pl.col("QueryName"),
        "query_type": pl.col("QueryType").replace(_QUERY_TYPES),
        "rcode": pl.coalesce("QueryStatus", "Status").replace(_RCODES),
        "answers": pl.col("QueryResults").str.replace_all("::ffff:", "").str.strip_chars(";").str.replace_all(";", ","),
        "actor_process_file_path": _ACTING,
    },
}

SOURCE = Source("windows", recognises, begin, parse)
