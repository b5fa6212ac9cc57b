"""Gathering puts every strange thing into at most one threat."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.bonds import Bonds, bonds_of
from agents.consensus.evidence import Evidence, noted
from agents.consensus.gathering import gather
from agents.consensus.records import Records

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=30, deadline=None, derandomize=True)

tables = st.lists(
    st.fixed_dictionaries(
        {
            "domain": st.sampled_from(["endpoint", "network", "dns"]),
            "user": st.sampled_from(["u1", "u2", "u3", None]),
            "host": st.sampled_from(["h1", "h2", "h3", None]),
            "address": st.sampled_from(["a1", "a2", None]),
            "field": st.sampled_from(["f", "g"]),
            "value": st.sampled_from(["x", "y", "z"]),
            "evidence": st.floats(0.0, 30.0),
        }
    ),
    max_size=40,
)


def bonds(verdicts: pl.DataFrame) -> Bonds:
    records = Records()
    records.enter(noted(verdicts))
    things = held(verdicts)
    return bonds_of(things, np.ones(things.height), records)


def held(verdicts: pl.DataFrame) -> pl.DataFrame:
    evidence = Evidence()
    evidence.hear(noted(verdicts))
    return evidence.held()


@laws
@given(table=tables)
def test_a_thing_is_in_at_most_one_threat(table: list[dict[str, Any]], said: Said) -> None:
    gathered = gather(bonds(said(*table)), 50)
    things = [thing for threat in gathered for thing in threat.things.tolist()]
    assert len(things) == len(set(things))
    assert all(threat.things.size for threat in gathered)


@laws
@given(table=tables)
def test_threats_come_heaviest_first_and_weigh_something(table: list[dict[str, Any]], said: Said) -> None:
    totals = [float(threat.nats_D.sum()) for threat in gather(bonds(said(*table)), 50)]
    assert totals == sorted(totals, reverse=True)
    assert all(total > 0 for total in totals)


@laws
@given(table=tables)
def test_a_threat_names_its_entities_once_heaviest_first(table: list[dict[str, Any]], said: Said) -> None:
    found = bonds(said(*table))
    for threat in gather(found, 50):
        entities = [entity for entity, _ in threat.entities]
        weights = [weight for _, weight in threat.entities]
        assert len(entities) == len(set(entities))
        assert weights == sorted(weights, reverse=True)
        assert all(np.isin(threat.things, found.thing_L[np.isin(found.entity_L, entities)]))


@laws
@given(table=tables, most=st.integers(0, 4))
def test_no_more_threats_than_asked_for(table: list[dict[str, Any]], most: int, said: Said) -> None:
    found = bonds(said(*table))
    assert len(gather(found, most)) == min(most, len(gather(found, 1000)))


@laws
@given(table=tables)
def test_every_bond_is_of_an_entity_that_the_thing_names(table: list[dict[str, Any]], said: Said) -> None:
    verdicts = said(*table)
    found, named = bonds(verdicts), held(verdicts).select("user", "host", "address").to_dicts()
    for entity, thing, weight in zip(found.entity_L, found.thing_L, found.weight_L, strict=True):
        kind, name = found.names[entity]
        assert named[thing][kind] == name
        assert weight >= 0


def test_nothing_held_is_no_threat(said: Said) -> None:
    assert gather(bonds(said()), 10) == []
