"""JSON lines as a frame of the fields one asks for, the lines that are none refused one by one."""

from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from features import json_text
from features.json_text import below, key_hash
from features.json_walk import (
    ALL_FIELDS,
    COLUMN,
    COUNT,
    DEPTH,
    EACH,
    ELEMENTS,
    FIELDS,
    FIRST,
    HIDDEN,
    MAY_BE,
    NAME_BYTES,
    NODE_COLUMNS,
    PARENT,
    SCALAR,
    TALLIES,
    UNMAPPED,
    UNMAPPED_COLUMNS,
    WAY,
    WHOLE,
    Faults,
    Found,
    Trie,
    Unmapped,
    Unset,
    Values,
    walk,
)
from features.source import NAMELESS
from features.views import joined, series_of

Shape = TypeVar("Shape")

#: Lines that are worth a thread of their own.
_PART_LINES = 1000
_NAMES_BYTES = 64 * NAME_BYTES
_SHOWN_BYTES = 200
#: Unmapped fields when there are too many different ones.
_OTHERS = "(others)"
_EXPECTED = "expected one JSON object a line"
_REASONS = {
    json_text.NOT_JSON: f"{_EXPECTED}; it is no JSON from byte {{at}} on",
    json_text.CUT: f"{_EXPECTED}; it ends early, at byte {{at}}",
    json_text.CONTROL: f"{_EXPECTED}; there is a control character near byte {{at}}",
    json_text.SURROGATE: f"{_EXPECTED}; there is half of a surrogate pair near byte {{at}}",
    json_text.LONG_NUMBER: f"expected numbers of at most {json_text.NUMBER_CHARS} characters; one is longer",
    json_text.TWICE: "expected every field once; one is there twice, byte {at}",
    json_text.DEEP: f"{_EXPECTED}; it is nested too deeply, more than {DEPTH} times, byte {{at}}",
    json_text.MANY: f"expected at most {FIELDS} fields",
    json_text.NOT_FLAT: "expected text, a number or a flag, not an object or a list",
    json_text.FLAT: "expected an object or a list; there is another kind of value at byte {at}",
    json_text.NO_OBJECT: f"{_EXPECTED}; this is none",
}


@dataclass(frozen=True)
class Wanted:
    """The fields of a record that are read: by its name, the dotted paths of each, `http.url`.

    A dot in a key of the record is as good as an object: `{"http.url": 1}` is `{"http": {"url": 1}}`. `[0]` behind a
    step is a list's first element, `[]` each one of them. Of several paths the first that the record gives counts. A
    field in `whole` may be an object or a list and comes as it is written; elsewhere these are refused, unless other
    fields are in them. What holds other fields may be another kind of value only if it is in `hidden`. `unset` are
    texts that stand for no value, of at most eight bytes.
    """

    fields: Mapping[str, Sequence[str]]
    whole: Container[str] = ()
    hidden: Sequence[str] = ()
    unset: Sequence[str] = ()

    @cached_property
    def plan(self) -> "_Plan":
        """The same as the walk needs it."""
        for name, paths in self.fields.items():
            if any(("[]" in path) != ("[]" in name) for path in paths):
                raise ValueError(f"{name}: a field of a list's elements has [] in its name and in all of its paths")
        columns = tuple(name for name in self.fields if "[]" not in name)
        lists: dict[str, tuple[str, ...]] = {}
        for name in self.fields:
            if "[]" in name:
                above = name.partition("[]")[0]
                lists[above] = (*lists.get(above, ()), name)
        names = [*columns, *(name for some in lists.values() for name in some)]
        return _Plan(
            _trie([self.fields[name] for name in names], [name in self.whole for name in names], self.hidden),
            _unset(self.unset),
            columns,
            lists,
        )


def by_path(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Fields that bear the names of their paths."""
    return {path: (path,) for path in paths}


def paths_below(above: str, names: str) -> list[str]:
    """The paths of some fields of one object, their names given as words.

    >>> paths_below("http", "url status")
    ['http.url', 'http.status']
    """
    return [f"{above}.{name}" for name in names.split()]


@dataclass(frozen=True)
class Records:
    """What was read from some lines.

    `fields` has `line`, `text` and a text column for each field: null where a record lacks it. `elements` has, by the
    path of a list, `row` (in `fields`) and a column for each field below it. `unmapped` counts, by name, the fields
    that nobody asked for, `total` all of them.
    """

    fields: pl.DataFrame
    refused: pl.DataFrame
    elements: dict[str, pl.DataFrame] = field(default_factory=dict)
    unmapped: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def gathered(self, above: str, name: str, elements: pl.DataFrame | None = None) -> pl.Series:
        """A field of a list's elements, or of some of them, joined with commas, for each record."""
        elements = self.elements[above] if elements is None else elements
        by_row = elements.drop_nulls(name).group_by("row", maintain_order=True).agg(pl.col(name).str.join(","))
        rows = pl.DataFrame({"row": range(self.fields.height)}, schema={"row": pl.Int64})
        return rows.join(by_row, on="row", how="left", maintain_order="left")[name]


def json_records(lines: pl.DataFrame, wanted: Wanted) -> Records:
    """Read the fields in `wanted` of every line; a line that is no record (see `features.json_walk`) is refused."""
    plan = wanted.plan
    text, begins_N, ends_N = joined(lines["text"])
    parts = _walked(text, begins_N, ends_N, plan)
    texts = [buffer for part in parts for buffer in (text, part.found.side)]
    columns = _columns(plan.columns, parts[0].found.records, lines.height, texts)
    faults = parts[0].faults
    records = Records(
        lines.select("line", "text").hstack(columns),
        _refused(lines, faults, begins_N, plan),
        _elements(plan, parts, texts),
        _unmapped(parts),
        sum(int(part.tally[ALL_FIELDS]) for part in parts),
    )
    return _without(records, pl.Series(faults.kind_N == json_text.GOOD)) if records.refused.height else records


def json_as(text: str, shape: type[Shape]) -> Shape | None:
    """A line decoded into a msgspec struct, or none where it is no JSON of that shape."""
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, RecursionError):
        return None


def is_json_object(text: str) -> bool:
    """Whether a line begins like a JSON object."""
    return text.lstrip().startswith("{")


# What is wanted, as the walk needs it


@dataclass(frozen=True)
class _Plan:
    """The wanted fields as nodes; `columns` are of records, `lists` are lists with the columns of their elements."""

    trie: Trie
    unset: Unset
    columns: tuple[str, ...]
    lists: dict[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """Every column by its number."""
        return [*self.columns, *(name for names in self.lists.values() for name in names)]


@dataclass
class _Nodes:
    """Nodes while they grow, each known by its path; a list's elements by the list's path and `[0]` or `[]`."""

    numbers: dict[str, int] = field(default_factory=lambda: {"": 0})
    edges: dict[tuple[int, str], int] = field(default_factory=dict)
    elements: dict[tuple[int, str], int] = field(default_factory=dict)

    def number(self, path: str) -> int:
        """The node of a path, made with all that lead to it."""
        if path not in self.numbers:
            self.numbers[path] = len(self.numbers)
            self._lead_to(path)
        return self.numbers[path]

    def _lead_to(self, path: str) -> None:
        here = self.numbers[path]
        if path.endswith("]"):
            parent, mark, _ = path.rpartition("[")
            self.elements[self.number(parent), mark + path[len(parent) + 1 :]] = here
            return
        keys = path.split(".")
        for cut in range(len(keys) - 1, -1, -1):
            self.edges[self.number(".".join(keys[:cut])), ".".join(keys[cut:])] = here
            if cut and keys[cut - 1].endswith("]"):
                break


def _trie(paths: Sequence[Sequence[str]], is_whole: Sequence[bool], hidden: Sequence[str]) -> Trie:
    """The paths of each column as nodes."""
    nodes = _Nodes()
    ends = [
        (nodes.number(path), column, is_whole[column], way)
        for column, some in enumerate(paths)
        for way, path in enumerate(some, 1)
    ]
    size = len(nodes.numbers)
    nodes_NK = np.full((size, NODE_COLUMNS), -1, dtype=np.int64)
    nodes_NK[:, MAY_BE] = SCALAR
    nodes_NK[[node for node, _ in [*nodes.edges, *nodes.elements]], MAY_BE] = PARENT
    nodes_NK[[nodes.number(path) for path in hidden], MAY_BE] = HIDDEN
    for node, column, whole, way in ends:
        nodes_NK[node, COLUMN], nodes_NK[node, WAY] = column, way
        nodes_NK[node, MAY_BE] = WHOLE if whole else nodes_NK[node, MAY_BE]
    for (node, mark), element in nodes.elements.items():
        nodes_NK[node, EACH if mark == "[]" else FIRST] = element
    return Trie(*_hashed(nodes.edges), nodes_NK)


def _hashed(edges: dict[tuple[int, str], int]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A table of children by the hash of node and key, at most half full, searched from slot to slot."""
    slots = 2 << len(edges).bit_length()
    hashes, children = np.zeros(slots, dtype=np.uint64), np.full(slots, -1, dtype=np.int64)
    for (node, key), child in edges.items():
        text = np.frombuffer(key.encode(), dtype=np.uint8)
        code = int(below(np.uint64(node), np.uint64(key_hash(text, 0, len(text)))))
        slot = (code >> 32) % slots
        while hashes[slot]:
            slot = (slot + 1) % slots
        hashes[slot], children[slot] = code, child
    return hashes, children


def _unset(words: Sequence[str]) -> Unset:
    texts = [word.encode() for word in words]
    numbers = np.array([int.from_bytes(text, "little") for text in texts], dtype=np.uint64)
    return Unset(numbers, np.array([len(text) for text in texts], dtype=np.int64))


# The walk, in as many threads as there are processors


@dataclass(frozen=True)
class _Part:
    """What the walk over some of the lines left."""

    found: Found
    unmapped: Unmapped
    tally: NDArray[np.int64]
    faults: Faults


def _walked(
    text: NDArray[np.uint8], begins_N: NDArray[np.int64], ends_N: NDArray[np.int64], plan: _Plan
) -> list[_Part]:
    rows = len(begins_N)
    count = max(1, min(pl.thread_pool_size(), rows // _PART_LINES))
    cuts = [rows * part // count for part in range(count + 1)]
    records = _values(len(plan.columns), rows)
    faults = Faults(*(np.zeros(rows, dtype=np.int64) for _ in Faults._fields))
    spans = [(int(begins_N[a]), int(ends_N[b - 1])) if b > a else (0, 0) for a, b in pairwise(cuts)]
    parts = [_part(text, span, number, records, faults, plan) for number, span in enumerate(spans)]

    def go(number: int) -> None:
        part = parts[number]
        walk(
            text, begins_N, ends_N, cuts[number], cuts[number + 1],
            plan.trie, part.found, plan.unset, part.unmapped, part.tally, faults,
        )  # fmt: skip

    if count == 1:
        go(0)
        return parts
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(go, range(count)))
    return parts


def _part(
    text: NDArray[np.uint8], span: tuple[int, int], number: int, records: Values, faults: Faults, plan: _Plan
) -> _Part:
    """Room for what may be in some text: no more elements than commas and lists, no more bytes than there are."""
    own = text[slice(*span)]
    columns = sum(map(len, plan.lists.values()))
    most = int(((own == json_text.COMMA) | (own == json_text.OPEN_LIST)).sum()) if columns else 0
    found = Found(
        records, _values(columns, most), np.empty(most, dtype=np.int64), np.empty(len(own), dtype=np.uint8), 2 * number
    )
    unmapped = Unmapped(
        np.zeros(UNMAPPED, dtype=np.uint64),
        np.zeros((UNMAPPED + 1, UNMAPPED_COLUMNS), dtype=np.int64),
        np.zeros(_NAMES_BYTES, dtype=np.uint8),
    )
    return _Part(found, unmapped, np.zeros(TALLIES, dtype=np.int64), faults)


def _values(columns: int, rows: int) -> Values:
    return Values(np.zeros((columns, rows, 2), dtype=np.uint64), np.zeros((columns, rows), dtype=np.uint8))


# From places in the text to columns


def _columns(names: Sequence[str], values: Values, rows: int, texts: list[NDArray[np.uint8]]) -> list[pl.Series]:
    """Series of the values, not copied: they are views of the text."""
    return [_column(name, values, number, rows, texts) for number, name in enumerate(names)]


def _column(name: str, values: Values, number: int, rows: int, texts: list[NDArray[np.uint8]]) -> pl.Series:
    is_given_N = values.way_CN[number, :rows] > 0
    if not is_given_N.any():
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, rows)
    return series_of(name, values.views_CN2[number, :rows], is_given_N, texts)


def _elements(plan: _Plan, parts: list[_Part], texts: list[NDArray[np.uint8]]) -> dict[str, pl.DataFrame]:
    """The elements of each list, in the order of rows: those in which anything was wanted and found."""
    if not plan.lists:
        return {}
    names = plan.names[len(plan.columns) :]
    frames = []
    for part in parts:
        count = int(part.tally[ELEMENTS])
        columns = _columns(names, part.found.elements, count, texts)
        frames.append(pl.DataFrame([pl.Series("row", part.found.row_E[:count]), *columns]))
    whole = pl.concat(frames)
    return {
        name: whole.select("row", *paths).filter(pl.any_horizontal(pl.col(paths).is_not_null()))
        for name, paths in plan.lists.items()
    }


def _without(records: Records, is_good: pl.Series) -> Records:
    """The records but for the bad ones, and their elements under the new numbers of rows."""
    rows = pl.DataFrame({"row": is_good.arg_true().cast(pl.Int64)}).with_row_index("new")
    rows = rows.with_columns(pl.col("new").cast(pl.Int64))
    elements = {
        name: frame.join(rows, on="row", maintain_order="left").with_columns(row="new").drop("new")
        for name, frame in records.elements.items()
    }
    return replace(records, fields=records.fields.filter(is_good), elements=elements)


# What is wrong, and what no one reads


def _refused(lines: pl.DataFrame, faults: Faults, begins_N: NDArray[np.int64], plan: _Plan) -> pl.DataFrame:
    rows = np.flatnonzero(faults.kind_N)
    wrong = lines.select("line", "text")[rows]
    places = (faults.place_N[rows] - begins_N[rows]).tolist()
    kinds, columns, names = faults.kind_N[rows].tolist(), faults.column_N[rows].tolist(), plan.names
    told = [
        _told(line, text, place, kind, names[column] if column >= 0 else None)
        for (line, text), place, kind, column in zip(wrong.iter_rows(), places, kinds, columns, strict=True)
    ]
    return pl.DataFrame(told, schema=NAMELESS, orient="row")


def _told(line: int, text: str, place: int, kind: int, field: str | None) -> tuple[int, str, str, str]:
    """A refusal; of a field its value is shown, else the line."""
    begins = place if field else 0
    shown = text.encode()[begins : begins + _SHOWN_BYTES].decode(errors="replace")
    return line, field or "line", shown, _REASONS[kind].format(at=place + 1)


def _unmapped(parts: list[_Part]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in parts:
        names = part.unmapped.names.tobytes()
        for slot in np.flatnonzero(part.unmapped.fields_UK[:, COUNT]).tolist():
            count, begins, ends = part.unmapped.fields_UK[slot].tolist()
            name = names[begins:ends].decode(errors="replace") or _OTHERS
            counts[name] = counts.get(name, 0) + count
    return counts
