"""What is decided over HTTP is done, and the audit that is read there says by whom."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

import msgspec
import pytest

from models.home import Home
from models.registry import Registry
from serving.access.audit_lines import Mark, audit_key, audit_path
from serving.access.audit_reading import verify
from serving.access.keys import add, keys_path
from serving.access.policy import Role
from serving.api.told import ARROW
from serving.client.sending import streamed
from serving.folding.fold import MOST, Fold
from serving.stream.log_entries import Kind
from tests.serving.logs_of_posts import kept_in, posts_of, written
from tests.serving.posting import Answer, Served, home_of, new, served, taking, wait_until


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_of(tmp_path / "home")


def forgetting(**more: object) -> str:
    return json.dumps({"principal": "local", "since": 1, "reason": "a liar"} | more)


def asking(service: Served, home: Home, name: str, role: Role) -> Callable[..., Answer]:
    """How somebody with a key of that role asks a service."""
    key = add(keys_path(home), name, role, datetime.now(UTC), token_bytes)

    def ask(method: str, target: str, body: bytes | str | None = None, **headers: str) -> Answer:
        return service.ask(method, target, body, authorization=f"Bearer {key}", **headers)

    return ask


def test_what_somebody_sent_is_forgotten_while_the_service_runs_as_if_it_had_never_come(
    home: Home, estate: Path, tmp_path: Path
) -> None:
    with served(home) as service:
        senders = [asking(service, home, f"sensor-{number}", Role.INGEST) for number in range(2)]
        admin = asking(service, home, "ann", Role.ADMIN)
        bodies = [streamed(frame) for post in posts_of(estate, 2400, 400) for frame in post.values()]
        for number, body in enumerate(bodies):
            assert senders[number % 2]("POST", "/v1/events", body, content_type=ARROW)[0] == 200
        wait_until(service.is_ranked)
        whole = admin("GET", "/v1/threats")[1]
        status, kept = admin("POST", "/v1/forgettings", forgetting(principal="sensor-1", since=3), idempotency_key="a")
        assert (status, kept["repeated"]) == (200, False)
        wait_until(lambda: bool(admin("GET", "/v1/threats")[1]["position"] >= kept["position"]))
        found = admin("GET", "/v1/threats")[1]["threats"]
        assert admin("POST", "/v1/forgettings", forgetting(principal="sensor-1", since=3), idempotency_key="a") == (
            200,
            kept | {"repeated": True},
        )
    entries = [one.entry for part in kept_in(home.var / "events.db") for one in part]
    left = [
        entry
        for position, entry in enumerate(entries, start=1)
        if entry.kind is Kind.EVENTS and (entry.principal != "sensor-1" or position < 3)
    ]
    assert 0 < len(left) < len(entries) - 1
    written(tmp_path / "left.db", left)
    fold = Fold(Registry(home_of(tmp_path / "other")))
    for part in kept_in(tmp_path / "left.db"):
        fold.take(part)
    expected = msgspec.json.decode(msgspec.json.encode([threat.record() for threat in fold.council.rank(MOST)]))
    assert found == expected != whole["threats"]


def test_who_sent_nothing_is_not_forgotten_and_nothing_is_folded_again(home: Home) -> None:
    with taking(home) as service:
        service.ask("POST", "/v1/events", new())
        before = service.place()
        for wrong in ({"principal": "nobody"}, {"since": 2}, {"since": 2**52}):
            status, problem = service.ask("POST", "/v1/forgettings", forgetting(**wrong))
            assert (status, problem["title"]) == (422, "Nothing to forget")
        assert service.place() == before


@pytest.mark.parametrize(
    "said",
    [
        *(
            "",
            "[]",
            "{}",
            forgetting(since=0),
            forgetting(since="1"),
            forgetting(reason=""),
            forgetting(reason="x" * 2001),
        ),
        *(forgetting(principal=""), forgetting(more=1), forgetting(since=1.5), b'{"principal": "\xff"}'),
    ],
)
def test_what_is_no_forgetting_is_a_problem_and_not_in_the_audit(home: Home, said: str | bytes) -> None:
    with taking(home) as service:
        status, problem = service.ask("POST", "/v1/forgettings", said)
    assert (status, problem["title"]) == (422, "Nothing to forget")
    assert "since" in problem["expected"]
    assert not audit_path(home).exists()


def test_the_longest_reason_is_taken_however_its_letters_are_spelled(home: Home) -> None:
    with taking(home) as service:
        service.ask("POST", "/v1/events", new())
        assert service.ask("POST", "/v1/forgettings", forgetting(reason="\U0001f600" * 2000))[0] == 200
    assert verify(audit_path(home), audit_key(home)).lines == 2


def test_nothing_of_another_tenant_is_forgotten_and_that_it_was_asked_is_in_the_audit(home: Home) -> None:
    with taking(home, tenant="acme") as service:
        service.ask("POST", "/v1/events", new())
        assert service.ask("POST", "/v1/forgettings", forgetting(tenant="main"))[0] == 403
        assert service.place() == (1, 1)
        assert service.ask("POST", "/v1/forgettings", forgetting(tenant="acme"))[0] == 200
        assert service.place() == (2, 1)
        _, told = service.ask("GET", "/v1/audit")
    assert [(line["outcome"], line["tenant"]) for line in told["entries"]] == [
        *[("refused", "acme"), ("begun", "acme"), ("done", "acme")]
    ]


def test_the_audit_is_read_page_by_page_and_its_mark_is_one_to_verify_against(home: Home) -> None:
    with taking(home) as service:
        service.ask("POST", "/v1/events", new())
        for number in range(5):
            service.ask("POST", "/v1/forgettings", forgetting(reason=f"reason {number}"))
        found: list[str] = []
        while told := service.ask("GET", f"/v1/audit?after={len(found)}&most=3")[1]["entries"]:
            assert len(told) <= 3
            found += [line["hash"] for line in told]
        _, whole = service.ask("GET", "/v1/audit")
        assert service.ask("GET", f"/v1/audit?most=0&after={10**12}")[1] == whole | {"after": 10**12, "entries": []}
    assert [line["hash"] for line in whole["entries"]] == found
    assert [line["outcome"] for line in whole["entries"]] == ["begun", "done"] * 5
    held = Mark(**whole["mark"])
    assert held == verify(audit_path(home), audit_key(home), held) == Mark(10, found[-1])


def test_where_nothing_was_decided_the_audit_is_empty(home: Home) -> None:
    with taking(home) as service:
        assert service.ask("GET", "/v1/audit") == (
            200,
            {"mark": {"lines": 0, "hash": "0" * 64}, "after": 0, "entries": []},
        )
