"""What every data set of the comparison becomes: rows to learn from without labels, and rows to judge."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """A data set cut in two.

    `past` and `later` have the same columns, texts or numbers and no labels; `bad_N` says which rows of `later` are
    bad. `group` is the data set that this row of the results is a part of; `cut` says how it was cut.
    """

    name: str
    group: str
    past: pl.DataFrame
    later: pl.DataFrame
    bad_N: NDArray[np.bool_]
    cut: str
    past_bad: float


def halves(name: str, rows: pl.DataFrame, bad_N: NDArray[np.bool_], cut: str) -> Table:
    """The first half of the rows to learn from, the second to judge."""
    middle = rows.height // 2
    return Table(name, name, rows[:middle], rows[middle:], bad_N[middle:], cut, float(bad_N[:middle].mean()))
