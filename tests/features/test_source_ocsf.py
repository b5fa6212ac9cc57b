"""An OCSF event keeps every attribute our columns name."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.events import ATTRIBUTES, COMMON, ORIGIN, Domain, schema
from features.reading import read
from features.sources.ocsf import DOMAINS, PATHS


def nested(path: str, value: object) -> dict[str, Any]:
    """An object with `value` at a dotted path, lists as `name[]` or `name[0]`."""
    head, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    name, is_list, _ = head.partition("[")
    return {name: [inner] if is_list else inner}


def merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    both = {name: merged(left[name], value) for name, value in right.items() if isinstance(left.get(name), dict)}
    return left | right | both


def read_events(folder: Path, *records: dict[str, Any]) -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    (chunk,) = read([path])
    return chunk.events, chunk.refused


def test_every_column_of_the_schema_has_a_path() -> None:
    columns = set(COMMON).union(*ATTRIBUTES.values()) - set(ORIGIN)
    assert columns == set(PATHS)


@pytest.mark.parametrize("domain", list(Domain))
def test_every_attribute_comes_through(tmp_path: Path, domain: Domain) -> None:
    class_uid = next(code for code, owner in DOMAINS.items() if owner == domain)
    columns = [name for name in schema(domain) if name not in ORIGIN and name not in ("time", "class_uid")]
    numbers = {name for name, kind in schema(domain).items() if kind.is_numeric()}
    record: dict[str, Any] = {"class_uid": class_uid, "time": 1_700_000_000_250}
    for name in columns:
        record = merged(record, nested(PATHS[name][0], 7 if name in numbers else f"v-{name.lower()}"))
    events, refused = read_events(tmp_path, record)
    assert refused.is_empty()
    row = events[domain].row(0, named=True)
    expected: dict[str, object] = {name: 7 if name in numbers else f"v-{name.lower()}" for name in columns}
    expected |= {"duration": 0.007} if "duration" in columns else {}
    upper = {"query_type", "rcode", "http_request_http_method"}
    assert {name: row[name] for name in columns} == {
        name: str(value).upper() if name in upper else value for name, value in expected.items()
    }
    assert row["time"].timestamp() == 1_700_000_000.25


def test_answers_are_joined_and_long_strings_opened(tmp_path: Path) -> None:
    events, _ = read_events(
        tmp_path,
        {"class_uid": 4003, "time": 1, "answers": [{"rdata": "1.1.1.1"}, {"rdata": "b"}]},
        {"class_uid": 1009, "time": 1, "script": {"script_content": {"value": 'say "x"', "is_truncated": False}}},
        {"class_uid": 1001, "time_dt": "2023-01-01T00:00:00Z", "actor": {"process": {"file": {"path": "C:\\A"}}}},
        {"class_uid": 6003, "time": 1, "resources": []},
    )
    assert events[Domain.DNS]["answers"].to_list() == ["1.1.1.1,b"]
    assert events[Domain.ENDPOINT]["script_content"].to_list() == ['say "x"', None]
    assert events[Domain.ENDPOINT]["process_file_path"].to_list() == [None, "c:\\a"]
    assert events[Domain.CLOUD]["resource_name"].to_list() == [None]


def test_foreign_classes_wrong_kinds_and_missing_times_are_refused(tmp_path: Path) -> None:
    events, refused = read_events(
        tmp_path,
        {"class_uid": 99, "time": 1},
        {"class_uid": "x", "time": 1},
        {"class_uid": 4001},
        {"class_uid": 4001, "time": 1, "traffic": 7},
        {"class_uid": 4001, "time": 1, "duration": "long"},
        {"class_uid": 4001, "time": 1, "duration": 1500},
    )
    assert refused.select("line", "field").rows() == [
        (0, "class_uid"),
        (1, "class_uid"),
        (2, "time"),
        (3, "line"),
        (4, "duration"),
    ]
    assert events[Domain.NETWORK]["duration"].to_list() == [1.5]
