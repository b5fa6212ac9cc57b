"""The offline detector of tables keeps scikit-learn's contract, and its surprisals say why a row is unusual."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from models import bundle
from models.rare_rows import RareRows

HOMES = {"ann": "oslo", "bob": "rome", "eve": "bonn", "joe": "lima"}


def table(seed: int, rows: int = 600) -> pl.DataFrame:
    """People, each in a city of their own, with numbers; some values are missing."""
    chance = np.random.default_rng(seed)
    users = chance.choice(list(HOMES), rows)
    sizes = np.where(chance.random(rows) < 0.05, np.nan, chance.lognormal(3.0, 1.0, rows))
    return pl.DataFrame(
        {
            "user": users,
            "city": [HOMES[user] if chance.random() > 0.02 else None for user in users],
            "bytes": sizes,
            "port": chance.choice([53, 80, 443], rows),
        }
    )


LEARNED = table(1)
DETECTOR = RareRows(random_state=0).fit(LEARNED)


def row(user: str | None = "ann", city: str | None = "oslo", size: float | None = 20.0, port: int = 80) -> pl.DataFrame:
    kinds = {"user": pl.String, "city": pl.String, "bytes": pl.Float64, "port": pl.Int64}
    return pl.DataFrame({"user": [user], "city": [city], "bytes": [size], "port": [port]}, schema=kinds)


def nats(**values: Any) -> dict[str, float]:
    """How surprising each field of one row is."""
    told = row(**values)
    return dict(zip(told.columns, DETECTOR.surprisals(told)[0].tolist(), strict=True))


def _usual(model: RareRows, rows: NDArray[np.float64], labels: object = None) -> float:
    return float(model.score_samples(rows).mean())


@parametrize_with_checks([RareRows(random_state=0)])  # type: ignore[untyped-decorator]  # it ships no types
def test_it_is_an_estimator_of_scikit_learn(estimator: RareRows, check: Callable[[RareRows], None]) -> None:
    check(estimator)


def test_a_score_is_minus_the_sum_of_the_fields_surprisals() -> None:
    nats_BF = DETECTOR.surprisals(table(2))
    assert nats_BF.shape == (600, 4)
    assert (nats_BF >= 0).all()
    np.testing.assert_allclose(DETECTOR.score_samples(table(2)), -nats_BF.sum(axis=1), rtol=1e-12)


def test_a_prediction_is_the_sign_of_the_decision() -> None:
    score_B = DETECTOR.score_samples(table(2))
    np.testing.assert_array_equal(DETECTOR.decision_function(table(2)), score_B - DETECTOR.offset_)
    np.testing.assert_array_equal(DETECTOR.predict(table(2)), np.where(score_B < DETECTOR.offset_, -1, 1))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_contamination_is_the_share_of_the_rows_learned_that_stand_out(share: float) -> None:
    told_B = RareRows(contamination=share, random_state=0).fit_predict(LEARNED)
    assert (told_B == -1).mean() == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize("share", [0.0, 0.6, -1.0, "some"])
def test_a_contamination_that_is_no_share_is_refused(share: Any) -> None:
    with pytest.raises(ValueError, match="contamination: expected"):
        RareRows(contamination=share).fit(LEARNED)


@pytest.mark.parametrize(
    ("field", "strange"), [("user", "mallory"), ("city", "nowhere"), ("bytes", 1e9), ("bytes", -40.0), ("port", 31337)]
)
def test_a_value_that_was_never_seen_is_the_most_surprising_field(field: str, strange: Any) -> None:
    told = nats(**{"size" if field == "bytes" else field: strange})
    assert max(told, key=lambda name: told[name]) == field
    assert told[field] > 5.0


def test_a_city_that_is_common_but_not_this_users_stands_out() -> None:
    at_home, abroad = nats(user="ann", city="oslo"), nats(user="ann", city="rome")
    assert sum(abroad.values()) > sum(at_home.values()) + 1.0


def test_the_further_out_a_number_lies_the_more_surprising_it_is() -> None:
    told = [nats(size=size)["bytes"] for size in (1e3, 1e4, 1e6, 1e12, 1e300)]
    assert told == sorted(told)
    assert np.isfinite(told).all()


def test_the_shares_of_all_values_of_a_text_add_up_to_one() -> None:
    learned = pl.DataFrame({"x": ["a"] * 5 + ["b"] * 3})
    told_B = RareRows(random_state=0).fit(learned).surprisals(pl.DataFrame({"x": ["a", "b", "c"]}))[:, 0]
    np.testing.assert_allclose(np.exp(-told_B), [5.5 / 9.5, 3.5 / 9.5, 0.5 / 9.5], rtol=1e-6)


def test_labels_are_not_looked_at() -> None:
    again = RareRows(random_state=0).fit(LEARNED, np.arange(600) % 2)
    assert again.score_samples(table(3)).tobytes() == DETECTOR.score_samples(table(3)).tobytes()


def test_the_same_seed_gives_the_same_scores() -> None:
    scores = [RareRows(random_state=5).fit(LEARNED).score_samples(table(3)) for _ in range(2)]
    assert scores[0].tobytes() == scores[1].tobytes()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(cuts=st.lists(st.integers(0, 80), max_size=4), seed=st.integers(0, 100))
def test_any_cut_gives_the_same_scores(cuts: list[int], seed: int) -> None:
    rows, ends = table(seed, 80), [0, *sorted(cuts), 80]
    parts = [DETECTOR.score_samples(rows[a:b]) for a, b in pairwise(ends) if b > a]
    np.testing.assert_array_equal(np.concatenate(parts), DETECTOR.score_samples(rows))


def of_pandas(rows: pl.DataFrame) -> Any:
    return rows.to_pandas()


def of_other_kinds(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("user").cast(pl.Categorical), pl.col("port").cast(pl.Int16))


@pytest.mark.parametrize("form", [of_pandas, of_other_kinds])
def test_the_kind_of_frame_does_not_matter(form: Callable[[pl.DataFrame], Any]) -> None:
    np.testing.assert_allclose(DETECTOR.score_samples(form(table(2))), DETECTOR.score_samples(table(2)), rtol=1e-6)


def test_an_array_of_objects_is_as_good_as_a_frame() -> None:
    objects: NDArray[np.object_] = LEARNED.to_numpy()
    assert objects.dtype == object
    told_B = RareRows(random_state=0).fit(objects).score_samples(table(2).to_numpy())
    np.testing.assert_array_equal(told_B, DETECTOR.score_samples(table(2)))


def test_missing_values_are_a_value_of_their_own() -> None:
    assert nats(city=None)["city"] > nats()["city"]
    assert np.isfinite(list(nats(user=None, city=None, size=None).values())).all()


def test_a_text_where_a_number_was_learned_is_refused() -> None:
    with pytest.raises(ValueError, match="field 2 of X: expected Float64"):
        DETECTOR.score_samples(row().with_columns(bytes=pl.lit("many")))


def test_infinity_and_columns_of_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'bytes' of X: expected finite"):
        DETECTOR.score_samples(row(size=np.inf))
    with pytest.raises(ValueError, match="feature names"):
        DETECTOR.score_samples(row().rename({"bytes": "octets"}))


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 sample"):
        RareRows().fit(LEARNED[:0])


def test_it_lives_in_a_pipeline_a_grid_search_and_a_clone() -> None:
    x_BF = np.random.default_rng(0).normal(size=(200, 3))
    pipeline = make_pipeline(StandardScaler(), RareRows(random_state=0)).fit(x_BF)
    assert pipeline.score_samples(np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]])).argmin() == 1
    grid = {"contamination": [0.05, 0.2]}
    search = GridSearchCV(RareRows(random_state=0), grid, scoring=_usual, cv=2)
    assert search.fit(x_BF).best_params_["contamination"] in grid["contamination"]
    assert clone(RareRows(contamination=0.2, random_state=3)).get_params() == {"contamination": 0.2, "random_state": 3}


def test_a_bundle_keeps_it(tmp_path: Path) -> None:
    bundle.write(tmp_path / "kept", DETECTOR.arrays(), {"kind": "rare rows", "fields": LEARNED.columns})
    kept = bundle.read(tmp_path / "kept")
    again = RareRows.from_arrays(kept.arrays, kept.manifest["fields"])
    assert again.surprisals(table(4)).tobytes() == DETECTOR.surprisals(table(4)).tobytes()
    np.testing.assert_array_equal(again.predict(table(4)), DETECTOR.predict(table(4)))


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    arrays = DETECTOR.arrays()
    with pytest.raises(ValueError, match="a rarity for every code"):
        RareRows.from_arrays(arrays | {"rarity.0": arrays["rarity.0"][:-1]})
    with pytest.raises(KeyError, match="rarity"):
        RareRows.from_arrays({name: array for name, array in arrays.items() if name != "rarity.3"})
    with pytest.raises(ValueError, match="names: expected 4"):
        RareRows.from_arrays(arrays, ["user"])


def test_a_column_that_never_changed_makes_any_change_surprising() -> None:
    learned = pl.DataFrame({"x": [0.0] * 100, "y": list(range(100))})
    told_BF = RareRows(random_state=0).fit(learned).surprisals(pl.DataFrame({"x": [0.0, 1.0], "y": [50, 50]}))
    assert told_BF[0, 0] < 0.1
    assert told_BF[1, 0] > 5.0
