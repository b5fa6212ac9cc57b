"""A log's way of writing a moment, as a time in UTC."""

import polars as pl

from features.events import TIME

_ZONE = r"(?:[zZ]|[+-]\d{2}:?\d{2}| ?UTC)$"
_LONG_FRACTION = r"(\.\d{9})\d+"


def moment(text: pl.Expr) -> pl.Expr:
    """Microseconds UTC of ISO 8601 (without a zone: UTC) or of seconds, milli- or microseconds since 1970.

    Null where the text is neither. A number's unit is told by its size, which is safe from 1973 on; smaller ones
    are seconds.

    >>> pl.select(moment(pl.lit("2020-10-23T02:36:40.671Z"))).item().isoformat()
    '2020-10-23T02:36:40.671000+00:00'
    """
    trimmed = text.str.strip_chars()
    return pl.coalesce(_written(trimmed), _counted(trimmed)).cast(TIME)


def _written(text: pl.Expr) -> pl.Expr:
    local = text.str.replace(_ZONE, "").str.replace("T", " ", literal=True).str.replace(_LONG_FRACTION, "${1}")
    parsed = local.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    return (parsed - _offset(text).fill_null(pl.duration(minutes=0))).dt.replace_time_zone("UTC")


def _offset(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(r"\d{2}:\d{2}.*([+-])(\d{2}):?(\d{2})$").struct
    minutes = parts.field("2").cast(pl.Int64) * 60 + parts.field("3").cast(pl.Int64)
    return pl.duration(minutes=pl.when(parts.field("1") == "-").then(-minutes).otherwise(minutes))


def _counted(text: pl.Expr) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False)
    scale = pl.when(number < 1e11).then(1e6).when(number < 1e14).then(1e3).otherwise(1.0)
    possible = number.is_between(0, 4e15)
    return pl.when(possible).then((number * scale).round()).cast(pl.Int64, strict=False).cast(TIME)
