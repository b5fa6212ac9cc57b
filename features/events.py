"""The columns an event has in each security domain."""

from enum import StrEnum
from functools import cache

import polars as pl


class Domain(StrEnum):
    """The six security domains, each watched by one agent."""

    IDENTITY = "identity"
    NETWORK = "network"
    DNS = "dns"
    WEB = "web"
    ENDPOINT = "endpoint"
    CLOUD = "cloud"


TIME = pl.Datetime("us", "UTC")
STRING = pl.String()

#: Where a record came from: path as given, member of an archive (or null), 0-based record number.
ORIGIN: dict[str, pl.DataType] = {
    "source": pl.String(),
    "member": pl.String(),
    "line": pl.Int64(),
}

#: Columns of every event. `uid` is the record's own id or a hash of its text;
#: `class_uid` and `activity_name` are OCSF's; `event_code` is the code its log gave it.
COMMON: dict[str, pl.DataType] = ORIGIN | {
    "time": TIME,
    "uid": pl.String(),
    "class_uid": pl.Int32(),
    "activity_name": pl.String(),
    "event_code": pl.String(),
    "status": pl.String(),
    "device_hostname": pl.String(),
    "actor_user_name": pl.String(),
    "src_endpoint_ip": pl.String(),
}

#: OCSF attributes of each domain, their path's dots written as underscores.
ATTRIBUTES: dict[Domain, dict[str, pl.DataType]] = {
    Domain.ENDPOINT: {
        "actor_process_file_path": pl.String(),
        "actor_process_uid": pl.String(),
        "process_file_path": pl.String(),
        "process_uid": pl.String(),
        "process_cmd_line": pl.String(),
        "process_integrity": pl.String(),
        "file_path": pl.String(),
        "reg_key_path": pl.String(),
        "module_file_path": pl.String(),
        "script_content": pl.String(),
        "actual_permissions": pl.String(),
    },
    Domain.IDENTITY: {
        "user_name": pl.String(),
        "src_endpoint_hostname": pl.String(),
        "logon_type": pl.String(),
        "auth_protocol": pl.String(),
        "service_name": pl.String(),
        "status_detail": pl.String(),
        "group_name": pl.String(),
        "actor_process_file_path": pl.String(),
    },
    Domain.NETWORK: {
        "src_endpoint_port": pl.Int64(),
        "dst_endpoint_ip": pl.String(),
        "dst_endpoint_port": pl.Int64(),
        "connection_info_protocol_name": pl.String(),
        "app_name": pl.String(),
        "status_detail": pl.String(),
        "duration": pl.Float64(),
        "traffic_bytes_out": pl.Int64(),
        "traffic_bytes_in": pl.Int64(),
        "traffic_packets_out": pl.Int64(),
        "traffic_packets_in": pl.Int64(),
        "actor_process_file_path": pl.String(),
    },
    Domain.DNS: {
        "dst_endpoint_ip": pl.String(),
        "query_hostname": pl.String(),
        "query_type": pl.String(),
        "rcode": pl.String(),
        "answers": pl.String(),
        "actor_process_file_path": pl.String(),
    },
    Domain.WEB: {
        "dst_endpoint_hostname": pl.String(),
        "dst_endpoint_ip": pl.String(),
        "http_request_http_method": pl.String(),
        "http_request_url_path": pl.String(),
        "http_request_url_query_string": pl.String(),
        "http_request_user_agent": pl.String(),
        "http_request_referrer": pl.String(),
        "http_response_code": pl.Int64(),
        "http_response_length": pl.Int64(),
    },
    Domain.CLOUD: {
        "actor_user_type": pl.String(),
        "api_service_name": pl.String(),
        "api_operation": pl.String(),
        "api_response_error": pl.String(),
        "cloud_region": pl.String(),
        "cloud_account_uid": pl.String(),
        "resource_name": pl.String(),
        "http_request_user_agent": pl.String(),
        "is_mfa": pl.String(),
    },
}

#: What a verdict is about: entity kind -> the columns that name it, the first that has a value, in each domain.
ENTITIES: dict[Domain, dict[str, tuple[str, ...]]] = {
    Domain.ENDPOINT: {
        "user": ("actor_user_name",),
        "host": ("device_hostname",),
        "address": ("src_endpoint_ip",),
        "process": ("actor_process_file_path", "process_file_path"),
    },
    Domain.IDENTITY: {
        "user": ("user_name", "actor_user_name"),
        "host": ("device_hostname",),
        "address": ("src_endpoint_ip",),
        "process": ("actor_process_file_path",),
    },
    Domain.NETWORK: {
        "user": ("actor_user_name",),
        "host": ("device_hostname",),
        "address": ("src_endpoint_ip",),
        "peer": ("dst_endpoint_ip",),
        "process": ("actor_process_file_path",),
    },
    Domain.DNS: {
        "user": ("actor_user_name",),
        "host": ("device_hostname",),
        "address": ("src_endpoint_ip",),
        "process": ("actor_process_file_path",),
    },
    Domain.WEB: {
        "user": ("actor_user_name",),
        "host": ("dst_endpoint_hostname",),
        "address": ("src_endpoint_ip",),
    },
    Domain.CLOUD: {
        "user": ("actor_user_name",),
        "address": ("src_endpoint_ip",),
    },
}


#: The kind of entity that a column names, of kinds that have more than one spelling worth showing.
KINDS: dict[str, str] = {
    column: kind
    for kinds in ENTITIES.values()
    for kind, columns in kinds.items()
    for column in columns
    if kind not in ("address", "peer")
}

#: What an event must tell: of each group of columns at least one. Whom it is about, and in the cloud, what was called.
REQUIRED: dict[Domain, tuple[tuple[str, ...], ...]] = {
    domain: (tuple(column for columns in kinds.values() for column in columns),) for domain, kinds in ENTITIES.items()
}
REQUIRED[Domain.CLOUD] += (("api_operation",),)


@cache
def schema(domain: Domain) -> pl.Schema:
    """The columns of an event frame of `domain`, in order: the same value at each call.

    >>> "query_hostname" in schema(Domain.DNS)
    True
    """
    return pl.Schema(COMMON | ATTRIBUTES[domain])
