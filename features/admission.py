"""The door: drafts of events come out with their domain's exact columns, or are refused with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from features.events import KINDS, REQUIRED, STRING, TIME, Domain, schema
from features.files import LINE_BYTES
from features.harmless import harmless
from features.hashing import hex64
from features.lines import BLANK, CONTROL, TEXT
from features.naming import are_normal, distinct_names, normalised
from features.source import NAMELESS, REFUSED, Drafts, refusals

#: Longest value shown with a refusal, in characters.
SHOWN_CHARS = 120

#: An entity under its name here, and as a log writes it.
SPELLINGS = pl.Schema({"kind": pl.String(), "name": pl.String(), "raw": pl.String()})

_NONE = pl.DataFrame(schema=NAMELESS)
_MOST_PORT, _MOST_INT32, _MOST = 65_535, 2**31 - 1, 2**53
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Admitted:
    """Events with exactly their domain's columns, and the refused records, in the order of their lines.

    `spellings` has each entity's `kind` and `name`, and `raw`, how the log wrote it, where that is another way.
    """

    events: dict[Domain, pl.DataFrame]
    refused: pl.DataFrame
    spellings: pl.DataFrame


def admit(drafts: Drafts, source: str, member: str | None) -> Admitted:
    """Cast, check and normalise drafts of one member; each record ends up in exactly one of the two frames."""
    events, refused, spellings = {}, [drafts.refused], [pl.DataFrame(schema=SPELLINGS)]
    for domain, draft in drafts.events.items():
        good, bad = _checked(draft, domain)
        finished = _finished(good, domain, source, member, spellings)
        told, untold = _telling(finished, good["text"], domain)
        refused += [bad, untold]
        if told.height:
            events[domain] = told
    return Admitted(events, shown(pl.concat(refused), source, member), pl.concat(spellings).unique(maintain_order=True))


def passes_as_is(frame: pl.DataFrame, domain: Domain) -> bool:
    """Whether `admit` takes all rows of a frame, with exactly its domain's columns, as they are: found by one query."""
    wanted = schema(domain)
    checks = [_is_possible(), pl.col("uid").is_not_null()]
    checks += [pl.any_horizontal(pl.col(group).is_not_null()) for group in REQUIRED[domain]]
    checks += [pl.col(name).is_between(0, _most(name, kind)) for name, kind in wanted.items() if kind.is_numeric()]
    is_fit = pl.all_horizontal(check.all() for check in checks)
    is_fit_1, *names = frame.select(is_fit.alias("is fit"), *distinct_names(wanted.names())).get_columns()
    return bool(is_fit_1.item()) and are_normal({column.name: column.item() for column in names})


def within_limits(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines that hold something fit for a log, and the refusals of those that are too long or no text."""
    size = pl.col("text").str.len_bytes()
    if lines.select(((pl.col("kind") == TEXT) & (size <= LINE_BYTES)).all()).item():
        return lines.drop("kind"), _NONE
    lines = lines.filter(pl.col("kind") != BLANK)
    is_long, is_odd = lines["text"].str.len_bytes() > LINE_BYTES, lines["kind"] == CONTROL
    refused = [
        refusals(lines.filter(is_long), "line", f"the line is longer than {LINE_BYTES} bytes, the most that is read"),
        refusals(lines.filter(is_odd & ~is_long), "line", "expected text; there is a control character in this line"),
    ]
    held = lines.filter(~(is_long | is_odd)) if any(map(len, refused)) else lines
    return held.drop("kind"), pl.concat(refused)


def shown(refused: pl.DataFrame, source: str, member: str | None) -> pl.DataFrame:
    """Refusals with where they came from; values shortened, control characters escaped."""
    found = [_shortened(value) for value in refused["value"].str.slice(0, SHOWN_CHARS)]
    values = pl.Series("value", found, dtype=pl.String)
    origin = {"source": pl.lit(harmless(source), pl.String), "member": pl.lit(member, pl.String)}
    return refused.with_columns(values, **origin).select(REFUSED.names()).sort("line", maintain_order=True)


def _shortened(value: str | None) -> str | None:
    return None if value is None else harmless(value)[:SHOWN_CHARS]


# Checks


@dataclass(frozen=True)
class _Fault:
    """Which rows have it, in which field, what was expected, and the column that shows what was found."""

    where: pl.Series
    field: str
    reason: str
    shown: str


def _checked(draft: pl.DataFrame, domain: Domain) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split by whether the time is there and possible and every number is one; the first fault is named."""
    wanted = schema(domain)
    numbers = [name for name in draft.columns if name in wanted and wanted[name].is_numeric()]
    plain = draft.with_columns(pl.col(name).cast(wanted[name], strict=False) for name in numbers)
    if _is_faultless(draft, plain, numbers):
        return plain, _NONE
    read = draft.with_columns(_number(draft[name], wanted[name]) for name in numbers)
    faults = [_time_fault(draft), *(_number_fault(draft[name], read[name]) for name in numbers)]
    faults = [fault for fault in faults if fault.where.any()]
    if not faults:
        return read, _NONE
    refused, is_good = [], pl.repeat(True, draft.height, eager=True)
    for fault in faults:
        refused.append(refusals(draft.filter(is_good & fault.where), fault.field, fault.reason, fault.shown))
        is_good &= ~fault.where
    return read.filter(is_good), pl.concat(refused)


def _is_faultless(draft: pl.DataFrame, read: pl.DataFrame, numbers: Sequence[str]) -> bool:
    """Whether all times and all numbers are plainly good, as in most logs; found by two queries, however many."""
    checks = [_is_possible(), *(pl.col(name).is_between(0, _most(name, read.schema[name])) for name in numbers)]
    is_good = read.select(pl.all_horizontal(check.all() for check in checks)).item()
    return bool(is_good and draft.select(numbers).null_count().equals(read.select(numbers).null_count()))


def _is_possible() -> pl.Expr:
    return pl.col("time").is_between(_FIRST, _LAST).fill_null(False)


def _time_fault(draft: pl.DataFrame) -> _Fault:
    is_possible = draft.select(_is_possible()).to_series()
    reason = "the time is missing or no time between 1970 and 2100; expected ISO 8601 or seconds since 1970"
    return _Fault(~is_possible, "time", reason, "time_text" if "time_text" in draft.columns else "text")


def _number(given: pl.Series, wanted: pl.DataType) -> pl.Series:
    """The number that is written, null where there is none; blanks around it do not matter."""
    read = given.cast(wanted, strict=False)
    odd = (read.is_null() & given.is_not_null()).arg_true()
    return read.scatter(odd, _figures(given[odd]).cast(wanted, strict=False)) if len(odd) else read


def _number_fault(given: pl.Series, read: pl.Series) -> _Fault:
    most = _most(given.name, read.dtype)
    is_wrong = ~read.is_between(0, most)
    odd = (read.is_null() & given.is_not_null()).arg_true()
    if len(odd):
        is_wrong = is_wrong.scatter(odd, _figures(given[odd]).is_not_null())
    kind = "a whole number" if read.dtype.is_integer() else "a finite number"
    return _Fault(is_wrong.fill_null(False), given.name, f"expected {kind} from 0 to {most}", given.name)


def _most(name: str, kind: pl.DataType) -> int:
    return _MOST_PORT if name.endswith("_port") else _MOST_INT32 if kind == pl.Int32() else _MOST


def _telling(events: pl.DataFrame, texts: pl.Series, domain: Domain) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events that tell what their domain requires, in names that are some, and the refusals of the others."""
    refused = []
    for group in REQUIRED[domain]:
        if any(events[name].null_count() == 0 for name in group):
            continue
        is_absent = events.select(pl.all_horizontal(pl.col(group).is_null())).to_series()
        shown = events.filter(is_absent).with_columns(texts.filter(is_absent).alias("text"))
        refused.append(refusals(shown, group[0], f"expected at least one of {', '.join(group)}"))
        events, texts = events.filter(~is_absent), texts.filter(~is_absent)
    return events, pl.concat([_NONE, *refused])


def _figures(given: pl.Series) -> pl.Series:
    """Without blanks around; null where nothing or a dash is written."""
    text = given.cast(pl.String).str.strip_chars()
    return text.set(text.is_in(["", "-"]), None)


# Columns


def _finished(
    draft: pl.DataFrame, domain: Domain, source: str, member: str | None, spellings: list[pl.DataFrame]
) -> pl.DataFrame:
    """Every column of the domain's schema in order, names normalised, `uid` filled."""

    def told(column: str, raw: pl.Series, written: pl.Series) -> None:
        if column in KINDS:
            names = pl.DataFrame([written.alias("name"), raw.alias("raw")]).filter(pl.col("name") != pl.col("raw"))
            spellings.append(names.select(pl.lit(KINDS[column]).alias("kind"), "name", "raw"))

    wanted = schema(domain)
    given = {column.name: column for column in normalised(draft, told).get_columns()}
    given["uid"] = _with_ids(given.get("uid"), given["text"])
    given |= {
        "source": _alike("source", harmless(source), draft.height),
        "member": _alike("member", member, draft.height),
    }
    columns = [
        given[name].cast(TIME if name == "time" else kind) if name in given else _alike(name, None, draft.height, kind)
        for name, kind in wanted.items()
    ]
    return pl.DataFrame(columns)


def _alike(name: str, value: str | None, rows: int, kind: pl.DataType = STRING) -> pl.Series:
    return pl.Series(name, [value], dtype=kind).new_from_index(0, rows)


def _with_ids(uids: pl.Series | None, texts: pl.Series) -> pl.Series:
    """Records without an id of their own are named by their text: 16 hex digits."""
    if uids is None:
        return hex64(texts).alias("uid")
    nameless = uids.is_null().arg_true()
    return uids.scatter(nameless, hex64(texts[nameless])) if len(nameless) else uids
