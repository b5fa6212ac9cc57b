"""Fusion is the mean of what agrees: a detector that fails loses its say, and no other."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.fusion import Fusion, joint

laws = settings(max_examples=25, deadline=None, derandomize=True)
Scores = NDArray[np.float64]
SHARES = (0.4, 0.4, 0.2)
seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 80)

FAILURES: dict[str, Callable[[np.random.Generator, Scores], Scores]] = {
    "stuck": lambda chance, score_B: np.full(score_B.size, 3.0),
    "silent": lambda chance, score_B: np.zeros(score_B.size),
    "random": lambda chance, score_B: chance.exponential(2.0, score_B.size),
    "upside down": lambda chance, score_B: score_B.max() - score_B,
    "no number": lambda chance, score_B: np.full(score_B.size, np.nan),
    "huge and random": lambda chance, score_B: chance.exponential(1e6, score_B.size),
}


def agreeing(seed: int, rows: int, detectors: int = 3) -> Scores:
    """Scores in nats that all tell the same, each with some noise of its own."""
    chance = np.random.default_rng(seed)
    told_B = chance.exponential(2.0, rows)
    return np.abs(told_B[:, None] + chance.normal(0.0, 0.5, (rows, detectors)))


def failing(name: str, rows: int = 4_000) -> tuple[Scores, Scores]:
    sound_BD = agreeing(5, rows)
    return sound_BD, np.column_stack([sound_BD, FAILURES[name](np.random.default_rng(6), sound_BD[:, 0])])


def test_detectors_that_agree_count_by_their_shares() -> None:
    score_BD = agreeing(1, 2_000)
    fused_B = Fusion(SHARES).observe(score_BD)
    assert fused_B == pytest.approx(score_BD @ np.array(SHARES), rel=1e-9)


@pytest.mark.parametrize("name", FAILURES)
def test_a_detector_that_fails_loses_its_say(name: str) -> None:
    fusion = Fusion([1.0, 1.0, 1.0, 1.0])
    fusion.observe(failing(name)[1])
    assert fusion.agreement_D[3] == pytest.approx(0.0, abs=0.1)
    assert fusion.agreement_D[:3] == pytest.approx(1.0)


@pytest.mark.parametrize("name", FAILURES)
def test_once_it_lost_its_say_the_others_are_heard_as_if_alone(name: str) -> None:
    sound_BD, score_BD = failing(name)
    fused_B = Fusion([1.0, 1.0, 1.0, 1.0]).observe(score_BD)[-500:]
    alone_B = sound_BD.mean(axis=1)[-500:]
    assert np.corrcoef(np.argsort(np.argsort(fused_B)), np.argsort(np.argsort(alone_B)))[0, 1] > 0.9


def test_a_failed_detector_that_recovers_is_heard_again() -> None:
    fusion = Fusion([1.0, 1.0, 1.0], half_life=500)
    broken_BD = agreeing(7, 3_000)
    broken_BD[:, 2] = 3.0
    fusion.observe(broken_BD)
    assert fusion.agreement_D[2] < 0.1
    fusion.observe(agreeing(8, 5_000))
    assert fusion.agreement_D[2] == pytest.approx(1.0)


@laws
@given(seed=seeds, rows=sizes, cuts=st.lists(st.integers(0, 80), max_size=5))
def test_any_cut_gives_the_same_bits(seed: int, rows: int, cuts: list[int]) -> None:
    score_BD, pieces = agreeing(seed, rows), Fusion(SHARES)
    parts = [pieces.observe(part_BD) for part_BD in np.split(score_BD, sorted(min(cut, rows) for cut in cuts))]
    assert np.concatenate(parts).tobytes() == Fusion(SHARES).observe(score_BD).tobytes()


@laws
@given(seed=seeds, before=st.integers(0, 60), after=sizes)
def test_a_restored_fusion_gives_the_same_bits(seed: int, before: int, after: int) -> None:
    score_BD, one, other = agreeing(seed, before + after), Fusion(SHARES), Fusion(SHARES)
    one.observe(score_BD[:before])
    other.observe(score_BD)
    other.restore(one.state())
    assert other.observe(score_BD[before:]).tobytes() == one.observe(score_BD[before:]).tobytes()


@laws
@given(seed=seeds, rows=sizes)
def test_fused_scores_are_finite_and_not_negative(seed: int, rows: int) -> None:
    score_BD = np.random.default_rng(seed).choice([0.0, -1.0, 1.0, 1e300, np.nan, np.inf], (rows, 3))
    fused_B = Fusion(SHARES).observe(score_BD)
    assert np.isfinite(fused_B).all()
    assert (fused_B >= 0.0).all()


@laws
@given(seed=seeds, events=sizes)
def test_one_p_of_two_lies_between_them_and_nearer_to_the_offline_one(seed: int, events: int) -> None:
    p_online_B, p_offline_B = np.random.default_rng(seed).uniform(1e-6, 1.0, (2, events))
    p_B = joint(p_online_B, p_offline_B)
    assert (p_B >= np.minimum(p_online_B, p_offline_B) * (1 - 1e-12)).all()
    assert (p_B <= np.maximum(p_online_B, p_offline_B) * (1 + 1e-12)).all()
    np.testing.assert_allclose(3 * np.log(p_B), np.log(p_online_B) + 2 * np.log(p_offline_B))
