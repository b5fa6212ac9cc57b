"""Fields of events worked out once for each distinct value of the columns they are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.hashing import hash64, hash_at
from features.pointers import pointers_to, same_text

Codes = dict[str, NDArray[np.uint64]]

#: Events below which it is quicker to work every one out.
_FEW = 2048


@dataclass(frozen=True)
class Groups:
    """Rows that are alike: the number of each row's group, (B,), and the first row of each of G groups."""

    group_B: NDArray[np.int32]
    first_G: NDArray[np.int64]


def worked_out(events: pl.DataFrame, fields: Mapping[str, pl.Expr]) -> tuple[pl.DataFrame, Codes]:
    """The fields as text, and the hash of each value; a field's expression looks at each row by itself.

    Columns of few distinct values are the rule in logs: what is made of them is made once for each combination.
    """
    known: dict[str, Groups] = {}
    columns: dict[str, pl.Series] = {}
    codes: Codes = {}
    for roots, names in _by_roots(fields).items():
        wanted = [fields[name].cast(pl.String).alias(name) for name in names]
        groups = _grouped(events, roots, known) if roots and events.height >= _FEW else None
        if groups is None:
            made = events.with_columns(wanted).select(names)  # a constant has as many rows, too
            codes |= {column.name: hash64(column) for column in made}
        else:
            few = events.select(roots)[groups.first_G].select(wanted)
            codes |= {column.name: hash64(column)[groups.group_B] for column in few}
            made = few[groups.group_B]
        columns |= {column.name: column for column in made}
    return pl.DataFrame([columns[name] for name in fields]), {name: codes[name] for name in fields}


def numbers_alike(number_B: NDArray[np.uint64]) -> Groups:
    """Rows of the same number."""
    return _groups(*_tell_numbers_apart(number_B))


def _by_roots(fields: Mapping[str, pl.Expr]) -> dict[tuple[str, ...], list[str]]:
    """The names of the fields by the columns that they are made of."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, expression in fields.items():
        found.setdefault(tuple(sorted(set(expression.meta.root_names()))), []).append(name)
    return found


def _grouped(events: pl.DataFrame, roots: Sequence[str], known: dict[str, Groups]) -> Groups | None:
    """Rows alike in all of the columns; None where most rows stand alone."""
    groups: Groups | None = None
    for root in roots:
        if root not in known:
            known[root] = _alike(events[root])
        groups = known[root] if groups is None else _alike_in_both(groups, known[root])
        if 2 * groups.first_G.size > events.height:
            return None
    return groups


def _alike(column: pl.Series) -> Groups:
    """Rows of the same value; missing is a value, too. Where a value is neither text nor number, all rows differ."""
    height = len(column)
    if column.null_count() == height:
        return Groups(np.zeros(height, np.int32), np.zeros(1, np.int64))
    if column.dtype == pl.String:
        texts = pointers_to(column)
        return _groups(*_tell_texts_apart(texts.addresses_B, texts.sizes_B))
    if not (column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean):
        return Groups(np.arange(height, dtype=np.int32), np.arange(height))
    groups = _groups(*_tell_numbers_apart(_bits(column)))
    if not column.null_count():
        return groups
    return _alike_in_both(groups, _groups(*_tell_numbers_apart(column.is_null().to_numpy().astype(np.uint64))))


def _bits(column: pl.Series) -> NDArray[np.uint64]:
    """Numbers that differ where a column's do, whatever its type; missing is 0."""
    wide = pl.Float64 if column.dtype.is_float() else pl.UInt64 if column.dtype == pl.UInt64 else pl.Int64
    return column.to_physical().cast(wide).fill_null(0).to_numpy().view(np.uint64)


def _alike_in_both(one: Groups, other: Groups) -> Groups:
    if other.first_G.size == 1:
        return one
    if one.first_G.size == 1:
        return other
    numbers_B = one.group_B.astype(np.uint64) * np.uint64(other.first_G.size) + other.group_B.astype(np.uint64)
    return _groups(*_tell_numbers_apart(numbers_B))


def _groups(group_B: NDArray[np.int32], first_B: NDArray[np.int64], count: int) -> Groups:
    return Groups(group_B, first_B[:count])


@njit(cache=True)
def _table(rows: int) -> NDArray[np.int32]:
    """Places for at least twice as many groups."""
    places = 64
    while places < 2 * rows:
        places *= 2
    return np.zeros(places, np.int32)


@njit(cache=True)
def _tell_numbers_apart(number_B: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """The group of each row, the first row of each, and how many there are."""
    group_B, first_B = np.empty(number_B.size, np.int32), np.empty(number_B.size, np.int64)
    table, count = _table(number_B.size), 0
    for row in range(number_B.size):
        code = number_B[row] * np.uint64(0x9E3779B97F4A7C15)
        at = np.int64((code ^ (code >> np.uint64(32))) & np.uint64(table.size - 1))
        while table[at] and number_B[first_B[table[at] - 1]] != number_B[row]:
            at = (at + 1) & (table.size - 1)
        if not table[at]:
            first_B[count] = row
            count += 1
            table[at] = count
        group_B[row] = table[at] - 1
    return group_B, first_B, count


@njit(cache=True)
def _tell_texts_apart(
    address_B: NDArray[np.uint64], size_B: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """The group of each row, the first row of each, and how many there are."""
    group_B, first_B = np.empty(size_B.size, np.int32), np.empty(size_B.size, np.int64)
    table, count = _table(size_B.size), 0
    for row in range(size_B.size):
        address, size = address_B[row], size_B[row]
        code = hash_at(address, np.uint64(size), np.uint64(0)) if size >= 0 else np.uint64(0)
        at = np.int64(code & np.uint64(table.size - 1))
        while table[at]:
            first = first_B[table[at] - 1]
            if size_B[first] == size and (size < 0 or same_text(address_B[first], address, size)):
                break
            at = (at + 1) & (table.size - 1)
        if not table[at]:
            first_B[count] = row
            count += 1
            table[at] = count
        group_B[row] = table[at] - 1
    return group_B, first_B, count
