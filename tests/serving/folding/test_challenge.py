"""Whoever starts a shadow hears once which release waits, and once that none does."""

from pathlib import Path

from models.registry import Registry
from serving.folding.challenge import EVERY_SECONDS, Challenge
from tests.serving.posting import home_of


def heard(registry: Registry, releases: list[int | None]) -> list[int | None]:
    """What is told while these score, one after another, a look long each."""
    told: list[int | None] = []
    seconds = iter(range(0, 10_000, round(EVERY_SECONDS)))
    challenge = Challenge(registry, told.append, lambda: next(seconds))
    for release in releases:
        challenge.look(release)
    return told


def test_a_release_that_waits_is_told_of_until_it_scores(twice: Registry) -> None:
    assert heard(twice, [1, 1, 1, 2, 2, 1]) == [2, None, 2]
    assert heard(twice, [2, 2]) == []


def test_it_looks_no_more_often_than_it_should(twice: Registry) -> None:
    told: list[int | None] = []
    challenge = Challenge(twice, told.append, lambda: 0.0)
    challenge.look(1)
    assert told == []


def test_where_nothing_was_trained_nothing_waits(tmp_path: Path) -> None:
    assert heard(Registry(home_of(tmp_path / "home")), [None, None]) == []
