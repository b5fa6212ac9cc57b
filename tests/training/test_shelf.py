"""How a past is kept on disk and given back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.agent import Agent
from agents.keeping import arrays_of
from agents.recipe import recipe_of
from features import parquet
from features.events import Domain, schema
from features.logs import Events, read_logs
from training import shelf as shelves
from training.counting import codes_of, count
from training.fitting import Settings, fit_counted
from training.learning import learn
from training.lineage import lineage_of
from training.shelf import NoSpan, Shelf, Span, key_of, shelve, span_of
from training.simulation import simulate


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("estate")
    simulate(folder, seed=1, days=1, users=4, play=0)
    return sorted(folder.glob("*.jsonl"))


@pytest.fixture(scope="module")
def events(logs: list[Path]) -> Events:
    return read_logs(logs).events


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices and parts so small that a day has many."""
    monkeypatch.setattr(shelves, "SLICE_ROWS", 200)
    monkeypatch.setattr(shelves, "THINNING", 4)


def whole(shelf: Shelf, domain: Domain) -> pl.DataFrame:
    return pl.concat(shelf.slices(domain))


@pytest.mark.usefixtures("small_slices")
def test_slices_laid_end_to_end_are_the_log_in_memory(tmp_path: Path, logs: list[Path], events: Events) -> None:
    shelf = shelve(logs, tmp_path / "shelf")
    assert shelf.rows == {domain: frame.height for domain, frame in events.items()}
    for domain, frame in events.items():
        assert whole(shelf, domain).equals(frame)
    assert len(list(shelf.slices(Domain.NETWORK))) > 3


@pytest.mark.usefixtures("small_slices")
def test_a_lineage_is_that_of_all_events_at_once(tmp_path: Path, logs: list[Path], events: Events) -> None:
    shelf = shelve(logs, tmp_path / "shelf")
    assert all(shelf.lineage(domain) == lineage_of(frame) for domain, frame in events.items())


@pytest.mark.usefixtures("small_slices")
def test_what_is_learned_in_slices_is_what_is_learned_at_once(tmp_path: Path, logs: list[Path], events: Events) -> None:
    shelf, recipe = shelve(logs, tmp_path / "shelf"), recipe_of(Domain.DNS)
    counted = count(codes_of(recipe, shelf.slices(Domain.DNS)), shelf.rows[Domain.DNS])
    agent = Agent(recipe, fit_counted(counted, recipe.asks, Settings(epochs=2), seed=1).offline)
    verdicts = agent.observe(whole(shelf, Domain.DNS).with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64)))
    learned = learn(recipe, events[Domain.DNS], seed=1, epochs=2)
    assert verdicts.equals(learned.verdicts)
    one, other = arrays_of(agent), arrays_of(learned.agent)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("small_slices")
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=900), st.integers(2, 60))
def test_events_of_any_times_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, minutes: list[int], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("times")
    path, frame = folder / "dns.parquet", queries(minutes)
    with path.open("wb") as file, parquet.Writer(file, Domain.DNS) as writer:
        for begin in range(0, frame.height, rows):
            writer.write(frame[begin : begin + rows])
    shelf = shelve([path, path], folder / "shelf")
    assert whole(shelf, Domain.DNS).equals(read_logs([path, path]).events[Domain.DNS])
    assert max(part.height for part in shelf.slices(Domain.DNS)) <= 2 * shelves.SLICE_ROWS + 2 * shelves.THINNING


def queries(minutes: list[int]) -> pl.DataFrame:
    """A query at each of these minutes."""
    begins, columns = datetime(2026, 3, 2, tzinfo=UTC), schema(Domain.DNS)
    told = {
        "source": ["queries"] * len(minutes),
        "line": list(range(len(minutes))),
        "time": [begins + timedelta(minutes=minute) for minute in minutes],
        "uid": [f"u{n}" for n in range(len(minutes))],
        "device_hostname": ["host"] * len(minutes),
        "query_hostname": [f"name{n % 5}.example" for n in range(len(minutes))],
    }
    frame = pl.DataFrame(told, schema={name: columns[name] for name in told})
    missing = [pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in told]
    return frame.with_columns(missing).select(columns.names())


def test_a_span_holds_its_first_moment_and_not_its_last(tmp_path: Path, logs: list[Path], events: Events) -> None:
    times = events[Domain.DNS]["time"]
    span = Span(times[10], times[-10])
    shelf = shelve(logs, tmp_path / "shelf", span=span)
    wanted = events[Domain.DNS].filter((times >= times[10]) & (times < times[-10]))
    assert whole(shelf, Domain.DNS).equals(wanted)
    assert shelf.seen == sum(frame.height for frame in events.values())


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "", "03/02/2026"])
def test_what_is_no_date_is_refused_by_name(since: str) -> None:
    with pytest.raises(NoSpan, match=r"--since .*: expected an ISO date or time"):
        span_of(since, None)


def test_a_span_of_nothing_is_refused() -> None:
    with pytest.raises(NoSpan, match="is not before --until"):
        span_of("2026-03-02", "2026-03-02")


def test_a_whole_shelf_is_taken_and_one_cut_short_is_written_anew(
    tmp_path: Path, logs: list[Path], events: Events
) -> None:
    heard: list[int] = []
    first = shelve(logs, tmp_path / "shelf", told=lambda chunk: heard.append(chunk.records))
    read = len(heard)
    assert shelve([], tmp_path / "shelf") == first
    (tmp_path / "shelf" / "contents.json").unlink()
    again = shelve(logs, tmp_path / "shelf", told=lambda chunk: heard.append(chunk.records))
    assert again == first
    assert len(heard) == 2 * read
    assert whole(again, Domain.WEB).equals(events[Domain.WEB])


def test_a_log_that_was_written_to_has_another_key(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    before = key_of([tmp_path], "auto", Span())
    assert key_of([tmp_path], "auto", Span()) == before
    log.write_text("one\ntwo\n")
    assert key_of([tmp_path], "auto", Span()) != before


def test_refusals_are_counted_and_the_first_told(tmp_path: Path) -> None:
    log = tmp_path / "dns.jsonl"
    log.write_text("no json\n" * 9)
    shelf = shelve([log], tmp_path / "shelf")
    refused = read_logs([log]).refused
    assert shelf.refused == refused.height
    assert list(shelf.refusals) == refused.select("source", "line", "reason").head(5).rows()
    assert not shelf.rows
