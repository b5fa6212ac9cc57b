"""AWS CloudTrail as JSON lines, whole `Records` files or arrays: calls to the cloud's API."""

from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from features.events import Domain
from features.moments import moment
from features.records import json_as, json_records
from features.source import Drafts, Source, refusals

#: What a call was made on, best first; these are names in `requestParameters`.
_RESOURCES = (
    "bucketName", "roleName", "userName", "groupName", "instanceId", "secretId", "functionName", "tableName",
    "queueUrl", "topicArn", "dBInstanceIdentifier", "dBSnapshotIdentifier", "clusterName", "stackName", "trailName",
    "repositoryName", "logGroupName", "groupId", "snapshotId", "volumeId", "imageId", "keyId", "modelId", "roleArn",
    "policyArn", "policyName", "instanceProfileName", "vpcId", "subnetId", "resourceId", "name", "instancesSet",
)  # fmt: skip

_TEXT = pl.String()
_IDENTITY = {
    **dict.fromkeys(("type", "userName", "arn", "accountId", "principalId", "invokedBy"), _TEXT),
    "sessionContext": pl.Struct(
        {
            "sessionIssuer": pl.Struct({"userName": _TEXT}),
            "attributes": pl.Struct({"mfaAuthenticated": _TEXT}),
        }
    ),
}
_ENVELOPE = pl.Schema(
    dict.fromkeys(
        (
            *("eventID", "eventTime", "eventName", "eventSource", "awsRegion", "recipientAccountId", "readOnly"),
            *("sourceIPAddress", "userAgent", "errorCode", "errorMessage"),
        ),
        _TEXT,
    )
    | {"userIdentity": pl.Struct(_IDENTITY)}
)

#: What services write as they like: an object mostly, but text where AWS hides it.
_SAID = pl.Schema(
    {
        "requestParameters": pl.Struct(dict.fromkeys(_RESOURCES, _TEXT)),
        "responseElements": pl.Struct({"ConsoleLogin": _TEXT}),
        "additionalEventData": pl.Struct({"MFAUsed": _TEXT}),
        "resources": pl.List(pl.Struct({"ARN": _TEXT})),
    }
)

#: The activity of an operation by its first word; another word reads if its record says `readOnly`.
_ACTIVITY = {
    **dict.fromkeys("Create Put New Run Allocate Register Import Copy Issue Upload".split(), "create"),
    **dict.fromkeys("Get List Describe Lookup Filter Receive Head Search Query Scan Select".split(), "read"),
    **dict.fromkeys("Update Modify Set Change Reset Enable Disable Tag Untag Add Remove".split(), "update"),
    **dict.fromkeys("Attach Detach Associate Disassociate Authorize Revoke".split(), "update"),
    **dict.fromkeys("Delete Terminate Stop Deregister Release".split(), "delete"),
}


class _Call(msgspec.Struct):
    """What tells a record of CloudTrail from others."""

    event_time: str = msgspec.field(name="eventTime")
    event_source: str = msgspec.field(name="eventSource")
    event_name: str = msgspec.field(name="eventName")


def recognises(head: Sequence[str]) -> bool:
    """JSON with `eventTime`, `eventSource` and `eventName`."""
    return any(_is_call(line) for line in head[:10])


def _is_call(line: str) -> bool:
    return json_as(line, _Call) is not None


def begin(_name: str, _frames: Iterator[pl.DataFrame]) -> None:
    """A record needs no context."""


def parse(lines: pl.DataFrame, context: None) -> tuple[Drafts, None]:
    """Every record as an event of the cloud; one that names no operation is refused."""
    records, refused = _records(lines)
    is_named = records["eventName"].is_not_null()
    nameless = refusals(records.filter(~is_named), "eventName", "expected a CloudTrail record with its eventName")
    events = records.filter(is_named).select("line", "text", **_COLUMNS)
    return Drafts({Domain.CLOUD: events}, pl.concat([refused, nameless])), context


def _records(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The fields of each record; where parameters are no object, the record is read without them."""
    records, refused = json_records(lines, pl.Schema(_ENVELOPE | _SAID))
    if refused.is_empty():
        return records, refused
    bare, refused = json_records(lines.filter(pl.col("line").is_in(refused["line"].implode())), _ENVELOPE)
    bare = bare.with_columns(pl.lit(None, kind).alias(name) for name, kind in _SAID.items())
    return pl.concat([records, bare]).sort("line"), refused


def _identity(*path: str) -> pl.Expr:
    found = pl.col("userIdentity")
    for step in path:
        found = found.struct.field(step)
    return found


def _asked(name: str) -> pl.Expr:
    value = pl.col("requestParameters").struct.field(name)
    if name == "instancesSet":
        value = value.str.extract(r'"instanceId": ?"([^"]+)"')
    return pl.when(value != "").then(value)


#: A console login that fails is no error of the API: its answer tells.
_ANSWER = pl.col("responseElements").struct.field("ConsoleLogin")
_FAILED = pl.col("errorCode").is_not_null() | (_ANSWER == "Failure").fill_null(False)
_VERB = pl.col("eventName").str.extract(r"^(?:Admin|Batch)?([A-Z][a-z]+)")
_READS = pl.when(pl.col("readOnly") == "true").then(pl.lit("read")).otherwise(pl.lit("other"))
_MFA_USED = pl.col("additionalEventData").struct.field("MFAUsed").replace({"Yes": "true", "No": "false"})
_LAST_PART = r"([^/:]+)$"

_COLUMNS: dict[str, pl.Expr] = {
    "time": moment(pl.col("eventTime")),
    "time_text": pl.col("eventTime"),
    "uid": pl.col("eventID"),
    "class_uid": pl.lit(6003),
    "activity_name": pl.coalesce(_VERB.replace_strict(_ACTIVITY, default=None, return_dtype=pl.String), _READS),
    "event_code": "cloudtrail/" + pl.col("eventName"),
    "status": pl.when(_FAILED).then(pl.lit("failure")).otherwise(pl.lit("success")),
    "actor_user_name": pl.coalesce(
        _identity("userName"),
        _identity("arn").str.extract(_LAST_PART),
        _identity("sessionContext", "sessionIssuer", "userName"),
        _identity("invokedBy"),
        _identity("principalId").str.extract(_LAST_PART),
    ),
    "actor_user_type": _identity("type"),
    "src_endpoint_ip": pl.col("sourceIPAddress"),
    "api_service_name": pl.col("eventSource"),
    "api_operation": pl.col("eventName"),
    "api_response_error": pl.when(_FAILED).then(pl.coalesce("errorCode", "errorMessage")),
    "cloud_region": pl.col("awsRegion"),
    "cloud_account_uid": pl.coalesce(pl.col("recipientAccountId"), _identity("accountId")),
    "resource_name": pl.coalesce(
        *(_asked(name) for name in _RESOURCES),
        pl.col("resources").list.get(0, null_on_oob=True).struct.field("ARN"),
    ),
    "http_request_user_agent": pl.col("userAgent"),
    "is_mfa": pl.coalesce(_MFA_USED, _identity("sessionContext", "attributes", "mfaAuthenticated")),
}

SOURCE = Source("cloudtrail", recognises, begin, parse)
