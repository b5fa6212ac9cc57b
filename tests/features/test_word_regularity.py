"""What regularity means: clocks score, whatever their jitter; chance, floods and first beats do not."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.hashing import hash64
from features.word import Look
from features.words.regularity import Regular

laws = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def at(second_B: NDArray[np.float64], value: str = "x", owner: str = "m", silence: float = np.inf) -> Look:
    """One value of one owner at these seconds; active time lets a silence count as `silence` at most."""
    texts = pl.DataFrame({"a": [value] * second_B.size, "b": [owner] * second_B.size})
    active_B = np.minimum(np.diff(second_B, prepend=0.0), silence).cumsum()
    return Look({text.name: hash64(text) for text in texts}, texts, active_B, (second_B * 1e6).astype(np.int64))


def said(second_B: NDArray[np.float64]) -> NDArray[np.float64]:
    return Regular("a").watch(64).observe(at(second_B))


def clock(beats: int, gap: float = 60.0) -> NDArray[np.float64]:
    return 60.0 + gap * np.arange(beats, dtype=np.float64)


@laws
@given(gap=st.floats(2.0, 20_000.0))
def test_a_clock_says_nothing_for_six_beats_and_then_grows(gap: float) -> None:
    answer_B = Regular("a", half_life=timedelta(days=3650)).watch(64).observe(at(clock(60, gap)))
    assert (answer_B[:7] < 1e-3).all()
    assert (np.diff(answer_B[8:]) > 0).all()
    assert answer_B[-1] > 4.0


@laws
@given(seed=seeds)
def test_jitter_of_a_fifth_leaves_a_clock_a_clock(seed: int) -> None:
    gap_B = 60.0 * np.random.default_rng(seed).uniform(0.8, 1.2, 60)
    assert said(60.0 + gap_B.cumsum())[-1] > 3.0


@laws
@given(seed=seeds, gap=st.floats(5.0, 3600.0))
def test_events_by_chance_are_no_clock(seed: int, gap: float) -> None:
    gap_B = np.random.default_rng(seed).exponential(gap, 300)
    answer_B = said(60.0 + np.cumsum(gap_B))
    assert np.mean(answer_B > 0.0) < 0.05
    assert answer_B[50:].max() < 2.0


@laws
@given(seed=seeds)
def test_a_flood_is_no_clock_however_even(seed: int) -> None:
    gap_B = np.random.default_rng(seed).uniform(0.4, 0.6, 2_000)
    assert said(60.0 + gap_B.cumsum()).max() == 0.0
    assert said(clock(2_000, 0.1)).max() == 0.0


@laws
@given(missed=st.sets(st.integers(8, 98), max_size=12))
def test_a_missed_beat_costs_that_beat_alone(missed: set[int]) -> None:
    beats = clock(100)
    kept = np.delete(beats, [beat for beat in missed if beat - 1 not in missed and beat - 2 not in missed])
    assert said(kept)[-1] == pytest.approx(said(clock(kept.size))[-1], abs=0.05)


def test_several_connections_a_beat_are_one_beat() -> None:
    crowded = np.sort(np.concatenate([clock(50), clock(50) + 0.2, clock(50) + 0.9]))
    assert said(crowded)[-1] == pytest.approx(said(clock(50))[-1], abs=0.15)


def test_a_long_pause_does_not_undo_a_clock() -> None:
    before = said(clock(200))[-1]
    paused = said(np.concatenate([clock(200), 12 * 3600.0 + clock(202)[200:]]))[-1]
    assert paused > before - 1.0


def test_a_clock_that_changes_its_pace_is_found_again() -> None:
    changed = np.concatenate([clock(100), clock(100)[-1] + clock(100, 600.0)])
    assert said(changed)[-1] > 4.0


def test_silences_that_active_time_cuts_short_are_not_all_alike() -> None:
    second_B = 3600.0 * np.random.default_rng(5).uniform(1.5, 60.0, 30).cumsum()
    assert Regular("a").watch(64).observe(at(second_B, silence=3600.0)).max() == 0.0


def test_a_clock_of_long_ago_is_forgotten() -> None:
    watch = Regular("a", half_life=timedelta(hours=1)).watch(64)
    assert watch.observe(at(clock(60)))[-1] > 3.0
    assert watch.observe(at(clock(1) + 40 * 3600.0))[0] < 1e-6


def test_one_keys_clock_is_not_anothers() -> None:
    watch = Regular("a", per="b").watch(64)
    known = watch.observe(at(clock(30)))
    assert known[-1] > 3.0
    later = clock(31)[-1:]
    assert watch.observe(at(later, value="y"))[0] == watch.observe(at(later, owner="n"))[0] == 0.0
    assert watch.observe(at(later))[0] > known[-1]
