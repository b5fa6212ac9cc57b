"""Which ATT&CK tactics strange things speak of, by the table in tactics.toml."""

import tomllib
from functools import cache
from pathlib import Path

import polars as pl

_TABLE = Path(__file__).with_name("tactics.toml")
_PATTERNS = ("activity", "field", "text")


def tactics_of(things: pl.DataFrame) -> tuple[str, ...]:
    """The tactics that any of the held things speaks of, in the order of the table, which is the kill chain's."""
    values = pl.col("reasons").list.eval(pl.element().struct.field("value")).list.join(" ")
    told = things.select(
        "domain",
        pl.col("activity", "field").fill_null(""),
        pl.concat_str(values, "process", "peer", separator=" ", ignore_nulls=True).str.to_lowercase().alias("text"),
    )
    fits = told.select(_fits(rule).any().alias(str(n)) for n, rule in enumerate(_rules())).row(0)
    return tuple(dict.fromkeys(rule["tactic"] for rule, fit in zip(_rules(), fits, strict=True) if fit))


@cache
def _rules() -> tuple[dict[str, str], ...]:
    return tuple(tomllib.loads(_TABLE.read_text())["rule"])


def _fits(rule: dict[str, str]) -> pl.Expr:
    found = [pl.col(name).str.contains(rule[name]) for name in _PATTERNS if name in rule]
    return pl.all_horizontal(pl.col("domain") == rule["domain"], *found)
