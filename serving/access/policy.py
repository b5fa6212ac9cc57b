"""Who may do what: one table of roles and actions, and whatever is not in it is denied.

A key belongs to one tenant, and so does what is acted on; nobody reaches into another tenant. Where no keys were made,
whoever asks from this machine itself is the principal LOCAL, an admin, as if at the command line; see `local`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

#: The tenant of an installation that has only one.
MAIN = "main"


class Role(StrEnum):
    """What a principal is for."""

    INGEST = "ingest"
    ANALYST = "analyst"
    DATA_SCIENTIST = "data-scientist"
    ADMIN = "admin"


class Action(StrEnum):
    """What can be done, the noun before the verb; each route does at least one of them."""

    HEALTH_READ = "health:read"
    EVENTS_WRITE = "events:write"
    EVENTS_FORGET = "events:forget"
    VERDICTS_READ = "verdicts:read"
    THREATS_READ = "threats:read"
    DECISIONS_READ = "decisions:read"
    DECISIONS_WRITE = "decisions:write"
    RELEASE_READ = "release:read"
    RELEASE_WRITE = "release:write"
    METRICS_READ = "metrics:read"
    AUDIT_READ = "audit:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody known: a name, what it is for, and whose things it may touch."""

    name: str
    role: Role
    tenant: str = MAIN


#: Whoever asks from this machine, where no keys were made.
LOCAL = Principal("local", Role.ADMIN)

#: What anybody may do, even without a key.
OPEN = frozenset({Action.HEALTH_READ})

_READERS = frozenset({Role.ANALYST, Role.DATA_SCIENTIST, Role.ADMIN})
#: Who may do what. A sender of events reads no score of them, so that nobody can tune an attack with a sender's key.
POLICY: Mapping[Action, frozenset[Role]] = {
    Action.EVENTS_WRITE: frozenset({Role.INGEST, Role.ADMIN}),
    Action.EVENTS_FORGET: frozenset({Role.ADMIN}),
    Action.VERDICTS_READ: _READERS,
    Action.THREATS_READ: _READERS,
    Action.DECISIONS_READ: _READERS,
    Action.DECISIONS_WRITE: frozenset({Role.ANALYST, Role.ADMIN}),
    Action.RELEASE_READ: _READERS,
    Action.RELEASE_WRITE: frozenset({Role.DATA_SCIENTIST, Role.ADMIN}),
    Action.METRICS_READ: _READERS,
    Action.AUDIT_READ: frozenset({Role.ADMIN}),
    Action.KEYS_READ: frozenset({Role.ADMIN}),
    Action.KEYS_WRITE: frozenset({Role.ADMIN}),
}

#: What the audit hears of, done or refused.
AUDITED = frozenset(
    {
        Action.EVENTS_FORGET,
        Action.DECISIONS_WRITE,
        Action.RELEASE_WRITE,
        Action.AUDIT_READ,
        Action.KEYS_READ,
        Action.KEYS_WRITE,
    }
)

_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def allowed(principal: Principal | None, action: Action, tenant: str = MAIN) -> bool:
    """Whether `principal`, None if nobody knows who it is, may do `action` on what belongs to `tenant`.

    >>> sender = Principal("firewall", Role.INGEST)
    >>> allowed(sender, Action.EVENTS_WRITE), allowed(sender, Action.THREATS_READ), allowed(None, Action.EVENTS_WRITE)
    (True, False, False)
    """
    if action in OPEN:
        return True
    return principal is not None and principal.tenant == tenant and principal.role in POLICY.get(action, ())


def local(address: str, headers: Mapping[str, str], tenant: str = MAIN) -> Principal | None:
    """LOCAL, of `tenant`, if a request without a key came from this machine and by its own will.

    For where no keys were made. `address` is the IP address that the server listens on, `headers` have names in small
    letters. Not local is what a proxy says that it passed on, for the proxy may listen to the world, and what a page on
    the web has a browser here send: it has a foreign Origin, or the foreign name in Host that was made to point here. A
    proxy that adds no header cannot be told: make keys before there is one.
    """
    host = headers.get("host", "")
    is_here = is_loopback(address) and _is_here(host) and not any(name in headers for name in _PASSED_ON)
    is_page = headers.get("origin", f"http://{host}") != f"http://{host}"
    is_site = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return replace(LOCAL, tenant=tenant) if is_here and not is_page and not is_site else None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address that a server listens on; a name is none.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("::"), is_loopback("localhost")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_here(host: str) -> bool:
    """Whether a Host header names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_loopback(name)
