"""What is proposed follows from what a threat is about, by the table, and nothing else gets into a command."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.tactics import kill_chain
from agents.consensus.threats import Entity, Threat
from features.events import Domain
from serving.threats.proposals import MOST, Proposal, proposals
from tests.serving.threats.threats import reason, threat

laws = settings(max_examples=60, deadline=None, derandomize=True)

#: Actions and targets of OpenC2 1.0 that are used, and those that are our own.
ACTIONS = {"investigate", "stop", "deny", "contain"}
TARGETS = {"device", "process", "domain_name", "ipv4_net", "ipv6_net", "x-secmesh:account", "x-secmesh:session"}

texts = st.text(max_size=30) | st.sampled_from(
    ["ws01", "8.8.8.8", "10.0.0.1", "::1", "evil.com", "a\nb", "$(id)", "2001:db8::1"]
)
entities = st.builds(
    Entity, st.sampled_from(["user", "host", "address"]), texts, st.floats(0.1, 50.0), st.none() | texts
)
reasons = st.builds(
    reason, st.sampled_from([*Domain]), st.sampled_from(["spelling of name", "site given client", "actor"]), texts,
    st.floats(0.1, 20.0), process=st.none() | texts, host=st.none() | texts,
)  # fmt: skip
threats = st.builds(
    lambda some, told, domains, tactics, p, answer: threat(
        entities=tuple(some), reasons=tuple(told), domains=dict.fromkeys(domains, 1.0), tactics=tuple(tactics), p=p,
        answer=answer,
    ),
    st.lists(entities, max_size=6), st.lists(reasons, max_size=6), st.sets(st.sampled_from([d.value for d in Domain])),
    st.sets(st.sampled_from(kill_chain())), st.none() | st.floats(0.0, 1.0), st.sampled_from([None, True, False]),
)  # fmt: skip


def told(threat: Threat) -> dict[str, list[str]]:
    """What is proposed to be done to whom."""
    found: dict[str, list[str]] = {}
    for one in proposals(threat):
        found.setdefault(one.what, []).append(one.target)
    return found


def test_what_is_proposed_fits_what_is_seen() -> None:
    assert told(threat()) == {
        "collect triage data of the host": ["ws01"],
        "kill the process": ["c:\\temp\\mimi.exe on ws01"],
        "revoke the sessions": ["ann"],
        "block the domain": ["xkqzvw.com"],
        "block the address": ["8.8.4.4"],
        "disable the account": ["ann"],
        "isolate the host": ["ws01"],
    }


def test_commands_are_of_openc2() -> None:
    commands = {one.what: one.command for one in proposals(threat())}
    assert commands["isolate the host"] == {"action": "contain", "target": {"device": {"hostname": "ws01"}}}
    assert commands["block the address"] == {"action": "deny", "target": {"ipv4_net": "8.8.4.4/32"}}
    assert commands["kill the process"] == {
        "action": "stop",
        "target": {"process": {"executable": {"path": "c:\\temp\\mimi.exe"}}},
        "actuator": {"x-secmesh": {"hostname": "ws01"}},
    }


@laws
@given(one=threats)
def test_every_proposal_is_a_whole_command_about_what_the_threat_names(one: Threat) -> None:
    made = proposals(one)
    assert len(made) <= MOST
    assert list(made) == sorted(made, key=lambda made: -made.confidence)
    names = {entity.written or entity.name for entity in one.entities} | {entity.name for entity in one.entities}
    names |= {part for why in one.reasons for part in (why.value, why.process) if part}
    for proposal in made:
        (kind,) = proposal.command["target"]
        assert proposal.command["action"] in ACTIONS
        assert kind in TARGETS
        assert 0.0 < proposal.confidence <= 1.0
        assert any(proposal.target.startswith(name) for name in names if name)
        assert proposal.target.isprintable()
        assert msgspec.json.decode(msgspec.json.encode(proposal))["command"] == proposal.command


@laws
@given(one=threats)
def test_nothing_is_proposed_about_what_is_false(one: Threat) -> None:
    assert proposals(replace(one, answer=False)) == ()


@laws
@given(one=threats)
def test_who_knows_more_is_surer(one: Threat) -> None:
    def sureness(**more: object) -> dict[str, float]:
        made: list[Proposal] = list(proposals(replace(one, **more)))  # type: ignore[arg-type]  # any field
        return {f"{one.what} {one.target}": one.confidence for one in made}

    unknown, usual, true = sureness(answer=None, p=None), sureness(answer=None, p=0.001), sureness(answer=True)
    assert all(unknown[name] <= usual.get(name, 1.0) <= true.get(name, 1.0) for name in unknown)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("8.8.8.8", {"block the address"}),
        ("2606:4700::1111", {"block the address"}),
        ("10.0.0.7", {"isolate the address"}),
        ("127.0.0.1", set()),
        ("224.0.0.1", set()),
        ("no address", set()),
    ],
)
def test_the_world_is_blocked_and_our_own_is_isolated(address: str, what: set[str]) -> None:
    assert set(told(threat(entities=(Entity("address", address, 9.0),), reasons=()))) == what


@pytest.mark.parametrize("name", ["dc01.corp.local", "a b.com", "com", "4.3.2.1.in-addr.arpa", "x\n.com", "-.com", ""])
def test_our_own_names_and_what_is_none_are_not_blocked(name: str) -> None:
    assert "block the domain" not in told(threat(reasons=(reason("dns", "spelling of name", name),)))


def test_without_a_tactic_it_is_looked_at_and_no_more() -> None:
    assert set(told(threat(tactics=()))) == {"collect triage data of the host"}


def test_agents_that_did_not_see_it_have_no_say() -> None:
    assert "disable the account" not in told(threat(domains={"dns": 9.0}, reasons=()))
