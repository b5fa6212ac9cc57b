"""The figures that need a law of their own."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.verdicts import VERDICTS
from features.events import Domain
from training import plots
from training.measuring import ranking


def verdicts(p_B: NDArray[np.float64], domain: str = "dns") -> pl.DataFrame:
    """Verdicts of one domain with these probabilities, and one reason each."""
    rows = len(p_B)
    reasons = [[{"field": "name", "value": "x", "nats": 1.0}]] * rows
    told = {"domain": [domain] * rows, "p": p_B, "p_online": p_B, "p_offline": p_B, "score": -np.log(p_B)}
    frame = pl.DataFrame(told | {"evidence": -np.log(p_B), "reasons": reasons})
    missing = [pl.lit(None, kind).alias(name) for name, kind in VERDICTS.items() if name not in frame.columns]
    return frame.with_columns(missing).select(VERDICTS.names()).cast(VERDICTS)


P = np.random.default_rng(0).random(500)
FIGURES: dict[str, Callable[[pl.DataFrame], Figure]] = {
    "scores": plots.scores,
    "reliability": plots.reliability,
    "telling_fields": plots.telling_fields,
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("p_B", [P, P[:1], P[:0], np.ones(20)], ids=["many", "one", "none", "nothing strange"])
def test_a_figure_is_drawn_of_any_verdicts(name: str, p_B: NDArray[np.float64]) -> None:
    assert plots.as_svg(FIGURES[name](verdicts(p_B))).startswith("<svg")


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_says_what_it_shows(name: str) -> None:
    figure = FIGURES[name](verdicts(P / 100))
    assert all(axes.get_title("left") and axes.get_xlabel() for axes in figure.axes)


def test_most_of_what_keeps_its_promise_lies_in_the_band() -> None:
    (axes,) = plots.reliability(verdicts(P)).axes
    (band,) = axes.collections
    line = next(line for line in axes.lines if line.get_label() == "dns")
    corners = band.get_paths()[0]
    inside = corners.contains_points(np.stack(line.get_data(), axis=1).astype(float), radius=1e-3)
    assert inside.mean() > 0.8


def test_perfect_and_worthless_scores_have_the_curves_they_should() -> None:
    is_attack_B = np.arange(100) < 20
    rankings = {"dns": ranking(is_attack_B, is_attack_B.astype(float)), "web": ranking(is_attack_B, np.zeros(100))}
    (axes,) = plots.precision_recall(rankings).axes
    dns, chance, web, _ = axes.lines
    assert max(np.asarray(dns.get_ydata())) == 1.0
    assert np.asarray(web.get_ydata()).tolist() == [0.2] == list(set(np.asarray(chance.get_ydata()).tolist()))
    assert dns.get_color() == plots.COLOURS[Domain.DNS]


def test_a_learning_curve_marks_its_best_epoch() -> None:
    (axes,) = plots.learning({"dns": ([3.0, 2.0, 1.0], [3.0, 1.5, 2.0])}).axes
    (ring,) = (line for line in axes.lines if line.get_marker() == "o")
    assert np.asarray(ring.get_data()).ravel().tolist() == [2, 1.5]
