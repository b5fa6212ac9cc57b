"""A language is what its peers read: newer encoders speak it as the older one did, or say how much they lose."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.context import WIDTH
from models.encoder import Encoder
from models.language import DRIFT, Spoken, founded, speak, translated

HIDDEN = 12
laws = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

Rows = NDArray[np.float32]


def rows(seed: int, events: int = 200, hidden: int = HIDDEN) -> tuple[Rows, NDArray[np.int64]]:
    """Different events as hidden vectors that lie off the centre, and how many there are of each."""
    chance = np.random.default_rng(seed)
    spread_H = chance.uniform(0.2, 3.0, hidden)
    hidden_UH = chance.normal(chance.normal(0, 5, hidden), spread_H, (events, hidden))
    return hidden_UH.astype(np.float32), chance.integers(1, 30, events)


def said(spoken: Spoken, hidden_UH: Rows) -> NDArray[np.float64]:
    """What the encoder says of events, before anything is cut off."""
    words_UW: NDArray[np.float64] = (hidden_UH.astype(np.float64) - spoken.centre_H) @ spoken.basis_HW
    return words_UW


@laws
@given(seed=seeds)
def test_a_new_language_has_a_variance_of_one_along_each_direction_and_none_across(seed: int) -> None:
    hidden_UH, count_U = rows(seed)
    words_UW = said(founded(hidden_UH, count_U), hidden_UH)
    np.testing.assert_allclose(np.average(words_UW, axis=0, weights=count_U), 0.0, atol=1e-4)
    np.testing.assert_allclose(np.cov(words_UW.T, aweights=count_U, ddof=0), np.eye(WIDTH), atol=1e-3)


@laws
@given(seed=seeds)
def test_an_event_that_is_counted_twice_is_as_good_as_two(seed: int) -> None:
    hidden_UH, count_U = rows(seed, 40)
    counted, repeated = (
        founded(hidden_UH, count_U),
        founded(np.repeat(hidden_UH, count_U, axis=0), np.ones(count_U.sum(), np.int64)),
    )
    ours, theirs = said(counted, hidden_UH), said(repeated, hidden_UH)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-2, atol=1e-2)


def test_events_that_differ_in_fewer_directions_leave_the_others_silent() -> None:
    hidden_UH, count_U = rows(1)
    hidden_UH[:, 3:] = 1.0
    words_UW = said(founded(hidden_UH, count_U), hidden_UH)
    np.testing.assert_allclose(words_UW.std(axis=0) > 0.1, np.arange(WIDTH) < 3)


def test_a_single_event_can_be_spoken_of() -> None:
    hidden_UH, count_U = rows(1, events=1)
    spoken = founded(hidden_UH, count_U)
    assert spoken.number > 0
    assert not said(spoken, hidden_UH).any()


@laws
@given(seed=seeds)
def test_languages_are_told_apart_by_a_number_that_is_never_zero(seed: int) -> None:
    spoken, again, other = founded(*rows(seed)), founded(*rows(seed)), founded(*rows(seed + 1))
    assert spoken.number == again.number != other.number
    assert 0 < spoken.number < 2**63


@laws
@given(seed=seeds)
def test_the_same_encoder_loses_nothing(seed: int) -> None:
    hidden_UH, count_U = rows(seed)
    older = founded(hidden_UH, count_U)
    older_UW = said(older, hidden_UH).astype(np.float32)
    newer = translated(hidden_UH, older_UW, count_U, older.number)
    assert newer.number == older.number
    assert newer.drift < 1e-6
    np.testing.assert_allclose(said(newer, hidden_UH), older_UW, atol=1e-3)


@laws
@given(seed=seeds)
def test_an_encoder_that_turned_and_moved_everything_loses_nothing(seed: int) -> None:
    hidden_UH, count_U = rows(seed)
    chance = np.random.default_rng(seed)
    turn_HH, _ = np.linalg.qr(chance.normal(0, 1, (HIDDEN, HIDDEN)))
    turned_UH = (hidden_UH @ turn_HH * 2.0 + chance.normal(0, 3, HIDDEN)).astype(np.float32)
    older_UW = said(founded(hidden_UH, count_U), hidden_UH).astype(np.float32)
    newer = translated(turned_UH, older_UW, count_U, 5)
    assert newer.drift < 1e-6
    np.testing.assert_allclose(said(newer, turned_UH), older_UW, atol=1e-2)


@laws
@given(seed=seeds)
def test_noise_loses_nearly_everything(seed: int) -> None:
    hidden_UH, count_U = rows(seed, 800)
    older_UW = said(founded(hidden_UH, count_U), hidden_UH).astype(np.float32)
    noise_UH, _ = rows(seed + 1, 800)
    assert DRIFT < 0.9 < translated(noise_UH, older_UW, count_U, 5).drift <= 1.0 + 1e-6


@laws
@given(seed=seeds)
def test_the_drift_is_what_is_lost_of_what_was_said(seed: int) -> None:
    hidden_UH, count_U = rows(seed)
    older_UW = said(founded(hidden_UH, count_U), hidden_UH).astype(np.float32)
    noisy_UH = hidden_UH + np.random.default_rng(seed).normal(0, 0.5, hidden_UH.shape).astype(np.float32)
    newer = translated(noisy_UH, older_UW, count_U, 5)
    away_UW = older_UW - np.average(older_UW, axis=0, weights=count_U)
    lost = np.average(np.square(said(newer, noisy_UH) - older_UW).sum(axis=1), weights=count_U)
    whole = np.average(np.square(away_UW).sum(axis=1), weights=count_U)
    assert newer.drift == pytest.approx(lost / whole, rel=1e-3)
    assert 0.0 < newer.drift < 1.0


@laws
@given(seed=seeds, events=st.integers(1, 300))
def test_where_the_older_encoder_said_the_same_of_everything_nothing_is_lost(seed: int, events: int) -> None:
    hidden_UH, count_U = rows(seed, events)
    word_W = np.random.default_rng(seed).normal(0, 1, WIDTH).astype(np.float32)
    assert translated(hidden_UH, np.tile(word_W, (events, 1)), count_U, 5).drift < DRIFT


@laws
@given(seed=seeds, events=st.integers(1, 6))
def test_of_few_events_nothing_is_lost_either(seed: int, events: int) -> None:
    hidden_UH, count_U = rows(seed, events)
    older_UW = np.random.default_rng(seed).normal(0, 1, (events, WIDTH)).astype(np.float32)
    newer = translated(hidden_UH, older_UW, count_U, 5)
    assert newer.drift < 1e-6
    np.testing.assert_allclose(said(newer, hidden_UH), older_UW, atol=1e-2)


@laws
@given(seed=seeds)
def test_an_encoder_speaks_what_it_is_taught(seed: int) -> None:
    hidden_UH, count_U = rows(seed, hidden=6)
    encoder, spoken = Encoder([3, 4], [(0, (1,))], width=6), founded(hidden_UH, count_U)
    assert int(encoder.language) == 0
    speak(encoder, spoken)
    assert int(encoder.language) == spoken.number
    words_UW = encoder.vectors(torch.from_numpy(hidden_UH)).numpy()
    np.testing.assert_allclose(words_UW, said(spoken, hidden_UH).clip(-4, 4), atol=1e-3)


def test_an_encoder_that_nobody_taught_a_language_says_nothing() -> None:
    encoder = Encoder([3, 4], [(0, (1,))], width=6)
    assert not encoder.vectors(torch.randn(5, 6)).numpy().any()
