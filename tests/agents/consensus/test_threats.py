"""A threat can be written down and sent."""

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime

import polars as pl
import pytest

from agents.consensus.council import Council
from agents.consensus.threats import Threat

Said = Callable[..., pl.DataFrame]


@pytest.fixture
def threat(said: Said) -> Threat:
    rows = [
        {"host": "h", "user": "eve", "value": "cmd.exe", "evidence": 12.0, "process": "c:\\cmd.exe"},
        {"host": "h", "user": "eve", "value": None, "evidence": 10.0, "field": "parent", "domain": "network"},
        *({"host": "h", "user": "eve", "value": f"v{n}"} for n in range(10)),
    ]
    council = Council()
    council.hear(said(*rows))
    return council.rank()[0]


def test_a_record_is_json(threat: Threat) -> None:
    record = threat.record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_record_holds_all_that_a_threat_does(threat: Threat) -> None:
    record = threat.record()
    assert record["score"] == threat.score
    assert {entity["name"] for entity in record["entities"]} == {"h", "eve"}
    assert [reason["value"] for reason in record["reasons"]] == [reason.value for reason in threat.reasons]
    assert len(record["evidence"]) == threat.evidence.height == 2
    assert record["evidence"][0]["uid"] == threat.evidence["uid"][0]


def test_a_record_has_every_field_of_a_threat(threat: Threat) -> None:
    record = threat.record()
    assert list(record) == [field.name for field in fields(Threat)]
    assert record["id"] == threat.id
    assert [episode["name"] for episode in record["timeline"]] == threat.timeline["name"].to_list()
    assert all(episode["start"].endswith("+00:00") for episode in record["timeline"])
    assert record["merged"] == list(threat.merged)


def test_times_in_a_record_are_iso_8601_in_utc(threat: Threat) -> None:
    for text in (threat.record()["first_time"], threat.record()["evidence"][0]["time"]):
        assert text.endswith("+00:00")
        assert datetime.fromisoformat(text).tzinfo is not None
    assert datetime.fromisoformat(threat.record()["first_time"]) == threat.first_time
