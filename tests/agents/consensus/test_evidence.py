"""Evidence is a bounded fold over verdicts: the strongest verdict of every distinct strange thing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.consensus.evidence import FLOOR, HELD, SAME, Evidence
from agents.consensus.testimony import HABITS
from agents.consensus.testimony import testimony as spoken  # pytest takes what is called test... for a test

Said = Callable[..., pl.DataFrame]
Heap = Callable[[pl.DataFrame], pl.DataFrame]
laws = settings(max_examples=25, deadline=None, derandomize=True)
MANY = 20_000
TEN_MINUTES = 600


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Verdicts of few entities that do few things, many of equal evidence."""
    made = st.fixed_dictionaries(
        {
            "domain": st.sampled_from(["endpoint", "network"]),
            "user": st.sampled_from(["u1", "u2", "u3", None]),
            "host": st.sampled_from(["h1", "h2", "h3", None]),
            "address": st.sampled_from(["a1", "a2", None]),
            "peer": st.sampled_from(["a1", "a3", None]),
            "value": st.sampled_from(["x", "y", "z", None]),
            "evidence": st.sampled_from([0.0, 1.0, 5.0, 9.0, 9.0, 300.0]),
            "at": st.sampled_from([0, 1, 599, 600, 7200]),
        }
    )
    return draw(st.lists(made, max_size=40))


def told(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Testimony of entities that are never busy."""
    return spoken(verdicts).with_columns(pl.lit(1.0).alias(name) for name in HABITS)


def heard(verdicts: pl.DataFrame, cuts: list[int], most: int = 20_000) -> Evidence:
    evidence = Evidence(most)
    ends = [*sorted(min(cut, verdicts.height) for cut in cuts), verdicts.height]
    for a, b in zip([0, *ends], ends, strict=False):
        evidence.hear(told(verdicts[a:b]))
    return evidence


def flood(rows: int, nats: float, field: str = "program", seed: int | None = None) -> pl.DataFrame:
    """Strange things of one sort, a second apart, of so many nats or, with a seed, of that and more."""
    more = np.zeros(rows) if seed is None else np.random.default_rng(seed).exponential(3.0, rows)
    return pl.DataFrame({"second": np.arange(rows), "evidence": nats + more}).with_columns(
        host=pl.format("h{}", "second"), field=pl.lit(field)
    )


@laws
@given(table=rows(), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_any_cut_holds_the_same(table: list[dict[str, Any]], cuts: list[int], said: Said) -> None:
    verdicts = said(*table)
    whole, parts = heard(verdicts, []), heard(verdicts, cuts)
    assert_frame_equal(parts.held(), whole.held(), check_exact=True)


def test_any_cut_of_a_flood_holds_the_same(heap: Heap) -> None:
    verdicts = heap(flood(MANY, 5.0, seed=1))
    whole, parts = (heard(verdicts, cuts, most=50) for cuts in ([], [1, 8191, 8193, 15_000]))
    assert_frame_equal(parts.held(), whole.held(), check_exact=True)


@laws
@given(before=rows(), after=rows())
def test_restored_evidence_goes_on_the_same(
    before: list[dict[str, Any]], after: list[dict[str, Any]], said: Said
) -> None:
    one, other = heard(said(*before), []), heard(said(*after), [])
    other.restore(one.state())
    for evidence in (one, other):
        evidence.hear(told(said(*after, first=len(before))))
    assert_frame_equal(other.held(), one.held(), check_exact=True)


@laws
@given(table=rows())
def test_a_thing_is_held_once_at_its_strongest(table: list[dict[str, Any]], said: Said) -> None:
    held = heard(said(*table), []).held()
    assert held.schema == HELD
    assert held.select(SAME).is_duplicated().sum() == 0
    assert held["seq"].is_sorted()
    strongest: dict[tuple[Any, ...], float] = {}
    strange = [row for row in table if row["evidence"] >= FLOOR]
    for row in strange:
        key = (*(value for name, value in row.items() if name not in ("evidence", "at")), row["at"] // TEN_MINUTES)
        strongest[key] = max(strongest.get(key, 0.0), row["evidence"])
    assert held["count"].sum() == len(strange)
    assert sorted(held["evidence"]) == sorted(strongest.values())


def test_a_thing_seen_again_keeps_when_it_began_and_ended(said: Said) -> None:
    rows = [{"host": "h", "evidence": nats, "at": at} for nats, at in ((6.0, 10), (9.0, 20), (7.0, 30))]
    held = heard(said(*rows), []).held()
    assert held.select("evidence", "count", "seq").row(0) == (9.0, 3, 1)
    assert (held["last_time"] - held["first_time"]).dt.total_seconds().item() == 20


def test_what_is_not_strange_is_not_held(said: Said) -> None:
    assert heard(said({"host": "h", "evidence": 0.5}), []).held().is_empty()


def test_the_same_thing_ten_minutes_later_is_another(said: Said) -> None:
    rows = [{"host": "h", "evidence": 6.0, "at": at} for at in (0, 599, 600)]
    assert heard(said(*rows), []).held()["count"].to_list() == [2, 1]


def test_what_is_held_stays_bounded_and_the_strongest_of_a_sort_stay(heap: Heap) -> None:
    verdicts = heap(flood(MANY, 5.0, seed=2))
    evidence = heard(verdicts, [], most=100)
    assert sum(frame.height for frame in evidence.state().values()) < 10_000
    strongest = verdicts.sort("evidence", descending=True)["uid"].head(100)
    assert set(strongest) <= set(evidence.held()["uid"])


def test_a_hundred_thousand_things_of_one_sort_stay_bounded(heap: Heap) -> None:
    evidence = heard(heap(flood(100_000, 20.0)), [])
    assert sum(frame.height for frame in evidence.state().values()) <= 20_000 + 8192


@settings(max_examples=10, deadline=None, derandomize=True)
@given(nats=st.floats(5.0, 12.0), others=st.integers(1, 60), at=st.integers(0, MANY))
def test_a_flood_of_one_sort_pushes_nothing_out_that_has_a_better_claim(
    nats: float, others: int, at: int, heap: Heap
) -> None:
    """Of a hundred places, the others' have one if the last of them is worth more than the first without a place."""
    loud = flood(MANY, nats)
    claim = nats - np.log(100 - others + 1) + np.log(others) + 0.01
    few = flood(others, max(claim, FLOOR), field="parent")
    held = heard(heap(pl.concat([loud[:at], few, loud[at:]])), [], most=100).held()
    assert (held["field"] == "parent").sum() == others


def test_no_verdicts_leave_nothing(said: Said) -> None:
    assert heard(said(), []).held().is_empty()


def test_a_state_is_not_changed_by_what_comes_later(said: Said) -> None:
    evidence = heard(said({"host": "h", "evidence": 9.0}), [])
    state = evidence.state()
    evidence.hear(told(said({"host": "h", "evidence": 20.0}, {"host": "g", "evidence": 9.0}, first=1)))
    assert sum(frame.height for frame in state.values()) == 1
