"""The online detectors as one: judged features, further detectors, and features that speak for themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river import anomaly
from river.base import AnomalyDetector

from features.featurizer import squashed
from models.loda import Loda
from models.online import Online, Strangeness
from models.rs_hash import RSHash

laws = settings(max_examples=15, deadline=None, derandomize=True)
seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 80)
Matrix = NDArray[np.float32]


def fresh(*detectors: AnomalyDetector) -> Online:
    """Three features that are judged, one that is added, and one that is the least."""
    return Online(detectors or (Loda(n_random_cuts=4), RSHash(n_grids=4)), added=[2.0], at_least=[1.5])


def nats(seed: int, rows: int) -> Matrix:
    chance = np.random.default_rng(seed)
    return (chance.exponential(1.0, (rows, 5)) * (chance.random((rows, 5)) < 0.6)).astype(np.float32)


def observed(online: Online, x_BF: Matrix) -> Strangeness:
    return taught(online, x_BF, np.ones(len(x_BF)))


def taught(online: Online, x_BF: Matrix, weight_B: NDArray[np.float64]) -> Strangeness:
    return online.observe(squashed(x_BF[:, :3]), x_BF[:, 3:], (x_BF[:, 0] * 3).astype(np.uint64), weight_B)


def test_what_is_added_comes_on_top() -> None:
    x_BF = nats(1, 300)
    x_BF[:, 4] = 0.0
    without_BF = x_BF.copy()
    without_BF[:, 3] = 0.0
    with_B, without_B = observed(fresh(), x_BF).score_B, observed(fresh(), without_BF).score_B
    assert with_B - without_B == pytest.approx(2.0 * x_BF[:, 3].astype(np.float64))


def test_no_event_is_less_strange_than_the_least() -> None:
    x_BF = nats(2, 300)
    x_BF[:, 4] *= 20.0
    told = observed(fresh(), x_BF)
    assert (told.score_B >= 1.5 * x_BF[:, 4].astype(np.float64)).all()
    (raised,) = (told.nats_BF[:, 4] > 0.0).nonzero()
    assert raised.size
    assert told.score_B[raised] == pytest.approx(told.nats_BF[raised, 4])


def test_a_feature_has_its_nats_in_its_place() -> None:
    x_BF = np.zeros((400, 5), np.float32)
    x_BF[:, 1] = np.random.default_rng(3).exponential(0.2, 400)
    x_BF[-1, 1] = 9.0
    told = observed(fresh(), x_BF)
    assert told.nats_BF.shape == (400, 5)
    assert told.nats_BF[-1].argmax() == 1


def test_any_detector_of_river_can_be_named() -> None:
    online, x_BF = fresh(anomaly.HalfSpaceTrees(n_trees=3, height=3, window_size=20, seed=1)), nats(4, 120)
    whole = observed(online, x_BF)
    other = fresh(anomaly.HalfSpaceTrees(n_trees=3, height=3, window_size=20, seed=1))
    observed(other, x_BF[:70])
    again = fresh(anomaly.HalfSpaceTrees(n_trees=3, height=3, window_size=20, seed=1))
    again.restore(other.state())
    assert observed(again, x_BF[70:]).score_B.tobytes() == whole.score_B[70:].tobytes()


class Broken(Loda):
    """A detector that says nothing that is a number."""

    def score_learn_many(
        self, x_BF: NDArray[np.float32 | np.float64], weight_B: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        return np.full(len(x_BF), np.nan)


def test_a_detector_that_breaks_does_not_break_the_rest() -> None:
    x_BF = nats(5, 3_000)
    broken, sound = fresh(Broken(), RSHash(n_grids=4)), fresh(RSHash(n_grids=4))
    broken_B, sound_B = observed(broken, x_BF).score_B, observed(sound, x_BF).score_B
    assert broken.agreements[3] == 0.0
    assert np.corrcoef(broken_B[-1000:], sound_B[-1000:])[0, 1] > 0.99


def test_events_of_no_weight_teach_nothing() -> None:
    x_BF, is_taught = nats(6, 300), np.arange(300) % 4 > 0
    one = fresh()
    taught(one, x_BF, is_taught.astype(np.float64))
    other = fresh()
    observed(other, x_BF[is_taught])
    ours, theirs = one.state(), other.state()
    learned = [name for name in ours if not name.startswith("fusion") and not name.endswith(".seen")]
    assert {name: ours[name].tobytes() for name in learned} == {name: theirs[name].tobytes() for name in learned}


@laws
@given(seed=seeds, rows=sizes, cuts=st.lists(st.integers(0, 80), max_size=5))
def test_any_cut_gives_the_same_bits(seed: int, rows: int, cuts: list[int]) -> None:
    x_BF, pieces = nats(seed, rows), fresh()
    parts = [observed(pieces, part_BF).score_B for part_BF in np.split(x_BF, sorted(min(cut, rows) for cut in cuts))]
    assert np.concatenate(parts).tobytes() == observed(fresh(), x_BF).score_B.tobytes()


@laws
@given(seed=seeds, before=st.integers(0, 60), after=sizes)
def test_restored_it_gives_the_same_bits(seed: int, before: int, after: int) -> None:
    x_BF, one, other = nats(seed, before + after), fresh(), fresh()
    observed(one, x_BF[:before])
    observed(other, x_BF)
    other.restore(one.state())
    told, expected = observed(other, x_BF[before:]), observed(one, x_BF[before:])
    assert told.score_B.tobytes() == expected.score_B.tobytes()
    assert told.nats_BF.tobytes() == expected.nats_BF.tobytes()
