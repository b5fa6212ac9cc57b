"""Gathering tells of each thread who is in it, since when, and by which things."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.consensus.episodes import LISTED, episodes
from agents.consensus.gathering import Gathered, gathered

Said = Callable[..., pl.DataFrame]
Held = Callable[[pl.DataFrame], pl.DataFrame]
laws = settings(max_examples=30, deadline=None, derandomize=True)
FRAMES = ("threads", "episodes", "told", "domains", "names")


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Verdicts in the order of time."""
    made = st.fixed_dictionaries(
        {
            "domain": st.sampled_from(["endpoint", "network", "dns"]),
            "activity": st.sampled_from(["launch", "alert"]),
            "user": st.sampled_from(["u1", "u2", "u3", None]),
            "host": st.sampled_from(["h1", "h2", "h3", None]),
            "address": st.sampled_from(["a1", "a2", None]),
            "field": st.sampled_from(["f", "alert"]),
            "value": st.sampled_from(["x", "y", "z"]),
            "evidence": st.sampled_from([3.5, 6.0, 12.0, 30.0]),
            "gap": st.sampled_from([0, 1, 60, 900, 5000]),
        }
    )
    rows = draw(st.lists(made, max_size=40))
    seconds = np.cumsum([row.pop("gap") for row in rows]).tolist()
    return [row | {"at": int(at)} for row, at in zip(rows, seconds, strict=True)]


def threads_of(held: pl.DataFrame) -> Gathered:
    return gathered(held, episodes(held))


def parts_of(found: Gathered) -> list[Gathered]:
    return [found.of(pl.Series([thread])) for thread in found.threads["thread"]]


@laws
@given(rows=logs())
def test_an_episode_is_in_one_thread_and_a_thread_is_as_strange_as_its_strangest(
    rows: list[dict[str, Any]], said: Said, things: Held
) -> None:
    found = threads_of(things(said(*rows)))
    assert not found.episodes.select("kind", "name", "start").is_duplicated().any()
    assert found.episodes.filter(pl.col("score") < LISTED).is_empty()
    peaks = found.episodes.group_by("thread").agg(peak=pl.col("score").max()).sort("thread")
    assert_frame_equal(peaks, found.threads.select("thread", "peak").sort("thread"))


@laws
@given(rows=logs())
def test_every_entity_of_a_thread_is_named_in_a_thing_of_its_episode(
    rows: list[dict[str, Any]], said: Said, things: Held
) -> None:
    held = things(said(*rows))
    named = {(kind, row[kind], row["start"]) for row in held.to_dicts() for kind in ("user", "host", "address")}
    assert set(threads_of(held).episodes.select("kind", "name", "start").rows()) <= named


@laws
@given(rows=logs())
def test_a_thread_is_told_by_the_fewest_things_that_make_up_four_fifths(
    rows: list[dict[str, Any]], said: Said, things: Held
) -> None:
    """All that tell of it are told anew where a thing stands in two threads."""
    held = things(said(*rows))
    for part in parts_of(threads_of(held)):
        gains = part.told["gain"].to_list()
        assert gains == sorted(gains, reverse=True)
        assert gains
        assert len(part.told["thing"].unique()) == len(gains)
        assert sum(gains[:-1]) <= 4 * gains[-1] + 0.8 * sum(gains[:-1]) + 1e-9


@laws
@given(rows=logs(), habit=st.sampled_from([1.0, 1e3, 1e9]))
def test_the_shares_of_a_threads_domains_add_up_to_one(
    rows: list[dict[str, Any]], habit: float, said: Said, things: Held
) -> None:
    """Even where nothing is said against it but by its company."""
    held = things(said(*rows)).with_columns(habit_host=pl.lit(habit))
    shares = threads_of(held).domains.group_by("thread").agg(pl.col("share").sum())
    assert shares["share"].to_list() == pytest.approx([1.0] * shares.height)


@laws
@given(rows=logs())
def test_a_thread_is_called_by_its_oldest_episode(rows: list[dict[str, Any]], said: Said, things: Held) -> None:
    found = threads_of(things(said(*rows)))
    assert not found.names.select("kind", "name", "start").is_duplicated().any()
    for part in parts_of(found):
        assert part.names["start"][0] == part.names["start"].min() == part.episodes["start"].min()
        assert part.threads["first"].item() <= part.threads["last"].item()


@laws
@given(rows=logs(), data=st.data())
def test_what_belongs_to_threads_is_all_that_names_them(
    rows: list[dict[str, Any]], data: st.DataObject, said: Said, things: Held
) -> None:
    found = threads_of(things(said(*rows)))
    every = found.threads["thread"].to_list()
    some = data.draw(st.lists(st.sampled_from(every), unique=True) if every else st.just([]))
    parts = found.of(pl.Series("thread", some, found.threads["thread"].dtype))
    for name in FRAMES:
        assert_frame_equal(getattr(parts, name), getattr(found, name).filter(pl.col("thread").is_in(some)))


def test_nothing_held_is_no_thread(said: Said, things: Held) -> None:
    found = threads_of(things(said()))
    assert all(getattr(found, name).is_empty() for name in FRAMES)
    assert parts_of(found) == []
