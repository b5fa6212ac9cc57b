"""Another detector's alert is strange if it is rare, and nothing else is changed by looking for alerts."""

from collections.abc import Callable

import polars as pl
import pytest

from agents.agent import Agent
from agents.recipe import recipe_of
from features.events import Domain

Stream = Callable[..., pl.DataFrame]


@pytest.mark.parametrize("domain", list(Domain))
def test_a_rare_alert_is_stranger_than_a_common_one(domain: Domain, stream: Stream) -> None:
    events = stream(domain, 1, 300).with_columns(
        seq=pl.int_range(300), activity_name=pl.lit("alert"), device_hostname=pl.lit("h")
    )
    codes = pl.when(pl.int_range(300) == 299).then(pl.lit("rare")).otherwise(pl.lit("common"))
    verdicts = Agent(recipe_of(domain)).observe(events.with_columns(event_code=codes))
    told = {reason["field"] for reason in verdicts["reasons"][-1]}
    assert told & {"alert", "alert given alerting host"}
    assert verdicts["evidence"][-1] > verdicts["evidence"][100:-1].median()
