"""Labels of events: a file that says which are attacks, and the events that it speaks of."""

from pathlib import Path

import polars as pl

from features.events import ORIGIN
from features.mistakes import FoundWrong

#: Columns that say which event a row is about; a file has `line` or `uid`, and any other of them.
KEYS = pl.Schema(ORIGIN | {"uid": pl.String()})
_ANSWERS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class LabelsRefused(FoundWrong):
    """A file of labels is not what it should be; the text names the file, the line, the column and the value."""


def read_labels(path: Path) -> pl.DataFrame:
    """The labels in a CSV or Parquet file: its key columns and `is_attack`, each event once; raises LabelsRefused.

    Of its columns `line` and `uid` say which event, `source` and `member` of which log; `label`, or else the only
    other one, holds 0 or 1.
    """
    rows = _read(path)
    keys = [name for name in KEYS if name in rows.columns]
    if not {"line", "uid"} & set(keys):
        raise LabelsRefused(f"{path}: no column 'line' or 'uid' that says which event a label is of")
    answer = _answer(path, rows)
    columns = [_key(path, rows, name) for name in keys]
    labels = pl.DataFrame([*columns, _is_attack(path, rows, answer)]).with_row_index("row")
    _refuse_where(path, labels, pl.col("is_attack").n_unique().over(keys) > 1, "is labelled 0 and 1")
    return labels.drop("row").unique(maintain_order=True)


def labelled(events: pl.DataFrame, labels: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The `events` that have a label, with `is_attack`; LabelsRefused if it cannot be told which, or if none has.

    `events` has the columns of `KEYS`, `path` is where the labels are from.
    """
    keys = [name for name in KEYS if name in labels.columns]
    found = events.join(labels, on=keys, how="inner", nulls_equal=True, maintain_order="left")
    if found.is_empty():
        shown = ", ".join(f"{name} {labels[name][0]!r}" for name in keys)
        raise LabelsRefused(f"{path}: no event is one that it labels, such as the event of {shown}")
    logs = found.group_by(keys).agg(logs=pl.struct("source", "member").n_unique()).filter(pl.col("logs") > 1)
    if logs.height:
        told = ", ".join(f"{name} {logs[name][0]!r}" for name in keys)
        raise LabelsRefused(f"{path}: {told} is in {logs['logs'][0]} logs: say which in columns 'source' and 'member'")
    return found


def _read(path: Path) -> pl.DataFrame:
    """All its rows as text."""
    readers = {".csv": lambda: pl.read_csv(path, infer_schema=False), ".parquet": lambda: pl.read_parquet(path)}
    if path.suffix not in readers:
        raise LabelsRefused(f"{path}: expected a file of labels that ends in .csv or .parquet")
    try:
        rows = readers[path.suffix]()
        plain = rows.select(pl.all().cast(pl.String))
    except FileNotFoundError as error:
        raise LabelsRefused(f"{path}: no such file of labels") from error
    except pl.exceptions.PolarsError as error:
        raise LabelsRefused(f"{path}: expected rows of labels as {path.suffix[1:].upper()}") from error
    if plain.is_empty():
        raise LabelsRefused(f"{path}: holds no label")
    return plain


def _answer(path: Path, rows: pl.DataFrame) -> str:
    others = [name for name in rows.columns if name not in KEYS]
    if "label" in others:
        return "label"
    if len(others) != 1:
        found = ", ".join(others) or "none"
        raise LabelsRefused(f"{path}: expected a column 'label' of 0 and 1, found as other columns: {found}")
    return others[0]


def _key(path: Path, rows: pl.DataFrame, name: str) -> pl.Series:
    """A key column; only `member` may be null, for a log that is in no archive."""
    column = rows[name].cast(KEYS[name], strict=False).alias(name)
    if name != "member" and column.null_count():
        at = column.is_null().arg_max() or 0
        expected = "a record's number, from 0" if name == "line" else f"a {name}"
        raise LabelsRefused(f"{_place(path, at)}, column {name!r}: expected {expected}, found {rows[name][at]!r}")
    return column


def _is_attack(path: Path, rows: pl.DataFrame, name: str) -> pl.Series:
    column = rows[name].str.to_lowercase().replace_strict(_ANSWERS, default=None, return_dtype=pl.Boolean)
    if column.null_count():
        at = column.is_null().arg_max() or 0
        raise LabelsRefused(f"{_place(path, at)}, column {name!r}: expected 0 or 1, found {rows[name][at]!r}")
    return column.alias("is_attack")


def _refuse_where(path: Path, labels: pl.DataFrame, wrong: pl.Expr, why: str) -> None:
    if (found := labels.filter(wrong)).height:
        keys = ", ".join(f"{name} {found[name][0]!r}" for name in KEYS if name in found.columns)
        raise LabelsRefused(f"{_place(path, found['row'][0])}: the event of {keys} {why}")


def _place(path: Path, row: int) -> str:
    """Where a row is, as people count: a CSV file's lines from 1, below its heading."""
    return f"{path} line {row + 2}" if path.suffix == ".csv" else f"{path} row {row + 1}"
