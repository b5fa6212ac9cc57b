"""Every route lets in whom the policy names, with a key that is good, and nobody else."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from serving.access.keys import add, keys_path, revoke
from serving.access.policy import MAIN, OPEN, POLICY, Action, Role
from serving.api.endpoint import WAYS
from serving.api.gate import Way
from tests.serving.logs_of_posts import kept_in
from tests.serving.posting import Heard, call, gated, home_of, new

#: What is done where: a route that comes or changes must be thought about here too.
ACTIONS = {
    "POST /v1/events": Action.EVENTS_WRITE,
    "GET /v1/threats": Action.THREATS_READ,
    "GET /v1/threats/{id}": Action.THREATS_READ,
    "POST /v1/threats/{id}/answers": Action.DECISIONS_WRITE,
    "POST /v1/forgettings": Action.EVENTS_FORGET,
    "GET /v1/audit": Action.AUDIT_READ,
    "GET /v1/stream": Action.THREATS_READ,
    "GET /v1/agents": Action.RELEASE_READ,
    "GET /v1/release": Action.RELEASE_READ,
    "GET /v1/openapi.json": Action.HEALTH_READ,
    "GET /healthz": Action.HEALTH_READ,
    "GET /readyz": Action.HEALTH_READ,
    "GET /metrics": Action.METRICS_READ,
    "GET /v1/threats/{id}/report": Action.THREATS_READ,
    "GET /v1/threats/{id}/proposals": Action.THREATS_READ,
}
TENANTS = (MAIN, "acme")
STATES = ("good", "expired", "revoked")
NOW = datetime.now(UTC)


class Holder(NamedTuple):
    """Whose key it is, and what became of it."""

    role: Role
    tenant: str
    state: str


HOLDERS = [Holder(*one) for one in product(Role, TENANTS, STATES)]
#: Ways to show a key, each with whether it counts.
SHOWN = {
    "as it should be": ({"authorization": "Bearer {key}"}, True),
    "the scheme in small letters": ({"authorization": "bearer {key}"}, True),
    "another scheme": ({"authorization": "Basic {key}"}, False),
    "no scheme": ({"authorization": "{key}"}, False),
    "another secret": ({"authorization": "Bearer {key}0"}, False),
    "another header": ({"x-api-key": "{key}"}, False),
    "a cookie": ({"cookie": "authorization=Bearer {key}"}, False),
}
NOTHING = {
    "no key": {},
    "an empty key": {"authorization": ""},
    "a scheme alone": {"authorization": "Bearer "},
    "a key of nobody": {"authorization": f"Bearer smk_{'0' * 16}_{'0' * 64}"},
    "letters of another alphabet": {"authorization": "Bearer \xff\xfe"},
    "a long key": {"authorization": "Bearer " + "x" * 10_000},
    "a word of a proxy": {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"},
    "a word of a user": {"x-secmesh-role": "admin", "x-secmesh-tenant": MAIN},
}


@dataclass
class Locked:
    """An application of a tenant, with a key of each kind of holder; a stranger asks from an address of its own."""

    tenant: str
    routes: Starlette
    keys: dict[Holder, str]
    asked: int = 0

    def ask(self, way: Way, headers: dict[str, str]) -> Heard:
        self.asked += 1
        client = f"10.{self.asked >> 16}.{self.asked >> 8 & 255}.{self.asked & 255}"
        return call(self.routes, way.method, way.path.replace("{id}", "T-0"), headers, client=client)


@pytest.fixture(scope="module", params=TENANTS)
def locked(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Locked]:
    home = home_of(tmp_path_factory.mktemp("locked") / "home")
    path, keys = keys_path(home), {}
    for holder in HOLDERS:
        made = NOW - timedelta(days=2) if holder.state == "expired" else NOW
        name = f"{holder.role}-{holder.tenant}-{holder.state}"
        new = partial(add, path, name, holder.role, made, token_bytes, tenant=holder.tenant)
        keys[holder] = new(lifetime=timedelta(days=1))
        if holder.state == "revoked":
            revoke(path, name, NOW)
    with gated(home, request.param) as (routes, _):
        yield Locked(request.param, routes, keys)


def refusal(heard: Heard) -> int | None:
    """The status if whoever asked was not let in."""
    return heard.status if heard.status in (401, 403) else None


def due(way: Way, served: str, holder: Holder, counts: bool) -> int | None:
    """What the policy has for a holder whose key counts as it was shown, or not: the refusal, or None."""
    is_known = counts and holder.state == "good"
    may = is_known and holder.tenant == served and holder.role in POLICY.get(way.action, ())
    return None if may or way.action in OPEN else 403 if is_known else 401


def test_every_route_is_thought_about_and_none_is_beside_the_table(locked: Locked) -> None:
    assert {f"{way.method} {way.path}": way.action for way in WAYS} == ACTIONS
    routes = {(route.path, *sorted(route.methods or ())) for route in locked.routes.routes if isinstance(route, Route)}
    assert routes == {(way.path, *(("GET", "HEAD") if way.method == "GET" else (way.method,))) for way in WAYS}
    assert len(locked.routes.routes) == len(WAYS)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.method} {way.path}")
def test_a_route_lets_in_whom_the_policy_names_and_nobody_else(locked: Locked, way: Way) -> None:
    wrong = []
    for holder, (how, (headers, counts)) in product(HOLDERS, SHOWN.items()):
        heard = locked.ask(way, {name: text.format(key=locked.keys[holder]) for name, text in headers.items()})
        if refusal(heard) != due(way, locked.tenant, holder, counts):
            wrong.append((holder, how, heard.status))
    assert wrong == []


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.method} {way.path}")
def test_without_a_key_only_what_is_open_is_answered(locked: Locked, way: Way) -> None:
    for headers in NOTHING.values():
        heard = locked.ask(way, headers)
        assert refusal(heard) == (None if way.action in OPEN else 401)
        if refusal(heard):
            assert heard.headers["www-authenticate"] == "Bearer"
            assert msgspec.json.decode(heard.body)["title"] == "Unknown"


def test_the_matrix_has_thousands_of_cells() -> None:
    assert len(WAYS) * len(TENANTS) * (len(HOLDERS) * len(SHOWN) + len(NOTHING)) >= 4000


def test_a_key_that_is_revoked_is_worth_nothing_from_then_on(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home")
    key = add(keys_path(home), "ann", Role.ADMIN, NOW, token_bytes)
    with gated(home) as (routes, _):
        headers = {"authorization": f"Bearer {key}"}
        assert call(routes, "GET", "/v1/threats", headers).status == 200
        revoke(keys_path(home), "ann", NOW)
        assert call(routes, "GET", "/v1/threats", headers).status == 401


def test_a_sender_reads_no_score_of_what_it_sent(locked: Locked) -> None:
    for role in Role:
        headers = {"authorization": f"Bearer {locked.keys[Holder(role, locked.tenant, 'good')]}"}
        heard = call(locked.routes, "POST", "/v1/events?score=true", headers)
        assert heard.status == (422 if role is Role.ADMIN else 403)


def test_who_guesses_keys_has_to_wait(locked: Locked) -> None:
    wrong = {"authorization": "Bearer smk_guess"}
    statuses = [call(locked.routes, "GET", "/v1/threats", wrong, client="192.0.2.1").status for _ in range(80)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert call(locked.routes, "GET", "/v1/threats", wrong, client="192.0.2.2").status == 401


def test_where_no_keys_were_made_this_machine_needs_none_and_a_page_on_the_web_gets_nothing(tmp_path: Path) -> None:
    with gated(home_of(tmp_path / "home")) as (routes, _):
        assert call(routes, "GET", "/v1/threats").status == 200
        for headers in ({"origin": "http://elsewhere"}, {"host": "elsewhere"}, {"sec-fetch-site": "cross-site"}):
            assert call(routes, "GET", "/v1/threats", headers).status == 401


@pytest.mark.parametrize("tenant", TENANTS)
def test_a_key_of_another_tenant_puts_nothing_into_the_log(tmp_path: Path, tenant: str) -> None:
    home = home_of(tmp_path / "home")
    keys = {one: add(keys_path(home), f"sensor-{one}", Role.INGEST, NOW, token_bytes, tenant=one) for one in TENANTS}
    with gated(home, tenant) as (routes, door):
        for owner, key in keys.items():
            heard = call(routes, "POST", "/v1/events", {"authorization": f"Bearer {key}"}, new().encode())
            assert heard.status == (200 if owner == tenant else 403)
        assert door.head() == (1, 1)
    ((kept,),) = kept_in(home.var / "events.db")
    assert (kept.entry.principal, kept.entry.tenant) == (f"sensor-{tenant}", tenant)


def test_without_keys_this_machine_is_of_the_tenant_that_is_served(tmp_path: Path) -> None:
    with gated(home_of(tmp_path / "home"), "acme") as (routes, _):
        assert call(routes, "POST", "/v1/events", body=new().encode()).status == 200
        assert call(routes, "GET", "/v1/threats").status == 200
    ((kept,),) = kept_in(tmp_path / "home" / "var" / "events.db")
    assert (kept.entry.principal, kept.entry.tenant) == ("local", "acme")
