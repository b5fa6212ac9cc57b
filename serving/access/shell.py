"""What whoever is logged in decides at the command line is in the audit too, also while a service writes there."""

import getpass
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from models.home import Home
from serving.access import audit
from serving.access.audit import Audit
from serving.access.audit_lines import LONGEST, Entry, Outcome, audit_key, audit_path
from serving.access.policy import Action

_SHELL = "shell"  # instead of a role: whoever gets this far may do anything


def written_down(
    home: Home, action: Action, target: str, reason: str, tenant: str
) -> AbstractContextManager[Callable[[str], None]]:
    """What is done in this context is in the audit (see `audit.written_down`)."""
    return audit.written_down(_audit(home), _entry(action, target, reason, tenant, "begun"), _now)


def write_down(home: Home, action: Action, target: str, reason: str, tenant: str) -> None:
    """Have the audit say what was done. Raises what `Audit.append` does."""
    _audit(home).append(_entry(action, target, reason, tenant, "done"))


def _audit(home: Home) -> Audit:
    return Audit(audit_path(home), audit_key(home))


def _entry(action: Action, target: str, reason: str, tenant: str, outcome: Outcome) -> Entry:
    return Entry(_now(), _text(_login()), _SHELL, _text(tenant), action, _text(target), outcome, _text(reason))


def _text(typed: str) -> str:
    """What was typed, as a text that the audit takes: other bytes are spelled out, and what is too long is cut."""
    return typed.encode("utf-8", "backslashreplace").decode()[:LONGEST]


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _now() -> datetime:
    return datetime.now(UTC)
