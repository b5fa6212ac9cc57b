"""How an agent learns from past events."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from agents.keeping import arrays_of
from agents.recipe import recipe_of
from features.events import Domain, schema
from training.learning import Learned, learn

BEGINS = datetime(2026, 3, 2, 8, tzinfo=UTC)


def logons(rows: int) -> pl.DataFrame:
    """A few people who log on to their own hosts, a minute apart."""
    names = [f"user{n % 7}" for n in range(rows)]
    told = {
        "source": ["logons"] * rows,
        "line": list(range(rows)),
        "time": [BEGINS + timedelta(minutes=n) for n in range(rows)],
        "uid": [f"u{n}" for n in range(rows)],
        "activity_name": ["logon"] * rows,
        "user_name": names,
        "device_hostname": [name.replace("user", "host") for name in names],
    }
    columns = schema(Domain.IDENTITY)
    frame = pl.DataFrame(told, schema={name: columns[name] for name in told})
    return frame.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in told
    ).select(columns.names())


def taught(events: pl.DataFrame, seed: int = 1) -> Learned:
    return learn(recipe_of(Domain.IDENTITY), events, seed=seed, epochs=2)


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_very_few_events_are_enough_to_learn_from(rows: int) -> None:
    learned = taught(logons(rows))
    assert learned.verdicts.height == rows
    assert learned.verdicts["p"].is_between(0, 1, closed="right").all()


def test_the_same_events_and_seed_teach_the_same() -> None:
    one, two = arrays_of(taught(logons(300)).agent), arrays_of(taught(logons(300)).agent)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_what_was_learned_is_finite_so_that_it_can_be_kept() -> None:
    assert all(np.isfinite(array).all() for array in arrays_of(taught(logons(3)).agent).values())


def test_a_verdict_on_an_early_event_knows_nothing_of_later_ones_online() -> None:
    whole, part = taught(logons(200)).verdicts, taught(logons(100)).verdicts
    assert whole["p_online"][:100].equals(part["p_online"])
