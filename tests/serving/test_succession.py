"""A promoted release takes over from the one that scores, between two batches, and one that cannot be used does not."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agents.succeeding import Heirs
from features.events import Domain
from models.home import Home
from models.registry import CHAMPION, Registry
from models.releases import NAME, find, model_name, promote, rollback
from serving import succession
from serving.batch.scoring import champion_mesh
from serving.succession import Succession
from tests.serving.posting import Served, event, served, wait_until

POST = 5


def crown(registry: Registry, number: int) -> None:
    promote(registry, find(registry, number), reason="a test")


def damage(registry: Registry, version: int) -> Callable[[], object]:
    """Change a byte of a network model; what comes back mends it."""
    arrays = registry.fetch(model_name(Domain.NETWORK), version) / "arrays.safetensors"
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    return lambda: arrays.write_bytes(whole)


# One look after another


class Throne:
    """What a succession is for, with a clock of its own."""

    def __init__(self, registry: Registry) -> None:
        loaded = champion_mesh(registry)
        self.seconds, self.said, self.came = 0.0, list[str](), list[Heirs]()
        self.succession = Succession(
            registry, loaded.release, loaded.mesh.agents, self.came.append, self.say, lambda: self.seconds
        )

    def say(self, lines: Iterable[str], kind: str) -> None:
        self.said += [f"{kind}: {line}" for line in lines]

    def look(self, after: float = succession.EVERY_SECONDS) -> list[int]:
        """Look after so many seconds; the releases that have come so far."""
        self.seconds += after
        self.succession.look()
        return [heirs.release for heirs in self.came]


def test_a_new_champion_arrives_once(twice: Registry) -> None:
    throne = Throne(twice)
    assert throne.look() == []
    crown(twice, 2)
    assert throne.look() == [2]
    assert throne.look() == [2]
    rollback(twice)
    assert throne.look() == [2, 1]
    assert throne.said == []


def test_it_looks_no_more_than_once_a_second(twice: Registry) -> None:
    throne = Throne(twice)
    assert throne.look(0.0) == []
    crown(twice, 2)
    assert throne.look(0.9) == []
    assert throne.look(0.2) == [2]


def test_where_nothing_was_trained_it_waits_in_silence(tmp_path: Path) -> None:
    throne = Throne(Registry(Home.at(tmp_path)))
    assert throne.look() == []
    assert throne.said == []


def test_a_damaged_release_is_refused_with_its_reason_once_and_arrives_when_it_is_mended(twice: Registry) -> None:
    throne = Throne(twice)
    crown(twice, 2)
    mend = damage(twice, 2)
    for _ in range(10):
        assert throne.look() == []
        assert throne.succession.refused == 2
    (said,) = throne.said
    assert said.startswith("warning: release 2 is refused: secmesh-network version 2: ")
    assert said.endswith("arrays.safetensors: expected the bytes and sha256 its manifest names; release 1 goes on")
    mend()
    throne.look()
    assert throne.look(succession.AGAIN_SECONDS) == [2]
    assert throne.succession.refused is None


def test_a_refused_release_that_is_rolled_back_is_forgotten(twice: Registry) -> None:
    throne = Throne(twice)
    crown(twice, 2)
    damage(twice, 2)
    throne.look()
    rollback(twice)
    assert throne.look() == []
    assert throne.succession.refused is None


def test_an_alias_that_somebody_moved_without_promoting_is_not_followed(twice: Registry) -> None:
    throne = Throne(twice)
    twice.promote(NAME, 2, CHAMPION)
    assert throne.look() == []
    assert "release 2 is refused: secmesh-release version 2: was never promoted here" in throne.said[0]
    crown(twice, 2)
    assert throne.look(succession.AGAIN_SECONDS) == [2]
    twice.promote(NAME, 1, CHAMPION)
    assert throne.look() == [2]
    assert "release 1 is refused: secmesh-release version 1: older than release 2" in throne.said[1]


def test_whatever_ails_the_catalogue_or_a_recipe_is_said_once_and_the_champion_goes_on(
    twice: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> int:
        raise RuntimeError("database is locked")

    throne = Throne(twice)
    crown(twice, 2)
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "alias", locked)
        assert throne.look() == throne.look() == []
    assert throne.said == ["warning: the champion cannot be looked up: database is locked; release 1 goes on"]
    with monkeypatch.context() as patched:
        patched.setattr(succession, "heirs_of", locked)
        assert throne.look() == []
    assert throne.said[1:] == ["warning: release 2 is refused: database is locked; release 1 goes on"]
    assert throne.look(succession.AGAIN_SECONDS) == [2]


def test_a_champion_that_moves_on_while_it_is_looked_at_is_found_by_the_next_look(
    twice: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    throne = Throne(twice)
    crown(twice, 2)
    with monkeypatch.context() as patched:
        patched.setattr(succession, "champion", lambda registry: find(registry, 1))
        assert throne.look() == []
    assert throne.look() == [2]
    assert throne.said == []


def test_an_alias_that_is_taken_away_changes_nothing(twice: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    throne = Throne(twice)
    monkeypatch.setattr(Registry, "alias", lambda *_: None)
    assert throne.look() == []
    assert throne.said == []


# A service


class Client:
    """Posts events one post after another from a thread until it is told to stop, and keeps the answers."""

    def __init__(self, service: Served) -> None:
        self.answers: list[list[dict[str, Any]]] = []
        self._service, self._is_over = service, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(60)

    def wait_for(self, release: int) -> None:
        """Wait until that release has scored a post that began now or later."""
        before = len(self.answers)
        wait_until(lambda: any(verdicts[0]["release"] == release for verdicts in self.answers[before + 1 :]))

    def _run(self) -> None:
        while not self._is_over.is_set():
            numbers = range(POST * len(self.answers), POST * (len(self.answers) + 1))
            body = "\n".join(event(n) for n in numbers)
            status, told = self._service.ask("POST", "/v1/events?score=true", body)
            assert status == 200
            self.answers.append(told["verdicts"])


def test_each_event_of_a_stream_is_scored_once_by_one_release_whatever_is_promoted(twice: Registry) -> None:
    """Through promotions, a rollback, and a release that is damaged and never scores."""
    with served(twice.home) as service:
        wait_until(lambda: service.ask("GET", "/v1/release")[1]["release"] == 1)
        with Client(service) as client:
            client.wait_for(1)
            crown(twice, 2)
            client.wait_for(2)
            rollback(twice)
            client.wait_for(1)
            crown(twice, 2)
            damage(twice, 2)
            wait_until(lambda: service.ask("GET", "/v1/release")[1]["refused"] == 2)
            client.wait_for(1)
        assert service.place()[1] == POST * len(client.answers)
    verdicts = [verdict for answer in client.answers for verdict in answer]
    assert [verdict["uid"] for verdict in verdicts] == [f"e{n}" for n in range(POST * len(client.answers))]
    assert [verdict["seq"] for verdict in verdicts] == list(range(len(verdicts)))
    assert all(len({verdict["release"] for verdict in answer}) == 1 for answer in client.answers)
    line = [answer[0]["release"] for answer in client.answers]
    assert [one for one, before in zip(line, [None, *line], strict=False) if one != before] == [1, 2, 1]
    told = [said for said in service.said if "scores from here" in said]
    assert told == [
        "release 1 scores from here on, after no release",
        "release 2 scores from here on, after release 1",
        "release 1 scores from here on, after release 2",
    ]
    assert any("release 2 is refused" in said for said in service.said)
