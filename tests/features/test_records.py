"""Records are what Python's own reader makes of their lines, and nothing else is a record."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from random import Random
from re import findall
from typing import TypeAlias

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features import records
from features.json_text import NUMBER_CHARS
from features.json_walk import DEPTH, FIELDS
from features.lines import lines_of
from features.records import Records, Wanted, by_path, is_json_object, json_as, json_records

# JSON in Python's words


@dataclass(frozen=True)
class Number:
    """A number as it is written."""

    text: str


Value: TypeAlias = "str | Number | bool | list[Value] | dict[str, Value] | None"
Record: TypeAlias = dict[str, Value]


def decoded(text: str) -> Value:
    """Any JSON. Raises ValueError for what is none, for a name twice and for half of a surrogate pair."""
    value: Value = json.loads(
        text, object_pairs_hook=_once, parse_constant=_refuse, parse_int=_number, parse_float=_number
    )
    for part in parts(value):
        (part if isinstance(part, str) else "").encode()
    return value


def record_of(text: str) -> Record:
    """One record. Raises ValueError for what is none."""
    value = decoded(text)
    if not isinstance(value, dict):
        raise ValueError("no object")
    if height(value) > DEPTH or sum(len(part) for part in parts(value) if isinstance(part, dict)) > FIELDS:
        raise ValueError("too large")
    return value


def _once(pairs: list[tuple[str, Value]]) -> Record:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def _refuse(text: str) -> Value:
    raise ValueError(text)


def _number(text: str) -> Number:
    if len(text) > NUMBER_CHARS:
        raise ValueError("long")
    return Number(text)


def below(value: Value) -> list[Value]:
    """What is in a container."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def parts(value: Value) -> Iterator[Value]:
    """A value, and all that is in it, with the keys."""
    yield value
    yield from value if isinstance(value, dict) else ()
    for part in below(value):
        yield from parts(part)


def height(value: Value) -> int:
    return 1 + max(map(height, below(value)), default=0) if isinstance(value, (dict, list)) else 0


# JSON written in every way that is allowed

SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
UNSET = ("-", "", "(empty)")


def written(value: Value, random: Random, repeats: float = 0) -> str:
    """JSON, its fields in any order; now and then, if so asked, one of them twice."""

    def blank() -> str:
        return "".join(random.choices(" \t\r\n", k=random.choice((0, 0, 0, 1, 3))))

    def joined(items: list[str]) -> str:
        return blank() + ",".join(blank() + item + blank() for item in items)

    if isinstance(value, dict):
        pairs = random.sample(list(value.items()), len(value))
        pairs += pairs[:1] if random.random() < repeats else []
        fields = [f"{string(key, random)}{blank()}:{blank()}{written(part, random, repeats)}" for key, part in pairs]
        return f"{{{joined(fields)}}}"
    if isinstance(value, list):
        return f"[{joined([written(part, random, repeats) for part in value])}]"
    if isinstance(value, Number):
        return value.text
    return string(value, random) if isinstance(value, str) else json.dumps(value)


def string(text: str, random: Random) -> str:
    """A text in quotes; words that may stand for nothing stay as they are."""
    escape = 0 if text in UNSET else random.choice((0, 0.1, 1))
    return f'"{"".join(letter_as_json(letter, random, escape) for letter in text)}"'


def letter_as_json(letter: str, random: Random, escape: float) -> str:
    if letter >= " " and letter not in '"\\' and random.random() >= escape:
        return letter
    units = letter.encode("utf-16-be")
    codes = [f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)]
    anyhow = "".join(
        code[:2] + "".join(map(random.choice, zip(code[2:], code[2:].upper(), strict=True))) for code in codes
    )
    return random.choice((anyhow, SHORT.get(letter, anyhow)))


# Records of every kind

TEXTS = st.sampled_from([*UNSET, "a", "true", "1", '"', "\\", "é€🦊", "a text of more than twelve bytes"]) | st.text(
    max_size=20
)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?", fullmatch=True).map(Number)
SCALARS: st.SearchStrategy[Value] = TEXTS | NUMBERS | st.booleans() | st.none()
KEYS = st.sampled_from(
    [*"abcdfhlmwxé", "b.c", "b.c.a", "b.a", "c.a", "b.w", "h.a", "l[]", "f[0]", "a."]
) | st.text(max_size=2)  # fmt: skip
VALUES: st.SearchStrategy[Value] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=6)
RANDOM = st.randoms(use_true_random=True)


def some(**fields: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    """An object with some of these fields; `_` in a name is a dot."""
    return st.fixed_dictionaries({}, optional={name.replace("_", "."): value for name, value in fields.items()})


#: Every kind of wish: below an object that may itself be a value, by several paths, whole, in a list, hidden.
WANTED = Wanted(
    {
        **by_path(["a", "b.c", "b.c.a", "f[0].a", "h.a", "l[].a", "l[].b.c", "m[]", "n[].o[].p"]),
        "best": ("c.a", "d", "b.a"),
        "raw": ("w", "b.w"),
        "l[].raw": ("l[].w", "l[].v"),
    },
    whole=("raw", "l[].raw"),
    hidden=("h",),
    unset=UNSET,
)
#: Records as they are wanted, as a rule.
FITTING = some(
    a=SCALARS,
    b=some(c=SCALARS | some(a=SCALARS), a=SCALARS, w=VALUES, c_a=SCALARS),
    b_c=SCALARS,
    b_a=SCALARS,
    c=some(a=SCALARS),
    c_a=SCALARS,
    d=SCALARS,
    w=VALUES,
    f=st.lists(some(a=SCALARS, x=VALUES), max_size=3),
    h=SCALARS | some(a=SCALARS),
    l=st.lists(some(a=SCALARS, b=some(c=SCALARS), b_c=SCALARS, w=VALUES, v=VALUES, x=VALUES), max_size=3),
    m=st.lists(SCALARS, max_size=3),
    n=st.lists(some(o=st.lists(some(p=SCALARS), max_size=3)), max_size=2),
    x=VALUES,
)
LINES = st.lists(st.tuples(FITTING | FITTING | RECORDS, RANDOM), min_size=1, max_size=8)


def frame(texts: Sequence[str], first_line: int = 0) -> pl.DataFrame:
    lines = pl.Series("line", range(first_line, first_line + len(texts)), dtype=pl.Int64)
    return pl.DataFrame([lines, pl.Series("text", texts, dtype=pl.String)])


# What is wanted of them, in Python's words

FIRST, EACH = 0, -1
Path: TypeAlias = tuple[str | int, ...]
#: Where nobody looks: in what no one wants, and in what is wanted whole.
UNKNOWN, INSIDE = None, ("inside a whole value", EACH)


def path_of(text: str) -> Path:
    marks = {"[0]": FIRST, "[]": EACH}
    return tuple(marks.get(step, step) for step in findall(r"\[0?\]|[^.\[\]]+", text))


class Wishes:
    """The wanted fields by their paths."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.columns = {
            path_of(text): (name, way) for name, texts in wanted.fields.items() for way, text in enumerate(texts)
        }
        self.known = {path[:size] for path in self.columns for size in range(len(path) + 1)}
        self.parents = {path[:size] for path in self.columns for size in range(len(path))}
        self.hidden = {path_of(text) for text in wanted.hidden}

    def next(self, here: Path | None, step: Path) -> Path | None:
        if here is UNKNOWN or here is INSIDE:
            return here
        return here + step if here + step in self.known else UNKNOWN


@dataclass
class Walked:
    """What a record gives, each value with the number of its path."""

    wishes: Wishes
    fields: dict[str, tuple[int, Value]] = field(default_factory=dict)
    elements: list[tuple[str, dict[str, tuple[int, Value]]]] = field(default_factory=list)
    unmapped: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def walk(
        self, value: Value, here: Path | None, names: tuple[str, ...], target: dict[str, tuple[int, Value]]
    ) -> None:
        """Raises ValueError for a value of the wrong kind, and for a field twice."""
        if isinstance(value, dict):
            for key, part in value.items():
                child = self.wishes.next(here, tuple(key.split(".")))
                self.count(part, child, (*names, key))
                self.take(part, child, (*names, key), target)
        for number, part in enumerate(value if isinstance(value, list) else ()):
            first = self.wishes.next(here, (FIRST,)) if number == 0 else UNKNOWN
            child = first or self.wishes.next(here, (EACH,))
            if child and child is not INSIDE and child[-1] == EACH:
                self.elements.append((list_of(child), target := {}))
            self.take(part, child, names, target)

    def count(self, part: Value, child: Path | None, names: tuple[str, ...]) -> None:
        self.total += not isinstance(part, dict)
        is_read = child is INSIDE or child in self.wishes.columns or (child and isinstance(part, list))
        self.unmapped[".".join(names)] += not isinstance(part, dict) and not is_read

    def take(
        self, part: Value, child: Path | None, names: tuple[str, ...], target: dict[str, tuple[int, Value]]
    ) -> None:
        name, way = self.wishes.columns.get(child or ("nobody",), ("", 0))
        is_container = isinstance(part, (dict, list))
        if is_container:
            is_whole = name in self.wishes.wanted.whole
            if name and not is_whole and child not in self.wishes.parents:
                raise ValueError("not flat")
            self.walk(part, INSIDE if is_whole else child, names, target)
            name = name if is_whole else ""
        elif child and child is not INSIDE and not name and child not in self.wishes.hidden and part is not None:
            raise ValueError("flat")
        if name and part is not None and part not in UNSET:
            if target.get(name, (-1, None))[0] == way:
                raise ValueError("twice")
            target.setdefault(name, (way, part))


def list_of(path: Path) -> str:
    """The list that an element is in, the outermost one that gives its elements a row."""
    return ".".join(str(step) for step in path[: path.index(EACH)])


def walked(text: str, wishes: Wishes) -> Walked | None:
    """What a line gives, or none if it is no record."""
    found = Walked(wishes)
    try:
        found.walk(record_of(text), (), (), found.fields)
    except ValueError:
        return None
    return found


def as_text(value: Value) -> str | None:
    """A value as a column has it."""
    if value is None or isinstance(value, str):
        return value
    return value.text if isinstance(value, Number) else json.dumps(value)


def is_same(cell: str | None, value: Value) -> bool:
    """Whether a cell says what a value means."""
    if isinstance(value, (dict, list)):
        return cell is not None and decoded(cell) == value
    return cell == as_text(value)


def agree(cells: list[str | None], values: list[Value]) -> bool:
    return len(cells) == len(values) and all(map(is_same, cells, values))


def meant(unmapped: dict[str, int]) -> Counter[str]:
    """The counts of unmapped fields by what their names mean, which are written as the text first had them."""
    counts: Counter[str] = Counter()
    for name, count in unmapped.items():
        counts["" if name == "(others)" else json.loads(f'"{name}"', strict=False)] += count
    return counts


@settings(deadline=None, max_examples=100)
@given(LINES)
def test_what_is_wanted_is_what_python_finds(drawn: list[tuple[Record, Random]]) -> None:
    texts = [written(record, random) for record, random in drawn]
    wishes = Wishes(WANTED)
    found = [walked(text, wishes) for text in texts]
    read = json_records(frame(texts, 5), WANTED)
    good = [one for one in found if one]
    assert read.refused["line"].to_list() == [line for line, one in enumerate(found, 5) if one is None]
    assert read.fields["line"].to_list() == [line for line, one in enumerate(found, 5) if one]
    for name in WANTED.plan.columns:
        assert agree(read.fields[name].to_list(), [one.fields.get(name, (0, None))[1] for one in good]), name
    for above, names in WANTED.plan.lists.items():
        elements = [
            (row, values) for row, one in enumerate(good) for path, values in one.elements if path == above and values
        ]
        assert read.elements[above]["row"].to_list() == [row for row, _ in elements]
        for name in names:
            cells = read.elements[above][name].to_list()
            assert agree(cells, [values.get(name, (0, None))[1] for _, values in elements]), name
    if len(good) == len(texts):
        assert read.total == sum(one.total for one in good)
        assert meant(read.unmapped) == +sum((one.unmapped for one in good), Counter())


# What is a record, and what is none

MARKS = st.sampled_from(
    [*'{}[]",:\\/ \t\n\r\x00\x1f-+.0123456789eEtrufalsn', "\\u", "d83e", "\\udd8a", "null", "NaN", "🦊"]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), MARKS), max_size=3)
DIGITS = st.text("0019-+.eE", max_size=7)
#: Halves of surrogate pairs and what is next to them, good and broken escapes.
UNITS = [
    *r"\ud83e \uDD8A \ud800 \udbff \udc00 \udfff \ud7ff \ue000 \uffff \u0041 \u12g4 \u00 \n \x \ x dd8a".split(),
    "🦊",
    "\x1f",
]
LONG_NUMBERS = st.integers(NUMBER_CHARS - 2, NUMBER_CHARS + 2).map(lambda size: Number("1" * size))
DEEP = st.integers(DEPTH - 3, DEPTH + 1).map(lambda size: decoded("[" * size + "]" * size))


def edited(text: str, edits: list[tuple[float, int, str]]) -> str:
    """A text with some places cut out, and something else put in."""
    for place, gone, mark in edits:
        at = int(place * len(text))
        text = text[:at] + mark + text[at + gone :]
    return text


def is_record(text: str) -> bool:
    try:
        return bool(record_of(text) is not None)
    except (ValueError, RecursionError):
        return False


def accepted(texts: list[str]) -> list[bool]:
    """Whether each text is taken for a record, where nothing is wanted of it."""
    read = json_records(frame(texts), Wanted({}))
    assert sorted([*read.fields["line"], *read.refused["line"]]) == list(range(len(texts)))
    good = set(read.fields["line"])
    return [line in good for line in range(len(texts))]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.dictionaries(KEYS, VALUES | LONG_NUMBERS | DEEP, max_size=4), RANDOM, EDITS),
        min_size=1,
        max_size=12,
    )
)
def test_a_line_is_a_record_if_and_only_if_python_reads_one(
    drawn: list[tuple[Record, Random, list[tuple[float, int, str]]]],
) -> None:
    texts = [edited(written(record, random, repeats=0.1), edits) for record, random, edits in drawn]
    assert accepted(texts) == [is_record(text) for text in texts], texts


@settings(deadline=None, max_examples=250)
@given(
    st.lists(
        DIGITS | st.lists(st.sampled_from(UNITS), max_size=3).map("".join) | st.lists(MARKS, max_size=14).map("".join),
        min_size=1,
        max_size=20,
    )
)
def test_so_it_is_of_any_value_and_string_and_name(middles: list[str]) -> None:
    texts = [
        around % middle for middle in middles for around in ("%s", '{"a":%s}', '{"a":"%s"}', '{"%s":[1]}', '{"a":-%s}')
    ]
    assert accepted(texts) == [is_record(text) for text in texts], texts


def test_half_of_a_surrogate_pair_is_none_whatever_stands_beside_it() -> None:
    texts = [f'{{"a":"{one}{other}"}}' for one, other in product(UNITS, UNITS)]
    assert accepted(texts) == [is_record(text) for text in texts]


def test_every_letter_there_is_can_be_written_as_an_escape() -> None:
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    whole = ["".join(letters[at : at + 4096]) for at in range(0, len(letters), 4096)]
    read = json_records(frame([json.dumps({"a": text}) for text in whole]), Wanted(by_path(["a"])))
    assert read.fields["a"].to_list() == whole


def test_no_text_before_its_end_and_none_with_more_behind_it_is_a_record() -> None:
    whole = '{"a":[true,false,null,-1.5e+3,"\\ud83e\\udd8a\\n€"],"b":{"c":{}}}'
    texts = [
        *(whole[:size] for size in range(len(whole))),
        *(whole + more for more in ("{}", ",", "1", "\x00", "\ufeff")),
    ]
    assert accepted([whole, f" \t\r\n{whole}\n"]) == [True, True]
    assert accepted(texts) == [False] * len(texts)


@pytest.mark.parametrize(
    ("largest", "too_large"),
    [
        ('{"a":' * DEPTH + "1" + "}" * DEPTH, '{"a":' * (DEPTH + 1) + "1" + "}" * (DEPTH + 1)),
        ('{"a":' + "[" * (DEPTH - 1) + "]" * (DEPTH - 1) + "}", '{"a":' + "[" * DEPTH + "]" * DEPTH + "}"),
        ('{"a":' + "1" * NUMBER_CHARS + "}", '{"a":' + "1" * (NUMBER_CHARS + 1) + "}"),
        (json.dumps({str(n): n for n in range(FIELDS)}), json.dumps({str(n): n for n in range(FIELDS + 1)})),
        (json.dumps({"a": [{"b": 1}] * (FIELDS - 1)}), json.dumps({"a": [{"b": 1}] * FIELDS})),
    ],
    ids=["objects", "lists", "number", "fields", "fields in a list"],
)  # fmt: skip
def test_a_record_may_be_as_large_as_the_limits_and_no_larger(largest: str, too_large: str) -> None:
    assert accepted([largest, too_large, largest]) == [True, False, True]
    assert is_record(largest)
    assert not is_record(too_large)


def test_many_and_large_records_do_not_disturb_each_other() -> None:
    texts = [json.dumps({f"field{number}": {"a": number, "b": "x"} for number in range(600)})] * 50
    assert accepted(texts) == [True] * 50


def test_there_may_be_any_number_of_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 2)
    count = 2 * 0xFFFF + 9
    read = json_records(frame(['{"a":1,"b":2}'] * count), Wanted(by_path(["a"])))
    assert read.fields["a"].to_list() == ["1"] * count
    assert read.unmapped == {"b": count}


# How lines are cut changes nothing


@settings(deadline=None, max_examples=60)
@given(LINES, EDITS, st.lists(st.integers(0, 8), max_size=3).map(sorted), st.integers(1, 4))
def test_any_cut_into_frames_and_any_number_of_threads_gives_the_same(
    drawn: list[tuple[Record, Random]], edits: list[tuple[float, int, str]], cuts: list[int], threads: int
) -> None:
    texts = [written(record, random) for record, random in drawn]
    texts[0] = edited(texts[0], edits)
    whole = json_records(frame(texts), WANTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_PART_LINES", 1)
        patch.setattr(pl, "thread_pool_size", lambda: threads)
        edges = [0, *(min(cut, len(texts)) for cut in cuts), len(texts)]
        reads = [json_records(frame(texts)[a:b], WANTED) for a, b in pairwise(edges)]
    assert pl.concat([read.fields for read in reads]).equals(whole.fields)
    assert pl.concat([read.refused for read in reads]).equals(whole.refused)
    assert sum(read.total for read in reads) == whole.total
    assert sum((meant(read.unmapped) for read in reads), Counter()) == meant(whole.unmapped)
    for above, elements in whole.elements.items():
        assert pl.concat(list(shifted(reads, above))).equals(elements)


def shifted(reads: list[Records], above: str) -> Iterator[pl.DataFrame]:
    """The elements of a list, their rows counted on from frame to frame."""
    rows = 0
    for read in reads:
        yield read.elements[above].with_columns(pl.col("row") + rows)
        rows += read.fields.height


@settings(deadline=None, max_examples=40)
@given(LINES, st.randoms(use_true_random=True))
def test_views_of_a_log_are_read_as_copies_are_in_any_order(drawn: list[tuple[Record, Random]], random: Random) -> None:
    texts = [written(record | {"x": "long enough"}, one).replace("\n", " ") for record, one in drawn]
    lines = lines_of("".join(text + "\n" for text in texts).encode(), 0)
    order = random.choices(range(len(texts)), k=len(texts) + 2)
    for turned in (lines, lines.reverse(), lines[order]):
        read, copied = json_records(turned, WANTED), json_records(frame(turned["text"].to_list()), WANTED)
        assert read.fields.drop("line").equals(copied.fields.drop("line"))
        assert read.refused.drop("line").equals(copied.refused.drop("line"))
        assert all(elements.equals(copied.elements[above]) for above, elements in read.elements.items())


# Examples


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"b.c":1}', "1"),
        ('{"b":{"c":"x"},"b.c":"-"}', "x"),
        ('{"b":{"c":null},"b.c":true}', "true"),
        ('{"b":{"c":1},"b.c":1}', "twice"),
        ('{"b.c":1,"\\u0062":{"c":2}}', "twice"),
        ('{"b":{"c":1},"b":{"x":1}}', "twice"),
        ('{"b":{"c":[]}}', "[]"),
        ('{"b":7}', "an object or a list"),
        ('{"b":null}', None),
        ('{"b":[1]}', None),
    ],
)
def test_a_dot_is_as_good_as_an_object_and_a_field_is_there_once(text: str, value: str | None) -> None:
    read = json_records(frame([text]), Wanted(by_path(["b.c"]), whole=("b.c",), unset=("-",)))
    found = read.fields["b.c"].to_list() or [str(read.refused["reason"][0])]
    assert found == [value] if value is None or read.fields.height else value in found[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"w":[1],"v":2}', "[1]"),
        ('{"v":2,"w":[1]}', "2"),
        ('{"v":{"w":3},"w":null}', '{"w":3}'),
        ('{"w":"","v":[]}', "[]"),
    ],
)
def test_of_several_paths_the_first_in_the_record_counts(text: str, value: str) -> None:
    wanted = Wanted({"best": ("w", "v")}, whole=("best",), unset=("",))
    assert json_records(frame([text]), wanted).fields["best"].to_list() == [value]


@pytest.mark.parametrize(
    ("text", "field", "shown", "reason"),
    [
        ("[1]", "line", "[1]", "this is none"),
        ("", "line", "", "this is none"),
        ('{"a":1,}', "line", '{"a":1,}', "no JSON from byte 8 on"),
        ('{"a":NaN}', "line", '{"a":NaN}', "no JSON from byte"),
        ('{"a":"x', "line", '{"a":"x', "ends early"),
        ('{"a":"\x01"}', "line", '{"a":"\x01"}', "a control character"),
        ('{"a":"\\ud800"}', "line", '{"a":"\\ud800"}', "half of a surrogate pair"),
        ('{"x":' + "9" * 65 + "}", "line", '{"x":' + "9" * 65 + "}", "at most 64 characters"),
        ('{"x":1,"x":1}', "line", '{"x":1,"x":1}', "twice, byte"),
        ('{"a":{"x":1}}', "a", '{"x":1}}', "not an object or a list"),
        ('{"b.c":1,"b":{"c":2}}', "b.c", "2}}", "expected every field once"),
        ('{"b":3}', "line", '{"b":3}', "an object or a list; there is another kind of value at byte 6"),
    ],
)
def test_a_refusal_tells_the_line_the_field_its_value_and_what_was_expected(
    text: str, field: str, shown: str, reason: str
) -> None:
    read = json_records(frame(['{"a":1}', text, '{"a":2}'], 7), Wanted(by_path(["a", "b.c"])))
    assert read.fields.select("line", "a").rows() == [(7, "1"), (9, "2")]
    (row,) = read.refused.rows()
    assert row[:3] == (8, field, shown)
    assert reason in row[3]


def test_too_many_different_names_are_counted_together() -> None:
    texts = [json.dumps({f"a{number}": 1, "always": 1}) for number in range(3000)]
    read = json_records(frame(texts), Wanted({}))
    assert read.total == sum(read.unmapped.values()) == 6000
    assert read.unmapped["always"] == 3000
    assert read.unmapped["(others)"] > 1000
    assert all(count == 1 for name, count in read.unmapped.items() if name not in ("always", "(others)"))


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["x", "y", "", None]), max_size=4) | st.none(), max_size=6))
@example([None, ["x", None], [None], []])
def test_a_list_is_gathered_with_commas(lists: list[list[str | None] | None]) -> None:
    read = json_records(frame([json.dumps({"m": texts}) for texts in lists]), Wanted(by_path(["m[]"])))
    present = [[text for text in texts or [] if text is not None] for texts in lists]
    assert read.gathered("m", "m[]").to_list() == [",".join(texts) if texts else None for texts in present]
    ends = read.elements["m"].filter(pl.col("m[]") == "y")
    ys = [[text for text in texts if text == "y"] for texts in present]
    assert read.gathered("m", "m[]", ends).to_list() == [",".join(texts) if texts else None for texts in ys]


def test_nothing_in_gives_nothing_out() -> None:
    read = json_records(frame([]), WANTED)
    assert read.fields.columns == ["line", "text", *WANTED.plan.columns]
    assert (read.fields.height, read.refused.height, read.total, read.unmapped) == (0, 0, 0, {})


@pytest.mark.parametrize(
    ("text", "value"), [("[1,2]", [1, 2]), ('["1"]', None), ("[1", None), ("", None), ("[" * 5000, None)]
)
def test_a_line_is_decoded_as_a_shape_or_not_at_all(text: str, value: list[int] | None) -> None:
    assert json_as(text, list[int]) == value


@pytest.mark.parametrize(("text", "is_object"), [(' \t{"a"', True), ("{", True), ("[{", False), ("", False)])
def test_a_line_that_begins_like_an_object_is_known(text: str, is_object: bool) -> None:
    assert is_json_object(text) is is_object


def test_a_field_of_elements_says_so_in_its_name_and_in_its_paths() -> None:
    with pytest.raises(ValueError, match="x: a field of a list's elements has"):
        json_records(pl.DataFrame({"line": [0], "text": ["{}"]}), Wanted({"x": ("l[].a",)}))
