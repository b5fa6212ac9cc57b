"""How a past is given back, in memory and from disk."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.keeping import arrays_of
from features.events import Domain, schema
from features.logs import Events, cut, read_logs
from training import acquainting, learning, shelf
from training.learning import learn_together
from training.past import Remembered, batches, past_of, stretches
from training.shelf import shelve
from training.simulation import simulate

BEGINS = datetime(2026, 3, 2, tzinfo=UTC)
SOME = (Domain.IDENTITY, Domain.DNS, Domain.CLOUD)


@dataclass(frozen=True)
class Sliced(Remembered):
    """A past in memory whose slices are of at most `size` events."""

    size: int = 1

    def slices(self, domain: Domain):  # type: ignore[no-untyped-def]  # as its parent's
        yield from self.events[domain].iter_slices(self.size)


def at_minutes(domain: Domain, minutes: list[int]) -> pl.DataFrame:
    """An event at each of these minutes, numbered."""
    told = {"time": [BEGINS + timedelta(minutes=minute) for minute in sorted(minutes)], "line": range(len(minutes))}
    columns = schema(domain)
    missing = [pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in told]
    return pl.DataFrame(told, {name: columns[name] for name in told}).with_columns(missing).select(columns.names())


pasts = st.fixed_dictionaries({domain: st.lists(st.integers(0, 9), max_size=30) for domain in SOME}).map(
    lambda told: {domain: at_minutes(domain, minutes) for domain, minutes in told.items()}
)


def alike(one: list[Events], other: list[Events]) -> bool:
    """Whether the batches hold the same events in the same order."""
    return [{d: f.rows() for d, f in batch.items()} for batch in one] == [
        {d: f.rows() for d, f in batch.items()} for batch in other
    ]


@settings(max_examples=60, deadline=None)
@given(pasts, st.integers(1, 8), st.integers(1, 40))
def test_batches_are_those_of_the_log_at_once_however_it_is_sliced(events: Events, size: int, rows: int) -> None:
    assert alike(list(batches(Sliced(events, size), rows)), list(cut(events, rows)))


@settings(max_examples=60, deadline=None)
@given(pasts, st.integers(1, 8))
def test_stretches_hold_no_more_than_a_slice_of_each_domain(events: Events, size: int) -> None:
    heights = [frame.height for stretch in stretches(Sliced(events, size)) for frame in stretch.values()]
    assert sum(heights) == sum(frame.height for frame in events.values())
    assert all(0 < height <= size for height in heights)


@settings(max_examples=60, deadline=None)
@given(pasts.filter(lambda events: any(map(len, events.values()))), st.data())
def test_the_newest_are_few_and_later_than_all_that_is_older(events: Events, data: st.DataObject) -> None:
    whole = sum(frame.height for frame in events.values())
    newest = data.draw(st.integers(0, whole - 1))
    older, newer = Remembered(events).parted(newest)
    old, new = pl.concat([f["time"] for f in older.events.values()]), [t for f in newer.values() for t in f["time"]]
    assert len(old) + len(new) == whole
    assert len(old) > 0
    assert len(new) <= newest
    assert not new or old.max() < min(new)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("estate")
    simulate(folder, seed=1, days=1, users=4, play=0)
    return [folder / f"{domain}.jsonl" for domain in SOME]


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices and batches so small that a day has many, and few of them are read."""
    monkeypatch.setattr(shelf, "SLICE_ROWS", 200)
    monkeypatch.setattr(shelf, "THINNING", 4)
    monkeypatch.setattr(learning, "_BATCH", 300)
    monkeypatch.setattr(learning, "_READ", 8)
    monkeypatch.setattr(acquainting, "_LEAST", 200)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("newest", [0, 1, 300])
def test_a_shelf_is_parted_as_what_is_in_memory(tmp_path: Path, logs: list[Path], newest: int) -> None:
    events = read_logs(logs).events
    older, newer = shelve(logs, tmp_path / "shelf").parted(newest)
    old, new = Remembered(events).parted(newest)
    assert older.rows == old.rows
    assert all(pl.concat(older.slices(domain)).equals(old.events[domain]) for domain in old.rows)
    assert all(older.lineage(domain) == old.lineage(domain) for domain in old.rows)
    assert newer.keys() == new.keys()
    assert all(newer[domain].equals(new[domain]) for domain in new)
    again, newer_of_older = older.parted(100)
    old_again, new_of_old = old.parted(100)
    assert again.rows == old_again.rows
    assert all(newer_of_older[domain].equals(frame) for domain, frame in new_of_old.items())


@pytest.mark.usefixtures("small_slices")
def test_a_shelf_teaches_a_mesh_what_events_in_memory_do(tmp_path: Path, logs: list[Path]) -> None:
    on_disk = learn_together(shelve(logs, tmp_path / "shelf"), seed=1, epochs=2)
    in_memory = learn_together(read_logs(logs).events, seed=1, epochs=2)
    assert on_disk.learned.keys() == set(SOME)
    for domain, learned in on_disk.learned.items():
        one, other = arrays_of(learned.agent), arrays_of(in_memory.learned[domain].agent)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert learned.verdicts.equals(in_memory.learned[domain].verdicts)
    assert any(learned.agent.reader for learned in on_disk.learned.values())


def test_events_in_memory_are_a_past_and_a_past_is_one_already() -> None:
    events = {Domain.DNS: at_minutes(Domain.DNS, [1, 2]), Domain.WEB: at_minutes(Domain.WEB, [])}
    past = past_of(events)
    assert past.rows == {Domain.DNS: 2}
    assert past_of(past) is past
