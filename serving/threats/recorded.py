"""Threats read back from the JSON that they were told as."""

from typing import Any

import msgspec
import polars as pl

from agents.consensus.evidence import HELD
from agents.consensus.threats import Threat

_COLUMNS = HELD | {"kind": pl.String(), "name": pl.String(), "score": pl.Float64()}


def recorded(record: bytes) -> Threat:
    """The threat whose `record` this is, as JSON. Raises msgspec.MsgspecError if it is none."""
    return msgspec.json.decode(record, type=Threat, dec_hook=_frame)


def _frame(wanted: type, rows: Any) -> pl.DataFrame:
    """A table of evidence or of a timeline, with the columns that its rows have."""
    if wanted is not pl.DataFrame or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected a table as a list of rows")
    schema = {name: _COLUMNS.get(name, pl.String()) for name in (rows[0] if rows else ())}
    times = [name for name, kind in schema.items() if isinstance(kind, pl.Datetime)]
    written = pl.DataFrame(rows, schema=schema | dict.fromkeys(times, pl.String()))
    return written.with_columns(pl.col(times).str.to_datetime("%+", time_unit="us", time_zone="UTC"))
