"""Syslog as daemons write it, in a plain loop."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, finished, moment
from features.events import Domain
from features.syslog_messages import MESSAGES, OTHER, Act

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_PRIORITY = r"^(?:<\d{1,3}>)?"
_REST = r" (?P<host>\S+)(?: (?P<program>[^\s\[\]:]+)(?:\[(?P<pid>[^\]\s]*)\])?:)?(?: (?P<message>.*))?$"
_CLOCK = r"\d\d:\d\d:\d\d(?:\.\d+)?"
_FORMS = (
    re.compile(rf"{_PRIORITY}(?P<month>{'|'.join(_MONTHS)}) (?P<day>[ 0-3]?\d) (?P<clock>{_CLOCK}){_REST}"),
    re.compile(rf"{_PRIORITY}(?P<stamp>\d{{4}}-\d\d-\d\dT{_CLOCK}(?:Z|[+-]\d\d:?\d\d)){_REST}"),
    re.compile(
        r"^<\d{1,3}>\d{1,2} (?P<stamp>\S+) (?P<host>\S+) (?P<program>\S+) (?P<pid>\S+) \S+ "
        r"(?:-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: \ufeff?(?P<message>.*))?$"
    ),
)
_DATE = re.compile(r"(?<!\d)(20\d\d)(?:([-_.]?)(0[1-9]|1[0-2])\2([0-2]\d|3[01]))?(?!\d)")
_MESSAGES = [(act, programs, re.compile(pattern)) for act, programs, pattern in MESSAGES]
_REPEATED = re.compile(r"^message repeated \d+ times: \[ (.*)\]$")
_NAME = re.compile(r"\(?([^()]+)")
_ADDRESS = re.compile(r"^\d{1,3}(?:\.\d{1,3}){3}$|:")


class _Calendar:
    """The year of stamps that tell none: a step of more than half a year is one the other way round."""

    def __init__(self, name: str) -> None:
        dated = _DATE.search(name)
        self._year = int(dated[1]) if dated else 2024
        self._latest = (int(dated[3]), int(dated[4])) if dated and dated[3] else (12, 31)
        self._month: int | None = None

    def moment(self, month: int, day: int, clock: str) -> datetime:
        """The time of a stamp, which is the next in the log."""
        if self._month is None:
            self._year -= (month, day) > self._latest
        else:
            self._year += (month - self._month < -6) - (month - self._month > 6)
        self._month = month
        return datetime.fromisoformat(f"{self._year}-{month:02}-{day:02}T{clock}").replace(tzinfo=UTC)


def events(lines: Iterable[str], name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    calendar = _Calendar(name)
    for number, line in enumerate(lines):
        line = line.rstrip("\r\n")
        found = next((match for form in _FORMS if (match := form.match(line))), None)
        if not found:
            continue
        try:
            domain, draft = _draft(found.groupdict(), calendar)
            event = finished({"line": number} | draft, line)
        except REFUSED:
            continue
        yield domain.value, event


def _draft(parts: dict[str, Any], calendar: _Calendar) -> tuple[Domain, Draft]:
    if "month" in parts:
        time: datetime | None = calendar.moment(_NUMBERS[parts["month"]], int(parts["day"]), parts["clock"])
    else:
        time = moment(parts["stamp"])
    program, message = _program(parts["program"]), _message(parts["message"])
    act, told = _act(program, message)
    draft = {
        "time": time,
        "class_uid": act.class_uid,
        "activity_name": act.activity,
        "event_code": f"syslog/{program or '-'}",
        "status": act.status,
        "device_hostname": parts["host"],
        "actor_user_name": told.get("actor_user_name"),
        "actor_process_file_path": program,
    }
    peer = told.get("peer")
    is_address = peer is not None and _ADDRESS.search(peer)
    draft["src_endpoint_ip"] = peer if is_address else None
    if act.domain == Domain.IDENTITY:
        return act.domain, draft | _identity(told, program, None if is_address else peer)
    return act.domain, draft | _endpoint(told, parts["pid"])


def _program(name: str | None) -> str | None:
    found = _NAME.match((name or "").rpartition("/")[2])
    return None if found is None or found[1] == "-" else found[1].lower()


def _message(message: str | None) -> str | None:
    return None if message is None else _REPEATED.sub(r"\1", message.rstrip())


def _act(program: str | None, message: str | None) -> tuple[Act, dict[str, Any]]:
    """What a message tells: the first that fits counts."""
    if message is not None:
        for act, programs, pattern in _MESSAGES:
            if not programs or program in programs:
                found = pattern.match(message)
                if found:
                    return act, found.groupdict()
    return OTHER, {}


def _identity(told: dict[str, Any], program: str | None, peer: str | None) -> Draft:
    return {
        "user_name": told.get("user_name"),
        "src_endpoint_hostname": peer,
        "auth_protocol": told.get("auth_protocol"),
        "service_name": program,
        "status_detail": told.get("status_detail"),
        "group_name": told.get("group_name"),
    }


def _endpoint(told: dict[str, Any], pid: str | None) -> Draft:
    command = told.get("process_cmd_line")
    words = command.split(maxsplit=1) if command else []
    return {
        "actor_process_uid": pid,
        "process_cmd_line": command and command[:4096],
        "process_file_path": words[0] if words else None,
    }
