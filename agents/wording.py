"""How reasons are told to people: in words, with text from events made safe to show."""

import re

from agents.consensus.threats import Reason
from agents.terminal import inert

_SHAPES = (
    (re.compile(r"(?:burst|surge) of (?P<field>.+) per (?P<per>.+)"), "a burst of {field} {value} from one {per}"),
    (re.compile(r"(?:burst|surge) of (?P<field>.+)"), "a burst of {field} {value}"),
    (
        re.compile(r"regularity of (?P<field>.+) per (?P<per>.+)"),
        "{field} {value} from one {per}, as regular as a clock",
    ),
    (re.compile(r"spelling of (?P<field>.+)"), "{field} {value}, spelled unlike others"),
    (re.compile(r"hour of (?P<field>.+)"), "{field} {value}, at an hour that is not its own"),
    (re.compile(r"(?P<field>.+) among peers of (?P<per>.+)"), "{field} {value}, unusual for those like its {per}"),
    (re.compile(r"missing fields given (?P<per>.+)"), "missing: {value}, which its {per} usually tells"),
    (re.compile(r"new (?P<field>.+) per (?P<per>.+)"), "many a new {field} for {per} {value}"),
    (re.compile(r"(?P<field>.+?) given (?P<per>.+)"), "{field} {value}, unusual for its {per}"),
    (re.compile(r"(?P<field>.+)"), "{field} {value}, rare anywhere"),
)
_POWER = re.compile(r"2\^(\d+)")
_LONGEST = 60


def worded(reason: Reason) -> str:
    """What was strange, as a person would say it.

    >>> worded(Reason("identity", "logon", "network given user", "82.171.209", 4.1, None, "ann", None, None))
    'identity logon: network 82.171.209, unusual for its user'
    >>> worded(Reason("dns", "query", "spelling of name", "xkqzvw.com", 5.1, None, None, "ws01", None))
    'dns query: name xkqzvw.com, spelled unlike others'
    >>> worded(Reason("cloud", "call", "missing fields given kind", "agent, mfa", 5.1, None, "ann", None, None))
    'cloud call: missing: agent, mfa, which its kind usually tells'
    >>> worded(Reason("network", "traffic", "sent given port", "2^22", 5.1, None, None, "ws01", None))
    'network traffic: sent about 4,194,304, unusual for its port'
    """
    found = ((pattern.fullmatch(reason.field or "event"), words) for pattern, words in _SHAPES)
    match, words = next((match, words) for match, words in found if match)
    what = words.format(**match.groupdict(), value=_value(reason.value))
    return f"{reason.domain} {shown(reason.activity or 'event')}: {what}"


def doer(reason: Reason) -> str:
    """Who did it where, as far as is known.

    >>> doer(Reason("endpoint", "launch", None, None, 5.1, "cmd.exe", "ann", "ws01", "10.0.0.1"))
    'ann on ws01, cmd.exe'
    """
    user, where = reason.user, reason.host or reason.address
    place = f"{shown(user)} on {shown(where)}" if user and where else shown(user or where or "")
    return ", ".join(word for word in (place, shown(reason.process or "")) if word)


def shown(text: str) -> str:
    """`text` for a terminal or a page: inert, and not too long."""
    clean = inert(text)
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST - 1]}…"


def _value(text: str | None) -> str:
    """A field's value; sizes are told by their power of two."""
    size = _POWER.fullmatch(text or "")
    return f"about {1 << int(size[1]):,}" if size and len(size[1]) < 3 else shown(text or "(none)")
