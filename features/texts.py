"""Polars expressions that boil an event's columns down to short texts a recipe can count."""

from urllib.parse import unquote

import polars as pl

#: The part of a URL's path that its template keeps, in characters.
TEMPLATE_CHARS = 1024

_ENDING = r"(?i)\.[a-z]{1,4}\d?$"
_STILL_ENCODED = r"(?i)%[0-9a-f]{2}|[\x00-\x1f\x7f]"
_GUID = r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?"
#: A signed JSON text (RFC 7515): its first brace in base64, in lower case.
_SIGNED = r"^eyj[\w.+=*-]{12,}$"
_STARS = r"\*(?:[-_.:]?\*)+"
_WOVEN = r"\*[a-z]+\*[a-z]+\*"


def base_name(path: pl.Expr) -> pl.Expr:
    r"""The last part of a path.

    >>> pl.select(base_name(pl.lit("c:\\windows\\cmd.exe"))).item()
    'cmd.exe'
    """
    return path.str.extract(r"([^\\/]+)$")


def folder(path: pl.Expr) -> pl.Expr:
    r"""All but the last part of a path; null where there is no folder.

    >>> pl.select(folder(pl.lit("c:\\windows\\cmd.exe"))).item()
    'c:\\windows'
    """
    return path.str.extract(r"^(.+)[\\/][^\\/]*$")


def template(path: pl.Expr) -> pl.Expr:
    """A URL's path with `*` for what differs between two requests of one kind: ids, numbers, hashes, dates, tokens.

    Percent-encoding is decoded once; what is encoded still (twice, that is) and control characters become `%*`. Matrix
    parameters and what is behind the first 1,024 characters are cut.

    >>> pl.select(template(pl.lit("/user/4711/a1b2c3d4e5f6.html;jsessionid=0A"))).item()
    '/user/*/*.html'
    """
    return path.map_batches(_templates, return_dtype=pl.String)


def _templates(paths: pl.Series) -> pl.Series:
    """Each distinct path is looked at once."""
    distinct = paths.drop_nulls().unique()
    return paths.replace(distinct, pl.select(_template(pl.lit(distinct))).to_series())


def _template(path: pl.Expr) -> pl.Expr:
    decoded = path.str.slice(0, TEMPLATE_CHARS).map_batches(_decoded, return_dtype=pl.String)
    uncut = decoded.str.replace_all(_STILL_ENCODED, "%*").str.replace_all(r";[^/]*", "")
    return uncut.str.split("/").list.eval(_segment(pl.element())).list.join("/")


def _decoded(paths: pl.Series) -> pl.Series:
    encoded = paths.filter(paths.str.contains("%", literal=True)).unique()
    return paths.replace(encoded, pl.Series([unquote(path) for path in encoded], dtype=pl.String))


def _segment(segment: pl.Expr) -> pl.Expr:
    """One part of a path: its ending stays, its stem becomes `*` where it is a token as a whole."""
    stem = segment.str.replace(_ENDING, "")
    ending = pl.coalesce(segment.str.extract(f"({_ENDING})"), pl.lit("")).str.to_lowercase()
    low = stem.str.to_lowercase().str.replace_all(_GUID, "*").str.replace_all(r"[0-9a-f]{8,}|\d+", "*")
    low = low.str.replace_all(_STARS, "*")
    is_token = _is_base64(stem) | low.str.contains(_WOVEN) | low.str.contains(_SIGNED)
    return pl.when(is_token).then(pl.lit("*")).otherwise(low) + ending


def _is_base64(stem: pl.Expr) -> pl.Expr:
    """At least 16 letters of both cases and figures, with no word of more than 7 small letters among them."""
    letters = (
        stem.str.contains(r"^[A-Za-z0-9_+~-]{16,}={0,2}$") & stem.str.contains(r"[A-Z]") & stem.str.contains(r"\d")
    )
    return letters & stem.str.contains("[a-z]") & ~stem.str.contains(r"[a-z]{8}")


def size(number: pl.Expr) -> pl.Expr:
    """A number's order of magnitude as `2^n`, rounded down; `0` for nothing.

    >>> pl.select(size(pl.lit(1000))).item()
    '2^9'
    """
    order = (number.cast(pl.Float64) + 0.5).log(2).floor().cast(pl.Int32)
    return pl.when(number < 1).then(pl.lit("0")).otherwise(pl.format("2^{}", order))


def shape(text: pl.Expr) -> pl.Expr:
    r"""A command line without what differs from run to run: quoted texts, paths, numbers; lower case, 120 characters.

    >>> pl.select(shape(pl.lit('"C:\\a b\\net.exe" use * 4711'))).item()
    '* use * *'
    """
    plain = text.str.to_lowercase().str.replace_all(r'"[^"]*"|[a-z]:\\\S*|\b[0-9a-f]{8,}\b|\d+', "*")
    return plain.str.slice(0, 120)


def network_of(address: pl.Expr) -> pl.Expr:
    """The /24 of an IPv4 address, the first four groups of an IPv6 one.

    >>> pl.select(network_of(pl.lit("10.1.2.3"))).item()
    '10.1.2'
    """
    return pl.coalesce(address.str.extract(r"^(\d+\.\d+\.\d+)\."), address.str.extract(r"^((?:[^:]*:){1,4})"))


def letters(text: pl.Expr) -> pl.Expr:
    """How many different characters a text has, as text.

    >>> pl.select(letters(pl.lit("google"))).item()
    '4'
    """
    return text.str.split("").list.n_unique().cast(pl.String)


def joined(*texts: pl.Expr) -> pl.Expr:
    """Texts side by side as one; what is missing is left out, and of nothing comes nothing."""
    is_there = pl.any_horizontal(text.is_not_null() for text in texts)
    return pl.when(is_there).then(pl.concat_str(*texts, separator=" ", ignore_nulls=True))
