"""Simulated events as flat frames, one column for each OCSF path, written as OCSF JSON lines."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from features.events import Domain, schema
from training.estate.chance import hex_ids

OCSF_VERSION = "1.3.0"

CLASSES: dict[Domain, dict[str, int]] = {
    Domain.IDENTITY: {"authentication": 3002, "account_change": 3001, "group_management": 3006},
    Domain.NETWORK: {"network_activity": 4001},
    Domain.DNS: {"dns_activity": 4003},
    Domain.WEB: {"http_activity": 4002},
    Domain.ENDPOINT: {
        "process_activity": 1007,
        "file_activity": 1001,
        "module_activity": 1005,
        "registry_key_activity": 201001,
        "registry_value_activity": 201002,
    },
    Domain.CLOUD: {"api_activity": 6003},
}

#: What OCSF lets each class do, besides Other.
ACTIVITIES: dict[str, tuple[str, ...]] = {
    "authentication": (
        *("Logon", "Logoff", "Authentication Ticket", "Service Ticket Request", "Service Ticket Renew", "Preauth"),
    ),
    "account_change": (
        *("Create", "Enable", "Password Change", "Password Reset", "Disable", "Delete", "Attach Policy"),
        *("Detach Policy", "Lock", "MFA Factor Enable", "MFA Factor Disable", "Unlock"),
    ),
    "group_management": ("Assign Privileges", "Revoke Privileges", "Add User", "Remove User", "Delete", "Create"),
    "network_activity": ("Open", "Close", "Reset", "Fail", "Refuse", "Traffic", "Listen"),
    "dns_activity": ("Query", "Response", "Traffic"),
    "http_activity": ("Connect", "Delete", "Get", "Head", "Options", "Post", "Put", "Trace", "Patch"),
    "process_activity": ("Launch", "Terminate", "Open", "Inject", "Set User ID"),
    "file_activity": ("Create", "Read", "Update", "Delete", "Rename", "Set Attributes", "Encrypt", "Decrypt", "Open"),
    "module_activity": ("Load", "Unload"),
    "registry_key_activity": ("Create", "Read", "Modify", "Delete", "Rename", "Open", "Restore", "Import", "Export"),
    "registry_value_activity": ("Get", "Set", "Modify", "Delete"),
    "api_activity": ("Create", "Read", "Update", "Delete"),
}

_WHO = ("status", "device.hostname", "actor.user.name", "src_endpoint.ip")
_HEAD = ("time", "class_uid", "activity_name", "metadata.uid", "metadata.event_code")

#: The paths an event of each domain may have; `resource.name` is written as `resources[0].name`,
#: `answers` (parted by ;) as `answers[].rdata`.
PATHS: dict[Domain, tuple[str, ...]] = {
    Domain.IDENTITY: (
        *("user.name", "src_endpoint.hostname", "logon_type", "auth_protocol", "service.name", "status_detail"),
        *("group.name", "actor.process.file.path", *_WHO),
    ),
    Domain.NETWORK: (
        *("src_endpoint.port", "dst_endpoint.ip", "dst_endpoint.port", "connection_info.protocol_name", "app_name"),
        *("status_detail", "duration", "traffic.bytes_out", "traffic.bytes_in", "traffic.packets_out"),
        *("traffic.packets_in", "actor.process.file.path", *_WHO),
    ),
    Domain.DNS: (
        *("dst_endpoint.ip", "query.hostname", "query.type", "rcode", "answers", "actor.process.file.path", *_WHO),
    ),
    Domain.WEB: (
        *("dst_endpoint.hostname", "dst_endpoint.ip", "http_request.http_method", "http_request.url.path"),
        *("http_request.url.query_string", "http_request.user_agent", "http_request.referrer"),
        *("http_response.code", "http_response.length", *_WHO),
    ),
    Domain.ENDPOINT: (
        *("actor.process.file.path", "actor.process.uid", "process.file.path", "process.uid", "process.cmd_line"),
        *("process.integrity", "file.path", "reg_key.path", "module.file.path", "script.script_content"),
        *("actual_permissions", *_WHO),
    ),
    Domain.CLOUD: (
        *("actor.user.type", "api.service.name", "api.operation", "api.response.error", "cloud.region"),
        *("cloud.account.uid", "resource.name", "http_request.user_agent", "is_mfa", *_WHO),
    ),
}

Value = str | int | bool | None
Values = Value | Sequence[Any] | np.ndarray | pl.Series


def column(path: str) -> str:
    """The column of features/events.py that holds `path`.

    >>> column("metadata.uid"), column("process.file.path")
    ('uid', 'process_file_path')
    """
    return path.removeprefix("metadata.").removeprefix("script.").replace(".", "_")


#: The type of each path in a simulated event: as events have it, but time and duration in whole milliseconds.
KINDS: dict[Domain, dict[str, pl.DataType]] = {
    domain: {path: schema(domain)[column(path)] for path in (*_HEAD, *PATHS[domain])}
    | {"time": pl.Int64(), "duration": pl.Int64(), "is_mfa": pl.Boolean()}
    for domain in Domain
}


def record(
    rng: np.random.Generator,
    domain: Domain,
    class_name: str,
    activity: Values,
    time_N: np.ndarray,
    fields: Mapping[str, Values],
) -> pl.DataFrame:
    """N events of one class at `time_N` (milliseconds UTC); a single value stands for N of it."""
    values: dict[str, Values] = {
        "time": time_N,
        "class_uid": CLASSES[domain][class_name],
        "activity_name": activity,
        "metadata.uid": hex_ids(rng, len(time_N)),
        **fields,
    }
    return pl.DataFrame([_series(domain, path, value, len(time_N)) for path, value in values.items()])


def _series(domain: Domain, path: str, value: Values, count: int) -> pl.Series:
    if value is None or isinstance(value, str | int):
        return pl.Series(path, [value], dtype=KINDS[domain][path]).new_from_index(0, count)
    return pl.Series(path, value, dtype=KINDS[domain][path])


def gather(domain: Domain, frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One frame of all the events of `domain`, with all its paths, in the order of time."""
    empty = pl.DataFrame(schema={path: KINDS[domain][path] for path in (*_HEAD, *PATHS[domain])})
    return pl.concat([empty, *frames], how="diagonal").sort("time", "metadata.uid")


def write(domain: Domain, events: pl.DataFrame, out: Path, *, suffix: str) -> None:
    """Write `events` to `out` as OCSF JSON lines without empty fields; `suffix` completes host names."""
    events = events.with_columns(pl.lit(OCSF_VERSION).alias("metadata.version"))
    events = events.with_columns(_dialect(domain, suffix))
    paths = [path for path in events.columns if events[path].null_count() < len(events)]
    filled = pl.concat_str([pl.col(path).is_not_null().cast(pl.Int8) for path in paths]).alias("filled")
    parts = events.with_row_index("row").with_columns(filled).partition_by("filled", as_dict=True, maintain_order=True)
    lines = [
        _encode(part, [p for p, bit in zip(paths, str(key[0]), strict=True) if bit == "1"])
        for key, part in parts.items()
    ]
    text = pl.concat(lines).sort("row")["text"] if lines else pl.Series("text", [], pl.String)
    out.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")


def _dialect(domain: Domain, suffix: str) -> list[pl.Expr]:
    """How the logs of `domain` write the names of hosts and users."""
    user = pl.col("actor.user.name")
    full_host = (pl.col("device.hostname") + "." + suffix).str.to_uppercase()
    windows_user = pl.lit(suffix.split(".")[0].upper() + "\\") + user
    mailbox = pl.when(pl.col("actor.user.type") == "Regular").then(user + "@" + suffix).otherwise(user)
    system = pl.when(user == "system").then(pl.lit("NT AUTHORITY\\SYSTEM"))
    dialects = {
        Domain.ENDPOINT: [full_host, system.otherwise(windows_user).alias("actor.user.name")],
        Domain.NETWORK: [full_host],
        Domain.DNS: [full_host],
        Domain.CLOUD: [mailbox.alias("actor.user.name")],
    }
    return dialects.get(domain, [])


def _encode(part: pl.DataFrame, paths: list[str]) -> pl.DataFrame:
    return part.select("row", pl.struct(_nest(paths)).struct.json_encode().alias("text"))


def _nest(paths: list[str], prefix: str = "") -> list[pl.Expr]:
    """Struct expressions that nest dotted `paths`, each known to begin with `prefix`."""
    heads = dict.fromkeys(path.removeprefix(prefix).split(".")[0] for path in paths)
    return [_branch(head, paths, prefix) for head in heads]


def _branch(head: str, paths: list[str], prefix: str) -> pl.Expr:
    path = prefix + head
    if path == "answers":
        return pl.col(path).str.split(";").list.eval(pl.struct(pl.element().alias("rdata"))).alias(head)
    if path in paths:
        return pl.col(path).alias(head)
    inner = pl.struct(_nest([p for p in paths if p.startswith(path + ".")], path + "."))
    return pl.concat_list(inner).alias("resources") if path == "resource" else inner.alias(head)
