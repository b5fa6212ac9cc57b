"""Walks JSON records once and notes where the wanted fields stand, what was in no one's use, and what is wrong.

A record is good if it is one object as RFC 8259 has it, names no field twice, is not deeper than DEPTH, has at most
FIELDS fields, and has text, a number or a flag wherever such is wanted, and objects and lists where they are wanted.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.json_text import (
    CLOSE_LIST,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    CUT,
    DEEP,
    FLAT,
    GOOD,
    MANY,
    NO_OBJECT,
    NOT_FLAT,
    NOT_JSON,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    TWICE,
    Text,
    below,
    is_null,
    key_hash,
    past_blanks,
    past_scalar,
    past_string,
    unescaped,
)
from features.views import view, word

#: Objects and lists inside each other, and fields of one record, at most.
DEPTH, FIELDS = 32, 2048

#: Slots for the fields of one record, and for the names of fields in no one's use; both powers of two.
_SEEN, UNMAPPED = 4096, 1024
_MOST_UNMAPPED, NAME_BYTES = 768, 200
_DOT = ord(".")
_LOW_48 = np.uint64(0xFFFF_FFFF_FFFF)
#: Rows that 16 bits tell apart; none is 0.
_TAGS = 0xFFFF

#: What a value may be: no container; one, which is a value as it is written; one, in which other fields are; or
#: one that may also be hidden behind a text.
SCALAR, WHOLE, PARENT, HIDDEN = range(4)

#: What is in a place that nobody asked for, and in one that was asked for whole.
_UNKNOWN, _INSIDE = -1, -2


#: Columns of a node: where its value goes (-1: nowhere), what that may be, the number of its way to the column, the
#: nodes of a list's first and of each other element (-1: none).
COLUMN, MAY_BE, WAY, FIRST, EACH = range(5)
NODE_COLUMNS = 5

#: Running numbers: elements, bytes used of `side` and of `names`, different unmapped fields, all fields.
ELEMENTS, SIDE, NAMES, DIFFERENT, ALL_FIELDS = range(5)
TALLIES = 5

#: Columns of the way down: one row a container, from the record to where we are.
_IS_OBJECT, _NODE, _ELEMENTS, _BEGINS, _COLUMN, _BY, _ROW, _KEY_BEGINS, _KEY_ENDS = range(9)
_WAY_COLUMNS = 9

#: Columns of the unmapped fields: how often each was met, and its path, a part of `names`.
COUNT, NAME_BEGINS, NAME_ENDS = range(3)
UNMAPPED_COLUMNS = 3

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint64]


class Trie(NamedTuple):
    """The wanted fields as nodes: a node's child by the hash of its key, and what each node is, in NODE_COLUMNS."""

    hashes: Codes
    children: Numbers
    nodes_NK: Numbers


class Values(NamedTuple):
    """The values of C columns in N rows, as Arrow's string views, and by which way each was found (0: not at all)."""

    views_CN2: Codes
    way_CN: NDArray[np.uint8]


class Found(NamedTuple):
    """What was found: values of records, then those of the elements of lists, with the row each element is in.

    Columns count on from the records' to the elements'. Texts are in the buffers `buffer` (as written) and `buffer + 1`
    (`side`: what escapes mean).
    """

    records: Values
    elements: Values
    row_E: Numbers
    side: Text
    buffer: int


class Unset(NamedTuple):
    """Words of at most eight bytes, as numbers, with their sizes; they stand for no value."""

    words: Codes
    sizes: Numbers


class Unmapped(NamedTuple):
    """Fields that no one reads: by the hash of its path, what is in UNMAPPED_COLUMNS of each, and their names."""

    hashes: Codes
    fields_UK: Numbers
    names: Text


class Faults(NamedTuple):
    """What is wrong with each row, where in the text, and in which column, where that is known."""

    kind_N: Numbers
    place_N: Numbers
    column_N: Numbers


@njit(cache=True, nogil=True)
def walk(
    text: Text,
    begins_N: Numbers,
    ends_N: Numbers,
    first_row: int,
    last_row: int,
    trie: Trie,
    found: Found,
    unset: Unset,
    unmapped: Unmapped,
    tally: Numbers,
    faults: Faults,
) -> None:
    """Walk the records of some rows."""
    # An array that is taken out of a tuple is counted each time, so that happens here and nowhere further in.
    hashes, children, nodes_NK = trie
    records, elements, row_E, side, buffer = found
    views_CN2, way_CN = records
    element_views_CE2, element_way_CE = elements
    words, sizes = unset
    unmapped_hashes, unmapped_UK, names = unmapped
    kind_N, place_N, column_N = faults
    way_DK, path_D = np.zeros((DEPTH, _WAY_COLUMNS), dtype=np.int64), np.zeros(DEPTH, dtype=np.uint64)
    seen = np.zeros(_SEEN, dtype=np.uint64)
    for row in range(first_row, last_row):
        if row % _TAGS == 0:  # or else names of rows with the same tag could fill it, and a search would never end
            seen[:] = 0
        kind_N[row], place_N[row], column_N[row] = _record(
            text, begins_N[row], ends_N[row], row, hashes, children, nodes_NK,
            views_CN2, way_CN, element_views_CE2, element_way_CE, row_E, side, buffer,
            words, sizes, unmapped_hashes, unmapped_UK, names, tally, way_DK, path_D, seen,
        )  # fmt: skip


@njit(cache=True)
def _record(
    text: Text,
    at: int,
    end: int,
    row: int,
    hashes: Codes,
    children: Numbers,
    nodes_NK: Numbers,
    views_CN2: Codes,
    way_CN: NDArray[np.uint8],
    element_views_CE2: Codes,
    element_way_CE: NDArray[np.uint8],
    row_E: Numbers,
    side: Text,
    buffer: int,
    words: Codes,
    sizes: Numbers,
    unmapped_hashes: Codes,
    unmapped_UK: Numbers,
    names: Text,
    tally: Numbers,
    way_DK: Numbers,
    path_D: Codes,
    seen: Codes,
) -> tuple[int, int, int]:
    """One record: what is wrong (or GOOD), where, and in which column."""
    at = past_blanks(text, at, end)
    if at >= end or text[at] != OPEN_OBJECT:
        return NO_OBJECT, at, -1
    _enter(way_DK, path_D, 0, True, 0, at, -1, 0, row, np.uint64(0))
    depth, fields, at, is_first = 0, 0, past_blanks(text, at + 1, end), True
    while depth >= 0:
        if at >= end:
            return CUT, at, -1
        is_object = way_DK[depth, _IS_OBJECT] != 0
        if text[at] == (CLOSE_OBJECT if is_object else CLOSE_LIST):
            column = way_DK[depth, _COLUMN]
            if column >= 0:  # a container that was wanted whole is a value, as it is written
                begins, way, target = way_DK[depth, _BEGINS], way_DK[depth, _BY], way_DK[depth, _ROW]
                if column < len(way_CN):
                    fault = _take(
                        text, begins, at + 1, False, column, target, way, views_CN2, way_CN, side, buffer, tally
                    )
                else:
                    fault = _take(
                        text, begins, at + 1, False, column - len(way_CN), target, way,
                        element_views_CE2, element_way_CE, side, buffer, tally,
                    )  # fmt: skip
                if fault != GOOD:
                    return fault, begins, column
            depth, at, is_first = depth - 1, past_blanks(text, at + 1, end), False
            continue
        if not is_first:
            if text[at] != COMMA:
                return NOT_JSON, at, -1
            at = past_blanks(text, at + 1, end)
        here, target, path = way_DK[depth, _NODE], way_DK[depth, _ROW], path_D[depth]
        if is_object:
            fields += 1
            if fields > FIELDS:
                return MANY, at, -1
            after, key = _key(text, at, end, depth, side, tally, way_DK)
            if after < 0:
                return -after, at, -1
            path = below(path, key)
            if _is_twice(path + np.uint64(way_DK[depth, _BEGINS]), row, seen):
                return TWICE, at, -1
            child = _child(hashes, children, here, key) if here >= 0 else here
            at = after
        else:
            child = _element(nodes_NK, here, way_DK[depth, _ELEMENTS]) if here >= 0 else here
            if here >= 0 and child >= 0 and child == nodes_NK[here, EACH]:
                target = tally[ELEMENTS]
                if target >= len(row_E):
                    return MANY, at, -1
                row_E[target] = row
                tally[ELEMENTS] += 1
        way_DK[depth, _ELEMENTS] += 1
        if at >= end:
            return CUT, at, -1
        column = nodes_NK[child, COLUMN] if child >= 0 else child
        may_be = nodes_NK[child, MAY_BE] if child >= 0 else PARENT
        opens = text[at] == OPEN_OBJECT or text[at] == OPEN_LIST
        if is_object and text[at] != OPEN_OBJECT:
            tally[ALL_FIELDS] += 1
            if column == _UNKNOWN and not (opens and child >= 0):
                _count_unmapped(text, way_DK, depth, path, unmapped_hashes, unmapped_UK, names, tally)
        if opens:
            if depth + 1 == DEPTH:
                return DEEP, at, -1
            if column >= 0 and may_be == SCALAR:
                return NOT_FLAT, at, column
            depth += 1
            whole = column if column >= 0 and may_be == WHOLE else -1
            node = _INSIDE if whole >= 0 else child
            way = nodes_NK[child, WAY] if whole >= 0 else 0
            _enter(way_DK, path_D, depth, text[at] == OPEN_OBJECT, node, at, whole, way, target, path)
            at, is_first = past_blanks(text, at + 1, end), True
            continue
        if column == _UNKNOWN and child >= 0 and may_be == PARENT and not is_null(text, at):
            return FLAT, at, -1
        is_text = text[at] == QUOTE
        begins = at + 1 if is_text else at
        after, is_escaped = past_string(text, begins, end) if is_text else (past_scalar(text, at, end), False)
        if after < 0:
            return -after, at, -1
        if column >= 0 and not is_null(text, at) and not _is_unset(text, begins, after, words, sizes):
            way = nodes_NK[child, WAY]
            if column < len(way_CN):
                fault = _take(
                    text, begins, after, is_escaped, column, target, way, views_CN2, way_CN, side, buffer, tally
                )
            else:
                fault = _take(
                    text, begins, after, is_escaped, column - len(way_CN), target, way,
                    element_views_CE2, element_way_CE, side, buffer, tally,
                )  # fmt: skip
            if fault != GOOD:
                return fault, at, column
        at, is_first = past_blanks(text, after + 1 if is_text else after, end), False
    return (GOOD if at == end else NOT_JSON), at, -1


@njit(cache=True)
def _enter(
    way_DK: Numbers,
    path_D: Codes,
    depth: int,
    is_object: bool,
    node: int,
    begins: int,
    column: int,
    way: int,
    row: int,
    path: np.uint64,
) -> None:
    way_DK[depth, _IS_OBJECT], way_DK[depth, _NODE], way_DK[depth, _BEGINS] = is_object, node, begins
    way_DK[depth, _COLUMN], way_DK[depth, _BY], way_DK[depth, _ROW], way_DK[depth, _ELEMENTS] = column, way, row, 0
    path_D[depth] = path


@njit(cache=True)
def _key(
    text: Text, at: int, end: int, depth: int, side: Text, tally: Numbers, way_DK: Numbers
) -> tuple[int, np.uint64]:
    """The place of the value behind a key, or a fault; and the key's hash."""
    if at >= end:
        return -CUT, np.uint64(0)
    if text[at] != QUOTE:
        return -NOT_JSON, np.uint64(0)
    after, is_escaped = past_string(text, at + 1, end)
    if after < 0:
        return after, np.uint64(0)
    way_DK[depth, _KEY_BEGINS], way_DK[depth, _KEY_ENDS] = at + 1, after
    if is_escaped:
        begins = tally[SIDE]
        key = key_hash(side, begins, unescaped(text, at + 1, after, side, begins))
    else:
        key = key_hash(text, at + 1, after)
    at = past_blanks(text, after + 1, end)
    if at >= end:
        return -CUT, key
    return past_blanks(text, at + 1, end) if text[at] == COLON else -NOT_JSON, key


@njit(cache=True)
def _is_twice(name: np.uint64, row: int, seen: Codes) -> bool:
    """Whether this record has this name a second time; a name is its path and the place its object begins.

    A slot holds 48 bits of a name and 16 of the row that it was seen in, so it is cleared only when these repeat.
    """
    slot = np.int64(name >> np.uint64(32)) & (_SEEN - 1)
    mine = np.uint64(row % _TAGS + 1) << np.uint64(48)
    entry = mine | (name & _LOW_48)
    while seen[slot] & ~_LOW_48 == mine:
        if seen[slot] == entry:
            return True
        slot = (slot + 1) & (_SEEN - 1)
    seen[slot] = entry
    return False


@njit(cache=True)
def _child(hashes: Codes, children: Numbers, node: int, key: np.uint64) -> int:
    code = below(np.uint64(node), key)
    slot = np.int64(code >> np.uint64(32)) & (len(hashes) - 1)
    while hashes[slot] != np.uint64(0):
        if hashes[slot] == code:
            return int(children[slot])
        slot = (slot + 1) & (len(hashes) - 1)
    return _UNKNOWN


@njit(cache=True)
def _element(nodes_NK: Numbers, node: int, number: int) -> int:
    return int(nodes_NK[node, FIRST] if number == 0 and nodes_NK[node, FIRST] >= 0 else nodes_NK[node, EACH])


@njit(cache=True)
def _take(
    text: Text,
    begins: int,
    ends: int,
    is_escaped: bool,
    column: int,
    row: int,
    way: int,
    views_CN2: Codes,
    way_CN: NDArray[np.uint8],
    side: Text,
    buffer: int,
    tally: Numbers,
) -> int:
    """Note a value, unless its column has one by another way; by the same way it is a fault."""
    given = way_CN[column, row]
    if given == way:
        return TWICE
    if given == 0 and is_escaped:
        free = tally[SIDE]
        tally[SIDE] = unescaped(text, begins, ends, side, free)
        _note(side, free, tally[SIDE], column, row, way, views_CN2, way_CN, buffer + 1)
    elif given == 0:
        _note(text, begins, ends, column, row, way, views_CN2, way_CN, buffer)
    return GOOD


@njit(cache=True)
def _note(
    text: Text,
    begins: int,
    ends: int,
    column: int,
    row: int,
    way: int,
    views_CN2: Codes,
    way_CN: NDArray[np.uint8],
    buffer: int,
) -> None:
    low, high = view(text, begins, ends, buffer)
    views_CN2[column, row, 0], views_CN2[column, row, 1] = low, high
    way_CN[column, row] = way


@njit(cache=True)
def _is_unset(text: Text, begins: int, ends: int, words: Codes, sizes: Numbers) -> bool:
    if ends - begins > 8:
        return False
    for number in range(len(words)):
        if sizes[number] == ends - begins and words[number] == word(text, begins, ends):
            return True
    return False


@njit(cache=True)
def _count_unmapped(
    text: Text,
    way_DK: Numbers,
    depth: int,
    path: np.uint64,
    hashes: Codes,
    unmapped_UK: Numbers,
    names: Text,
    tally: Numbers,
) -> None:
    """Count a field that no one reads, by its path; where there are too many different ones, under no name."""
    slot = np.int64(path >> np.uint64(32)) & (UNMAPPED - 1)
    while hashes[slot] != np.uint64(0) and hashes[slot] != path:
        slot = (slot + 1) & (UNMAPPED - 1)
    if hashes[slot] == np.uint64(0):
        if tally[DIFFERENT] >= _MOST_UNMAPPED:
            unmapped_UK[UNMAPPED, COUNT] += 1
            return
        tally[DIFFERENT] += 1
        hashes[slot], unmapped_UK[slot, NAME_BEGINS] = path, tally[NAMES]
        tally[NAMES] = _written(text, way_DK, depth, names, tally[NAMES])
        unmapped_UK[slot, NAME_ENDS] = tally[NAMES]
    unmapped_UK[slot, COUNT] += 1


@njit(cache=True)
def _written(text: Text, way_DK: Numbers, depth: int, names: Text, to: int) -> int:
    """Write the keys down to here, with dots between, as far as there is room."""
    most = min(to + NAME_BYTES, len(names))
    for above in range(depth + 1):
        if not way_DK[above, _IS_OBJECT]:
            continue
        if above and to < most:
            names[to] = _DOT
            to += 1
        for at in range(way_DK[above, _KEY_BEGINS], way_DK[above, _KEY_ENDS]):
            if to < most:
                names[to] = text[at]
                to += 1
    return to
