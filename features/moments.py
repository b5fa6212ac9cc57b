"""A log's way of writing a moment, as a time in UTC."""

import re

import polars as pl

from features.events import TIME

#: The commonest ways of writing, as Polars knows them.
_FORMS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "%Y-%m-%dT%H:%M:%SZ"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "%Y-%m-%dT%H:%M:%S.%3fZ"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "%Y-%m-%dT%H:%M:%S.%6fZ"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), "%Y-%m-%dT%H:%M:%S"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"), "%Y-%m-%d %H:%M:%S.%3f"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d{4}"), "%Y-%m-%dT%H:%M:%S.%6f%z"),
)
_ZONE = r"(?:[zZ]|[+-][0-9]{2}:?[0-9]{2}| ?UTC)$"
_LONG_FRACTION = r"(\.[0-9]{9})[0-9]+"


def moment(text: pl.Expr) -> pl.Expr:
    """Microseconds UTC of ISO 8601 (without a zone: UTC) or of seconds, milli- or microseconds since 1970.

    Null where the text is neither. A number's unit is told by its size, which is safe from 1973 on; smaller ones
    are seconds.

    >>> pl.select(moment(pl.lit("2020-10-23T02:36:40.671Z"))).item().isoformat()
    '2020-10-23T02:36:40.671000+00:00'
    """
    return text.map_batches(_moments, return_dtype=TIME)


def _moments(texts: pl.Series) -> pl.Series:
    """A log writes its moments in one way mostly, which is read many times faster when it is known."""
    first = texts.drop_nulls().head(1).to_list()
    pattern = next((pattern for form, pattern in _FORMS if first and form.fullmatch(first[0])), None)
    if pattern is None:
        return _any(texts)
    alike = texts.str.to_datetime(pattern, time_unit="us", strict=False).dt.replace_time_zone("UTC")
    others = (alike.is_null() & texts.is_not_null()).arg_true()
    return alike.scatter(others, _any(texts[others])) if len(others) else alike


def _any(texts: pl.Series) -> pl.Series:
    trimmed = pl.col(texts.name).str.strip_chars()
    counted = texts.to_frame().select(_counted(trimmed)).to_series()
    if counted.null_count() == texts.null_count():
        return counted
    return texts.to_frame().select(pl.coalesce(counted, _written(trimmed)).cast(TIME)).to_series()


def _written(text: pl.Expr) -> pl.Expr:
    local = text.str.replace(_ZONE, "").str.replace("T", " ", literal=True).str.replace(_LONG_FRACTION, "${1}")
    parsed = local.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    return (parsed - _offset(text).fill_null(pl.duration(minutes=0))).dt.replace_time_zone("UTC")


def _offset(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(r"[0-9]{2}:[0-9]{2}.*([+-])([0-9]{2}):?([0-9]{2})$").struct
    minutes = parts.field("2").cast(pl.Int64) * 60 + parts.field("3").cast(pl.Int64)
    return pl.duration(minutes=pl.when(parts.field("1") == "-").then(-minutes).otherwise(minutes))


def _counted(text: pl.Expr) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False)
    scale = pl.when(number < 1e11).then(1e6).when(number < 1e14).then(1e3).otherwise(1.0)
    possible = number.is_between(0, 4e15)
    return pl.when(possible).then((number * scale).round()).cast(pl.Int64, strict=False).cast(TIME)
