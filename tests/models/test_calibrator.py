"""A calibrated score is a probability: small ones are as rare as they say."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.calibrator import Calibrator

Scores = NDArray[np.float64]
laws = settings(max_examples=30, deadline=None, derandomize=True)
score_lists = st.lists(st.floats(0, 1e6) | st.sampled_from([0.0, 1.0, 1.0]), max_size=80).map(np.array)

STATIONARY: dict[str, Callable[[np.random.Generator, int], Scores]] = {
    "exponential": lambda chance, n: chance.exponential(3.0, n),
    "normal": lambda chance, n: np.abs(chance.normal(0.0, 2.0, n)),
    "discrete": lambda chance, n: np.floor(chance.exponential(2.0, n)),
    "constant": lambda chance, n: np.full(n, 4.0),
}


def look(calibrator: Calibrator, score: float) -> float:
    """What it would say of a score, without remembering it."""
    other = Calibrator()
    other.restore(calibrator.state())
    return float(other.observe(np.array([score]))[0])


@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_a_stationary_stream_is_below_a_level_no_more_often_than_the_level_says(name: str, level: float) -> None:
    p_B = Calibrator().observe(STATIONARY[name](np.random.default_rng(17), 60_000))[5_000:]
    error = 3.0 * np.sqrt(level * (1 - level) / p_B.size)
    assert (p_B <= level).mean() <= level * 1.15 + error  # the bins' width and the tail's fit: 15 %


@pytest.mark.parametrize("name", ["exponential", "normal"])
def test_a_continuous_stream_is_below_a_level_about_as_often_as_the_level_says(name: str) -> None:
    p_B = Calibrator().observe(STATIONARY[name](np.random.default_rng(18), 60_000))[5_000:]
    assert (p_B <= 0.1).mean() == pytest.approx(0.1, rel=0.15)
    assert (p_B <= 0.01).mean() == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("name", ["exponential", "normal"])
def test_a_young_stream_is_below_a_level_no_more_often_than_the_level_says(name: str) -> None:
    chance = np.random.default_rng(24)
    p_B = np.concatenate([Calibrator().observe(STATIONARY[name](chance, 60)) for _ in range(300)])
    assert (p_B <= 0.01).mean() <= 0.02
    assert (p_B <= 1e-4).mean() <= 1e-3


@laws
@given(score_lists)
def test_answers_are_probabilities(score_B: Scores) -> None:
    p_B = Calibrator(half_life=10).observe(score_B)
    assert ((p_B > 0) & (p_B <= 1)).all()


def test_answers_are_probabilities_over_a_long_stream_of_one_score() -> None:
    p_B = Calibrator(half_life=1_000).observe(np.zeros(50_000))
    assert ((p_B > 0) & (p_B <= 1)).all()


@laws
@given(past=score_lists, scores=st.lists(st.floats(0, 1e9), min_size=2, max_size=10))
def test_a_higher_score_is_never_more_probable(past: Scores, scores: list[float]) -> None:
    calibrator = Calibrator(half_life=1_000)
    calibrator.observe(past)
    answers = [look(calibrator, score) for score in sorted(scores)]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(answers))


def test_a_higher_score_is_never_more_probable_after_much_was_seen() -> None:
    calibrator = Calibrator()
    calibrator.observe(np.random.default_rng(19).exponential(2.0, 5_000))
    answers = [look(calibrator, score) for score in np.linspace(0, 40, 300)]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(answers))


def test_beyond_all_it_has_seen_a_score_still_tells_how_far() -> None:
    calibrator = Calibrator()
    calibrator.observe(np.random.default_rng(20).exponential(1.0, 5_000))
    answers = [look(calibrator, score) for score in (11.0, 13.0, 15.0)]
    assert -np.log(answers) == pytest.approx(np.array([11.0, 13.0, 15.0]), rel=0.1)


def test_the_first_score_says_nothing_whatever_it_is() -> None:
    assert [look(Calibrator(), score) for score in (0.0, 1.0, 1e9)] == [1.0, 1.0, 1.0]


@laws
@given(score_B=score_lists, cuts=st.lists(st.integers(0, 80), max_size=5))
def test_any_cut_gives_the_same_bits(score_B: Scores, cuts: list[int]) -> None:
    pieces = Calibrator(half_life=5)
    parts = [pieces.observe(part_B) for part_B in np.split(score_B, sorted(min(cut, score_B.size) for cut in cuts))]
    assert np.concatenate(parts).tobytes() == Calibrator(half_life=5).observe(score_B).tobytes()


@laws
@given(score_B=score_lists, at=st.integers(0, 80))
def test_a_restored_calibrator_gives_the_same_bits(score_B: Scores, at: int) -> None:
    one, other = Calibrator(half_life=5), Calibrator(half_life=5)
    one.observe(score_B[:at])
    other.observe(score_B)
    other.restore(one.state())
    assert other.observe(score_B[at:]).tobytes() == one.observe(score_B[at:]).tobytes()


@pytest.mark.parametrize("half_lives", [1, 2, 3])
def test_a_flood_of_high_scores_becomes_normal_as_the_half_life_says(half_lives: int) -> None:
    calibrator, chance = Calibrator(half_life=2_000), np.random.default_rng(21)
    calibrator.observe(chance.exponential(1.0, 30_000))
    calibrator.observe(50.0 + chance.exponential(1.0, 2_000 * half_lives))
    assert look(calibrator, 40.0) == pytest.approx(1 - 0.5**half_lives, abs=0.02)


def test_a_calibrator_goes_on_when_its_weights_are_scaled_down() -> None:
    calibrator = Calibrator(half_life=5)
    p_B = calibrator.observe(np.random.default_rng(22).exponential(1.0, 2_000))
    assert calibrator.state()["weight"][0] < 1e13
    assert np.isfinite(p_B).all()
    assert (p_B[-500:] <= 0.5).mean() == pytest.approx((p_B[500:1_000] <= 0.5).mean(), abs=0.1)


def test_memory_does_not_grow() -> None:
    calibrator = Calibrator()
    size = sum(array.nbytes for array in calibrator.state().values())
    calibrator.observe(np.random.default_rng(23).pareto(0.5, 20_000))
    assert sum(array.nbytes for array in calibrator.state().values()) == size
