"""What can be counted about a short text, the same numbers for every method."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

_VOWELS = "[aeiou]"
_LETTER, _DIGIT, _CAPITAL = "[a-z]", "[0-9]", "[A-Z]"
_QUOTES, _BRACKETS, _SIGNS = "['\"`]", r"[()<>\[\]{}]", r"[%=;&|*#/\\$!?,:+^~@-]"


def counted(text: pl.Expr) -> dict[str, pl.Expr]:
    """Length, parts, how much of it is of which kind of letter, the longest runs, how varied it is."""
    low = text.str.to_lowercase()
    length = text.str.len_chars().cast(pl.Float64)
    some = pl.max_horizontal(length, 1.0)
    shares = {"letters": _LETTER, "digits": _DIGIT, "vowels": _VOWELS}
    return {
        "length": length,
        "blanks": text.str.count_matches(" ").cast(pl.Float64),
        "dots": text.str.count_matches(r"\.").cast(pl.Float64),
        "quotes": text.str.count_matches(_QUOTES).cast(pl.Float64),
        "brackets": text.str.count_matches(_BRACKETS).cast(pl.Float64),
        "signs": text.str.count_matches(_SIGNS).cast(pl.Float64),
        "capitals": text.str.count_matches(_CAPITAL).cast(pl.Float64) / some,
        **{name: low.str.count_matches(kind).cast(pl.Float64) / some for name, kind in shares.items()},
        "consonants in a row": _longest(low, "[bcdfghjklmnpqrstvwxz]+"),
        "digits in a row": _longest(low, "[0-9]+"),
        "different": text.str.split("").list.n_unique().cast(pl.Float64),
        "entropy": text.map_batches(_entropies, return_dtype=pl.Float64),
    }


def pair_nats(texts: Iterable[str], pairs: Mapping[str, int]) -> list[tuple[float, float]]:
    """For each text the mean and the largest -log chance of a letter given the one before it, by counted `pairs`."""
    firsts: Counter[str] = Counter()
    for pair, count in pairs.items():
        firsts[pair[0]] += count
    told = []
    for text in texts:
        nats = [-np.log((pairs.get(p, 0) + 0.1) / (firsts[p[0]] + 6.4)) for p in _pairs(text)]
        told.append((float(np.mean(nats)), float(np.max(nats))))
    return told


def pairs_of(texts: Iterable[str]) -> Counter[str]:
    """How often a letter follows another, beginnings and ends among them."""
    return Counter(pair for text in texts for pair in _pairs(text))


def _pairs(text: str) -> list[str]:
    low = f"\x02{text.lower()}\x03"
    return [low[i : i + 2] for i in range(len(low) - 1)]


def _longest(text: pl.Expr, run: str) -> pl.Expr:
    return text.str.extract_all(run).list.eval(pl.element().str.len_chars()).list.max().fill_null(0).cast(pl.Float64)


def _entropies(texts: pl.Series) -> pl.Series:
    return pl.Series([_entropy(text) for text in texts])


def _entropy(text: str | None) -> float:
    counts = np.array(list(Counter(text or " ").values()), float)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
