"""Champion and challenger score the same events, and what differs is what the releases make of them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.registry import Registry
from serving.folding import snapshots
from serving.folding.comparing import Comparison, Tally, overlap
from serving.folding.fold import Fold
from serving.folding.messages import Shadow, Side
from serving.stream.log_entries import Entry
from serving.stream.log_reader import LogReader
from tests.serving.dockets import docket
from tests.serving.logs_of_posts import kept_in, post, posts_of, promotion, written

laws = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture
def posts(estate: Path) -> list[Entry]:
    """Eight posts of 250 events."""
    return [post(events) for events in posts_of(estate, 2000, 250)]


@pytest.fixture
def reader(twice: Registry) -> Iterator[LogReader]:
    """A log in which release 1 was promoted, and nothing came yet."""
    path = twice.home.var / "events.db"
    written(path, [promotion(1)])
    with closing(LogReader(path)) as reader:
        yield reader


def compared(registry: Registry, reader: LogReader, challenger: int = 2, behind: int = 1 << 30) -> Comparison:
    return Comparison(registry, reader, registry.home.var / "snapshots", challenger, pytest.fail, behind, least=100)


def p_of(registry: Registry, path: Path, releases: list[int]) -> NDArray[np.float64]:
    """The p of each event of a log, had these releases been promoted at its start, one after another."""
    fold = Fold(registry)
    first, *others = next(kept_in(path))
    fold.take([type(first)(first.place, promotion(release)) for release in releases])
    return np.concatenate([one.verdicts["p"].to_numpy() for one in fold.take(others)])


def test_each_side_is_what_its_release_makes_of_the_stream(
    twice: Registry, reader: LogReader, posts: list[Entry]
) -> None:
    comparison = compared(twice, reader)
    assert comparison.step() == 0
    written(reader.path, posts)
    assert (comparison.step(), comparison.step()) == (2000, 0)
    told = comparison.told()
    assert (told.events, told.skipped, told.position) == (2000, 0, reader.head().position)
    for side, releases in ((told.champion, [1]), (told.challenger, [1, 2])):
        p_B = p_of(twice, reader.path, releases)
        assert side.release == releases[-1]
        assert [side.share_01, side.share_001] == [float(np.mean(p_B <= level)) for level in (0.01, 0.001)]
        assert side.alerts_001 == pytest.approx(1e6 * np.mean(p_B <= 0.001))
        assert side.nanoseconds > 0
    assert told.champion.share_01 != told.challenger.share_01
    assert told.overlap is not None
    assert 0.0 < told.overlap <= 1.0
    assert msgspec.json.decode(msgspec.json.encode(told), type=Shadow) == told


def test_a_release_beside_itself_is_the_same_and_another_champion_is_counted_anew(
    twice: Registry, reader: LogReader, posts: list[Entry]
) -> None:
    comparison = compared(twice, reader, challenger=1)
    comparison.step()
    written(reader.path, posts)
    comparison.step()
    told = comparison.told()
    one, same = (msgspec.structs.replace(side, nanoseconds=0.0) for side in (told.champion, told.challenger))
    assert one == same
    assert (told.events, told.overlap) == (2000, 1.0)
    written(reader.path, [promotion(2)])
    comparison.step()
    told = comparison.told()
    assert (told.events, told.champion.release, told.challenger.release) == (0, 2, 1)


def test_who_falls_behind_goes_on_from_a_newer_snapshot_and_counts_what_it_skips(
    twice: Registry, reader: LogReader, posts: list[Entry]
) -> None:
    comparison, detector = compared(twice, reader, behind=400), Fold(twice)
    comparison.step()
    for part in (posts[:2], posts[2:4]):  # the second goes on where it is, for there is no newer snapshot
        written(reader.path, part)
        assert comparison.step() == 500
    written(reader.path, posts[4:])
    detector.take(reader.read(most_entries=7))
    snapshots.keep(twice.home.var / "snapshots", detector.place, *detector.snapshot())
    assert comparison.step() == 500
    told = comparison.told()
    assert (told.events, told.skipped, told.position) == (1500, 500, reader.head().position)


@laws
@given(batches=st.lists(st.lists(st.floats(0.0, 1.0), max_size=50), max_size=6))
def test_a_tally_counts_the_same_however_events_are_cut(batches: list[list[float]]) -> None:
    whole = [p for batch in batches for p in batch]
    tally = Tally(7)
    for batch in batches:
        tally.count(np.array(batch), 5000 * len(batch))
    found = tally.side()
    shares = [float(np.mean(np.array(whole) <= level)) if whole else 0.0 for level in (0.01, 0.001, 0.0001)]
    expected = Side(7, 1e6 * shares[1], 1e6 * shares[2], shares[0], shares[1], 5000.0 if whole else 0.0)
    assert msgspec.structs.astuple(found) == pytest.approx(msgspec.structs.astuple(expected))


def test_threats_agree_by_what_they_are_about() -> None:
    one, same, other = (docket(*hosts).council for hosts in (("a", "b", "c"), ("a", "b", "c"), ("x", "y", "z")))
    assert (overlap(one, same), overlap(one, other)) == (1.0, 0.0)
    assert overlap(docket("a").council, one) == pytest.approx(1 / 3)
    nobody = type(one)()
    assert overlap(nobody, nobody) is None
    assert (overlap(one, nobody), overlap(nobody, one)) == (0.0, 0.0)
