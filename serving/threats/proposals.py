"""What could be done about a threat: commands that somebody may give, chosen by a table; nothing here gives them."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.consensus.threats import Reason, Threat
from features.events import Domain

#: Most proposals on one threat.
MOST = 12

_OF_ONE = 3  # most targets of one rule
_LEAST = 0.2  # confidence from which a proposal is made
_SURE, _UNSURE = 0.9, 0.5  # that a listed threat is one, where earlier days are known, and where they are not
_NAME = re.compile(r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
_HOST, _LONGEST = re.compile(r"[A-Za-z0-9_.-]{1,253}"), 256
_OURS = ("local", "localhost", "internal", "intranet", "lan", "home", "corp", "private", "test", "example", "arpa")
_NAMING = ("name", "site")  # fields of dns whose values are names of the net


@dataclass(frozen=True)
class Proposal:
    """Something that could be done: `what` in words, and as an OpenC2 `command` (Language Specification 1.0).

    `target` is what it would be done to, as a person would say it. `confidence`, between 0 and 1, is how sure it is
    that the threat is one (0.9 for what is listed with a share of a tenth of false ones, 0.5 where earlier days do not
    say what is usual, 1 if people found it to be true) times how much of the strongest evidence in it speaks against
    the target; it is no measured probability. `reason` says what in the threat speaks for it.
    """

    what: str
    target: str
    command: Mapping[str, Any]
    confidence: float
    reason: str


@dataclass(frozen=True)
class _Target:
    """Something in a threat that could be acted on: how many nats speak against it, and which agents say so.

    `share` is how much that is of the strongest evidence of its sort, `host` where it is.
    """

    kind: str
    name: str
    nats: float
    share: float
    agents: frozenset[str]
    host: str | None = None


@dataclass(frozen=True)
class _Rule:
    """What is done to targets of a kind if the threat speaks of one of the tactics and one of the agents."""

    what: str
    action: str
    kind: str
    tactics: frozenset[str]
    domains: frozenset[str]


def _rule(what: str, action: str, kind: str, tactics: str, *domains: Domain) -> _Rule:
    """`tactics` are the ends of ids, apart by blanks; * is any, or none."""
    return _Rule(what, action, kind, frozenset(tactics.split()), frozenset(domain.value for domain in domains))


_HOSTS = (Domain.ENDPOINT, Domain.IDENTITY, Domain.NETWORK, Domain.DNS)
_ACCOUNTS = (Domain.IDENTITY, Domain.CLOUD)
_WIRES = (Domain.NETWORK, Domain.WEB, Domain.DNS, Domain.IDENTITY, Domain.CLOUD)

#: The gentlest first: of equal confidence it is told before others.
_RULES = (
    _rule("collect triage data of the host", "investigate", "host", "*", *Domain),
    _rule("kill the process", "stop", "process", "02 03 04 05 06 08 11 40", Domain.ENDPOINT),
    _rule("revoke the sessions", "stop", "session", "01 03 04 06 08 09 10", *_ACCOUNTS),
    _rule("block the domain", "deny", "name", "01 10 11", Domain.DNS, Domain.NETWORK),
    _rule("block the address", "deny", "address", "43 01 06 10 11 40", *_WIRES),
    _rule("disable the account", "deny", "user", "03 04 06 08 40", *_ACCOUNTS),
    _rule("isolate the host", "contain", "host", "02 03 06 08 10 11 40", *_HOSTS),
    _rule("isolate the address", "contain", "inside", "02 06 07 08 10 11 40", *_HOSTS),
)


def proposals(threat: Threat) -> tuple[Proposal, ...]:
    """What could be done about a threat, what is surest first; nothing about one that people found to be false.

    The same threat gives the same proposals. Text of events gets into a command only as a name that has the form of
    such a name.
    """
    if threat.answer is False:
        return ()
    targets = sorted((*_entities(threat), *_deeds(threat)), key=lambda one: -one.nats)
    made = [one for rule in _RULES for one in _made(rule, threat, targets)]
    return tuple(sorted(made, key=lambda one: -one.confidence)[:MOST])


def _made(rule: _Rule, threat: Threat, targets: Iterable[_Target]) -> Iterator[Proposal]:
    spoken = [tactic for tactic in threat.tactics if tactic[:6].removeprefix("TA00") in rule.tactics]
    if not spoken and "*" not in rule.tactics:
        return
    mine = [target for target in targets if target.kind == rule.kind and target.agents & rule.domains]
    for target in mine[:_OF_ONE]:
        confidence = round(_sureness(threat) * target.share, 2)
        if confidence >= _LEAST:
            agents = ", ".join(sorted(target.agents & rule.domains))
            why = "; ".join([f"{target.nats:.1f} nats of {agents}", *spoken])
            where = f" on {target.host}" if target.host else ""
            at = {"actuator": {"x-secmesh": {"hostname": target.host}}} if target.host else {}
            command = {"action": rule.action, "target": _openc2(target)} | at
            yield Proposal(rule.what, f"{target.name}{where}", command, confidence, why)


def _sureness(threat: Threat) -> float:
    return 1.0 if threat.answer else _UNSURE if threat.p is None else _SURE


def _entities(threat: Threat) -> Iterator[_Target]:
    """What the threat is about, the strongest evidence against any of them being a whole share."""
    most, agents = max((one.evidence for one in threat.entities), default=0.0), frozenset(threat.domains)
    for one in threat.entities:
        name = one.written or one.name
        for kind in _kinds(one.kind, name):
            yield _Target(kind, name, one.evidence, one.evidence / most, agents)


def _kinds(kind: str, name: str) -> tuple[str, ...]:
    """As what an entity could be acted on."""
    if kind == "user":
        return ("user", "session") if _is_told(name) else ()
    if kind == "host":
        return ("host",) if _HOST.fullmatch(name) else ()
    return (side,) if (side := _side(name)) else ()


def _deeds(threat: Threat) -> Iterator[_Target]:
    """Processes and names of the net that reasons tell of; the strongest reason is a whole share."""
    strongest: dict[tuple[str, str, str | None], Reason] = {}
    for one in sorted(threat.reasons, key=lambda one: one.nats):
        if one.domain == Domain.ENDPOINT and one.process and _is_told(one.process):
            strongest["process", one.process, one.host if _HOST.fullmatch(one.host or "") else None] = one
        if one.domain == Domain.DNS and _is_name(one.field or "") and is_foreign(one.value or ""):
            strongest["name", one.value or "", None] = one
    most = max((one.nats for one in threat.reasons), default=0.0)
    for (kind, name, host), one in strongest.items():
        yield _Target(kind, name, one.nats, one.nats / most, frozenset({one.domain}), host)


def _is_name(field: str) -> bool:
    """Whether the values of a field of dns are names of the net."""
    return field.split(" given ")[0].split(" of ")[-1] in _NAMING


def is_foreign(name: str) -> bool:
    """Whether this is the name of a domain, and of one that is not our own by its ending.

    >>> is_foreign("xkqzvw.com"), is_foreign("dc01.corp.local"), is_foreign("a b.com"), is_foreign("com")
    (True, False, False, False)
    """
    return _NAME.fullmatch(name) is not None and name.rpartition(".")[2] not in _OURS


def _is_told(name: str) -> bool:
    """Whether a name of an account or a program is one that can be seen as a whole."""
    return name.isprintable() and len(name) <= _LONGEST


def _side(address: str) -> str | None:
    """Whether an address is of the world or of ours; None if it is of neither, or none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local:
        return None
    return "address" if found.is_global else "inside"


def _openc2(target: _Target) -> dict[str, Any]:
    """The target as OpenC2 names it; accounts and sessions are not among its own, so they have a prefix."""
    match target.kind:
        case "host":
            return {"device": {"hostname": target.name}}
        case "process":
            return {"process": {"executable": {"path": target.name}}}
        case "name":
            return {"domain_name": target.name}
        case "user" | "session":
            return {f"x-secmesh:{'account' if target.kind == 'user' else 'session'}": {"user": target.name}}
        case _:
            address = ipaddress.ip_address(target.name)
            return {f"ipv{address.version}_net": f"{address}/{address.max_prefixlen}"}
