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
    "mostly zero": lambda chance, n: np.where(chance.random(n) < 0.95, 0.0, chance.exponential(4.0, n)),
    "heavy": lambda chance, n: 5.0 * chance.pareto(3.0, n),
    "bounded": lambda chance, n: 20.0 * chance.random(n),
    "constant": lambda chance, n: np.full(n, 4.0),
}


def look(calibrator: Calibrator, score: float) -> float:
    """What it would say of a score, without remembering it."""
    other = Calibrator()
    other.restore(calibrator.state())
    return float(other.observe(np.array([score]))[0])


@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("level", [0.1, 0.01, 0.001, 0.0001])
def test_a_stationary_stream_is_below_a_level_no_more_often_than_the_level_says(name: str, level: float) -> None:
    p_B = Calibrator().observe(STATIONARY[name](np.random.default_rng(17), 60_000))[5_000:]
    error = 3.0 * np.sqrt(level * (1 - level) / p_B.size)
    assert (p_B <= level).mean() <= level * 1.2 + error


@pytest.mark.parametrize("name", ["exponential", "normal", "heavy"])
def test_a_continuous_stream_is_below_a_level_about_as_often_as_the_level_says(name: str) -> None:
    p_B = Calibrator().observe(STATIONARY[name](np.random.default_rng(18), 60_000))[5_000:]
    assert (p_B <= 0.1).mean() == pytest.approx(0.1, rel=0.15)
    assert (p_B <= 0.01).mean() == pytest.approx(0.01, rel=0.3)
    assert (p_B <= 0.001).mean() == pytest.approx(0.001, rel=0.5)


@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("level", [0.01, 0.001, 0.0001])
def test_a_young_stream_is_below_a_level_no_more_often_than_the_level_says(name: str, level: float) -> None:
    chance = np.random.default_rng(24)
    p_B = np.concatenate([Calibrator().observe(STATIONARY[name](chance, 1_000)) for _ in range(200)])
    assert (p_B <= level).mean() <= level * 1.2


def test_a_stream_that_begins_strangely_is_soon_below_a_level_as_often_as_the_level_says() -> None:
    chance = np.random.default_rng(26)
    scores = chance.exponential(np.where(np.arange(40_000) < 1_000, 6.0, 2.0))
    assert (Calibrator().observe(scores)[20_000:] <= 0.01).mean() == pytest.approx(0.01, rel=0.2)


def test_until_the_half_life_is_reached_the_first_score_weighs_one_the_second_two() -> None:
    calibrator = Calibrator()
    calibrator.observe(np.repeat([10.0, 1.0], [1_000, 3_000]))
    assert look(calibrator, 5.0) == pytest.approx((1_000 / 4_000) ** 2, abs=1e-3)


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


def test_beyond_all_it_has_seen_a_score_still_tells_how_far_and_promises_less_than_is_true() -> None:
    calibrator = Calibrator()
    calibrator.observe(np.random.default_rng(20).exponential(1.0, 20_000))
    nats = [-np.log(look(calibrator, score)) for score in (11.0, 13.0, 15.0, 30.0, 60.0)]
    assert 0.75 * 11.0 <= nats[0] <= 11.0
    assert all(later > earlier for earlier, later in pairwise(nats))
    assert nats[-1] <= -np.log(calibrator.least)


@laws
@given(past=score_lists, score=st.floats(0, 1e9))
def test_no_answer_is_below_the_least(past: Scores, score: float) -> None:
    calibrator = Calibrator(half_life=1_000)
    calibrator.observe(past)
    assert look(calibrator, score) >= calibrator.least * (1 - 1e-12)


@pytest.mark.parametrize("name", STATIONARY)
def test_a_score_far_beyond_all_others_gets_nearly_the_least(name: str) -> None:
    calibrator = Calibrator()
    calibrator.observe(STATIONARY[name](np.random.default_rng(33), 5_000))
    assert look(calibrator, 1e9) == pytest.approx(calibrator.least, rel=1e-3)


@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("seen", [1, 10, 100, 1_000, 10_000])
def test_the_least_is_bounded_by_the_number_of_scores_seen(name: str, seen: int) -> None:
    calibrator = Calibrator()
    calibrator.observe(STATIONARY[name](np.random.default_rng(27), seen))
    assert calibrator.count == pytest.approx(seen / 2)
    rank, excesses = 1 / (seen / 2 + 1), 0.04 * seen / 2
    assert rank / (excesses + 1) <= calibrator.least * (1 + 1e-9)
    assert calibrator.least <= rank * (1 + 1e-9)
    if excesses < 10:
        assert calibrator.least == pytest.approx(rank)


def test_where_many_events_share_the_highest_scores_nothing_is_promised_beyond_the_rank() -> None:
    calibrator = Calibrator()
    calibrator.observe(np.where(np.arange(10_000) % 40, 1.0, 3.0))
    assert look(calibrator, 100.0) == pytest.approx(1 / (calibrator.count + 1))


def test_two_enormous_scores_do_not_blind_it() -> None:
    calibrator, chance = Calibrator(), np.random.default_rng(28)
    calibrator.observe(chance.exponential(1.0, 20_000))
    before = look(calibrator, 14.0)
    calibrator.observe(np.array([1e300, np.inf]))
    assert before <= look(calibrator, 14.0) <= 2e-3


def test_the_first_score_says_nothing_whatever_it_is() -> None:
    assert [look(Calibrator(), score) for score in (0.0, 1.0, 1e9)] == [1.0, 1.0, 1.0]


def test_an_infinite_score_is_an_answer_too() -> None:
    p_B = Calibrator().observe(np.array([1.0, np.inf, 2.0]))
    assert np.isfinite(p_B).all()


@laws
@given(score_B=score_lists, cuts=st.lists(st.integers(0, 80), max_size=5), seed=st.integers(0, 99))
def test_any_cut_gives_the_same_bits(score_B: Scores, cuts: list[int], seed: int) -> None:
    weight_B = np.random.default_rng(seed).choice([0.0, 0.3, 1.0], score_B.size)
    at = sorted(min(cut, score_B.size) for cut in cuts)
    pieces = Calibrator(half_life=5)
    parts = [pieces.observe(*part) for part in zip(np.split(score_B, at), np.split(weight_B, at), strict=True)]
    assert np.concatenate(parts).tobytes() == Calibrator(half_life=5).observe(score_B, weight_B).tobytes()


@laws
@given(score_B=score_lists, at=st.integers(0, 80))
def test_a_restored_calibrator_gives_the_same_bits(score_B: Scores, at: int) -> None:
    one, other = Calibrator(half_life=5), Calibrator(half_life=5)
    one.observe(score_B[:at])
    other.observe(score_B)
    other.restore(one.state())
    assert other.observe(score_B[at:]).tobytes() == one.observe(score_B[at:]).tobytes()


def test_a_state_of_another_size_is_refused() -> None:
    state = Calibrator().state()
    with pytest.raises(ValueError, match="expected a histogram of 1024 bins"):
        Calibrator().restore(state | {"mass": np.zeros(512)})


@laws
@given(past=score_lists, score_B=score_lists)
def test_a_score_of_no_weight_is_looked_at_and_leaves_no_trace(past: Scores, score_B: Scores) -> None:
    calibrator = Calibrator(half_life=5)
    calibrator.observe(past)
    before = calibrator.state()
    p_B = calibrator.observe(score_B, np.zeros(score_B.size))
    assert p_B.tolist() == [look(calibrator, score) for score in score_B]
    assert all(array.tobytes() == before[name].tobytes() for name, array in calibrator.state().items())


@laws
@given(score_B=score_lists)
def test_a_weight_of_one_is_no_weight_given(score_B: Scores) -> None:
    given_ = Calibrator(half_life=5).observe(score_B, np.ones(score_B.size))
    assert given_.tobytes() == Calibrator(half_life=5).observe(score_B).tobytes()


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_what_is_learned_with_less_weight_counts_for_less(weight: float) -> None:
    calibrator = Calibrator()
    calibrator.observe(np.random.default_rng(29).exponential(1.0, 4_000), np.full(4_000, weight))
    assert calibrator.count == pytest.approx(weight * 2_000, rel=0.01)


@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("level", [0.1, 0.01, 0.001, 0.0001])
def test_whatever_the_weights_a_stationary_stream_is_below_a_level_as_seldom_as_it_says(
    name: str, level: float
) -> None:
    chance = np.random.default_rng(30)
    scores, weight_B = STATIONARY[name](chance, 60_000), chance.choice([0.0, 0.02, 0.5, 1.0], 60_000)
    p_B = Calibrator().observe(scores, weight_B)[5_000:]
    assert (p_B <= level).mean() <= level * 1.2 + 3.0 * np.sqrt(level * (1 - level) / p_B.size)


@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_where_strange_events_are_learned_less_p_is_right_for_the_stream_as_learned(level: float) -> None:
    chance = np.random.default_rng(31)
    scores = chance.exponential(2.0, 60_000)
    weight_B = np.where(scores > 5.0, 0.2, 1.0)
    p_B = Calibrator().observe(scores, weight_B)[5_000:]
    share = (weight_B[5_000:] * (p_B <= level)).sum() / weight_B[5_000:].sum()
    assert share == pytest.approx(level, rel=0.5)
    assert share <= level * 1.2 + 3.0 * np.sqrt(level * (1 - level) / p_B.size)


def test_a_flood_of_little_weight_does_not_become_normal() -> None:
    calibrator, chance = Calibrator(half_life=2_000), np.random.default_rng(32)
    calibrator.observe(chance.exponential(1.0, 30_000))
    calibrator.observe(50.0 + chance.exponential(1.0, 4_000), np.full(4_000, 0.01))
    assert look(calibrator, 40.0) == pytest.approx(1 - 0.5**0.02, abs=0.005)


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
