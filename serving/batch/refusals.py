"""Refused records in words: where, what was expected, and what helps."""

from typing import Any

import polars as pl

from features.mistakes import FoundWrong

_FOUND_CHARS = 60
_REMEDIES = {
    "file": ", or leave it out",
    "format": "; if it is one of them, name it with --format",
    "log": "; nothing to mend",
}


class Refused(FoundWrong):
    """A record was refused where none was to be."""


def refuse_none(refused: pl.DataFrame, format: str = "auto") -> None:
    """Raise Refused for the first record or log refused, but for logs that have nothing to mend."""
    mendable = refused.filter(pl.col("field") != "log")
    if mendable.height:
        raise Refused(f"{refusals_in_words(mendable.head(1), format)[0]}; stopped there because of --strict")


def refusals_in_words(refused: pl.DataFrame, format: str = "auto", most: int = 10) -> list[str]:
    """Each kind of refusal in one line: where it was first met, what was expected, what helps, and how many more."""
    kinds = refused.group_by("source", "member", "field", "reason", maintain_order=True).agg(
        pl.len(), pl.col("line").first(), pl.col("value").first()
    )
    told = [_in_words(kind, format) for kind in kinds.head(most).iter_rows(named=True)]
    rest = kinds.slice(most)
    return told + ([f"and {rest['len'].sum():,} more, for {rest.height:,} other reasons"] if rest.height else [])


def _in_words(kind: dict[str, Any], format: str) -> str:
    member = f" ({kind['member']})" if kind["member"] else ""
    line = "" if kind["line"] is None else f", line {kind['line']}"
    found = "" if kind["value"] is None else f" [found {kind['value'][:_FOUND_CHARS]!r}]"
    more = f" [and {kind['len'] - 1:,} like it]" if kind["len"] > 1 else ""
    mend = "; mend or drop the record" if format == "auto" else "; mend the record, or try --format auto"
    remedy = _REMEDIES.get(kind["field"], mend)
    return f"{kind['source']}{member}{line}: {kind['field']}: {kind['reason']}{remedy}{found}{more}"
