"""One event's values, written the way the mesh writes them; what the door would refuse raises."""

import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from features.events import Domain
from features.findings import WORDS

Draft = dict[str, Any]
Event = dict[str, object]

#: What a record raises that the door would refuse, for its values or for its shape.
REFUSED = (ValueError, TypeError, AttributeError)

_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}")
_IPV4_PORT = re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}):\d+")
_IPV6_PORT = re.compile(r"\[(.*)\](?::\d+)?")
_PORT = re.compile(r":\d+$")
_VOLUME = re.compile(r"^\\device\\harddiskvolume\d+\\")
_DEVICE = re.compile(r"^\\(?:\?\?|\\\?)\\")
_NOTHING = {"", "-", "(null)", "n/a"}
_ROOTS = {"\\registry\\machine": "hklm", "\\registry\\user": "hku", "hkey_local_machine": "hklm", "hkey_users": "hku"}
_SPOKEN = {d: re.compile(rf"(?:^|[^a-z])(?:{w.replace(' ', '|')})(?:[^a-z]|$)") for d, w in WORDS.items()}
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def text(value: Any) -> str:
    """A JSON value as text: as it is, or as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def first(record: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that has a value."""
    for name in names:
        value = record.get(name)
        if value is not None:
            return value
    return None


def named(value: str) -> str | None:
    """Lower-case, trimmed; none where a log writes a dash or nothing."""
    clean = value.strip().lower()
    return None if clean in _NOTHING else clean


def code(value: str) -> str | None:
    """A protocol's word in upper case."""
    name = named(value)
    return name and name.upper()


def host(value: str) -> str | None:
    """A machine's short name, or its address uncut."""
    name = named(value.lstrip("\\"))
    if name is None:
        return None
    if ":" in name or _IPV4.fullmatch(name):
        return address(name)
    return named(name.partition(".")[0])


def site(value: str) -> str | None:
    """A name of the DNS, whole, without port and closing dot."""
    name = named(value)
    return name and named(_PORT.sub("", name).rstrip("."))


def user(value: str) -> str | None:
    """An account's name without its domain."""
    name = named(value)
    if name is None:
        return None
    name = name.rpartition("\\")[2]
    at = name.find("@", 1)
    return named(name if at < 0 else name[:at])


def address(value: str) -> str | None:
    """An IP address in its canonical form, without port, brackets and zone."""
    bare = named(value)
    if bare is None or (":" not in bare and "%" not in bare and "[" not in bare):
        return bare
    if ported := _IPV6_PORT.fullmatch(bare) or _IPV4_PORT.fullmatch(bare):
        bare = ported[1]
    bare = bare.partition("%")[0]
    return _canonical(bare) if ":" in bare else named(bare)


def _canonical(value: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(value)
    except ValueError:
        return value
    return str(parsed.ipv4_mapped or parsed)


def path(value: str) -> str | None:
    """A file, program or pipe in lower case; the kernel's way of writing drive C becomes `c:`."""
    clean = named(value)
    if clean is None:
        return None
    if clean.startswith("\\"):
        clean = _DEVICE.sub("", _VOLUME.sub(r"c:\\", clean))
    return named(clean.strip('"'))


def registry_key(value: str) -> str | None:
    """A registry key in lower case, under a short root."""
    key = named(value)
    for root, short in _ROOTS.items():
        if key and key.startswith(root):
            return short + key[len(root) :]
    return key


def moment(value: str | float | None) -> datetime | None:
    """A time in UTC from ISO 8601, or from seconds, milli- or microseconds since 1970."""
    if value is None:
        return None
    try:
        if isinstance(value, str) and value[4:5] == "-":
            written = datetime.fromisoformat(value)
            return written.astimezone(UTC) if written.tzinfo else written.replace(tzinfo=UTC)
        number = float(value)
        seconds = number if number < 1e11 else number / 1e3 if number < 1e14 else number / 1e6
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def hashed(record: str) -> str:
    """A name for a record that has none."""
    return hashlib.blake2b(record.encode(), digest_size=8).hexdigest()


def _whole(most: int) -> Callable[[str | int], int | None]:
    def whole(value: str | int) -> int | None:
        if value in ("", "-"):
            return None
        number = int(value)
        if not 0 <= number <= most:
            raise ValueError(f"expected a whole number from 0 to {most}")
        return number

    return whole


def _finite(value: str | float) -> float | None:
    if value in ("", "-"):
        return None
    number = float(value)
    if not math.isfinite(number) or not 0 <= number <= 2**53:
        raise ValueError(f"expected a finite number from 0 to {2**53}")
    return number


def _possible(value: datetime) -> datetime:
    if not _FIRST <= value <= _LAST:
        raise ValueError("expected a time between 1970 and 2100")
    return value


def _all(names: str, written: Callable[[Any], object]) -> dict[str, Callable[[Any], object]]:
    return dict.fromkeys(names.split(), written)


#: How each column is written; others are text.
_WRITTEN: dict[str, Callable[[Any], object]] = {
    **_all("time", _possible),
    **_all("device_hostname src_endpoint_hostname", host),
    **_all("dst_endpoint_hostname query_hostname", site),
    **_all("actor_user_name user_name", user),
    **_all("src_endpoint_ip dst_endpoint_ip", address),
    **_all("actor_process_file_path process_file_path module_file_path file_path", path),
    **_all("reg_key_path", registry_key),
    **_all("activity_name service_name group_name connection_info_protocol_name app_name status", named),
    **_all("logon_type auth_protocol process_integrity", named),
    **_all("query_type rcode http_request_http_method", code),
    **_all("src_endpoint_port dst_endpoint_port", _whole(65_535)),
    **_all("line traffic_bytes_out traffic_bytes_in traffic_packets_out traffic_packets_in", _whole(2**53)),
    **_all("http_response_code http_response_length", _whole(2**53)),
    **_all("class_uid", _whole(2**31 - 1)),
    **_all("duration", _finite),
}


def finished(draft: Draft, record: str) -> Event:
    """The event of a draft, without what has no value. Raises ValueError where the door would refuse the record."""
    if draft["time"] is None:
        raise ValueError("the time is missing")
    event: Event = {}
    for name, value in draft.items():
        if value is not None:
            written = _WRITTEN.get(name, text)(value)
            if written is not None:
                event[name] = written
    if "uid" not in event:
        event["uid"] = hashed(record)
    return event


def said(record: Mapping[str, Any], names: Iterable[str], nothing: tuple[str, ...]) -> str | None:
    """The first of these fields that says something, as text."""
    for name in names:
        value = record.get(name)
        if value is not None and value not in nothing:
            return text(value)
    return None


@lru_cache(maxsize=4096)
def domain_named(*texts: str | None) -> Domain:
    """The domain that the first of these texts which names any names; else endpoint."""
    for each in texts:
        for domain, words in _SPOKEN.items():
            if each and words.search(each.lower()):
                return domain
    return Domain.ENDPOINT
