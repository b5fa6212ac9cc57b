"""Polars expressions that write one entity one way, whichever log names it."""

import ipaddress

import polars as pl

_IPV4 = r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$"
_IPV4_PORT = r"^(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}):\d+$"
_IPV6_PORT = r"^\[(.*)\](?::\d+)?$"
_NOTHING = ["", "-", "(null)", "n/a"]

#: What differs between two machines or two runs of one program, in lower-case paths; the order matters.
_FOLDS = (
    (r"\\users\\[^\\]+", r"\users\*"),
    (r"/home/[^/]+", "/home/*"),
    (r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", "*"),
    (r"s-1-5-21-[\d-]+", "*"),
    (r"_?v?\d+(?:\.\d+)+(?:[-_.]\d[\d._-]*)*", "*"),
    (r"\b[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]{6,}\b|\b[0-9a-f]{8,}\b", "*"),
    (r"__psscriptpolicytest_[^\\/]*", "__psscriptpolicytest_*"),
    (r"(^|[\\/~])(tmp|~df)[0-9a-z]+(\.tmp)?$", "${1}${2}*"),
    (r"\d{4,}", "*"),
    (r"\*(?:[-_.]?\*)+", "*"),
)


def named(text: pl.Expr) -> pl.Expr:
    """Lower-case, trimmed; null where a log writes a dash or nothing."""
    clean = text.str.strip_chars().str.to_lowercase()
    return pl.when(~clean.is_in(_NOTHING)).then(clean)


def code(text: pl.Expr) -> pl.Expr:
    """A protocol's word in upper case: `NXDOMAIN`, `AAAA`, `GET`."""
    return named(text).str.to_uppercase()


def host(text: pl.Expr) -> pl.Expr:
    r"""A machine's short name, or its address uncut.

    >>> pl.select(host(pl.lit("MKT01.pandalab.com"))).item()
    'mkt01'
    """
    name = named(text.str.strip_chars_start("\\"))
    is_address = name.str.contains(_IPV4) | name.str.contains(":", literal=True)
    return pl.when(is_address).then(address(name)).otherwise(named(name.str.split(".").list.first()))


def site(text: pl.Expr) -> pl.Expr:
    """A name of the DNS, whole, without port and closing dot."""
    return named(named(text).str.replace(r":\d+$", "").str.strip_chars_end("."))


def user(text: pl.Expr) -> pl.Expr:
    r"""An account's name without its domain; machine accounts keep their `$`.

    >>> pl.select(user(pl.lit("SHIRE\\pgustavo"))).item()
    'pgustavo'
    """
    return named(named(text).str.replace(r"^.*\\", "").str.replace(r"^(.[^@]*)@.*$", "${1}"))


def address(text: pl.Expr) -> pl.Expr:
    """An IP address in its canonical form, without port, brackets and zone.

    >>> pl.select(address(pl.lit("::ffff:10.1.2.3"))).item()
    '10.1.2.3'
    """
    bare = named(text).str.replace(_IPV6_PORT, "${1}").str.replace(_IPV4_PORT, "${1}").str.replace(r"%.*$", "")
    return named(bare).map_batches(_canonical, return_dtype=pl.String)


def path(text: pl.Expr) -> pl.Expr:
    r"""A file, program or pipe in lower case; the kernel's way of writing drive C becomes `c:\`."""
    clean = named(text).str.replace(r"^\\device\\harddiskvolume\d+\\", "c:\\").str.replace(r"^\\(\?\?|\\\?)\\", "")
    return named(clean.str.strip_chars('"'))


def registry_key(text: pl.Expr) -> pl.Expr:
    r"""A registry key in lower case, under `hklm`, `hku` or another short root."""
    key = named(text).str.replace(r"^\\registry\\machine", "hklm").str.replace(r"^\\registry\\user", "hku")
    return key.str.replace(r"^hkey_local_machine", "hklm").str.replace(r"^hkey_users", "hku")


def folded_path(text: pl.Expr) -> pl.Expr:
    r"""A lower-case path with `*` for what differs between machines and runs: users, ids, versions, numbers.

    >>> pl.select(folded_path(pl.lit(r"c:\users\bob\agent_2.7.41491.993_2020-10-08_063613\a.exe"))).item()
    'c:\\users\\*\\agent*\\a.exe'
    """
    for pattern, stands_for in _FOLDS:
        text = text.str.replace_all(pattern, stands_for)
    return text


def _canonical(addresses: pl.Series) -> pl.Series:
    """Only what has a colon can be written in several ways; each such text is looked at once."""
    odd = addresses.filter(addresses.str.contains(":", literal=True)).unique()
    if odd.is_empty():
        return addresses
    return addresses.replace(odd, pl.Series([_canonical_ipv6(text) for text in odd], dtype=pl.String))


def _canonical_ipv6(text: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(text)
    except ValueError:
        return text
    return str(parsed.ipv4_mapped or parsed)
