"""The registered domain is the one that `tldextract` finds, however a name is spelled."""

import socket

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tldextract import TLDExtract

from features import registered
from features.registered import registered_domain, wire

EXTRACT = TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=False)
SUFFIXES = sorted(EXTRACT.tlds)


def found(names: list[str | None]) -> list[str | None]:
    return pl.select(registered_domain(pl.lit(pl.Series(names, dtype=pl.String)))).to_series().to_list()


def on_the_wire(names: list[str]) -> list[str]:
    return pl.select(wire(pl.lit(pl.Series(names, dtype=pl.String)))).to_series().to_list()


def expected(names: list[str]) -> list[str]:
    """As `tldextract` says; what it leaves open, as the list itself says: under an unknown top level, one label."""
    return on_the_wire([extracted(name) for name in names])


def extracted(name: str) -> str:
    parts = EXTRACT(name)
    if parts.suffix or parts.ipv4:
        return parts.top_domain_under_public_suffix or name
    return ".".join(name.split(".")[-2:])


LABELS = st.from_regex("[a-z0-9_][a-z0-9_-]{0,8}", fullmatch=True) | st.sampled_from(
    ["com", "co", "www", "city", "münchen"]
)
ENDS = st.sampled_from(SUFFIXES).map(lambda rule: rule.lstrip("!").removeprefix("*.")) | LABELS
NAMES = st.tuples(st.lists(LABELS, max_size=4), ENDS).map(lambda parts: ".".join([*parts[0], parts[1]]))


@settings(deadline=None, max_examples=200)
@given(st.lists(NAMES, min_size=1, max_size=20))
def test_it_is_what_tldextract_finds(names: list[str]) -> None:
    assert found(list(names)) == expected(names)


def test_it_is_what_tldextract_finds_under_every_rule() -> None:
    ends = [rule.lstrip("!").replace("*", "any") for rule in SUFFIXES]
    names = [before + end for end in ends for before in ("", "a.", "a.b.", "a.b.c.", "www.any.")]
    assert found(list(names)) == expected(names)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("uk", "uk"),
        ("localhost", "localhost"),
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3"),
        ("a.foo.ck", "a.foo.ck"),
        ("a.www.ck", "www.ck"),
        ("a.city.kobe.jp", "city.kobe.jp"),
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),
        ("a.github.io", "github.io"),
        ("dc1.corp.local", "corp.local"),
        ("4.3.2.1.in-addr.arpa", "1.in-addr.arpa"),
        (" WWW.Example.COM. ", "example.com"),
        ("a.example.рф", "example.xn--p1ai"),
        ("a..com", "a..com"),
        ("", ""),
        (None, None),
    ],
)
def test_a_name_has_one_label_under_its_public_suffix(name: str | None, domain: str | None) -> None:
    assert found([name]) == [domain]


@settings(deadline=None, max_examples=200)
@given(st.lists(NAMES | st.text(max_size=12), min_size=1, max_size=8))
def test_a_registered_domain_is_its_own(names: list[str]) -> None:
    once = found(list(names))
    assert found(once) == once


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text("aéñüжд中あ0", min_size=1, max_size=8), min_size=1, max_size=4), ENDS)
def test_punycode_and_unicode_are_one(labels: list[str], end: str) -> None:
    name = ".".join([*labels, end])
    assert found(list(on_the_wire([name]))) == found([name])


@settings(deadline=None)
@given(NAMES, st.sampled_from(["", " ", "\t"]))
def test_case_blanks_and_a_closing_dot_do_not_matter(name: str, blank: str) -> None:
    assert found([f"{blank}{name.upper()}.{blank}"]) == found([name])


@settings(deadline=None)
@given(st.lists(st.none() | NAMES, max_size=12), st.integers(0, 12))
def test_names_are_judged_one_by_one(names: list[str | None], cut: int) -> None:
    assert found(names) == found(names[:cut]) + found(names[cut:])


def test_the_list_comes_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    registered._rules.cache_clear()
    assert found(["a.example.co.uk"]) == ["example.co.uk"]
