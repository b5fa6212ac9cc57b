"""A threat made up by hand, for tests of what is told of one."""

from dataclasses import replace
from typing import Any

from agents.consensus.threats import Entity, Reason, Threat
from tests.serving.dockets import docket

PLAIN = docket("ws01", "ws02").council.rank(1)[0]


def reason(domain: str, field: str, value: str, nats: float = 9.0, **more: str | None) -> Reason:
    """Something strange that an agent told."""
    rest = {"process": None, "user": None, "host": None, "address": None} | more
    return Reason(domain, "launch", field, value, nats, **rest)


def threat(**more: Any) -> Threat:
    """A threat to a host, an account and an address of the world, which many agents saw."""
    entities = (Entity("host", "ws01", 30.0), Entity("user", "ann", 27.0), Entity("address", "8.8.4.4", 24.0))
    told: dict[str, Any] = {
        "entities": entities,
        "domains": {"endpoint": 10.0, "identity": 10.0, "dns": 5.0, "network": 5.0},
        "tactics": ("TA0002 Execution", "TA0006 Credential Access", "TA0011 Command and Control"),
        "reasons": (
            reason("endpoint", "actor given host", "mimi.exe", process="c:\\temp\\mimi.exe", host="ws01"),
            reason("dns", "spelling of name", "xkqzvw.com"),
        ),
        "p": 0.001,
    }
    return replace(PLAIN, **(told | more))
