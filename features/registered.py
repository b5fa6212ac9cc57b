"""Names of the DNS as they travel on the wire, with the part of each that somebody registered."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import polars as pl
from tldextract import TLDExtract

#: The longest label the DNS carries, in characters: what is longer is no name, and costly to encode.
LABEL_CHARS = 63

_MAY_BE_ADDRESS = r"\d$|:"
_ADDRESS = r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$|:"
#: What the wire does not carry: capitals, blanks, controls, what is not ASCII, a closing dot.
_NOT_ON_THE_WIRE = r"[^!-@\[-~]|\.$"
_NAME = pl.col("name")
_DOTS = re.compile("[\u3002\uff0e\uff61]")


def wire(name: pl.Expr) -> pl.Expr:
    """A name in lower case, with what is not ASCII as punycode; each such distinct name is looked at once.

    >>> pl.select(wire(pl.lit("München.de"))).item()
    'xn--mnchen-3ya.de'
    """
    return name.map_batches(_wire, return_dtype=pl.String)


def registered_domain(name: pl.Expr) -> pl.Expr:
    """The part of a name that was registered: one label under its public suffix, as on the wire.

    The suffixes are the ICANN section of the public suffix list, as `tldextract` ships it: of `a.github.io`,
    `github.io` was registered. Under an unknown top level one label was registered (the list's rule `*`). A suffix, an
    address or a single label is itself.

    >>> pl.select(registered_domain(pl.lit("a.b.example.co.uk"))).item()
    'example.co.uk'
    """
    return name.map_batches(_registered, return_dtype=pl.String)


def _wire(names: pl.Series) -> pl.Series:
    """Most names are on the wire already; each distinct other is looked at once."""
    odd = names.filter(names.str.contains(_NOT_ON_THE_WIRE)).unique()
    if odd.is_empty():
        return names
    return names.replace(odd, pl.Series([_in_punycode(name) for name in odd], dtype=pl.String))


def _in_punycode(name: str) -> str:
    labels = _DOTS.sub(".", name.lower()).strip().rstrip(". ").split(".")
    return ".".join(_label_in_punycode(label) for label in labels)


def _label_in_punycode(label: str) -> str:
    if label.isascii() or len(label) > LABEL_CHARS:
        return label
    composed = unicodedata.normalize("NFKC", label).lower()
    return composed if composed.isascii() else "xn--" + composed.encode("punycode").decode("ascii")


def _registered(names: pl.Series) -> pl.Series:
    """Two labels nearly always; only what may be an address or end in a longer rule is looked at again."""
    rules = _rules()
    names = _wire(names)
    two = _of(names, pl.coalesce(_last(2), _NAME))
    goes_on = two.is_in(rules.branches.implode()) | two.str.contains(rules.wild_or_address)
    if not goes_on.any():
        return two
    may_be_long = two.is_in(rules.deeper.implode()) | two.str.contains(_MAY_BE_ADDRESS)
    tails = _of(names.filter(goes_on & ~may_be_long), pl.coalesce(_last(3), _NAME))
    for where, ends in ((goes_on & ~may_be_long, tails), (may_be_long, names.filter(may_be_long))):
        distinct = ends.unique()
        two = two.scatter(where.arg_true(), ends.replace(distinct, _of(distinct, _by_rules(rules))))
    return two


def _of(names: pl.Series, expression: pl.Expr) -> pl.Series:
    return names.alias("name").to_frame().select(expression.alias(names.name)).to_series()


def _last(labels: int) -> pl.Expr:
    return _NAME.str.extract(rf"((?:[^.]+\.){{{labels - 1}}}[^.]+)$")


def _by_rules(rules: "_Rules") -> pl.Expr:
    """One label more than the longest suffix that the rules know; addresses whole."""
    found = [pl.when(_NAME.str.contains(_ADDRESS)).then(_NAME)]
    for labels in range(rules.most_labels, 0, -1):
        is_suffix = _last(labels).is_in(rules.plain.implode())
        if labels > 1:
            is_suffix |= _NAME.str.extract(rf"[^.]+\.((?:[^.]+\.){{{labels - 2}}}[^.]+)$").is_in(rules.wild.implode())
        found.append(pl.when(_last(labels).is_in(rules.exceptions.implode())).then(_last(labels)))
        found.append(pl.when(is_suffix).then(pl.coalesce(_last(labels + 1), _NAME)))
    return pl.coalesce(*found, _last(2), _NAME)


@dataclass(frozen=True)
class _Rules:
    """The public suffix list by kind of rule.

    Rules of two labels and more go on under `branches`, endings of two labels, those of three under `deeper`;
    `wild_or_address` finds top levels that are wild, and what may be an address.
    """

    plain: pl.Series
    wild: pl.Series
    exceptions: pl.Series
    branches: pl.Series
    deeper: pl.Series
    wild_or_address: str
    most_labels: int


@cache
def _rules() -> _Rules:
    """The ICANN rules `co.uk`, `*.ck` and `!www.ck` of the list bundled with `tldextract`: no network, no cache."""
    listed = TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=False).tlds
    rules = {_in_punycode(rule) for rule in listed}
    wild = {rule[2:] for rule in rules if rule.startswith("*.")}
    tops = "|".join(sorted(rule for rule in wild if "." not in rule))
    return _Rules(
        plain=_kept(rule for rule in rules if rule[0] not in "*!"),
        wild=_kept(wild),
        exceptions=_kept(rule[1:] for rule in rules if rule[0] == "!"),
        branches=_kept(_two(rule) for rule in rules if "." in rule),
        deeper=_kept(_two(rule) for rule in rules if rule.count(".") > 1),
        wild_or_address=rf"{_MAY_BE_ADDRESS}|\.(?:{tops})$",
        most_labels=max(rule.count(".") + 1 for rule in rules),
    )


def _kept(texts: Iterable[str]) -> pl.Series:
    return pl.Series(sorted(set(texts)), dtype=pl.String)


def _two(rule: str) -> str:
    return ".".join(rule.split(".")[-2:])
