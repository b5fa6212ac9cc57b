"""Testimony says of every verdict what it says, who says it, and of whom."""

from collections.abc import Callable
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.consensus.testimony import EPISODE, TESTIMONY, anchors
from agents.consensus.testimony import testimony as spoken  # pytest takes what is called test... for a test
from agents.verdicts import REASON

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=25, deadline=None, derandomize=True)

tables = st.lists(
    st.fixed_dictionaries(
        {
            "domain": st.sampled_from(["endpoint", "network", "web"]),
            "activity": st.sampled_from(["launch", "alert"]),
            "user": st.sampled_from(["x", "y", None]),
            "host": st.sampled_from(["x", "y", None]),
            "address": st.sampled_from(["x", "y", None]),
            "peer": st.sampled_from(["x", "y", None]),
            "field": st.sampled_from(["alert", "alert given host", "program"]),
            "value": st.sampled_from(["a", "b", None]),
            "at": st.integers(0, 100_000),
        }
    ),
    max_size=30,
)


def of_reasons(verdicts: pl.DataFrame, *reasons: tuple[str, str, float]) -> pl.DataFrame:
    told = [dict(zip(("field", "value", "nats"), reason, strict=True)) for reason in reasons]
    return spoken(verdicts.with_columns(reasons=pl.Series([told], dtype=pl.List(REASON))))


@laws
@given(table=tables, chance=st.randoms(use_true_random=False))
def test_testimony_is_one_row_a_verdict_in_the_order_of_the_log(
    table: list[dict[str, Any]], chance: Any, said: Said
) -> None:
    verdicts = said(*table)
    told = spoken(verdicts)
    assert told.schema == TESTIMONY
    assert told["seq"].to_list() == list(range(len(table)))
    order = list(range(len(table)))
    chance.shuffle(order)
    assert_frame_equal(spoken(verdicts[order]), told)


@laws
@given(table=tables)
def test_an_episode_begins_at_most_ten_minutes_before_its_verdicts(table: list[dict[str, Any]], said: Said) -> None:
    told = spoken(said(*table))
    assert told.filter((pl.col("time") < pl.col("start")) | (pl.col("time") - pl.col("start") >= EPISODE)).is_empty()
    assert told.filter(pl.col("start").dt.truncate(EPISODE) != pl.col("start")).is_empty()


@laws
@given(table=tables)
def test_every_name_has_one_anchor_of_its_kind(table: list[dict[str, Any]], said: Said) -> None:
    """Different hashes for different kinds and names; addresses are one kind at either end."""
    told = spoken(said(*table))
    key_NE = anchors(told)
    whose: dict[int, set[tuple[str, str]]] = {}
    for row, keys in zip(told.to_dicts(), key_NE.tolist(), strict=True):
        for kind, key in zip(("user", "host", "address", "peer"), keys, strict=True):
            is_named = row[kind] is not None and not (kind == "host" and row["domain"] == "web")
            assert (key != 0) == (is_named and not (kind == "peer" and row["peer"] == row["address"]))
            if key:
                whose.setdefault(key, set()).add(("address" if kind == "peer" else kind, row[kind]))
    assert all(len(names) == 1 for names in whose.values())
    assert len({name for names in whose.values() for name in names}) == len(whose)


def test_each_agent_is_a_witness_and_of_alerts_each_rule(said: Said) -> None:
    rule = {"activity": "alert", "field": "alert", "domain": "network"}
    rows = [{"value": "a"}, {"value": "b"}, {"domain": "dns"}, rule | {"value": "scan"}, rule | {"value": "worm"}]
    told = spoken(said(*rows))
    assert told["witness"].to_list() == ["endpoint", "endpoint", "dns", "network scan", "network worm"]


def test_an_alert_says_which_alert_it_is_even_where_something_else_was_stranger(said: Said) -> None:
    reasons = [("peer", "10.0.0.9", 9.0), ("alert given host", "scan", 2.0)]
    (alert,) = of_reasons(said({"activity": "alert"}), *reasons).to_dicts()
    assert (alert["field"], alert["value"], alert["witness"]) == ("alert given host", "scan", "endpoint scan")
    (other,) = of_reasons(said({"activity": "open"}), *reasons).to_dicts()
    assert (other["field"], other["value"], other["witness"]) == ("peer", "10.0.0.9", "endpoint")


def test_an_alert_that_does_not_say_which_it_is_says_what_was_strangest(said: Said) -> None:
    (alert,) = of_reasons(said({"activity": "alert"}), ("peer", "10.0.0.9", 9.0)).to_dicts()
    assert (alert["field"], alert["value"]) == ("peer", "10.0.0.9")


def test_a_verdict_without_reasons_is_testimony_all_the_same(said: Said) -> None:
    for activity in ("alert", "launch"):
        (told,) = of_reasons(said({"activity": activity})).to_dicts()
        assert (told["field"], told["value"], told["witness"]) == (None, None, "endpoint")


def test_no_verdicts_are_no_testimony(said: Said) -> None:
    told = spoken(said())
    assert told.schema == TESTIMONY
    assert anchors(told).shape == (0, 4)
