"""AWS CloudTrail as JSON lines, in a plain loop."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, finished, first, moment, text
from features.events import Domain

_RESOURCES = (
    "bucketName", "roleName", "userName", "groupName", "instanceId", "secretId", "functionName", "tableName",
    "queueUrl", "topicArn", "dBInstanceIdentifier", "dBSnapshotIdentifier", "clusterName", "stackName", "trailName",
    "repositoryName", "logGroupName", "groupId", "snapshotId", "volumeId", "imageId", "keyId", "modelId", "roleArn",
    "policyArn", "policyName", "instanceProfileName", "vpcId", "subnetId", "resourceId", "name",
)  # fmt: skip
_ACTIVITY = {
    **dict.fromkeys("Create Put New Run Allocate Register Import Copy Issue Upload".split(), "create"),
    **dict.fromkeys("Get List Describe Lookup Filter Receive Head Search Query Scan Select".split(), "read"),
    **dict.fromkeys("Update Modify Set Change Reset Enable Disable Tag Untag Add Remove".split(), "update"),
    **dict.fromkeys("Attach Detach Associate Disassociate Authorize Revoke".split(), "update"),
    **dict.fromkeys("Delete Terminate Stop Deregister Release".split(), "delete"),
}
_MFA = {"Yes": "true", "No": "false"}
_VERB = re.compile(r"(?:Admin|Batch)?([A-Z][a-z]+)")
_LAST_PART = re.compile(r"([^/:]+)$")

Record = dict[str, Any]


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
            if record.get("eventName") is None:
                continue
            event = finished({"line": number} | _draft(record), line)
        except REFUSED:
            continue
        yield Domain.CLOUD.value, event


def _object(record: Record, name: str) -> Record:
    """An object of the record; none where a service wrote something else."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _draft(record: Record) -> Draft:
    identity, name = _object(record, "userIdentity"), record["eventName"]
    session = _object(identity, "sessionContext")
    has_failed = record.get("errorCode") is not None or (
        _object(record, "responseElements").get("ConsoleLogin") == "Failure"
    )
    mfa = _object(record, "additionalEventData").get("MFAUsed")
    return {
        "time": moment(record.get("eventTime")),
        "uid": record.get("eventID"),
        "class_uid": 6003,
        "activity_name": _activity(record, name),
        "event_code": f"cloudtrail/{name}",
        "status": "failure" if has_failed else "success",
        "actor_user_name": _actor(identity, session),
        "actor_user_type": identity.get("type"),
        "src_endpoint_ip": record.get("sourceIPAddress"),
        "api_service_name": record.get("eventSource"),
        "api_operation": name,
        "api_response_error": first(record, "errorCode", "errorMessage") if has_failed else None,
        "cloud_region": record.get("awsRegion"),
        "cloud_account_uid": first(record, "recipientAccountId") or identity.get("accountId"),
        "resource_name": _resource(record),
        "http_request_user_agent": record.get("userAgent"),
        "is_mfa": _MFA.get(mfa, mfa) if mfa else _object(session, "attributes").get("mfaAuthenticated"),
    }


def _activity(record: Record, name: str) -> str:
    verb = _VERB.match(name)
    known = _ACTIVITY.get(verb[1]) if verb else None
    return known or ("read" if record.get("readOnly") in (True, "true") else "other")


def _actor(identity: Record, session: Record) -> str | None:
    return (
        identity.get("userName")
        or _last_part(identity.get("arn"))
        or _object(session, "sessionIssuer").get("userName")
        or identity.get("invokedBy")
        or _last_part(identity.get("principalId"))
    )


def _last_part(name: str | None) -> str | None:
    found = _LAST_PART.search(name or "")
    return found[1] if found else None


def _resource(record: Record) -> str | None:
    asked = _object(record, "requestParameters")
    for name in _RESOURCES:
        value = asked.get(name)
        if value is not None and value != "":
            return text(value)
    instances = _object(asked, "instancesSet").get("items") or []
    for instance in instances:
        if instance.get("instanceId"):
            return text(instance["instanceId"])
    resources = record.get("resources") or []
    return resources[0].get("ARN") if resources else None
