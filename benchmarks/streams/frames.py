"""Rows of a data set that no log format has, as events with exactly the columns of their domain."""

from pathlib import Path

import polars as pl

from benchmarks.streams.stream import Judge
from features.events import Domain, schema


def framed(domain: Domain, rows: pl.DataFrame, path: Path, **columns: pl.Expr) -> pl.DataFrame:
    """Events of `domain`, row for row; `line` is the row's number, and a column that is not given is null."""
    wanted = schema(domain)
    filled = rows.with_row_index("line").select(
        source=pl.lit(str(path)), line=pl.col("line"), uid=pl.col("line").cast(pl.String), **columns
    )
    missing = {name: pl.lit(None, kind) for name, kind in wanted.items() if name not in filled.columns}
    return filled.with_columns(**missing).select(list(wanted)).cast(wanted)


def labelled_lines(labels: pl.DataFrame) -> Judge:
    """Adds `bad` by the number of the line; `labels` has `line` and `bad`."""
    return lambda scored: scored.join(labels, on="line", how="left", maintain_order="left")
