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

#: What a value may be: no container; one, which is a value as it is written; one, in which other fields are; or
#: one that may also be hidden behind a text.
SCALAR, WHOLE, PARENT, HIDDEN = range(4)

#: What is in a place that nobody asked for, and in one that was asked for whole.
_UNKNOWN, _INSIDE = -1, -2


class Trie(NamedTuple):
    """The wanted fields as nodes: a node's child by the hash of its key, and of a list the first or each element.

    `column` is where a node's value goes (-1: nowhere) and `may_be` what that may be. Nodes of one column have
    different numbers `way`, from 1 on: the first that has a value counts.
    """

    hashes: NDArray[np.uint64]
    children: NDArray[np.int64]
    column: NDArray[np.int64]
    may_be: NDArray[np.int64]
    way: NDArray[np.uint8]
    first: NDArray[np.int64]
    each: NDArray[np.int64]


class Values(NamedTuple):
    """The values of C columns in N rows, as Arrow's string views, and by which way each was found (0: not at all)."""

    views_CN2: NDArray[np.uint64]
    way_CN: NDArray[np.uint8]


class Found(NamedTuple):
    """What was found: values of records, then those of the elements of lists, with the row each element is in.

    Columns count on from the records' to the elements'. Texts are in the buffers `buffer` (as written) and `buffer + 1`
    (`side`: what escapes mean).
    """

    records: Values
    elements: Values
    row_E: NDArray[np.int64]
    side: Text
    buffer: int


class Unset(NamedTuple):
    """Words of at most eight bytes, as numbers, with their sizes; they stand for no value."""

    words: NDArray[np.uint64]
    sizes: NDArray[np.int64]


class Unmapped(NamedTuple):
    """Fields in no one's use: the hash of each path, how often it was met, and its text, a part of `names`."""

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    names: Text


class Tally(NamedTuple):
    """Running numbers: elements, bytes used of `side` and of `names`, different unmapped fields, and all fields."""

    elements: NDArray[np.int64]
    side: NDArray[np.int64]
    names: NDArray[np.int64]
    unmapped: NDArray[np.int64]
    fields: NDArray[np.int64]


class Faults(NamedTuple):
    """What is wrong with each row, where in the text, and in which column, where that is known."""

    kind_N: NDArray[np.int64]
    place_N: NDArray[np.int64]
    column_N: NDArray[np.int64]


class _Way(NamedTuple):
    """From the record down to where we are, one entry a container; and the keys that this record has named."""

    node: NDArray[np.int64]
    is_object: NDArray[np.bool_]
    elements: NDArray[np.int64]
    path: NDArray[np.uint64]
    begins: NDArray[np.int64]
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    key_begins: NDArray[np.int64]
    key_ends: NDArray[np.int64]
    fields: NDArray[np.int64]
    seen: NDArray[np.uint64]
    seen_by: NDArray[np.int64]


@njit(cache=True)
def _way() -> _Way:
    return _Way(
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(DEPTH, dtype=np.bool_),
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(DEPTH, dtype=np.uint64),
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(DEPTH, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros(_SEEN, dtype=np.uint64),
        np.full(_SEEN, -1, dtype=np.int64),
    )


@njit(cache=True, nogil=True)
def walk(
    text: Text,
    begins_N: NDArray[np.int64],
    ends_N: NDArray[np.int64],
    first_row: int,
    last_row: int,
    trie: Trie,
    found: Found,
    unset: Unset,
    unmapped: Unmapped,
    tally: Tally,
    faults: Faults,
) -> None:
    """Walk the records of some rows."""
    way = _way()
    for row in range(first_row, last_row):
        fault, place, column = _record(text, begins_N[row], ends_N[row], row, trie, found, unset, unmapped, tally, way)
        faults.kind_N[row], faults.place_N[row], faults.column_N[row] = fault, place, column


@njit(cache=True)
def _record(
    text: Text,
    at: int,
    end: int,
    row: int,
    trie: Trie,
    found: Found,
    unset: Unset,
    unmapped: Unmapped,
    tally: Tally,
    way: _Way,
) -> tuple[int, int, int]:
    """One record: what is wrong (or GOOD), where, and in which column."""
    at = past_blanks(text, at, end)
    if at >= end or text[at] != OPEN_OBJECT:
        return NO_OBJECT, at, -1
    way.fields[0] = 0
    _enter(way, 0, True, 0, at, -1, row, np.uint64(0))
    depth, at, is_first = 0, past_blanks(text, at + 1, end), True
    while depth >= 0:
        if at >= end:
            return CUT, at, -1
        if text[at] == (CLOSE_OBJECT if way.is_object[depth] else CLOSE_LIST):
            _close(text, at + 1, way, depth, found)
            depth, at, is_first = depth - 1, past_blanks(text, at + 1, end), False
            continue
        if not is_first:
            if text[at] != COMMA:
                return NOT_JSON, at, -1
            at = past_blanks(text, at + 1, end)
        here, target, path = way.node[depth], way.row[depth], way.path[depth]
        if way.is_object[depth]:
            after, key = _key(text, at, end, way, depth, found, tally)
            if after < 0:
                return -after, at, -1
            path = below(path, key)
            if _is_twice(path + np.uint64(way.begins[depth]), row, way):
                return TWICE, at, -1
            child = _child(trie, here, key) if here >= 0 else here
            at = after
        else:
            child = _element(trie, here, way.elements[depth]) if here >= 0 else here
            if here >= 0 and child == trie.each[here] and child >= 0:
                target = tally.elements[0]
                if target >= len(found.row_E):
                    return MANY, at, -1
                found.row_E[target] = row
                tally.elements[0] += 1
        way.elements[depth] += 1
        if at >= end:
            return CUT, at, -1
        column = trie.column[child] if child >= 0 else child
        opens = text[at] == OPEN_OBJECT or text[at] == OPEN_LIST
        if way.is_object[depth] and text[at] != OPEN_OBJECT:
            tally.fields[0] += 1
            if column == _UNKNOWN and not (opens and child >= 0):
                _count_unmapped(text, way, depth, path, unmapped, tally)
        if opens:
            if depth + 1 == DEPTH:
                return DEEP, at, -1
            if column >= 0 and trie.may_be[child] == SCALAR:
                return NOT_FLAT, at, column
            column = column if column >= 0 and trie.may_be[child] == WHOLE else -1
            depth += 1
            is_object = text[at] == OPEN_OBJECT
            _enter(way, depth, is_object, _INSIDE if column >= 0 else child, at, column, target, path)
            at, is_first = past_blanks(text, at + 1, end), True
            continue
        if column == _UNKNOWN and child >= 0 and trie.may_be[child] == PARENT and not is_null(text, at):
            return FLAT, at, -1
        after = _value(text, at, end, column, target, trie.way[max(child, 0)], found, unset, tally)
        if after < 0:
            return -after, at, column if after == -TWICE else -1
        at, is_first = past_blanks(text, after, end), False
    return (GOOD if at == end else NOT_JSON), at, -1


@njit(cache=True, inline="always")
def _enter(
    way: _Way, depth: int, is_object: bool, node: int, begins: int, column: int, row: int, path: np.uint64
) -> None:
    way.is_object[depth], way.node[depth], way.begins[depth] = is_object, node, begins
    way.column[depth], way.row[depth], way.path[depth], way.elements[depth] = column, row, path, 0


@njit(cache=True, inline="always")
def _close(text: Text, after: int, way: _Way, depth: int, found: Found) -> None:
    """A container that was wanted whole is a value, as it is written, if there is none."""
    column, row = way.column[depth], way.row[depth]
    if column >= 0 and _given(found, column, row) == 0:
        _note(text, way.begins[depth], after, column, row, 1, found, found.buffer)


@njit(cache=True)
def _key(text: Text, at: int, end: int, way: _Way, depth: int, found: Found, tally: Tally) -> tuple[int, np.uint64]:
    """The place of the value behind a key, or a fault; and the key's hash."""
    if at >= end:
        return -CUT, np.uint64(0)
    if text[at] != QUOTE:
        return -NOT_JSON, np.uint64(0)
    way.fields[0] += 1
    if way.fields[0] > FIELDS:
        return -MANY, np.uint64(0)
    after, is_escaped = past_string(text, at + 1, end)
    if after < 0:
        return after, np.uint64(0)
    way.key_begins[depth], way.key_ends[depth] = at + 1, after
    if is_escaped:
        begins = tally.side[0]
        key = key_hash(found.side, begins, unescaped(text, at + 1, after, found.side, begins))
    else:
        key = key_hash(text, at + 1, after)
    at = past_blanks(text, after + 1, end)
    if at >= end:
        return -CUT, key
    return past_blanks(text, at + 1, end) if text[at] == COLON else -NOT_JSON, key


@njit(cache=True)
def _is_twice(name: np.uint64, row: int, way: _Way) -> bool:
    """Whether this record has this name a second time; a name is its path and the place its object begins."""
    slot = np.int64(name >> np.uint64(32)) & (_SEEN - 1)
    while way.seen_by[slot] == row:
        if way.seen[slot] == name:
            return True
        slot = (slot + 1) & (_SEEN - 1)
    way.seen[slot], way.seen_by[slot] = name, row
    return False


@njit(cache=True, inline="always")
def _child(trie: Trie, node: int, key: np.uint64) -> int:
    code = below(np.uint64(node), key)
    slot = np.int64(code >> np.uint64(32)) & (len(trie.hashes) - 1)
    while trie.hashes[slot] != np.uint64(0):
        if trie.hashes[slot] == code:
            return int(trie.children[slot])
        slot = (slot + 1) & (len(trie.hashes) - 1)
    return _UNKNOWN


@njit(cache=True, inline="always")
def _element(trie: Trie, node: int, number: int) -> int:
    return int(trie.first[node] if number == 0 and trie.first[node] >= 0 else trie.each[node])


@njit(cache=True)
def _value(
    text: Text, at: int, end: int, column: int, row: int, way: int, found: Found, unset: Unset, tally: Tally
) -> int:
    """Note a scalar, if it is wanted; the place behind it, or a fault."""
    is_text = text[at] == QUOTE
    begins = at + 1 if is_text else at
    after, is_escaped = past_string(text, begins, end) if is_text else (past_scalar(text, at, end), False)
    if after < 0 or column < 0:
        return after + 1 if after >= 0 and is_text else after
    if not (is_null(text, at) or _is_unset(text, begins, after, unset)):
        given = _given(found, column, row)
        if given == way:
            return -TWICE
        if given == 0 and is_escaped:
            free = tally.side[0]
            tally.side[0] = unescaped(text, begins, after, found.side, free)
            _note(found.side, free, tally.side[0], column, row, way, found, found.buffer + 1)
        elif given == 0:
            _note(text, begins, after, column, row, way, found, found.buffer)
    return after + 1 if is_text else after


@njit(cache=True, inline="always")
def _is_unset(text: Text, begins: int, ends: int, unset: Unset) -> bool:
    if ends - begins > 8:
        return False
    code = word(text, begins, ends)
    for number in range(len(unset.words)):
        if unset.sizes[number] == ends - begins and unset.words[number] == code:
            return True
    return False


@njit(cache=True, inline="always")
def _given(found: Found, column: int, row: int) -> int:
    """The way by which a column already has a value, or 0."""
    own = len(found.records.way_CN)
    return int(found.records.way_CN[column, row] if column < own else found.elements.way_CN[column - own, row])


@njit(cache=True, inline="always")
def _note(text: Text, begins: int, ends: int, column: int, row: int, way: int, found: Found, buffer: int) -> None:
    own = len(found.records.way_CN)
    values = found.records if column < own else found.elements
    column = column if column < own else column - own
    low, high = view(text, begins, ends, buffer)
    values.views_CN2[column, row, 0], values.views_CN2[column, row, 1] = low, high
    values.way_CN[column, row] = way


@njit(cache=True)
def _count_unmapped(text: Text, way: _Way, depth: int, path: np.uint64, unmapped: Unmapped, tally: Tally) -> None:
    """Count a field that no one reads, by its path; where there are too many different ones, under no name."""
    slot = np.int64(path >> np.uint64(32)) & (UNMAPPED - 1)
    while unmapped.hashes[slot] != np.uint64(0) and unmapped.hashes[slot] != path:
        slot = (slot + 1) & (UNMAPPED - 1)
    if unmapped.hashes[slot] == np.uint64(0):
        if tally.unmapped[0] >= _MOST_UNMAPPED:
            unmapped.counts[UNMAPPED] += 1
            return
        tally.unmapped[0] += 1
        unmapped.hashes[slot], unmapped.begins[slot] = path, tally.names[0]
        tally.names[0] = _written(text, way, depth, unmapped.names, tally.names[0])
        unmapped.ends[slot] = tally.names[0]
    unmapped.counts[slot] += 1


@njit(cache=True)
def _written(text: Text, way: _Way, depth: int, names: Text, to: int) -> int:
    """Write the keys down to here, with dots between, as far as there is room."""
    most = min(to + NAME_BYTES, len(names))
    for above in range(depth + 1):
        if not way.is_object[above]:
            continue
        if above and to < most:
            names[to] = _DOT
            to += 1
        for at in range(way.key_begins[above], way.key_ends[above]):
            if to < most:
                names[to] = text[at]
                to += 1
    return to
