"""Every online detector keeps these laws: River's own, and the fold's."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
import river.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river import anomaly, base, checks, compose, optim, preprocessing

from models.columnar import ColumnarDetector
from models.guest import Guest
from models.half_space_trees import HalfSpaceTrees
from models.loda import Loda
from models.marginals import Marginals, Margins
from models.neighbours import Neighbours
from models.rs_hash import RSHash
from models.telling import Untold

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


def columnar(name: str, fresh: Callable[[], Any]) -> Detector:
    return Detector(name, fresh, lambda one, x_BF: one.score_learn_many(x_BF), lambda one, state: one.restore(state))


gaussian: Any = anomaly.GaussianScorer  # River has few types here


def small_trees() -> anomaly.HalfSpaceTrees:
    return anomaly.HalfSpaceTrees(n_trees=3, height=3, window_size=15, seed=2)


COLUMNAR = [
    columnar("half-space trees", lambda: HalfSpaceTrees(n_trees=5, height=4, window_size=20)),
    columnar("RS-Hash", RSHash),
    columnar("RS-Hash that forgets at once", lambda: RSHash(half_life=1)),
    columnar("LODA", Loda),
    columnar("LODA that forgets at once", lambda: Loda(half_life=1)),
    columnar("neighbours", Neighbours),
    columnar("two neighbours that forget at once", lambda: Neighbours(n_prototypes=2, half_life=1)),
]
DETECTORS = [
    *COLUMNAR,
    columnar("a guest", lambda: Guest(small_trees())),
    columnar("a guest for each feature", lambda: Guest(gaussian(grace_period=3))),
    columnar("marginals", lambda: Marginals(half_life=20)),
    Detector(
        "marginals by kind",
        lambda: Marginals(half_life=1),
        lambda one, x_BF: one.judge_learn_many(x_BF.astype(float), some_kinds(x_BF), np.ones(len(x_BF))).nats_BV.sum(1),
        lambda one, state: one.restore(state),
    ),
]
each_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
each_columnar = pytest.mark.parametrize("detector", COLUMNAR, ids=lambda detector: detector.name)
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


WHOLE = [Marginals(), HalfSpaceTrees(), RSHash(), Loda(), Neighbours(), Guest(anomaly.HalfSpaceTrees(seed=1))]


@pytest.mark.parametrize("detector", WHOLE, ids=lambda detector: type(detector).__name__)
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
    if detector.name == "marginals by kind":
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
    marginals = Marginals()
    marginals.score_learn_many(random_rows(1, 30))
    with pytest.raises(ValueError, match="expected 4 features"):
        marginals.score_learn_many(random_rows(1, 30)[:, :2])


def test_a_state_of_another_shape_is_refused() -> None:
    state = Marginals().state()
    with pytest.raises(ValueError, match="histograms"):
        Marginals().restore(state | {"weight": state["weight"][:5]})


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


@each_columnar
def test_a_matrix_of_other_columns_is_refused(detector: Detector) -> None:
    one = detector.fresh()
    detector.many(one, random_rows(1, 30))
    with pytest.raises(ValueError, match="expected 4 features as in the events before, got 2"):
        detector.many(one, random_rows(1, 30)[:, :2])


@each_columnar
def test_a_state_of_another_size_is_refused(detector: Detector) -> None:
    one = detector.fresh()
    detector.many(one, random_rows(1, 30))
    state = one.state()
    with pytest.raises(ValueError, match="expected"):
        detector.restore(detector.fresh(), state | {"mass": state["mass"][:1]})


@each_columnar
def test_no_rows_at_all_teach_nothing(detector: Detector) -> None:
    one = detector.fresh()
    assert detector.many(one, random_rows(1, 0)).shape == (0,)
    assert one.n_features == 0


@each_columnar
def test_a_restored_detector_answers_by_name(detector: Detector) -> None:
    x_BF, one, other = random_rows(12, 200), detector.fresh(), detector.fresh()
    detector.many(one, x_BF)
    detector.restore(other, one.state())
    assert other.score_one(named(x_BF[0])) == one.score_one(named(x_BF[0]))


@each_columnar
def test_features_beyond_the_ends_count_as_the_ends_or_worse(detector: Detector) -> None:
    x_BF = random_rows(13, 300)
    x_BF[100] = [-3.0, 7.0, 1e9, -1e9]
    assert np.isfinite(detector.many(detector.fresh(), x_BF)).all()


@pytest.mark.parametrize("kind", [RSHash, Loda, Neighbours], ids=lambda kind: kind.__name__)
def test_what_was_usual_long_ago_is_strange_again(kind: Callable[..., ColumnarDetector]) -> None:
    x_BF = np.repeat([[0.2], [0.7], [0.2]], [300, 300, 1], axis=0) * np.ones(FEATURES)
    forgets, keeps = (kind(half_life=half_life).score_learn_many(x_BF) for half_life in (20, 100_000))
    assert forgets[-1] > keeps[-1] + 0.9


@laws
@given(seed=seeds, features=st.integers(1, 6), height=st.integers(1, 6), window=st.integers(1, 40))
def test_half_space_trees_are_rivers_to_the_last_bit(seed: int, features: int, height: int, window: int) -> None:
    x_BF = np.random.default_rng(seed).random((120, features))
    chosen: dict[str, Any] = {"n_trees": 4, "height": height, "window_size": window, "seed": seed}
    theirs = Guest(anomaly.HalfSpaceTrees(**chosen)).score_learn_many(x_BF)
    assert HalfSpaceTrees(**chosen).score_learn_many(x_BF).tobytes() == theirs.tobytes()


@laws
@given(seed=seeds, features=st.integers(1, 30))
def test_loda_mixes_features_as_river_does(seed: int, features: int) -> None:
    ours = Loda(n_random_cuts=7, seed=seed)
    theirs: Any = anomaly.LODA(n_random_cuts=7, seed=seed)
    ours.score_learn_many(np.zeros((1, features)))
    theirs.learn_one(dict.fromkeys(range(features), 0.0))
    drawn = zip(ours._feature_TK.tolist(), ours._factor_TK.tolist(), strict=True)
    mixed = [dict(zip(*pair, strict=True)) for pair in drawn]
    assert mixed == theirs.projections_


def test_loda_orders_smooth_data_as_river_does() -> None:
    x_BF = np.clip(np.random.default_rng(14).normal(0.5, 0.1, (1_500, 6)), 0, 1)
    ours = Loda(n_bins=32, seed=3).score_learn_many(x_BF)
    theirs = Guest(anomaly.LODA(seed=3)).score_learn_many(x_BF)
    agreement = pl.select(pl.corr(pl.Series(ours[500:]), pl.Series(theirs[500:]), method="spearman")).item()
    assert agreement > 0.7


GUESTS = [
    small_trees(),
    anomaly.LODA(n_random_cuts=4, seed=1),
    anomaly.OneClassSVM(),
    anomaly.OneClassSVM(optimizer=optim.Adam(), initializer=optim.initializers.Constant(0.1)),
    anomaly.LocalOutlierFactor(n_neighbors=3),
    anomaly.ThresholdFilter(small_trees(), threshold=0.9),
    gaussian(grace_period=5),
    gaussian(window_size=20, grace_period=5),
    anomaly.StandardAbsoluteDeviation(),
    compose.Pipeline(preprocessing.MinMaxScaler(), small_trees()),
    compose.Pipeline(preprocessing.StandardScaler(), anomaly.OneClassSVM()),
]


@pytest.mark.parametrize("model", GUESTS, ids=lambda model: " ".join(str(model).split())[:60])
def test_any_model_of_river_goes_on_from_its_state(model: Any) -> None:
    x_BF, one, other = random_rows(15, 90), Guest(model.clone()), Guest(model.clone())
    one.score_learn_many(x_BF[:50])
    other.score_learn_many(x_BF)
    other.restore(one.state())
    assert other.score_learn_many(x_BF[50:]).tobytes() == one.score_learn_many(x_BF[50:]).tobytes()


@pytest.mark.parametrize("model", GUESTS[:3], ids=lambda model: type(model).__name__)
def test_a_guest_scores_as_it_does_alone(model: Any) -> None:
    x_BF, alone, scores = random_rows(16, 60), model.clone(), []
    for row_F in x_BF:
        scores.append(float(alone.score_one(named(row_F))))
        alone.learn_one(named(row_F))
    assert Guest(model, tuple(named(x_BF[0]))).score_learn_many(x_BF).tolist() == scores


class Tattler(base.AnomalyDetector):
    """A detector that holds what no array can."""

    def __init__(self) -> None:
        self.seen: Any = 0

    def learn_one(self, x: dict[Any, float]) -> None:
        self.seen = iter(x)

    def score_one(self, x: dict[Any, float]) -> float:
        return 0.0


def test_what_arrays_cannot_tell_is_refused_by_its_place() -> None:
    quantile: Any = anomaly.QuantileFilter(small_trees(), q=0.9)
    drawing = optim.initializers.Normal(seed=1)
    with pytest.raises(Untold, match=r"model\.initializer\._rng: expected .*, got <class 'numpy.*RandomState'>"):
        Guest(anomaly.OneClassSVM(initializer=drawing)).state()
    with pytest.raises(Untold, match=r"model\.quantile\._quantile: expected .*, got <class 'river._river_rust"):
        Guest(quantile).state()
    with pytest.raises(Untold, match=r"model: expected .*Tattler"):
        Guest(Tattler()).state()


def test_the_state_of_another_guest_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)expected the state of OneClassSVM.*, got that of HalfSpaceTrees"):
        Guest(anomaly.OneClassSVM()).restore(Guest(small_trees()).state())


@pytest.mark.parametrize("name", ["os:system", "river.base.estimator:Any", "river.anomaly.hst:collections.Counter"])
def test_a_state_makes_nothing_but_objects_of_river(name: str) -> None:
    guest = Guest(small_trees())
    text = json.loads(guest.state()["text"].tobytes())
    text["told"]["of"] = name
    with pytest.raises(ValueError, match="expected a class of River's"):
        guest.restore(guest.state() | {"text": np.frombuffer(json.dumps(text).encode(), np.uint8)})


def judged(marginals: Marginals, x_BF: NDArray[np.float64], kind_B: NDArray[np.uint64]) -> Margins:
    return marginals.judge_learn_many(x_BF, kind_B, np.ones(len(x_BF)))


def test_marginals_judge_an_event_among_its_kind() -> None:
    marginals, chance = Marginals(), np.random.default_rng(10)
    x_BF = np.where(np.arange(2_000) % 2 == 0, 0.1, 0.8)[:, None] + chance.normal(0, 0.02, (2_000, 1))
    judged(marginals, x_BF, np.arange(2_000, dtype=np.uint64) % np.uint64(2))
    nats_BV = judged(marginals, np.array([[0.8], [0.8]]), np.array([0, 1], np.uint64)).nats_BV
    assert nats_BV[0, 1] > nats_BV[1, 1] + 2.0
    assert nats_BV[0, 0] == pytest.approx(nats_BV[1, 0], abs=0.01)


def test_two_ways_of_asking_look_to_the_right_and_the_third_for_emptiness() -> None:
    marginals = Marginals()
    judged(marginals, np.full((100, 1), 0.5), np.ones(100, np.uint64))
    nats_BV = judged(marginals, np.array([[0.0], [0.5], [1.0]]), np.ones(3, np.uint64)).nats_BV
    assert nats_BV[0, :2] == pytest.approx(0.0, abs=1e-9)
    assert nats_BV[2, :2].min() > 3.0
    assert nats_BV[1, 2] < 0.1
    assert nats_BV[[0, 2], 2].min() > 3.0


def test_the_nats_of_features_add_up_to_the_mean_of_the_three_ways() -> None:
    margins = judged(Marginals(), random_rows(12, 300).astype(np.float64), some_kinds(random_rows(12, 300)))
    assert margins.nats_BF.sum(axis=1) == pytest.approx(margins.nats_BV.mean(axis=1))


def test_a_feature_that_nobody_has_shown_is_not_asked() -> None:
    x_BF = random_rows(13, 200).astype(np.float64)
    wider_BF = np.concatenate([x_BF, np.zeros((200, 3))], axis=1)
    one_B = np.ones(200, np.uint64)
    assert judged(Marginals(), wider_BF, one_B).nats_BV.tobytes() == judged(Marginals(), x_BF, one_B).nats_BV.tobytes()


def test_an_event_of_no_weight_teaches_nothing() -> None:
    rows_BF, weight_B = random_rows(14, 300), (np.arange(300) % 3 > 0).astype(np.float64)
    x_BF, kind_B, taught = rows_BF.astype(np.float64), some_kinds(rows_BF), weight_B > 0.0
    one, other = Marginals(half_life=50), Marginals(half_life=50)
    nats_BV = one.judge_learn_many(x_BF, kind_B, weight_B).nats_BV
    assert nats_BV[taught].tobytes() == judged(other, x_BF[taught], kind_B[taught]).nats_BV.tobytes()


def test_marginals_go_on_when_their_weights_are_scaled_down() -> None:
    marginals, x_BF = Marginals(half_life=2), random_rows(11, 400)
    nats_B = marginals.score_learn_many(x_BF)
    assert np.isfinite(nats_B).all()
    assert marginals.state()["weight"].max() < 1e13
    assert math.isclose(nats_B[-100:].mean(), nats_B[100:200].mean(), rel_tol=0.3)
