"""One table says who may do what, and nobody may do what it does not say."""

import itertools
from typing import cast

import pytest

from serving.access.policy import LOCAL, MAIN, OPEN, POLICY, Action, Principal, Role, allowed, is_loopback, local

#: The whole matrix as a person reads it: ingest, analyst, data-scientist, admin.
MATRIX = """
health:read      yes yes yes yes
events:write     yes -   -   yes
events:forget    -   -   -   yes
verdicts:read    -   yes yes yes
threats:read     -   yes yes yes
decisions:read   -   yes yes yes
decisions:write  -   yes -   yes
release:read     -   yes yes yes
release:write    -   -   yes yes
metrics:read     -   yes yes yes
audit:read       -   -   -   yes
keys:read        -   -   -   yes
keys:write       -   -   -   yes
"""
CELLS = list(itertools.product(Action, Role, (MAIN, "other")))
HERE = {"host": "localhost:8000"}


def read_matrix() -> dict[tuple[str, str], bool]:
    rows = (line.split() for line in MATRIX.strip().splitlines())
    return {(action, role): word == "yes" for action, *words in rows for role, word in zip(Role, words, strict=True)}


def test_the_table_is_the_matrix_for_every_role_and_action() -> None:
    assert read_matrix() == {
        (action, role): allowed(Principal("p", role), action) for action, role in itertools.product(Action, Role)
    }


def test_each_action_is_open_or_has_its_roles() -> None:
    assert set(POLICY) | OPEN == set(Action)
    assert not set(POLICY) & OPEN
    assert all(POLICY.values())


@pytest.mark.parametrize(("action", "role", "tenant"), CELLS)
def test_nobody_reaches_into_another_tenant(action: Action, role: Role, tenant: str) -> None:
    may = allowed(Principal("p", role, tenant), action, "third")
    assert may == (action in OPEN)
    assert allowed(Principal("p", role, tenant), action, tenant) == read_matrix()[action, role]


@pytest.mark.parametrize("action", Action)
def test_a_stranger_may_do_what_is_open_alone(action: Action) -> None:
    assert allowed(None, action) == (action in OPEN)


@pytest.mark.parametrize("role", Role)
def test_an_action_that_the_table_does_not_have_is_denied_to_all(role: Role) -> None:
    assert not allowed(Principal("p", role), cast(Action, "release:delete"))


def test_a_role_that_the_table_does_not_have_may_do_nothing() -> None:
    principal = Principal("p", cast(Role, "root"))
    assert {action for action in Action if allowed(principal, action)} == OPEN


def test_who_sends_events_reads_nothing_that_tells_of_their_scores() -> None:
    sender = Principal("p", Role.INGEST)
    assert {action for action in Action if allowed(sender, action)} == {Action.HEALTH_READ, Action.EVENTS_WRITE}


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000", "127.9.9.9"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.9.9.9"])
def test_who_asks_from_this_machine_is_local(address: str, host: str) -> None:
    assert local(address, {"host": host}) == LOCAL
    assert local(address, {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}) == LOCAL


@pytest.mark.parametrize("address", ["::", "10.0.0.1", "192.0.2.1", "localhost", ""])
def test_where_others_reach_the_server_nobody_is_local(address: str) -> None:
    assert not is_loopback(address)
    assert local(address, HERE) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "evil.example"},
        {"host": "localhost.evil.example:8000"},
        {"host": "[::1"},
        HERE | {"origin": "http://evil.example"},
        HERE | {"origin": "http://localhost:9000"},
        HERE | {"origin": "null"},
        HERE | {"sec-fetch-site": "cross-site"},
        HERE | {"sec-fetch-site": "same-site"},
        HERE | {"forwarded": "for=192.0.2.1"},
        HERE | {"x-forwarded-for": "192.0.2.1"},
        HERE | {"via": "1.1 proxy"},
    ],
    ids=str,
)
def test_what_a_page_or_a_proxy_sends_here_is_not_local(headers: dict[str, str]) -> None:
    assert local("127.0.0.1", headers) is None
