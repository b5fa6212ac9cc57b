"""The client posts each batch once, however often it has to be sent, and says what is wrong where it cannot."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

import pytest

from serving.access.keys import add, keys_path
from serving.access.policy import Role
from serving.api.told import Taken
from serving.client.client import Client, NotTaken
from tests.serving.posting import Served, event, home_of, taking


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    with taking(home_of(tmp_path / "home")) as service:
        yield service


def test_a_batch_is_posted_once_and_is_another_as_another_part(service: Served) -> None:
    body = f"{event(1)}\n{{\n".encode()
    with Client(service.url) as client:
        taken = client.post(body)
        assert isinstance(taken, Taken)
        assert (taken.accepted, taken.repeated, taken.refused_count) == (1, False, 1)
        assert taken.refused[0].value == "{"
        assert client.post(body).repeated
        other = client.post(body, part="2")
        assert (other.accepted, other.known, other.repeated) == (0, 1, False)
        assert service.place() == (1, 1)


def test_a_batch_without_events_is_told_as_one_of_which_nothing_was_accepted(service: Served) -> None:
    with Client(service.url) as client:
        taken = client.post(b"hello\n")
    assert (taken.accepted, taken.refused_count) == (0, 1)
    assert "known" in taken.refused[0].reason


@pytest.mark.parametrize("ask", [lambda one: one.post(b"x", format="magic"), lambda one: one.get("/v1/threats/never")])
def test_what_cannot_be_answered_is_said_with_what_was_expected(
    service: Served, ask: Callable[[Client], object]
) -> None:
    with Client(service.url) as client, pytest.raises(NotTaken, match="expected"):
        ask(client)


def test_a_client_goes_on_when_the_service_comes_back(tmp_path: Path) -> None:
    home, said = home_of(tmp_path / "home"), list[str]()
    with taking(home) as before:
        port = before.port
    with ExitStack() as later:
        started: list[Served] = []

        def sleep(seconds: float) -> None:
            if len(said) == 3:
                started.append(later.enter_context(taking(home, port)))

        with Client(f"http://127.0.0.1:{port}", say=said.append, sleep=sleep) as client:
            assert client.post(event(1).encode()).accepted == 1
        assert len(said) == 3
        assert all(line.startswith("no answer") for line in said)
        assert started[0].place() == (1, 1)


def test_a_client_gives_up_when_its_patience_is_over(tmp_path: Path) -> None:
    with taking(home_of(tmp_path / "home")) as gone:
        port = gone.port
    with Client(f"http://127.0.0.1:{port}", patience=0) as client, pytest.raises(NotTaken, match="nothing is lost"):
        client.post(event(1).encode())


def test_a_client_shows_its_key(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home")
    key = add(keys_path(home), "sensor", Role.INGEST, datetime.now(UTC), token_bytes)
    with taking(home) as service:
        with Client(service.url, key) as client:
            assert client.post(event(1).encode()).accepted == 1
        with Client(service.url) as client, pytest.raises(NotTaken, match="401 Unknown"):
            client.post(event(2).encode())
