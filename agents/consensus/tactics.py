"""Which ATT&CK tactics and techniques strange things speak of, by the table in tactics.toml."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

_TABLE = Path(__file__).with_name("tactics.toml")
_PATTERNS = ("activity", "field", "text")


@cache
def kill_chain() -> tuple[str, ...]:
    """All tactics of ATT&CK, each as id and name, in the order of its matrix."""
    return tuple(_table()["kill_chain"])


def tactics_of(things: pl.DataFrame) -> tuple[str, ...]:
    """The tactics that any of the held things speaks of, in the order of the kill chain."""
    return in_order(tactics_by_thing(things))


def techniques_of(things: pl.DataFrame) -> tuple[str, ...]:
    """The techniques that any of the held things speaks of, in the order of the kill chain."""
    return in_order(techniques_by_thing(things))


def tactics_by_thing(things: pl.DataFrame) -> pl.Series:
    """The tactics that each held thing speaks of, in the order of the kill chain: a list of strings a row."""
    return spoken_by_thing(things)["tactics"]


def techniques_by_thing(things: pl.DataFrame) -> pl.Series:
    """The techniques that each held thing speaks of, in the order of the kill chain: a list of strings a row."""
    return spoken_by_thing(things)["techniques"]


def spoken_by_thing(things: pl.DataFrame) -> pl.DataFrame:
    """The `tactics` and the `techniques` that each held thing speaks of, in the order of the kill chain, as lists."""
    return _fits(things).select(tactics=_spoken("tactic"), techniques=_spoken("technique"))


def chain_of(things: pl.DataFrame) -> tuple[str, ...]:
    """The tactics of the held things in the order of time in which things first spoke of them, see `chain_in`."""
    return chain_in(things.select("first_time", tactics=tactics_by_thing(things)))


def in_order(spoken: pl.Series) -> tuple[str, ...]:
    """The different tactics or techniques in lists of them, in the order of the kill chain."""
    return _ordered(spoken.explode().drop_nulls())


def spoken_in(things: pl.DataFrame, name: str) -> dict[int, tuple[str, ...]]:
    """The different `tactics` or `techniques` that the things of each `thread` speak of, see `in_order`."""
    named: dict[int, set[str]] = defaultdict(set)
    for thread, spoken in things.select("thread", name).explode(name).drop_nulls().unique().iter_rows():
        named[thread].add(spoken)
    return {thread: _ordered(spoken) for thread, spoken in named.items()}


def chain_in(things: pl.DataFrame) -> tuple[str, ...]:
    """The `tactics` of things in the order of time in which things first spoke of them.

    Where several came at once, in the order of the kill chain.
    """
    return chains_in(things.with_columns(thread=0)).get(0, ())


def chains_in(things: pl.DataFrame) -> dict[int, tuple[str, ...]]:
    """The `tactics` of the things of each `thread`, see `chain_in`."""
    began = things.select("thread", "first_time", tactic="tactics").explode("tactic").drop_nulls()
    moments: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    for thread, tactic, time in began.group_by("thread", "tactic").agg(pl.col("first_time").min()).iter_rows():
        moments[thread].append((time, kill_chain().index(tactic)))
    return {thread: tuple(kill_chain()[place] for _, place in sorted(found)) for thread, found in moments.items()}


def _ordered(spoken: Iterable[str]) -> tuple[str, ...]:
    named = set(spoken)
    return tuple(name for name in _all_in_order() if name in named)


@cache
def _all_in_order() -> tuple[str, ...]:
    return tuple(dict.fromkeys((*kill_chain(), *(rule["technique"] for rule in _rules()))))


def _spoken(kind: str) -> pl.Expr:
    """What the rules that fit a thing name, once each."""
    named = [pl.when(pl.col(str(n))).then(pl.lit(rule[kind])) for n, rule in enumerate(_rules())]
    return pl.concat_list(named).list.drop_nulls().list.unique(maintain_order=True)


def _fits(things: pl.DataFrame) -> pl.DataFrame:
    """Which rules fit which things: a column of booleans for each rule, named by its number; none is null."""
    values = pl.col("reasons").list.eval(pl.element().struct.field("value")).list.join(" ", ignore_nulls=True)
    told = things.select(
        "domain",
        pl.col("activity", "field").fill_null(""),
        pl.concat_str(values, "process", "peer", separator=" ", ignore_nulls=True).str.to_lowercase().alias("text"),
    )
    return told.select(_fitting(rule).fill_null(False).alias(str(n)) for n, rule in enumerate(_rules()))


def _fitting(rule: dict[str, str]) -> pl.Expr:
    found = [pl.col(name).str.contains(rule[name]) for name in _PATTERNS if name in rule]
    domain = [pl.col("domain") == rule["domain"]] if "domain" in rule else []
    return pl.all_horizontal(*domain, *found)


@cache
def _rules() -> tuple[dict[str, str], ...]:
    return tuple(_table()["rule"])


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(_TABLE.read_text())
