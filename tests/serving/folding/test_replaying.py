"""The log folded again says what stood at any position, and forgets whom it should."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from models.registry import Registry
from serving.folding.fold import Fold
from serving.folding.replaying import NothingThere, forget, replayed
from serving.stream.event_log import EventLog
from serving.stream.log_entries import LogInUse
from tests.serving.logs_of_posts import NOW, kept_in, post, posts_of, written


@pytest.fixture
def path(estate: Path, tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    written(path, [post(events, f"sensor-{n % 2}") for n, events in enumerate(posts_of(estate, 1500, 300))])
    return path


def ranking(fold: Fold) -> bytes:
    return msgspec.json.encode([threat.record() for threat in fold.council.rank(20)])


def test_a_position_is_folded_to_as_if_nothing_came_after(path: Path, registry: Registry) -> None:
    fold = Fold(registry)
    fold.take([one for part in kept_in(path) for one in part][:3])
    again = replayed(path, registry, 3)
    assert (again.place.position, again.place.events) == (3, 900)
    assert ranking(again) == ranking(fold)
    with pytest.raises(NothingThere, match="no position 6; the last one is 5"):
        replayed(path, registry, 6)


def test_what_is_forgotten_is_forgotten_at_every_position(path: Path, registry: Registry) -> None:
    assert forget(path, "sensor-1", "main", 2, NOW) == (6, 600)
    assert [replayed(path, registry, n).seen for n in (1, 2)] == [replayed(path, registry, 1).seen] * 2
    assert sum(replayed(path, registry, 6).seen.values()) == 900


def test_who_sent_nothing_cannot_be_forgotten(path: Path) -> None:
    for who, tenant, since in (("nobody", "main", 1), ("sensor-1", "other", 1), ("sensor-1", "main", 5)):
        with pytest.raises(NothingThere, match="sent nothing"):
            forget(path, who, tenant, since, NOW)


def test_nothing_is_forgotten_behind_the_back_of_a_service(path: Path) -> None:
    with closing(EventLog(path)), pytest.raises(LogInUse):
        forget(path, "sensor-1", "main", 2, NOW)
