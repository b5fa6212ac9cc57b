"""Polars expressions that boil an event's columns down to short texts a recipe can count."""

import polars as pl


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
