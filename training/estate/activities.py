"""The kinds of events that any life in the estate leaves in its logs."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from features.events import Domain
from training.estate import catalogue
from training.estate.catalogue import Program
from training.estate.chance import hex_ids
from training.estate.inhabitants import Estate, Site
from training.estate.records import Value, Values, record

SYSTEM = "system"

#: The domain controller that answers the estate's DNS questions.
RESOLVER = "10.10.0.10"

Strings = str | Sequence[str]
Numbers = int | Sequence[int] | np.ndarray
Chance = np.random.Generator

#: Protocol of a port -> the application a flow log names.
APPS = {443: "tls", 80: "http", 445: "smb", 88: "kerberos", 389: "ldap", 53: "dns", 5432: "postgresql", 123: "ntp"}
APPS |= {3389: "rdp", 22: "ssh", 5985: "winrm", 993: "imaps", 6160: "veeam", 8443: "tls", 135: "dce_rpc"}


def filled(rng: Chance, programs: Sequence[Program], user: str, servers: Sequence[str]) -> list[tuple[str, str]]:
    """The path and the command line of each of `programs`, their blanks filled."""
    docs = rng.choice(catalogue.SYLLABLES, (len(programs), 2))
    number_N = rng.integers(1, 9999, len(programs))
    server_N = rng.choice(np.array(servers), len(programs))
    return [
        _fill(program, {"{doc}": "".join(doc), "{n}": str(number), "{user}": user, "{server}": str(server)}, servers[0])
        for program, doc, number, server in zip(programs, docs, number_N, server_N, strict=True)
    ]


def _fill(program: Program, blanks: dict[str, str], share: str) -> tuple[str, str]:
    path, arguments = program.path, program.arguments.replace("{share}", f"{share}\\team")
    for blank, text in blanks.items():
        path, arguments = path.replace(blank, text), arguments.replace(blank, text)
    return path, f'"{path}" {arguments}'.strip()


def launches(
    rng: Chance, time_N: np.ndarray, programs: Sequence[Program], host: str, user: str, servers: Sequence[str]
) -> pl.DataFrame:
    """Processes started on `host`, and the end of some of them."""
    pairs = filled(rng, programs, user, servers)
    uids = hex_ids(rng, len(pairs), 16)
    integrity = ["System" if user == SYSTEM else "High" if p.parent == catalogue.CMD else "Medium" for p in programs]
    fields: dict[str, Values] = {
        "status": "Success",
        "device.hostname": host,
        "actor.user.name": user,
        "actor.process.file.path": [program.parent for program in programs],
        "actor.process.uid": hex_ids(rng, len(pairs), 16),
        "process.file.path": [path for path, _ in pairs],
        "process.uid": uids,
        "process.integrity": integrity,
    }
    lines: dict[str, Values] = {"process.cmd_line": [line for _, line in pairs], "metadata.event_code": "1"}
    started = record(rng, Domain.ENDPOINT, "process_activity", "Launch", time_N, fields | lines)
    lasting_N = rng.exponential(900_000, len(pairs)).astype(np.int64)
    fields |= {"metadata.event_code": "5"}
    ended = record(rng, Domain.ENDPOINT, "process_activity", "Terminate", time_N + lasting_N, fields)
    return pl.concat([started, ended.filter(pl.Series(rng.random(len(pairs)) < 0.4))], how="diagonal")


def endpoint(
    rng: Chance,
    class_name: str,
    activity: Strings,
    code: str,
    time_N: np.ndarray,
    host: Strings,
    user: Strings,
    process: Strings,
    fields: dict[str, Values],
) -> pl.DataFrame:
    """What a running process does on its host: files, modules, registry keys, other processes."""
    actor: dict[str, Values] = {
        "metadata.event_code": code,
        "status": "Success",
        "device.hostname": host,
        "actor.user.name": user,
        "actor.process.file.path": process,
        "actor.process.uid": hex_ids(rng, len(time_N), 16),
    }
    return record(rng, Domain.ENDPOINT, class_name, activity, time_N, actor | fields)


def _spread(value: Strings, count: int) -> Sequence[str]:
    return [value] * count if isinstance(value, str) else value


def flows(
    rng: Chance,
    time_N: np.ndarray,
    source: Strings,
    target: Strings,
    port: Numbers,
    *,
    sent: float = 1500.0,
    got: float = 9000.0,
    host: Strings = "",
    process: Strings = "",
    seen: float = 0.5,
    protocol: Strings = "tcp",
) -> pl.DataFrame:
    """Connections with about `sent` bytes out and `got` bytes in; a sensor on `host` saw a share `seen` of them."""
    count = len(time_N)
    port_N = np.broadcast_to(np.asarray(port), count)
    out_N, in_N = (rng.lognormal(np.log(typical), 1.2, count).astype(np.int64) for typical in (sent, got))
    sensed_N = rng.random(count) < seen
    fields: dict[str, Values] = {
        "status": "Success",
        "src_endpoint.ip": source,
        "src_endpoint.port": rng.integers(49152, 65535, count),
        "dst_endpoint.ip": target,
        "dst_endpoint.port": port_N,
        "connection_info.protocol_name": protocol,
        "app_name": [APPS.get(int(number)) for number in port_N],
        "status_detail": pick_state(rng, count),
        "duration": rng.lognormal(6.5, 1.8, count).astype(np.int64),
        "traffic.bytes_out": out_N,
        "traffic.bytes_in": in_N,
        "traffic.packets_out": out_N // 700 + 2,
        "traffic.packets_in": in_N // 1100 + 2,
        "device.hostname": where(sensed_N, _spread(host, count)),
        "actor.process.file.path": where(sensed_N, _spread(process, count)),
    }
    return record(rng, Domain.NETWORK, "network_activity", "Traffic", time_N, fields)


def pick_state(rng: Chance, count: int) -> list[str]:
    """How connections ended, in Zeek's words."""
    return [str(state) for state in rng.choice(["SF", "S1", "RSTO", "RSTR"], count, p=[0.91, 0.03, 0.04, 0.02])]


def where(true_N: np.ndarray, values: Sequence[str]) -> list[str | None]:
    """Each value where true, nothing elsewhere or where it is empty."""
    return [value if true and value else None for true, value in zip(true_N, values, strict=True)]


def lookups(
    rng: Chance,
    time_N: np.ndarray,
    source: Strings,
    host: Strings,
    sites: Sequence[Site],
    *,
    process: Strings = "",
    kind: Strings = "A",
    rcode: Strings = "NoError",
) -> pl.DataFrame:
    """DNS questions for the names of `sites`, answered with their addresses."""
    count = len(time_N)
    failed = [code != "NoError" for code in _spread(rcode, count)]
    fields: dict[str, Values] = {
        "src_endpoint.ip": source,
        "dst_endpoint.ip": RESOLVER,
        "device.hostname": host,
        "query.hostname": [site.name for site in sites],
        "query.type": kind,
        "rcode": rcode,
        "answers": [None if bad else site.address for bad, site in zip(failed, sites, strict=True)],
        "actor.process.file.path": where(rng.random(count) < 0.5, _spread(process, count)),
    }
    return record(rng, Domain.DNS, "dns_activity", "Response", time_N, fields)


def requests(
    rng: Chance,
    time_N: np.ndarray,
    source: Strings,
    server: str,
    address: str,
    *,
    path: Strings,
    agent: Strings,
    user: Value = None,
    method: Strings = "GET",
    code: Numbers = 200,
    fields: dict[str, Values] | None = None,
) -> pl.DataFrame:
    """Lines of a web server's log."""
    seen: dict[str, Values] = {
        "src_endpoint.ip": source,
        "dst_endpoint.hostname": server,
        "dst_endpoint.ip": address,
        "http_request.http_method": method,
        "http_request.url.path": path,
        "http_request.user_agent": agent,
        "http_response.code": code,
        "http_response.length": rng.lognormal(8.2, 1.3, len(time_N)).astype(np.int64),
        "actor.user.name": user,
    }
    activity = [verb.title() for verb in _spread(method, len(time_N))]
    return record(rng, Domain.WEB, "http_activity", activity, time_N, seen | (fields or {}))


def calls(
    rng: Chance,
    estate: Estate,
    time_N: np.ndarray,
    user: str,
    operations: Sequence[catalogue.Operation],
    *,
    source: Strings,
    agent: Strings,
    kind: str = "IAMUser",
    error: float = 0.015,
    mfa: bool = True,
) -> pl.DataFrame:
    """Cloud API calls of one user or principal; a share `error` of them is denied."""
    denied_N = rng.random(len(time_N)) < error
    fields: dict[str, Values] = {
        "status": np.where(denied_N, "Failure", "Success").tolist(),
        "actor.user.name": user,
        "actor.user.type": kind,
        "api.service.name": [operation.service for operation in operations],
        "api.operation": [operation.name for operation in operations],
        "api.response.error": where(denied_N, ["AccessDenied"] * len(time_N)),
        "cloud.region": estate.region,
        "cloud.account.uid": estate.account,
        "resource.name": [operation.resource or None for operation in operations],
        "src_endpoint.ip": source,
        "http_request.user_agent": agent,
        "is_mfa": mfa,
    }
    names = [operation.name for operation in operations]
    return record(rng, Domain.CLOUD, "api_activity", [_verb(name) for name in names], time_N, fields)


def _verb(operation: str) -> str:
    """OCSF's activity for an API operation."""
    verbs = {"Create": ("Create", "Put", "New", "Run"), "Delete": ("Delete", "Terminate", "Stop")}
    verbs |= {"Read": ("Get", "List", "Describe", "Lookup", "Filter", "Receive", "Mail", "FileA", "FileD", "FileP")}
    verbs |= {"Update": ("Update", "Attach", "Authorize", "FileM", "Sharing")}
    return next((verb for verb, heads in verbs.items() if operation.startswith(heads)), "Other")


def authentications(
    rng: Chance,
    time_N: np.ndarray,
    user: Strings,
    host: Strings,
    *,
    source: Strings,
    code: Strings,
    fields: dict[str, Values],
    activity: Strings = "Logon",
) -> pl.DataFrame:
    """Logons, tickets and logoffs as the hosts and domain controllers log them."""
    who: dict[str, Values] = {
        "metadata.event_code": code,
        "status": "Success",
        "user.name": user,
        "device.hostname": host,
        "src_endpoint.ip": source,
    }
    return record(rng, Domain.IDENTITY, "authentication", activity, time_N, who | fields)
