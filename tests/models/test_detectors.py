"""Every online detector keeps these laws: River's own, and the fold's."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import river.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river import checks

from models.right_tails import RightTails

Matrix = NDArray[np.float32]
FEATURES = 4


@dataclass(frozen=True)
class Detector:
    """How the laws speak to a detector: make one, let it score and learn rows, wake one up from a state."""

    name: str
    fresh: Callable[[], Any]
    many: Callable[[Any, Matrix], NDArray[np.float64]]
    restore: Callable[[Any, dict[str, Any]], None]


def one_kind(x_BF: Matrix) -> NDArray[np.uint64]:
    return np.ones(len(x_BF), np.uint64)


def some_kinds(x_BF: Matrix) -> NDArray[np.uint64]:
    return (x_BF[:, 0] * 7).astype(np.uint64)


DETECTORS = [
    Detector(
        "right tails",
        lambda: RightTails(half_life=20),
        lambda tails, x_BF: tails.score_learn_many(x_BF, one_kind(x_BF)).sum(axis=1),
        lambda tails, state: tails.restore(state),
    ),
    Detector(
        "right tails by kind",
        lambda: RightTails(half_life=1),
        lambda tails, x_BF: tails.score_learn_many(x_BF, some_kinds(x_BF)).sum(axis=1),
        lambda tails, state: tails.restore(state),
    ),
]
each_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
laws = settings(max_examples=25, deadline=None, derandomize=True)
seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 80)


def random_rows(seed: int, rows: int) -> Matrix:
    """Rows in [0, 1], some features often at the ends."""
    chance = np.random.default_rng(seed)
    return np.clip(chance.normal(0.4, 0.4, (rows, FEATURES)), 0, 1).astype(np.float32)


def named(row_F: Matrix) -> dict[str, float]:
    return {f"f{f}": float(value) for f, value in enumerate(row_F)}


class Cards:
    """In place of River's own data set, which would be downloaded: rows about a centre, and some far away."""

    def take(self, rows: int) -> Iterator[tuple[dict[str, float], int]]:
        chance = np.random.default_rng(5)
        odd_B = (chance.random(rows) < 0.05).astype(int)
        x_BF = np.clip(chance.normal(0.3 + 0.5 * odd_B[:, None], 0.1, (rows, 8)), 0, 1).astype(np.float32)
        for row_F, odd in zip(x_BF, odd_B.tolist(), strict=True):
            yield named(row_F), odd


@pytest.mark.parametrize("detector", [RightTails()], ids=lambda detector: type(detector).__name__)
def test_a_detector_passes_every_check_of_river(detector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(river.datasets, "CreditCard", Cards)
    ran = 0
    for check in checks.yield_checks(detector):
        check(detector.clone())
        ran += 1
    assert ran >= 20


@each_detector
@laws
@given(seed=seeds, rows=sizes)
def test_many_at_once_is_one_by_one(detector: Detector, seed: int, rows: int) -> None:
    x_BF = random_rows(seed, rows)
    if detector.name == "right tails by kind":
        x_BF[:, 0] = 0.2  # one by one all are of one kind
    one, scores = detector.fresh(), []
    for row_F in x_BF:
        scores.append(one.score_one(named(row_F)))
        one.learn_one(named(row_F))
    assert np.array(scores).tobytes() == detector.many(detector.fresh(), x_BF).tobytes()


@each_detector
@laws
@given(seed=seeds, rows=sizes, cuts=st.lists(st.integers(0, 80), max_size=6))
def test_any_cut_gives_the_same_bits(detector: Detector, seed: int, rows: int, cuts: list[int]) -> None:
    x_BF, pieces = random_rows(seed, rows), detector.fresh()
    parts = [detector.many(pieces, part_BF) for part_BF in np.split(x_BF, sorted(min(cut, rows) for cut in cuts))]
    assert np.concatenate(parts).tobytes() == detector.many(detector.fresh(), x_BF).tobytes()


@each_detector
@laws
@given(seed=seeds, before=st.integers(0, 60), after=sizes)
def test_a_restored_detector_gives_the_same_bits(detector: Detector, seed: int, before: int, after: int) -> None:
    x_BF, one, other = random_rows(seed, before + after), detector.fresh(), detector.fresh()
    detector.many(one, x_BF[:before])
    detector.many(other, x_BF)
    detector.restore(other, one.state())
    assert detector.many(other, x_BF[before:]).tobytes() == detector.many(one, x_BF[before:]).tobytes()


@each_detector
def test_a_detector_that_saw_nothing_can_be_restored(detector: Detector) -> None:
    other, x_BF = detector.fresh(), random_rows(1, 30)
    detector.many(other, x_BF)
    detector.restore(other, detector.fresh().state())
    assert detector.many(other, x_BF).tobytes() == detector.many(detector.fresh(), x_BF).tobytes()


def test_features_of_another_number_are_refused() -> None:
    tails = RightTails()
    tails.score_learn_many(random_rows(1, 30), np.ones(30, np.uint64))
    with pytest.raises(ValueError, match="expected 4 features"):
        tails.score_learn_many(random_rows(1, 30)[:, :2], np.ones(30, np.uint64))


def test_a_state_of_another_shape_is_refused() -> None:
    state = RightTails().state()
    with pytest.raises(ValueError, match="histograms"):
        RightTails().restore(state | {"weight": state["weight"][:5]})


@each_detector
def test_a_state_is_a_copy(detector: Detector) -> None:
    one, x_BF = detector.fresh(), random_rows(2, 60)
    detector.many(one, x_BF[:25])
    state = one.state()
    before = {name: array.tobytes() for name, array in state.items()}
    detector.many(one, x_BF[25:])
    assert {name: array.tobytes() for name, array in state.items()} == before


@each_detector
def test_the_same_detector_gives_the_same_scores(detector: Detector) -> None:
    x_BF = random_rows(3, 200)
    assert detector.many(detector.fresh(), x_BF).tobytes() == detector.many(detector.fresh(), x_BF).tobytes()


@each_detector
def test_scores_are_finite_and_not_negative(detector: Detector) -> None:
    score_B = detector.many(detector.fresh(), random_rows(4, 5_000))
    assert np.isfinite(score_B).all()
    assert score_B.min() >= -1e-9  # sums of weights in another order


@each_detector
def test_an_outlier_scores_more_than_what_is_usual(detector: Detector) -> None:
    x_BF = np.clip(np.random.default_rng(6).normal(0.2, 0.05, (501, FEATURES)), 0, 1).astype(np.float32)
    x_BF[-1] = 0.9
    score_B = detector.many(detector.fresh(), x_BF)
    assert score_B[-1] > np.quantile(score_B[100:-1], 0.99)


@each_detector
def test_memory_does_not_grow(detector: Detector) -> None:
    one = detector.fresh()
    detector.many(one, random_rows(7, 5_000))
    size = sum(array.nbytes for array in one.state().values())
    detector.many(one, random_rows(8, 20_000))
    assert sum(array.nbytes for array in one.state().values()) == size


def test_right_tails_judge_an_event_among_its_kind() -> None:
    tails, chance = RightTails(), np.random.default_rng(10)
    x_BF = np.where(np.arange(2_000) % 2 == 0, 0.1, 0.8)[:, None] + chance.normal(0, 0.02, (2_000, 1))
    tails.score_learn_many(x_BF, np.arange(2_000, dtype=np.uint64) % np.uint64(2))
    same = np.array([[0.8], [0.8]])
    nats_BF = tails.score_learn_many(same, np.array([0, 1], np.uint64))
    assert nats_BF[0, 0] > nats_BF[1, 0] + 2.0


def test_right_tails_ask_only_how_large_a_feature_is() -> None:
    tails = RightTails()
    tails.score_learn_many(np.full((100, 1), 0.5), np.ones(100, np.uint64))
    nats_BF = tails.score_learn_many(np.array([[0.0], [1.0]]), np.ones(2, np.uint64))
    assert nats_BF[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert nats_BF[1, 0] > 3.0


def test_right_tails_go_on_when_their_weights_are_scaled_down() -> None:
    tails, x_BF = RightTails(half_life=2), random_rows(11, 400)
    nats_BF = tails.score_learn_many(x_BF, one_kind(x_BF))
    assert np.isfinite(nats_BF).all()
    assert tails.state()["weight"].max() < 1e13
    assert math.isclose(nats_BF[-100:].mean(), nats_BF[100:200].mean(), rel_tol=0.3)
