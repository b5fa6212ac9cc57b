"""The same log makes the same mesh and the same ranking, however it is cut, kept or begun again."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.evidence import HELD
from features.memory import State
from models.home import Home
from models.registry import Registry
from serving.folding import snapshots
from serving.folding.acts import Decision, Forgetting
from serving.folding.fold import Fold, MustForget
from serving.stream.log_entries import Entry, Kept, Kind, Place
from serving.threats.framed import frame_from
from tests.serving.logs_of_posts import NOW, forgetting, kept_in, post, posts_of, promotion, written

laws = settings(max_examples=8, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def log(estate: Path, champion: Home, tmp_path_factory: pytest.TempPathFactory) -> list[Kept]:
    """Posts of three sizes, a promotion among them."""
    path = tmp_path_factory.mktemp("fold") / "events.db"
    entries = [post(events, f"sensor-{n % 2}") for n, events in enumerate(posts_of(estate, 4000, 500))]
    written(path, [*entries[:3], promotion(1), *entries[3:]])
    return [one for part in kept_in(path) for one in part]


def ranking(fold: Fold) -> bytes:
    return msgspec.json.encode([threat.record() for threat in fold.council.rank(50)])


def same(one: State, other: State) -> bool:
    """The same arrays, and frames of the same rows, whatever bytes an Arrow file has for them."""
    if one.keys() != other.keys():
        return False
    frames = [name for name in one if name.startswith("frame.")]
    assert frames
    alike = (frame_from(name, one[name], HELD).equals(frame_from(name, other[name], HELD)) for name in frames)
    return all(alike) and all(np.array_equal(one[name], other[name]) for name in one if name not in frames)


def folded(registry: Registry, kept: list[Kept], ends: list[int], forgotten: tuple[Forgetting, ...] = ()) -> Fold:
    fold = Fold(registry, forgotten)
    for start, end in zip([0, *ends], [*ends, len(kept)], strict=True):
        fold.take(kept[start:end])
    return fold


@pytest.fixture(scope="module")
def whole(log: list[Kept], champion: Home) -> Fold:
    return folded(Registry(champion), log, [])


@laws
@given(cuts=st.lists(st.integers(0, 9), max_size=4))
def test_any_cut_gives_the_same_state_and_ranking(
    log: list[Kept], whole: Fold, champion: Home, cuts: list[int]
) -> None:
    fold = folded(Registry(champion), log, sorted(cuts))
    assert ranking(fold) == ranking(whole)
    ours, theirs = fold.snapshot(), whole.snapshot()
    assert ours[1] == theirs[1]
    assert same(ours[0], theirs[0])


@laws
@given(at=st.integers(0, 9))
def test_a_snapshot_goes_on_as_if_nothing_had_been(
    log: list[Kept], whole: Fold, champion: Home, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("snapshots")
    registry = Registry(champion)
    fold = folded(registry, log[:at], [])
    snapshots.keep(folder, fold.place, *fold.snapshot())
    (kept,) = snapshots.newest(folder, lambda place: place == fold.place, pytest.fail)
    other = Fold(registry)
    other.restore(kept)
    assert other.place == fold.place
    other.take(log[at:])
    assert ranking(other) == ranking(whole)
    assert same(other.snapshot()[0], whole.snapshot()[0])


def test_a_release_scores_from_its_promotion_on(log: list[Kept], champion: Home) -> None:
    fold = Fold(Registry(champion))
    scored = fold.take(log)
    releases = [set(verdicts["release"]) for one in scored for _, verdicts in one.of_each()]
    assert releases == [{None}] * 3 + [{1}] * 5
    assert fold.release == 1
    assert fold.said == ["release 1 scores from here on, after no release"]


def test_every_entry_has_its_own_verdicts(log: list[Kept], champion: Home) -> None:
    scored = Fold(Registry(champion)).take(log)
    for one, verdicts in (pair for part in scored for pair in part.of_each()):
        assert verdicts["seq"].to_list() == list(range(one.first - 1, one.first - 1 + one.entry.events))


def test_what_is_forgotten_is_as_if_it_had_never_come(log: list[Kept], champion: Home, tmp_path: Path) -> None:
    registry = Registry(champion)
    entries = [one.entry for one in log]
    without = [e for n, e in enumerate(entries, start=1) if not (e.principal == "sensor-1" and n >= 4)]
    written(tmp_path / "without.db", without)
    written(tmp_path / "with.db", [*entries, forgetting("sensor-1", 4)])
    gone = Forgetting("sensor-1", "main", 4)
    expected = folded(registry, [one for part in kept_in(tmp_path / "without.db") for one in part], [])
    fold = folded(registry, [one for part in kept_in(tmp_path / "with.db") for one in part], [], (gone,))
    assert ranking(fold) == ranking(expected)
    assert same(fold.snapshot()[0], expected.snapshot()[0])
    assert len(without) < len(entries)


def test_who_is_not_told_what_to_forget_has_to_begin_again(champion: Home, tmp_path: Path) -> None:
    written(tmp_path / "events.db", [forgetting("sensor-1", 4)])
    fold = Fold(Registry(champion))
    with pytest.raises(MustForget):
        fold.take(next(kept_in(tmp_path / "events.db")))


def test_a_snapshot_that_remembers_too_much_is_refused(log: list[Kept], champion: Home) -> None:
    registry = Registry(champion)
    arrays, about = folded(registry, log[:6], []).snapshot()
    kept = snapshots.Snapshot(log[5].place, arrays, about)
    with pytest.raises(ValueError, match="remembers what should be forgotten"):
        Fold(registry, (Forgetting("sensor-1", "main", 5),)).restore(kept)
    Fold(registry, (Forgetting("sensor-1", "main", 7),)).restore(kept)


def test_an_answer_is_of_the_threat_as_it_stood(log: list[Kept], whole: Fold, champion: Home) -> None:
    registry = Registry(champion)
    fold = folded(registry, log, [])
    threat = fold.council.rank(1)[0]
    for said in (True, None):
        decision = msgspec.json.encode(Decision(threat.id, said, "seen it"))
        entry = Entry(Kind.DECISION, NOW, "ann", "main", decision)
        place = fold.place
        fold.take([Kept(Place(place.position + 1, place.events, bytes(32)), entry)])
    assert [(one.threat, one.is_true, one.analyst) for one in fold.answers] == [
        (threat.id, True, "ann"),
        (threat.id, None, "ann"),
    ]
    unknown = Entry(Kind.DECISION, NOW, "ann", "main", msgspec.json.encode(Decision("nobody", True, "x")))
    fold.take([Kept(Place(fold.place.position + 1, fold.place.events, bytes(32)), unknown)])
    assert len(fold.answers) == 2


def damaged(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*/arrays.safetensors"), reverse=True)[:1]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        yield path.parent.name


def test_a_damaged_snapshot_is_passed_over(log: list[Kept], champion: Home, tmp_path: Path) -> None:
    fold = Fold(Registry(champion))
    for part in (log[:2], log[2:3]):
        fold.take(part)
        snapshots.keep(tmp_path, fold.place, *fold.snapshot())
    assert list(damaged(tmp_path)) == ["000000000003"]
    said: list[str] = []
    found = list(snapshots.newest(tmp_path, lambda place: True, said.append))
    assert [one.place.position for one in found] == [2]
    assert "000000000003" in said[0]


def test_snapshots_of_another_log_and_old_ones_are_not_taken(log: list[Kept], champion: Home, tmp_path: Path) -> None:
    fold = Fold(Registry(champion))
    for one in log[:5]:
        fold.take([one])
        snapshots.keep(tmp_path, fold.place, *fold.snapshot())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000003", "000000000004", "000000000005"]
    said: list[str] = []
    assert list(snapshots.newest(tmp_path, lambda place: False, said.append)) == []
    assert len(said) == snapshots.KEPT
