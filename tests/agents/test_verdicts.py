"""A verdict names its entities and its strangest fields."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.verdicts import ENTITY_KINDS, REASON, VERDICTS, entities, reasons
from features.events import ENTITIES, Domain, schema

NAMES = ["program", "user given host", "port"]


@pytest.mark.parametrize("domain", list(Domain))
def test_an_entity_is_named_by_the_first_of_its_columns_that_has_a_value(
    domain: Domain, stream: Callable[..., pl.DataFrame]
) -> None:
    events = stream(domain, 1, 30).with_columns(activity_name=pl.lit("logon"))
    found = events.select(entities(events, domain))
    assert found.schema == dict.fromkeys(ENTITY_KINDS, pl.String())
    for kind in ENTITY_KINDS:
        rows = events.select(ENTITIES[domain].get(kind, ())).rows()
        first = [next((value for value in row if value is not None), None) for row in rows]
        assert found[kind].to_list() == (first or [None] * 30)


def test_the_process_of_a_launch_is_the_one_that_is_launched(stream: Callable[..., pl.DataFrame]) -> None:
    events = stream(Domain.ENDPOINT, 2, 30).drop_nulls("process_file_path")
    launches = events.with_columns(activity_name=pl.lit("launch"))
    found = launches.select(entities(launches, Domain.ENDPOINT))
    assert found["process"].to_list() == launches["process_file_path"].to_list()


@pytest.mark.parametrize("domain", list(Domain))
def test_every_entity_is_read_off_columns_of_its_domain(domain: Domain) -> None:
    columns = {column for named in ENTITIES[domain].values() for column in named}
    assert columns <= schema(domain).keys()
    assert set(ENTITIES[domain]) <= set(ENTITY_KINDS) <= VERDICTS.keys()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.4, 0.5, 1.0, 2.0, 9.0])] * 3), max_size=10))
def test_reasons_are_the_strangest_fields_first(table: list[tuple[float, float, float]]) -> None:
    nats_BR = np.array(table).reshape(-1, 3)
    values = [pl.Series([f"{name}-{row}" for row in range(len(table))], dtype=pl.String) for name in NAMES]
    found = reasons(nats_BR, NAMES, values)
    assert found.dtype == pl.List(REASON)
    for row, (nats, told) in enumerate(zip(table, found.to_list(), strict=True)):
        expected = sorted(((n, name) for n, name in zip(nats, NAMES, strict=True) if n >= 0.5), key=lambda p: -p[0])
        assert [(reason["nats"], reason["field"]) for reason in told] == expected
        assert [reason["value"] for reason in told] == [f"{name}-{row}" for _, name in expected]


def test_at_most_three_reasons_are_given() -> None:
    names = [f"f{n}" for n in range(6)]
    found = reasons(np.arange(6.0)[None, :] + 1, names, [pl.Series(["v"])] * 6)
    assert [reason["field"] for reason in found.to_list()[0]] == ["f5", "f4", "f3"]


def test_of_two_that_ask_the_same_the_one_that_found_more_counts() -> None:
    values = [pl.Series(["v"]), pl.Series(["w"]), pl.Series(["v"])]
    found = reasons(np.array([[1.0, 3.0, 5.0]]), ["f", "g", "f"], values)
    assert [(reason["field"], reason["value"], reason["nats"]) for reason in found.to_list()[0]] == [
        ("f", "v", 5.0),
        ("g", "w", 3.0),
    ]


def test_a_missing_value_can_be_a_reason() -> None:
    found = reasons(np.array([[5.0]]), ["user"], [pl.Series([None], dtype=pl.String)])
    assert found.to_list() == [[{"field": "user", "value": None, "nats": 5.0}]]
