"""Office 365's unified audit log, as JSON lines of its `AuditData` or as the comma-separated export around it.

A logon to the directory is an event of identity, everything else of cloud. In the export only the column `AuditData`
is read, for it holds what the others repeat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl

from features.events import Domain
from features.moments import moment
from features.records import Wanted, by_path, json_as, json_records
from features.source import Drafts, Source, refusals

_FIELDS = (
    *("CreationTime", "Id", "Operation", "Workload", "OrganizationId", "ResultStatus", "UserId", "UserType"),
    *("ClientIP", "ClientIPAddress", "ActorIpAddress", "UserAgent", "ExtendedProperties", "LogonError"),
    *("ApplicationDisplayName", "ApplicationId", "ObjectId", "MailboxOwnerUPN", "SiteUrl", "Site"),
)
_WANTED = Wanted(by_path(_FIELDS), whole=("ExtendedProperties",))
_LOGONS = ["UserLoggedIn", "UserLoginFailed"]

#: UserType, by Microsoft's Management Activity API schema.
_USER_TYPES = {
    "0": "Regular", "1": "Reserved", "2": "Admin", "3": "DcAdmin", "4": "System", "5": "Application",
    "6": "ServicePrincipal", "7": "CustomPolicy", "8": "SystemPolicy", "9": "PartnerTechnician", "10": "Guest",
}  # fmt: skip

#: The activity of an operation by its verb, wherever that stands: `New-InboxRule`, `Add member to role.`,
#: `FileDownloaded`, `MoveToDeletedItems`. The first that is found counts.
_VERBS = {
    "delete": r"(?i)^remove|delet|removed|recycled|purge",
    "create": r"(?i)^(new|add|install|consent)|creat|added|upload|copied",
    "update": r"(?i)^(set|enable|disable|reset)|set$|updat|modif|chang|moved|renamed|broken|restored",
    "read": r"(?i)^(get|search|list|test|export)|access|view|download|synced",
}

#: Columns of an export, at most.
_COLUMNS_OF_TABLE = 64

_CELL = r'(?:"(?:[^"]|"")*"|[^",]*)'


@dataclass(frozen=True)
class Table:
    """Where `AuditData` stands in a comma-separated export: `before` columns from the left, `after` from the right."""

    header: str
    before: int
    after: int


class _Entry(msgspec.Struct):
    """What tells an entry of the audit log from other records."""

    created: str = msgspec.field(name="CreationTime")
    operation: str = msgspec.field(name="Operation")
    user: str = msgspec.field(name="UserId")
    record_type: int | str = msgspec.field(name="RecordType")


def recognises(head: Sequence[str]) -> bool:
    """A header with `AuditData`, or JSON with `CreationTime`, `RecordType`, `Operation` and `UserId`."""
    return _table(head) is not None or any(_is_entry(line) for line in head[:10])


def begin(_name: str, frames: Iterator[pl.DataFrame]) -> Table | None:
    """Where to find `AuditData` in a line; none if the lines are it."""
    lines = next(frames, pl.DataFrame(schema={"text": pl.String}))
    return _table(lines["text"].head(2).to_list())


def parse(lines: pl.DataFrame, table: Table | None) -> Drafts:
    """Every entry as an event; JSON that names no operation is refused."""
    lines, misshapen = _unwrapped(lines, table) if table else (lines, refusals(lines.clear(), "line", ""))
    records = json_records(lines, _WANTED)
    entries = records.fields.with_columns(_given(name) for name in _FIELDS)
    is_named = entries["Operation"].is_not_null()
    nameless = refusals(entries.filter(~is_named), "Operation", "expected an entry of the audit log with its Operation")
    is_logon = entries["Operation"].is_in(_LOGONS)
    parts = {Domain.IDENTITY: entries.filter(is_logon), Domain.CLOUD: entries.filter(is_named & ~is_logon)}
    events = {domain: part.select("line", "text", **_COMMON, **_COLUMNS[domain]) for domain, part in parts.items()}
    refused = pl.concat([misshapen, records.refused, nameless])
    return Drafts(events, refused, records.unmapped, records.total)


def _is_entry(line: str) -> bool:
    return json_as(line, _Entry) is not None


def _table(head: Sequence[str]) -> Table | None:
    """The header, which old exports write below a line `#TYPE`."""
    for line in head[:2]:
        columns = line.strip().replace('"', "").split(",")
        if 1 < len(columns) <= _COLUMNS_OF_TABLE and "AuditData" in columns:
            before = columns.index("AuditData")
            return Table(line, before, len(columns) - before - 1)
    return None


def _unwrapped(lines: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cell `AuditData` of each row, as JSON, and the refused rows that have none."""
    rows = lines.filter(pl.col("text") != table.header, ~pl.col("text").str.starts_with("#TYPE"))
    left = pl.col("text").str.replace(rf'^(?:{_CELL},){{{table.before}}}"', "")
    cell = left.str.replace(rf'"(?:,{_CELL}){{{table.after}}}$', "")
    cells = rows.with_columns(cell=cell.str.replace_all('""', '"', literal=True))
    is_object = cells["cell"].str.contains(r"^\{.*\}$")
    columns = table.before + 1 + table.after
    reason = f"expected {columns} columns, of which number {table.before + 1}, AuditData, is a JSON object"
    refused = refusals(cells.filter(~is_object), "line", reason)
    return cells.filter(is_object).select("line", text="cell"), refused


# Events


def _given(name: str) -> pl.Expr:
    return pl.when(pl.col(name).str.contains(r"\S")).then(pl.col(name).str.strip_chars()).alias(name)


def _extended(name: str) -> pl.Expr:
    """A value of `ExtendedProperties`, a list of names and values as JSON text."""
    return pl.col("ExtendedProperties").str.extract(rf'"Name"\s*:\s*"{name}"\s*,\s*"Value"\s*:\s*"((?:[^"\\]|\\.)*)"')


def _activity() -> pl.Expr:
    word = pl.coalesce(pl.col("Operation").str.extract(r"^(\w+)[- ]"), "Operation")
    found = (pl.when(word.str.contains(pattern)).then(pl.lit(verb)) for verb, pattern in _VERBS.items())
    return pl.coalesce(*found, pl.lit("other"))


_FAILED = (pl.col("Operation") == "UserLoginFailed") | pl.col("ResultStatus").str.contains("(?i)^(fail|false)")

_COMMON: dict[str, pl.Expr] = {
    "time": moment(pl.col("CreationTime")),
    "time_text": pl.col("CreationTime"),
    "uid": pl.col("Id"),
    "event_code": "office365/" + pl.col("Operation"),
    "status": pl.when(_FAILED).then(pl.lit("failure")).otherwise(pl.lit("success")),
    "src_endpoint_ip": pl.coalesce("ClientIP", "ClientIPAddress", "ActorIpAddress"),
}

_COLUMNS: dict[Domain, dict[str, pl.Expr]] = {
    Domain.IDENTITY: {
        "class_uid": pl.lit(3002),
        "activity_name": pl.lit("logon"),
        "user_name": pl.col("UserId"),
        "logon_type": pl.lit("cloud"),
        "auth_protocol": _extended("RequestType").str.extract("^([^:]+)"),
        "service_name": pl.coalesce("ApplicationDisplayName", "ApplicationId", "ObjectId"),
        "status_detail": pl.coalesce(pl.col("LogonError"), _extended("ResultStatusDetail")),
    },
    Domain.CLOUD: {
        "class_uid": pl.lit(6003),
        "activity_name": _activity(),
        "actor_user_name": pl.col("UserId"),
        "actor_user_type": pl.col("UserType").replace(_USER_TYPES),
        "api_service_name": pl.col("Workload").str.to_lowercase(),
        "api_operation": pl.col("Operation"),
        "api_response_error": pl.when(_FAILED).then("ResultStatus"),
        "cloud_account_uid": pl.col("OrganizationId"),
        "resource_name": pl.coalesce("ObjectId", "MailboxOwnerUPN", "SiteUrl", "Site"),
        "http_request_user_agent": pl.coalesce(pl.col("UserAgent"), _extended("UserAgent")),
    },
}

SOURCE = Source("office365", recognises, begin, parse)
