"""Verdicts by the hundred thousand, and what of them is held."""

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest

from agents.consensus.evidence import Evidence
from agents.consensus.tally import Tally
from agents.consensus.testimony import HABITS
from agents.consensus.testimony import testimony as spoken  # pytest takes what is called test... for a test
from agents.verdicts import VERDICTS


@pytest.fixture(scope="session")
def heap() -> Callable[[pl.DataFrame], pl.DataFrame]:
    """`heap(rows)`: verdicts with the columns of a frame, numbered in its order, each of another thing.

    `second` tells when, `field` and `value` the one reason.
    """
    begins = pl.lit(datetime(2026, 3, 2, 8, tzinfo=UTC))
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    usual = {"seq": row, "second": pl.lit(0), "source": pl.lit("log"), "domain": pl.lit("endpoint")}
    usual |= {"activity": pl.lit("launch"), "field": pl.lit("program"), "value": pl.format("v{}", row)}
    reason = pl.concat_list(pl.struct("field", "value", nats=pl.col("evidence").cast(pl.Float32)))

    def make(rows: pl.DataFrame) -> pl.DataFrame:
        told = rows.with_columns(**{name: column for name, column in usual.items() if name not in rows.columns})
        told = told.with_columns(
            time=begins + pl.duration(seconds="second"),
            uid=pl.format("u{}", "seq"),
            p=(-pl.col("evidence")).exp(),
            reasons=reason,
        )
        missing = {name: pl.lit(None, kind) for name, kind in VERDICTS.items() if name not in told.columns}
        return told.with_columns(**missing).select(VERDICTS.names()).cast(dict(VERDICTS))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def things() -> Callable[[pl.DataFrame], pl.DataFrame]:
    """`things(verdicts)`: what is held of them, with the habits of their entities."""

    def hold(verdicts: pl.DataFrame) -> pl.DataFrame:
        told, evidence = spoken(verdicts), Evidence()
        usual_NE = Tally().observe(told)
        evidence.hear(told.with_columns(pl.Series(name, usual_NE[:, e]) for e, name in enumerate(HABITS)))
        return evidence.held()

    return hold


@pytest.fixture(autouse=True)
def long_record(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents that have given so many verdicts before that what they say counts in full; see `test_record.py`."""
    if "test_record" not in request.node.nodeid:
        monkeypatch.setattr("agents.consensus.record._BEFORE", 1e12)
