"""JSON lines as a frame of the fields one asks for, the lines that are none refused one by one."""

import io
from typing import TypeVar

import msgspec
import polars as pl

from features.source import NAMELESS, refusals

Shape = TypeVar("Shape")

_EXPECTED = "expected one JSON object a line"


def json_records(lines: pl.DataFrame, fields: pl.Schema) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`lines` with one column for each of `fields` (null where a record lacks it), and the refused lines.

    Ask for text: numbers and flags come as their text, lists and objects as JSON. A struct wants an object or null.
    """
    try:
        return _parsed(lines, fields), pl.DataFrame(schema=NAMELESS)
    except pl.exceptions.PolarsError:
        good, refused = _without_broken(lines)
        parsed, mismatched = _halved(good, fields)
        return parsed, pl.concat([refused, mismatched])


def json_as(text: str, shape: type[Shape]) -> Shape | None:
    """A line decoded into a msgspec struct, or none where it is no JSON of that shape."""
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, RecursionError):
        return None


def is_json_object(text: str) -> bool:
    """Whether a line begins like a JSON object."""
    return text.lstrip().startswith("{")


def _parsed(lines: pl.DataFrame, fields: pl.Schema) -> pl.DataFrame:
    if lines.is_empty():
        return lines.with_columns(pl.lit(None, kind).alias(name) for name, kind in fields.items())
    document = lines["text"].str.join("\n").cast(pl.Binary).item()
    return lines.hstack(pl.read_ndjson(io.BytesIO(document), schema=fields))


def _without_broken(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    faults = [_fault(text) for text in lines["text"]]
    is_broken = pl.Series([fault is not None for fault in faults], dtype=pl.Boolean)
    broken = lines.with_columns(pl.Series("fault", faults, dtype=pl.String)).filter(is_broken)
    refused = refusals(broken, "line", _EXPECTED)
    if refused.height:
        refused = refused.with_columns(reason=f"{_EXPECTED}; " + broken["fault"])
    return lines.filter(~is_broken), refused


def _fault(text: str) -> str | None:
    try:
        record = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    return None if isinstance(record, dict) else f"this is a JSON {type(record).__name__}"


def _halved(lines: pl.DataFrame, fields: pl.Schema) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Find the few records of another shape by halving, so that their neighbours stay fast."""
    try:
        return _parsed(lines, fields), pl.DataFrame(schema=NAMELESS)
    except pl.exceptions.PolarsError as error:
        if lines.height == 1:
            reason = f"a field holds another kind of value than expected ({str(error).splitlines()[0][:100]})"
            return _parsed(lines.clear(), fields), refusals(lines, "line", reason)
    half = lines.height // 2
    left, right = _halved(lines[:half], fields), _halved(lines[half:], fields)
    return pl.concat([left[0], right[0]]), pl.concat([left[1], right[1]])
