"""Access logs of Apache and nginx, in a plain loop."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from benchmarks.plain.entities import REFUSED, Draft, Event, finished
from features.events import Domain

_QUOTED = r'[^"\\]*(?:\\.[^"\\]*)*'
_LINE = re.compile(
    r'^"?(?:(?P<site>[\w.-]+|\[[\da-fA-F:.]+\])(?::\d+)? )?'
    r"(?P<client>[\w:.][\w:.%-]*)(?:, ?[\w:.%-]+)* \S+ (?P<user>[^:]+?) \[(?P<stamp>\d[^\]\[]*)\] "
    rf'"(?P<request>{_QUOTED})" (?P<code>\d{{3}}|-) (?P<size>\d+|-)'
    rf'(?: "(?P<referrer>{_QUOTED})" "(?P<agent>{_QUOTED})"(?: .*)?| [^"]*)?"?$'
)
_REQUEST = re.compile(r"^(?P<method>[A-Za-z][\w-]*) (?:(?P<target>.*) HTTP/[\d.]+|(?P<bare>[/*]\S*))$")
_ESCAPED = re.compile(r'\\(["\\])')


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    for number, line in enumerate(lines):
        found = _LINE.match(line.rstrip("\r\n"))
        if not found:
            continue
        try:
            event = finished({"line": number} | _draft(found.groupdict()), line)
        except REFUSED:
            continue
        yield Domain.WEB.value, event


def _draft(parts: dict[str, str | None]) -> Draft:
    request = _REQUEST.match(parts["request"] or "")
    method = request["method"] if request else None
    target = _written(request["target"] or request["bare"]) if request else None
    path, mark, query = (target or "").partition("?")
    code = None if parts["code"] == "-" else int(parts["code"] or 0)
    return {
        "time": datetime.strptime(parts["stamp"] or "", "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC),
        "class_uid": 4002,
        "activity_name": method.lower() if method else "unknown",
        "event_code": "weblog/access",
        "status": None if code is None else "success" if code < 400 else "failure",
        "actor_user_name": _written(parts["user"]),
        "src_endpoint_ip": parts["client"],
        "dst_endpoint_hostname": parts["site"],
        "http_request_http_method": method,
        "http_request_url_path": path if target else None,
        "http_request_url_query_string": query if mark else None,
        "http_request_user_agent": _written(parts["agent"]),
        "http_request_referrer": _written(parts["referrer"]),
        "http_response_code": code,
        "http_response_length": parts["size"],
    }


def _written(field: str | None) -> str | None:
    """What was sent, before quotes and backslashes were escaped; none for a dash or nothing."""
    return None if field in (None, "", "-") else _ESCAPED.sub(r"\1", field or "")
