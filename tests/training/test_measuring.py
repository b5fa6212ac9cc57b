"""The laws of what is measured, held against scikit-learn's."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from training.measuring import FEWEST, MEASURES, curve, measure, ranking, values

EVENTS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=200).filter(
    lambda events: 0 < sum(is_attack for is_attack, _ in events) < len(events)
)


@given(EVENTS)
def test_the_measures_are_those_of_scikit_learn(events: list[tuple[bool, int]]) -> None:
    is_attack_B, score_B = np.array([a for a, _ in events]), np.array([s for _, s in events], float)
    average, area, recall = values(ranking(is_attack_B, score_B))
    alarms, found, _ = roc_curve(is_attack_B, score_B, drop_intermediate=False)
    assert average == pytest.approx(average_precision_score(is_attack_B, score_B))
    assert area == pytest.approx(roc_auc_score(is_attack_B, score_B))
    assert recall == pytest.approx(found[alarms <= 0.01].max())


@given(EVENTS)
def test_the_curve_has_the_points_of_scikit_learn_where_recall_changes(events: list[tuple[bool, int]]) -> None:
    is_attack_B, score_B = np.array([a for a, _ in events]), np.array([s for _, s in events], float)
    precision, recall, _ = precision_recall_curve(is_attack_B, score_B)
    best = {round(r, 9): p for p, r in zip(precision, recall, strict=True) if r}
    ours = dict[float, float]()
    for p, r in zip(*curve(ranking(is_attack_B, score_B)), strict=True):
        ours.setdefault(round(float(r), 9), float(p))
    assert {r: p for r, p in ours.items() if r} == pytest.approx(best)


@given(EVENTS, st.randoms())
def test_the_order_of_events_changes_nothing(events: list[tuple[bool, int]], chance: Random) -> None:
    mixed = events[:]
    chance.shuffle(mixed)
    attacks, scores = zip(*events, strict=True), zip(*mixed, strict=True)
    one, other = (ranking(np.array(a), np.array(s, float)) for a, s in (attacks, scores))
    assert (one.attacks_S.tolist(), one.others_S.tolist()) == (other.attacks_S.tolist(), other.others_S.tolist())


def test_bounds_hold_the_measure_and_narrow_with_more_events() -> None:
    widths = []
    for size in (200, 20_000):
        chance = np.random.default_rng(size)
        is_attack_B = chance.random(size) < 0.2
        told = measure(ranking(is_attack_B, chance.normal(size=size) + is_attack_B), chance)
        assert all(one.bounds and one.bounds[0] < one.value < one.bounds[1] for one in told.values())
        widths.append([one.bounds[1] - one.bounds[0] for one in told.values() if one.bounds])
    assert all(few > 2 * many for few, many in zip(*widths, strict=True))


def test_bounds_are_those_of_many_samples_of_one_kind() -> None:
    chance, size = np.random.default_rng(5), 1000
    areas = []
    for _ in range(300):
        is_attack_B = chance.random(size) < 0.1
        areas.append(roc_auc_score(is_attack_B, chance.normal(size=size) + 1.5 * is_attack_B))
    is_attack_B = chance.random(size) < 0.1
    told = measure(ranking(is_attack_B, chance.normal(size=size) + 1.5 * is_attack_B), chance)["auc"]
    assert told.bounds
    expected = np.quantile(areas, 0.975) - np.quantile(areas, 0.025)
    assert told.bounds[1] - told.bounds[0] == pytest.approx(expected, rel=0.3)


def test_the_same_chance_gives_the_same_bounds() -> None:
    is_attack_B = np.arange(100) < 30
    ranks = ranking(is_attack_B, np.random.default_rng(1).normal(size=100))
    assert measure(ranks, np.random.default_rng(2)) == measure(ranks, np.random.default_rng(2))


@pytest.mark.parametrize("is_attack", [True, False])
def test_one_side_alone_is_not_measured(is_attack: bool) -> None:
    assert measure(ranking(np.full(9, is_attack), np.arange(9.0)), np.random.default_rng(0)) == {}


def test_of_too_few_attacks_no_bounds_are_told() -> None:
    score_B = np.arange(100.0)
    few, enough = (measure(ranking(score_B < n, score_B), np.random.default_rng(0)) for n in (FEWEST - 1, FEWEST))
    assert set(few) == set(enough) == set(MEASURES)
    assert all(one.bounds is None and one.in_words().endswith("(too few)") for one in few.values())
    assert all(one.bounds for one in enough.values())
