"""AWS CloudTrail as JSON lines, whole `Records` files or arrays: calls to the cloud's API."""

from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from features.events import Domain
from features.moments import moment
from features.records import Wanted, by_path, json_as, json_records
from features.source import Drafts, Source, refusals

#: What a call was made on, best first; these are names in `requestParameters`.
_RESOURCES = (
    "bucketName", "roleName", "userName", "groupName", "instanceId", "secretId", "functionName", "tableName",
    "queueUrl", "topicArn", "dBInstanceIdentifier", "dBSnapshotIdentifier", "clusterName", "stackName", "trailName",
    "repositoryName", "logGroupName", "groupId", "snapshotId", "volumeId", "imageId", "keyId", "modelId", "roleArn",
    "policyArn", "policyName", "instanceProfileName", "vpcId", "subnetId", "resourceId", "name", "instancesSet",
)  # fmt: skip

_ENVELOPE = (
    *("eventID", "eventTime", "eventName", "eventSource", "awsRegion", "recipientAccountId", "readOnly"),
    *("sourceIPAddress", "userAgent", "errorCode", "errorMessage"),
)
_IDENTITY = ("type", "userName", "arn", "accountId", "principalId", "invokedBy")
_ISSUER = "userIdentity.sessionContext.sessionIssuer.userName"
_MFA = "userIdentity.sessionContext.attributes.mfaAuthenticated"
_ANSWER, _MFA_USED, _FIRST_RESOURCE = (
    *("responseElements.ConsoleLogin", "additionalEventData.MFAUsed", "resources[0].ARN"),
)
_ASKED = [f"requestParameters.{name}" for name in _RESOURCES]

#: What services write as they like: an object mostly, but text where AWS hides it.
_WANTED = Wanted(
    by_path(_ENVELOPE)
    | by_path(f"userIdentity.{name}" for name in _IDENTITY)
    | by_path([_ISSUER, _MFA, _ANSWER, _MFA_USED, _FIRST_RESOURCE, *_ASKED]),
    whole=_ASKED,
    hidden=("requestParameters", "responseElements", "additionalEventData", "resources"),
    unset=("",),
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


def parse(lines: pl.DataFrame, _context: None) -> Drafts:
    """Every record as an event of the cloud; one that names no operation is refused."""
    records = json_records(lines, _WANTED)
    is_named = records.fields["eventName"].is_not_null()
    reason = "expected a CloudTrail record with its eventName"
    nameless = refusals(records.fields.filter(~is_named), "eventName", reason)
    events = {Domain.CLOUD: records.fields.filter(is_named).select("line", "text", **_COLUMNS)}
    return Drafts(events, pl.concat([records.refused, nameless]), records.unmapped, records.total)


def _identity(name: str) -> pl.Expr:
    return pl.col(f"userIdentity.{name}")


def _asked(name: str) -> pl.Expr:
    value = pl.col(f"requestParameters.{name}")
    return value.str.extract(r'"instanceId": ?"([^"]+)"') if name == "instancesSet" else value


#: A console login that fails is no error of the API: its answer tells.
_FAILED = pl.col("errorCode").is_not_null() | (pl.col(_ANSWER) == "Failure").fill_null(False)
_VERB = pl.col("eventName").str.extract(r"^(?:Admin|Batch)?([A-Z][a-z]+)")
_READS = pl.when(pl.col("readOnly") == "true").then(pl.lit("read")).otherwise(pl.lit("other"))
_LAST_PART = r"([^/:]+)$"

#: Who takes a role picks the session's name: a new one each time for programs, but a person's own where people log in.
_ARN = _identity("arn")
_ROLE = pl.coalesce(pl.col(_ISSUER), _ARN.str.extract(r":assumed-role/([^/]+)/"))
_SESSION = _ARN.str.extract(r":assumed-role/[^/]+/(.+)$")
_IS_PERSON = _SESSION.str.contains("@", literal=True) | _ROLE.str.starts_with("AWSReservedSSO_")

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
        pl.when(_IS_PERSON).then(_SESSION),
        _ROLE,
        _ARN.str.extract(_LAST_PART),
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
        _FIRST_RESOURCE,
    ),
    "http_request_user_agent": pl.col("userAgent"),
    "is_mfa": pl.coalesce(pl.col(_MFA_USED).replace({"Yes": "true", "No": "false"}), _MFA),
}

SOURCE = Source("cloudtrail", recognises, begin, parse)
