"""CloudTrail's records become calls to the cloud, from whichever file AWS and its users keep them in."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain, schema
from features.reading import read, sources

DATA = Path(__file__).parents[3] / "shared" / "data" / "cloud"

RECORD: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "IAMUser",
        "arn": "arn:aws:iam::111122223333:user/Bob",
        "accountId": "111122223333",
        "userName": "Bob",
        "sessionContext": {"sessionIssuer": {}, "attributes": {"mfaAuthenticated": "true"}},
    },
    "eventTime": "2023-07-10T11:42:18Z",
    "eventSource": "iam.amazonaws.com",
    "eventName": "AttachUserPolicy",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "10.0.0.1",
    "userAgent": "aws-cli/2.15",
    "requestParameters": {"policyArn": "arn:aws:iam::aws:policy/ReadOnly", "userName": "eve", "tags": [{"a": 1}]},
    "responseElements": None,
    "eventID": "e1",
    "readOnly": False,
    "recipientAccountId": "111122223333",
}

CALL = {
    "time": datetime(2023, 7, 10, 11, 42, 18, tzinfo=UTC),
    "uid": "e1",
    "class_uid": 6003,
    "activity_name": "update",
    "event_code": "cloudtrail/AttachUserPolicy",
    "status": "success",
    "actor_user_name": "bob",
    "actor_user_type": "IAMUser",
    "src_endpoint_ip": "10.0.0.1",
    "api_service_name": "iam.amazonaws.com",
    "api_operation": "AttachUserPolicy",
    "cloud_region": "us-east-1",
    "cloud_account_uid": "111122223333",
    "resource_name": "eve",
    "http_request_user_agent": "aws-cli/2.15",
    "is_mfa": "true",
}

WAYS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "lines": lambda records: "\n".join(map(json.dumps, records)),
    "one document": lambda records: json.dumps({"Records": records}),
    "a document over many lines": lambda records: json.dumps({"Records": records}, indent=2),
    "an array": lambda records: json.dumps(records, indent=3),
}


def read_text(folder: Path, text: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    (folder / "some.log").write_text(text)
    (chunk,) = read([folder / "some.log"])
    assert set(chunk.events) <= {Domain.CLOUD}
    calls = chunk.events.get(Domain.CLOUD, pl.DataFrame(schema=schema(Domain.CLOUD)))
    assert calls.schema == schema(Domain.CLOUD)
    return calls, chunk.refused


def one(folder: Path, **changes: Any) -> dict[str, Any]:
    """What the columns say of a record with these changes."""
    calls, refused = read_text(folder, json.dumps(RECORD | changes))
    assert refused.is_empty(), refused["reason"].to_list()
    (row,) = calls.to_dicts()
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("way", WAYS)
def test_a_call_has_every_column_in_every_kind_of_file(tmp_path: Path, way: str) -> None:
    calls, refused = read_text(tmp_path, WAYS[way]([RECORD, RECORD | {"eventID": "e2"}]))
    assert refused.is_empty()
    first, second = ({name: value for name, value in row.items() if value is not None} for row in calls.to_dicts())
    assert first == CALL | {"source": str(tmp_path / "some.log"), "line": 0}
    assert second == first | {"uid": "e2", "line": 1}


@pytest.mark.parametrize("way", WAYS)
def test_only_cloudtrail_takes_its_records_for_its_own(way: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(WAYS[way]([RECORD]))
    head = ["nonsense", json.dumps(RECORD)]
    assert [name for name, source in sources().items() if source.recognises(head)] == ["cloudtrail"]
    (chunk,) = read([tmp_path])
    assert chunk.events[Domain.CLOUD].height == 1


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"data": {"aws": RECORD}, "rule": {"level": 3}}),
        json.dumps({"class_uid": 6003, "raw_data": json.dumps(RECORD)}),
        json.dumps(list(RECORD)),
        "eventTime,eventSource,eventName",
        '{"a":' * 10_000,
    ],
)
def test_a_record_inside_another_logs_is_not_cloudtrails(line: str) -> None:
    assert not sources()["cloudtrail"].recognises([line])


ISSUER = {"sessionIssuer": {"type": "Role", "userName": "deploy"}}


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "root"),
        (
            {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/Deploy/i-0ab", "sessionContext": ISSUER},
            "deploy",
        ),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/Deploy/ann@x.org"}, "ann"),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0a1b/Eve"}, "eve"),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/Deploy/i-0ab"}, "deploy"),
        ({"type": "AssumedRole", "sessionContext": ISSUER}, "deploy"),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDAX:guest"}, "guest"),
        ({"type": "Unknown"}, None),
        (None, None),
    ],
)
def test_the_actor_is_named_by_the_best_name_there_is(
    tmp_path: Path, identity: dict[str, Any] | None, name: str | None
) -> None:
    assert one(tmp_path, userIdentity=identity).get("actor_user_name") == name


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({"requestParameters": {"bucketName": "", "roleName": "admin"}}, "admin"),
        ({"requestParameters": {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}}}, "i-1"),
        ({"requestParameters": {"instancesSet": {}}, "resources": []}, None),
        ({"requestParameters": None, "resources": [{"ARN": "arn:aws:s3:::b"}, {"ARN": "c"}]}, "arn:aws:s3:::b"),
        ({"requestParameters": {}, "resources": [{}]}, None),
    ],
)
def test_a_call_is_made_on_the_first_resource_it_names(
    tmp_path: Path, changes: dict[str, Any], resource: str | None
) -> None:
    assert one(tmp_path, **changes).get("resource_name") == resource


@pytest.mark.parametrize(
    ("operation", "reads", "activity"),
    [
        ("CreateUser", False, "create"),
        ("PutObject", False, "create"),
        ("GetObject", True, "read"),
        ("BatchGetImage", None, "read"),
        ("AssumeRole", True, "read"),
        ("UpdateFunctionCode20150331v2", False, "update"),
        ("AuthorizeSecurityGroupIngress", False, "update"),
        ("StopLogging", False, "delete"),
        ("ConsoleLogin", False, "other"),
        ("Getaway", None, "other"),
        ("invoke", None, "other"),
    ],
)
def test_the_activity_is_the_operations_verb(tmp_path: Path, operation: str, reads: bool | None, activity: str) -> None:
    assert one(tmp_path, eventName=operation, readOnly=reads)["activity_name"] == activity


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"errorCode": "AccessDenied", "errorMessage": "no"}, "failure", "AccessDenied"),
        ({"responseElements": {"ConsoleLogin": "Failure"}, "errorMessage": "No such user"}, "failure", "No such user"),
        ({"responseElements": {"ConsoleLogin": "Success"}}, "success", None),
    ],
)
def test_a_call_fails_with_its_error_and_a_login_with_its_answer(
    tmp_path: Path, changes: dict[str, Any], status: str, error: str | None
) -> None:
    event = one(tmp_path, **changes)
    assert (event["status"], event.get("api_response_error")) == (status, error)


@pytest.mark.parametrize(("used", "is_mfa"), [("Yes", "true"), ("No", "false")])
def test_a_login_tells_itself_whether_a_second_factor_was_used(tmp_path: Path, used: str, is_mfa: str) -> None:
    assert one(tmp_path, eventName="ConsoleLogin", additionalEventData={"MFAUsed": used})["is_mfa"] == is_mfa


def test_a_call_from_inside_aws_has_the_services_name_for_address(tmp_path: Path) -> None:
    assert one(tmp_path, sourceIPAddress="AutoScaling.amazonaws.com")["src_endpoint_ip"] == "autoscaling.amazonaws.com"


@pytest.mark.parametrize("name", ["requestParameters", "responseElements", "additionalEventData", "resources"])
def test_hidden_parameters_are_no_reason_to_refuse_a_record(tmp_path: Path, name: str) -> None:
    hidden = RECORD | {name: "HIDDEN_DUE_TO_SECURITY_REASONS"}
    calls, refused = read_text(tmp_path, WAYS["one document"]([RECORD, hidden, RECORD]))
    assert refused.is_empty()
    asked = None if name == "requestParameters" else "eve"
    assert calls.select("line", "resource_name").rows() == [(0, "eve"), (1, asked), (2, "eve")]


@pytest.mark.parametrize("way", WAYS)
def test_bad_records_are_refused_by_number_and_their_neighbours_kept(tmp_path: Path, way: str) -> None:
    nameless = {name: value for name, value in RECORD.items() if name != "eventName"}
    bad = [RECORD | {"eventTime": "yesterday"}, nameless, RECORD | {"userIdentity": "Bob"}]
    text = WAYS[way]([RECORD, *bad, RECORD, RECORD | {"eventID": "cut"}])
    calls, refused = read_text(tmp_path, text.replace('"cut"', "cut"))
    assert calls["line"].to_list() == [0, 4]
    assert refused.select("line", "field").rows() == [(1, "time"), (2, "eventName"), (3, "line"), (5, "line")]
    assert refused["value"][0] == "yesterday"


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
EVENT = st.fixed_dictionaries(
    {
        "time": st.timedeltas(timedelta(0), timedelta(days=40_000)).map(datetime(1970, 1, 1, tzinfo=UTC).__add__),
        "actor_user_type": TEXT,
        "actor_user_name": st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
        "api_service_name": TEXT,
        "api_operation": TEXT,
        "api_response_error": st.none() | TEXT,
        "cloud_region": TEXT,
        "cloud_account_uid": st.none() | TEXT,
        "resource_name": st.none() | TEXT.filter(bool),
        "http_request_user_agent": st.none() | TEXT,
        "src_endpoint_ip": st.ip_addresses(v=4).map(str),
        "is_mfa": st.sampled_from([None, "true", "false"]),
    }
)


@settings(max_examples=40, deadline=None)
@given(wanted=st.lists(EVENT, min_size=1, max_size=4), way=st.sampled_from(sorted(WAYS)))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[dict[str, Any]], way: str
) -> None:
    calls, refused = read_text(tmp_path_factory.mktemp("written"), WAYS[way]([written(event) for event in wanted]))
    assert refused.is_empty()
    assert calls.select(wanted[0].keys()).to_dicts() == wanted


def written(event: dict[str, Any]) -> dict[str, Any]:
    """The event as CloudTrail would have it."""
    return {
        "eventTime": event["time"].isoformat(),
        "userIdentity": {
            "type": event["actor_user_type"],
            "userName": event["actor_user_name"],
            "sessionContext": {"attributes": {"mfaAuthenticated": event["is_mfa"]}},
        },
        "eventSource": event["api_service_name"],
        "eventName": event["api_operation"],
        "errorCode": event["api_response_error"],
        "awsRegion": event["cloud_region"],
        "recipientAccountId": event["cloud_account_uid"],
        "requestParameters": {"bucketName": event["resource_name"]},
        "userAgent": event["http_request_user_agent"],
        "sourceIPAddress": event["src_endpoint_ip"],
    }


@pytest.mark.skipif(not DATA.exists(), reason="the shared real logs are not beside this project")
def test_the_real_logs_are_read_without_a_refusal() -> None:
    chunks = list(read([DATA / "aws" / "cloudtrail.jsonl.gz", DATA / "stratus" / "detonation_logs.tar.gz"]))
    assert sum(chunk.refused.height for chunk in chunks) == 0
    assert sum(chunk.events[Domain.CLOUD].height for chunk in chunks) == 1834 + 310
