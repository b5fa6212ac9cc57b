"""Entries of Office 365's audit log become logons and cloud calls, from JSON lines, arrays and exports alike."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain, schema
from features.reading import read, sources

DATA = Path(__file__).parents[3] / "shared" / "data" / "identity" / "o365"

ENTRY: dict[str, Any] = {
    "CreationTime": "2021-04-16T12:07:14",
    "Id": "u1",
    "Operation": "New-InboxRule",
    "OrganizationId": "0873ee4d",
    "RecordType": 1,
    "ResultStatus": "True",
    "UserType": 2,
    "Workload": "Exchange",
    "ClientIP": "62.149.20.10:62589",
    "ObjectId": 'EURPR04A009/Contoso, Ltd/"Bob"',
    "UserId": "Bob@Contoso.com",
    "UserAgent": "Outlook",
    "Parameters": [{"Name": "DeleteMessage", "Value": "True"}],
}

CALL = {
    "time": datetime(2021, 4, 16, 12, 7, 14, tzinfo=UTC),
    "uid": "u1",
    "class_uid": 6003,
    "activity_name": "create",
    "event_code": "office365/New-InboxRule",
    "status": "success",
    "actor_user_name": "bob",
    "actor_user_type": "Admin",
    "src_endpoint_ip": "62.149.20.10",
    "api_service_name": "exchange",
    "api_operation": "New-InboxRule",
    "cloud_account_uid": "0873ee4d",
    "resource_name": 'EURPR04A009/Contoso, Ltd/"Bob"',
    "http_request_user_agent": "Outlook",
}

AGENT = {"Name": "UserAgent", "Value": "x"}
LOGON = ENTRY | {
    "Operation": "UserLoggedIn",
    "ResultStatus": "Success",
    "Workload": "AzureActiveDirectory",
    "ApplicationId": "89bee1f7",
    "ExtendedProperties": [
        {"Name": "ResultStatusDetail", "Value": "Redirect"},
        {"Name": "RequestType", "Value": "OAuth2:Authorize"},
    ],
}


def export(entries: Sequence[dict[str, Any]], header: str, quoting: Any, above: str = "") -> str:
    """The entries as a portal or a script exports them."""
    written = io.StringIO()
    table = csv.writer(written, quoting=quoting)
    table.writerow(header.split(","))
    for entry in entries:
        cells = {
            "AuditData": json.dumps(entry),
            "UserId": entry.get("UserId"),
            "Operation": "a, b",
            "RecordId": 'say "x"',
        }
        table.writerow([cells.get(name, "") for name in header.split(",")])
    return above + written.getvalue()


PORTAL = "RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames"
POWERSHELL = "RecordType,CreationDate,UserIds,Operations,AuditData,ResultIndex"

WAYS: dict[str, Callable[[Sequence[dict[str, Any]]], str]] = {
    "lines": lambda entries: "\n".join(map(json.dumps, entries)),
    "an array": lambda entries: json.dumps(entries, indent=1),
    "the portal's export": lambda entries: export(entries, PORTAL, csv.QUOTE_MINIMAL),
    "PowerShell's export": lambda entries: export(entries, POWERSHELL, csv.QUOTE_ALL, "#TYPE Selected.Audit\r\n"),
    "an export of two columns": lambda entries: export(entries, "UserId,AuditData", csv.QUOTE_MINIMAL),
}
FIRST_LINE = {"the portal's export": 1, "PowerShell's export": 2, "an export of two columns": 1}


def read_text(folder: Path, text: str) -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    (folder / "some.log").write_text(text, newline="")
    (chunk,) = read([folder / "some.log"])
    for domain, frame in chunk.events.items():
        assert frame.schema == schema(domain)
    return chunk.events, chunk.refused


def one(folder: Path, entry: dict[str, Any], domain: Domain, way: str = "lines") -> dict[str, Any]:
    """The only event, and what its columns say."""
    events, refused = read_text(folder, WAYS[way]([entry]))
    assert refused.is_empty(), refused["reason"].to_list()
    assert list(events) == [domain]
    (row,) = events[domain].to_dicts()
    return {column: value for column, value in row.items() if value is not None}


@pytest.mark.parametrize("way", WAYS)
def test_an_operation_has_every_column_in_every_kind_of_file(tmp_path: Path, way: str) -> None:
    event = one(tmp_path, ENTRY, Domain.CLOUD, way)
    assert event == CALL | {"source": str(tmp_path / "some.log"), "line": FIRST_LINE.get(way, 0)}


@pytest.mark.parametrize("way", WAYS)
def test_a_logon_is_about_identity(tmp_path: Path, way: str) -> None:
    assert one(tmp_path, LOGON, Domain.IDENTITY, way) == {
        "source": str(tmp_path / "some.log"),
        "line": FIRST_LINE.get(way, 0),
        "time": CALL["time"],
        "uid": "u1",
        "class_uid": 3002,
        "activity_name": "logon",
        "event_code": "office365/UserLoggedIn",
        "status": "success",
        "src_endpoint_ip": "62.149.20.10",
        "user_name": "bob",
        "logon_type": "cloud",
        "auth_protocol": "oauth2",
        "service_name": "89bee1f7",
        "status_detail": "Redirect",
    }


def test_a_failed_logon_fails_whatever_its_result_says(tmp_path: Path) -> None:
    failed = LOGON | {"Operation": "UserLoginFailed", "LogonError": "InvalidUserNameOrPassword"}
    event = one(tmp_path, failed, Domain.IDENTITY)
    assert (event["status"], event["status_detail"]) == ("failure", "InvalidUserNameOrPassword")


@pytest.mark.parametrize("way", WAYS)
def test_only_office365_takes_its_entries_for_its_own(way: str) -> None:
    head = WAYS[way]([ENTRY]).splitlines() if way in FIRST_LINE else [json.dumps(ENTRY)]
    assert [name for name, source in sources().items() if source.recognises(head)] == ["office365"]


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"data": {"office365": ENTRY}, "rule": {"level": 3}}),
        json.dumps(list(ENTRY)),
        "AuditData",
        "a,b",
        '{"a":' * 10_000,
    ],
)
def test_an_entry_inside_another_logs_record_is_not_office365s(line: str) -> None:
    assert not sources()["office365"].recognises([line])


@pytest.mark.parametrize(
    ("result", "status", "error"),
    [
        ("Succeeded", "success", None),
        ("PartiallySucceeded", "success", None),
        (None, "success", None),
        ("Failure", "failure", "Failure"),
        ("Failed", "failure", "Failed"),
        ("False", "failure", "False"),
    ],
)
def test_a_result_says_whether_it_failed(tmp_path: Path, result: str | None, status: str, error: str | None) -> None:
    event = one(tmp_path, ENTRY | {"ResultStatus": result}, Domain.CLOUD)
    assert (event["status"], event.get("api_response_error")) == (status, error)


@pytest.mark.parametrize(
    ("operation", "activity"),
    [
        ("New-InboxRule", "create"),
        ("Add member to role.", "create"),
        ("FileUploaded", "create"),
        ("AddedToGroup", "create"),
        ("MailItemsAccessed", "read"),
        ("FileDownloaded", "read"),
        ("Get-ComplianceTag", "read"),
        ("Set-Mailbox", "update"),
        ("SharingSet", "update"),
        ("FileModifiedExtended", "update"),
        ("Update application – Certificates and secrets management ", "update"),
        ("Remove-UnifiedGroup", "delete"),
        ("MoveToDeletedItems", "delete"),
        ("SoftDelete", "delete"),
        ("SiteCollectionAdminRemoved", "delete"),
        ("Send", "other"),
    ],
)
def test_the_activity_is_the_operations_verb(tmp_path: Path, operation: str, activity: str) -> None:
    event = one(tmp_path, ENTRY | {"Operation": operation}, Domain.CLOUD)
    assert (event["activity_name"], event["api_operation"]) == (activity, operation.strip())


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"ClientIP": "", "ClientIPAddress": "2603:10A6::69"}, "src_endpoint_ip", "2603:10a6::69"),
        ({"ClientIP": None, "ActorIpAddress": "[2603:10a6::69]:443"}, "src_endpoint_ip", "2603:10a6::69"),
        ({"ObjectId": None, "MailboxOwnerUPN": "Eve@Contoso.com"}, "resource_name", "Eve@Contoso.com"),
        ({"ObjectId": " ", "SiteUrl": "https://c.sharepoint.com/"}, "resource_name", "https://c.sharepoint.com/"),
        (
            {"UserAgent": None, "ExtendedProperties": [{"Name": "UserAgent", "Value": "x"}]},
            "http_request_user_agent",
            "x",
        ),
        ({"UserId": "NT AUTHORITY\\SYSTEM"}, "actor_user_name", "system"),
        ({"UserType": 99}, "actor_user_type", "99"),
    ],
)
def test_the_first_field_that_says_something_fills_a_column(
    tmp_path: Path, changes: dict[str, Any], column: str, value: str
) -> None:
    assert one(tmp_path, ENTRY | changes, Domain.CLOUD)[column] == value


@pytest.mark.parametrize("way", WAYS)
def test_bad_entries_are_refused_by_number_and_their_neighbours_kept(tmp_path: Path, way: str) -> None:
    nameless = {name: value for name, value in ENTRY.items() if name != "Operation"}
    text = WAYS[way]([ENTRY, ENTRY | {"CreationTime": "yesterday"}, nameless, LOGON, ENTRY | {"RecordType": "cut"}])
    events, refused = read_text(tmp_path, text.replace('""cut""', "cut").replace('"cut"', "cut"))
    first = FIRST_LINE.get(way, 0)
    assert events[Domain.CLOUD]["line"].to_list() == [first]
    assert events[Domain.IDENTITY]["line"].to_list() == [first + 3]
    assert refused.select("line", "field").rows() == [
        (first + 1, "time"),
        (first + 2, "Operation"),
        (first + 4, "line"),
    ]


def test_a_row_that_does_not_fit_the_export_is_refused_and_a_second_header_passed_over(tmp_path: Path) -> None:
    text = WAYS["the portal's export"]([ENTRY])
    header, row = text.splitlines()
    events, refused = read_text(tmp_path, "\n".join([header, row[:-1], row, row + ",more", "", header, row, row[:80]]))
    assert events[Domain.CLOUD]["line"].to_list() == [2, 6]
    assert refused["line"].to_list() == [1, 3, 7]
    assert set(refused["reason"]) == {"expected 8 columns, of which number 6, AuditData, is a JSON object"}


def test_a_forced_format_needs_no_lines() -> None:
    source = sources()["office365"]
    assert source.begin("ual.csv", iter([])) is None


TEXT = st.text(st.characters(codec="utf-8"), max_size=12).map(str.strip).filter(bool)
EVENT = st.fixed_dictionaries(
    {
        "time": st.timedeltas(timedelta(0), timedelta(days=40_000)).map(datetime(1970, 1, 1, tzinfo=UTC).__add__),
        "uid": TEXT,
        "api_operation": TEXT.filter(lambda text: not text.startswith("UserLog")),
        "api_service_name": TEXT.filter(lambda text: text == text.lower()),
        "actor_user_name": st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
        "cloud_account_uid": st.none() | TEXT,
        "resource_name": st.none() | TEXT,
        "http_request_user_agent": st.none() | TEXT,
        "src_endpoint_ip": st.ip_addresses(v=4).map(str),
    }
)


@settings(max_examples=40, deadline=None)
@given(wanted=st.lists(EVENT, min_size=1, max_size=4), way=st.sampled_from(sorted(WAYS)))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[dict[str, Any]], way: str
) -> None:
    text = WAYS[way]([written(event) for event in wanted])
    events, refused = read_text(tmp_path_factory.mktemp("written"), text)
    assert refused.is_empty()
    assert events[Domain.CLOUD].select(wanted[0].keys()).to_dicts() == wanted


def written(event: dict[str, Any]) -> dict[str, Any]:
    """The event as the audit log would have it."""
    return {
        "CreationTime": event["time"].isoformat(),
        "RecordType": 1,
        "Id": event["uid"],
        "Operation": event["api_operation"],
        "Workload": event["api_service_name"],
        "UserId": event["actor_user_name"],
        "OrganizationId": event["cloud_account_uid"],
        "ObjectId": event["resource_name"],
        "UserAgent": event["http_request_user_agent"],
        "ClientIP": event["src_endpoint_ip"],
    }


@pytest.mark.skipif(not DATA.exists(), reason="the shared real logs are not beside this project")
def test_ten_real_weeks_are_read_without_a_refusal() -> None:
    (chunk,) = read([DATA / "ual.jsonl.gz"])
    assert chunk.refused.is_empty()
    assert {domain: frame.height for domain, frame in chunk.events.items()} == {
        Domain.IDENTITY: 269,
        Domain.CLOUD: 2845,
    }
