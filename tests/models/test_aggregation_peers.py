"""The robust rules say what Flower's and ByzFL's say, whose values `aggregation_peers.json` keeps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.aggregation import clipped, geometric_median, median, trimmed_mean

KEPT = json.loads((Path(__file__).parent / "aggregation_peers.json").read_text())
each_case = pytest.mark.parametrize("case", KEPT["cases"], ids=lambda case: f"{len(case['x'])} sites")


def test_the_values_say_where_they_are_from() -> None:
    assert "flwr 1.41.0" in KEPT["about"]
    assert "byzfl 0.0.11" in KEPT["about"]


@each_case
@pytest.mark.parametrize("peer", ["flower_median", "byzfl_median"])
def test_the_median_is_theirs(case: dict[str, Any], peer: str) -> None:
    np.testing.assert_allclose(median(np.array(case["x"])), case[peer], rtol=1e-12)


@each_case
@pytest.mark.parametrize("peer", ["flower_trimmed", "byzfl_trimmed"])
def test_the_trimmed_mean_is_theirs(case: dict[str, Any], peer: str) -> None:
    np.testing.assert_allclose(trimmed_mean(np.array(case["x"]), case["liars"]), case[peer], rtol=1e-12)


@each_case
def test_the_geometric_median_is_theirs(case: dict[str, Any]) -> None:
    np.testing.assert_allclose(geometric_median(np.array(case["x"])), case["byzfl_geometric_median"], atol=1e-6)


@each_case
def test_clipping_is_theirs_at_the_median_of_the_norms(case: dict[str, Any]) -> None:
    np.testing.assert_allclose(clipped(np.array(case["x"])), case["byzfl_clipped"], rtol=1e-12)
