"""Every columnar detector learns an event by the weight it is given, and what weighs nothing leaves no trace."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.columnar import ColumnarDetector
from models.half_space_trees import HalfSpaceTrees
from models.loda import Loda
from models.neighbours import Neighbours
from models.rs_hash import RSHash

DETECTORS: dict[str, Callable[[], ColumnarDetector]] = {
    "RS-Hash": RSHash,
    "RS-Hash that forgets at once": lambda: RSHash(half_life=1),
    "LODA": Loda,
    "neighbours": Neighbours,
    "half-space trees": lambda: HalfSpaceTrees(n_trees=5, height=4, window_size=20),
}
each_detector = pytest.mark.parametrize("fresh", DETECTORS.values(), ids=DETECTORS.keys())
laws = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def rows(seed: int, events: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows in [0, 1] and weights, many of them 0 or 1."""
    chance = np.random.default_rng(seed)
    weight_B = np.clip(chance.normal(0.5, 0.7, events), 0, 1)
    return np.clip(chance.normal(0.4, 0.3, (events, 4)), 0, 1), weight_B


@each_detector
@laws
@given(seed=seeds)
def test_weights_of_one_are_no_weights(fresh: Callable[[], ColumnarDetector], seed: int) -> None:
    x_BF, _ = rows(seed, 100)
    weighted_B = fresh().score_learn_many(x_BF, np.ones(100))
    assert weighted_B.tobytes() == fresh().score_learn_many(x_BF).tobytes()


@each_detector
@laws
@given(seed=seeds)
def test_what_weighs_nothing_leaves_no_trace_in_later_scores(fresh: Callable[[], ColumnarDetector], seed: int) -> None:
    x_BF, weight_B = rows(seed, 150)
    taught_B = weight_B > 0
    score_B = fresh().score_learn_many(x_BF, weight_B)
    assert np.allclose(score_B[taught_B], fresh().score_learn_many(x_BF[taught_B], weight_B[taught_B]), rtol=1e-9)


@each_detector
@laws
@given(seed=seeds, cuts=st.lists(st.integers(0, 200), max_size=6))
def test_any_cut_of_weighted_events_gives_the_same_bits(
    fresh: Callable[[], ColumnarDetector], seed: int, cuts: list[int]
) -> None:
    x_BF, weight_B = rows(seed, 200)
    whole, pieces = fresh(), fresh()
    parts = zip(np.split(x_BF, sorted(cuts)), np.split(weight_B, sorted(cuts)), strict=True)
    score_B = np.concatenate([pieces.score_learn_many(*part) for part in parts])
    assert score_B.tobytes() == whole.score_learn_many(x_BF, weight_B).tobytes()
    assert _bits(pieces) == _bits(whole)


@each_detector
@laws
@given(seed=seeds, before=st.integers(0, 200))
def test_a_restored_detector_goes_on_with_what_it_owes(
    fresh: Callable[[], ColumnarDetector], seed: int, before: int
) -> None:
    x_BF, weight_B = rows(seed, 200)
    one: Any = fresh()
    other: Any = fresh()
    one.score_learn_many(x_BF[:before], weight_B[:before])
    other.score_learn_many(x_BF)
    other.restore(one.state())
    rest = x_BF[before:], weight_B[before:]
    assert other.score_learn_many(*rest).tobytes() == one.score_learn_many(*rest).tobytes()


@each_detector
def test_what_weighs_less_stays_stranger(fresh: Callable[[], ColumnarDetector]) -> None:
    x_BF, _ = rows(1, 3_000)
    x_BF[1_000::3] = 0.97
    weight_B = np.ones(3_000)
    weight_B[1_000::3] = 0.02
    assert fresh().score_learn_many(x_BF, weight_B)[-2] > fresh().score_learn_many(x_BF)[-2]


@each_detector
def test_scores_stay_finite_when_next_to_nothing_is_learned_for_long(fresh: Callable[[], ColumnarDetector]) -> None:
    x_BF, _ = rows(2, 20_000)
    assert np.isfinite(fresh().score_learn_many(x_BF, np.full(20_000, 1e-6))).all()


def _bits(detector: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in detector.state().items()}
