"""The one matrix that every peer is given: its texts one-hot and by how rare they are, all as standard scores."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.tables.table import Table

#: One-hot columns of a text field; all but the commonest values share the last.
_MOST = 50


def matrices(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The past and the later rows, scaled by what the past was like; what is missing is 0 or a text of its own."""
    texts = [name for name, kind in table.past.schema.items() if kind == pl.String]
    parts = [_numeric(table, texts), *([_hot(table, texts), _rarity(table, texts)] if texts else [])]
    past_BF, later_BF = (np.hstack(part) for part in zip(*parts, strict=True))
    scaler = StandardScaler().fit(past_BF)
    return scaler.transform(past_BF), scaler.transform(later_BF)


def _numeric(table: Table, texts: list[str]) -> list[NDArray[np.float64]]:
    return [rows.select(pl.exclude(texts)).fill_null(0.0).to_numpy() for rows in (table.past, table.later)]


def _hot(table: Table, texts: list[str]) -> list[NDArray[np.float64]]:
    encoder = OneHotEncoder(max_categories=_MOST, handle_unknown="infrequent_if_exist", sparse_output=False)
    encoder.fit(table.past.select(texts).fill_null("").to_numpy())
    return [encoder.transform(rows.select(texts).fill_null("").to_numpy()) for rows in (table.past, table.later)]


def _rarity(table: Table, texts: list[str]) -> list[NDArray[np.float64]]:
    """-log of the share that a text had in the past, which saw every text once more than it did."""
    return [np.stack([_nats(table.past[n], rows[n]) for n in texts], axis=1) for rows in (table.past, table.later)]


def _nats(past: pl.Series, asked: pl.Series) -> NDArray[np.float64]:
    counts = past.fill_null("").value_counts(name="n")
    seen = asked.fill_null("").replace_strict(counts[past.name], counts["n"], default=0, return_dtype=pl.Float64)
    return -np.log((seen.to_numpy() + 1.0) / (len(past) + 1.0))
