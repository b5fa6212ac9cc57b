"""Names that look alike written alike: one form of Unicode, nothing invisible, Latin letters for their look-alikes."""

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path

import polars as pl

#: Combining marks that may follow one letter (UAX #15, Stream-Safe Text Format): sorting longer runs is quadratic.
MARKS = 30

_ODD = r"[^ -~]"
_TOO_MANY_MARKS = rf"(\pM{{{MARKS}}})\pM+"
#: Rounds until NFKC and case folding agree; two are enough for all of Unicode 14.
_ROUNDS = 4
_WORD = re.compile(r"[^\x00-/:-@\[-`{-\x7f]+")
_ASCII_LETTER = re.compile("[a-z]")
#: Characters that show nothing though Unicode does not count them as format characters.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for code in range(first, last + 1)
}


def plain(text: pl.Expr) -> pl.Expr:
    r"""Text in NFKC, case folded, without control, bidi and zero-width characters, look-alikes as Latin letters.

    A word is folded to Latin only where it becomes ASCII as a whole, so names in other scripts stay themselves. Texts
    that are printable ASCII already come back untouched, capitals too; every other distinct text is looked at once.

    >>> pl.select(plain(pl.lit("CORP\\\u0430dm\u200bin"))).item()
    'corp\\admin'
    """
    return text.map_batches(_plain, return_dtype=pl.String)


def _plain(texts: pl.Series) -> pl.Series:
    odd = texts.filter(texts.str.contains(_ODD)).unique()
    if odd.is_empty():
        return texts
    folded = pl.Series([_folded(text) for text in _stream_safe(odd)], dtype=pl.String)
    return texts.replace(odd, _stream_safe(folded))


def _stream_safe(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(_TOO_MANY_MARKS, "${1}")


def _folded(text: str) -> str:
    return _WORD.sub(lambda word: _latin(word[0]), _one_form(text).translate(_looks("anywhere")))


def _one_form(text: str) -> str:
    """NFKC, case folding and leaving out what cannot be seen, until nothing changes."""
    for _ in range(_ROUNDS):
        seen = "".join(char for char in text if not _is_invisible(char))
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", seen).casefold())
        if folded == text:
            break
        text = folded
    return text


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf") or char in _BLANK


def _latin(word: str) -> str:
    """The word in ASCII where all of its letters look like ASCII ones or are digits; else as it is."""
    if word.isascii():
        return word
    table = _looks("alone", "beside") if _ASCII_LETTER.search(word) else _looks("alone")
    latin = "".join(str(unicodedata.decimal(char, char)) for char in word.translate(table))
    return latin if latin.isascii() else word


@cache
def _looks(*kinds: str) -> dict[int, str]:
    """Code points and the ASCII letter each looks like."""
    rows = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {ord(char): letter for kind in kinds for letter, chars in rows[kind].items() for char in chars}
