"""Evidence is a bounded fold over verdicts: the strongest verdict of every distinct strange thing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.consensus.evidence import HELD, SAME, Evidence, noted

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=25, deadline=None, derandomize=True)
MANY = 20_000


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
            "evidence": st.sampled_from([0.0, 2.0, 5.0, 9.0, 9.0, 300.0]),
        }
    )
    return draw(st.lists(made, max_size=40))


def heard(verdicts: pl.DataFrame, cuts: list[int], most: int = 20_000) -> Evidence:
    evidence = Evidence(most)
    ends = [*sorted(min(cut, verdicts.height) for cut in cuts), verdicts.height]
    for a, b in zip([0, *ends], ends, strict=False):
        evidence.hear(noted(verdicts[a:b]))
    return evidence


def flood(rows: int, seed: int) -> pl.DataFrame:
    """Strange verdicts of which no two are the same thing."""
    chance = np.random.default_rng(seed)
    frame = pl.DataFrame({"seq": np.arange(rows), "evidence": 5.0 + chance.exponential(3.0, rows)})
    row = pl.int_range(pl.len()).cast(pl.String)
    reason = pl.concat_list(pl.struct(field=pl.lit("program"), value=row, nats=pl.lit(5.0, pl.Float32)))
    named = {
        "domain": pl.lit("endpoint"),
        "activity": pl.lit("launch"),
        "host": "h" + row,
        "uid": row,
        "reasons": reason,
    }
    empty = pl.DataFrame(schema=HELD).select(pl.exclude("field", "value", "count", "first_time", "last_time"))
    times = pl.from_epoch("seq", time_unit="s").dt.replace_time_zone("UTC").cast(empty.schema["time"])
    return pl.concat([empty, frame.with_columns(time=times, **named)], how="diagonal_relaxed").cast(empty.schema)


@laws
@given(table=rows(), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_any_cut_holds_the_same(table: list[dict[str, Any]], cuts: list[int], said: Said) -> None:
    verdicts = said(*table)
    whole, parts = heard(verdicts, []), heard(verdicts, cuts)
    assert_frame_equal(parts.held(), whole.held(), check_exact=True)


def test_any_cut_of_a_flood_holds_the_same() -> None:
    verdicts = flood(MANY, 1)
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
        evidence.hear(noted(said(*after, first=len(before))))
    assert_frame_equal(other.held(), one.held(), check_exact=True)


@laws
@given(table=rows())
def test_a_thing_is_held_once_at_its_strongest(table: list[dict[str, Any]], said: Said) -> None:
    held = heard(said(*table), []).held()
    assert held.schema == HELD
    assert held.select(SAME).is_duplicated().sum() == 0
    assert held["evidence"].is_sorted(descending=True)
    strange = [row for row in table if row["evidence"] >= 5.0]
    assert held["count"].sum() == len(strange)
    keys = {(row["domain"], row["value"], row["user"], row["host"], row["address"]) for row in strange}
    assert held.height == len(keys)


def test_a_thing_seen_again_keeps_when_it_began_and_ended(said: Said) -> None:
    rows = [{"host": "h", "evidence": nats, "at": at} for nats, at in ((6.0, 10), (9.0, 20), (7.0, 30))]
    held = heard(said(*rows), []).held()
    assert held.select("evidence", "count", "seq").row(0) == (9.0, 3, 1)
    assert (held["last_time"] - held["first_time"]).dt.total_seconds().item() == 20


def test_what_is_not_strange_is_not_held(said: Said) -> None:
    assert heard(said({"host": "h", "evidence": 0.5}), []).held().is_empty()


def test_what_is_held_stays_bounded_and_the_strongest_stay() -> None:
    verdicts = flood(MANY, 2)
    evidence = heard(verdicts, [], most=100)
    assert sum(frame.height for frame in evidence.state().values()) < 10_000
    assert (
        evidence.held()["uid"].head(100).to_list()
        == verdicts.sort("evidence", descending=True)["uid"].head(100).to_list()
    )


def test_no_verdicts_leave_nothing(said: Said) -> None:
    assert heard(said(), []).held().is_empty()


def test_a_state_is_not_changed_by_what_comes_later(said: Said) -> None:
    evidence = heard(said({"host": "h", "evidence": 9.0}), [])
    state = evidence.state()
    evidence.hear(noted(said({"host": "h", "evidence": 20.0}, {"host": "g", "evidence": 9.0}, first=1)))
    assert sum(frame.height for frame in state.values()) == 1
