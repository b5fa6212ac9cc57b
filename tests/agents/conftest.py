"""Small streams of events, and verdicts made up by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from agents.verdicts import VERDICTS
from features.events import ORIGIN, Domain, schema

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ACTIVITIES = ("launch", "load", "access", "logon")
ENDINGS = ("exe", "dll", "ps1")
GAPS = (0, 0, 1, 2, 60, 7200)


def value_of(name: str, kind: pl.DataType, pick: int) -> object:
    """The `pick`th thing that a column may hold."""
    letter = chr(97 + pick)
    if kind.is_numeric():
        return pick * 1000
    if name == "activity_name":
        return ACTIVITIES[pick % len(ACTIVITIES)]
    if name.endswith("_ip"):
        return f"10.0.{pick}.{pick + 1}"
    if name.endswith("_path"):
        return f"c:\\folder{letter}\\{name.split('_')[0]}{letter}.{ENDINGS[pick % len(ENDINGS)]}"
    return f"{letter * 2 ** min(pick, 6)}-{name}"


@pytest.fixture(scope="session")
def stream() -> Callable[..., pl.DataFrame]:
    """`stream(domain, seed, rows, strange=0)`: events in the order of time that do few different things.

    Columns are now and then null; the last `strange` events do what none did before.
    """

    def make(domain: Domain, seed: int, rows: int, strange: int = 0) -> pl.DataFrame:
        chance = np.random.default_rng([seed, list(Domain).index(domain)])
        seconds = np.cumsum(chance.choice(GAPS, rows))
        columns: dict[str, list[Any]] = {}
        for name, kind in schema(domain).items():
            picks = np.minimum(chance.geometric(0.5, rows) - 1, 5)
            picks[rows - strange :] = 20 + chance.integers(0, 4, strange)
            missing = chance.random(rows) < 0.1
            cells = zip(picks.tolist(), missing.tolist(), strict=True)
            columns[name] = [None if gone else value_of(name, kind, pick) for pick, gone in cells]
        columns["time"] = [START + timedelta(seconds=int(second)) for second in seconds]
        columns |= {"source": ["log"] * rows, "member": [None] * rows, "line": list(range(rows))}
        columns["uid"] = [f"{domain}-{row}" for row in range(rows)]
        return pl.DataFrame(columns, schema=schema(domain))

    assert set(ORIGIN) == {"source", "member", "line"}
    return make


@pytest.fixture(scope="session")
def said() -> Callable[..., pl.DataFrame]:
    """`said(row, row, ..., first=0)`: verdicts with the columns the rows name, a second apart, numbered from `first`.

    A row's `field` and `value` are its one reason, `at` its second.
    """

    def make(*rows: dict[str, Any], first: int = 0) -> pl.DataFrame:
        usual = {"source": "log", "domain": "endpoint", "activity": "launch", "evidence": 0.0}
        made = []
        for seq, row in enumerate(rows, start=first):
            nats = row.get("evidence", 0.0)
            reason = {"field": row.get("field", "program"), "value": row.get("value", "x.exe"), "nats": nats}
            fixed = {"seq": seq, "line": seq, "uid": f"u{seq}", "p": np.exp(-nats), "p_online": np.exp(-nats)}
            when = {"time": START + timedelta(seconds=row.get("at", seq)), "reasons": [reason]}
            made.append(usual | fixed | when | {name: row[name] for name in row if name in VERDICTS})
        return pl.DataFrame(made, schema=VERDICTS, orient="row")

    return make
