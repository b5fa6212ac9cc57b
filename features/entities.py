"""Polars expressions that write one entity one way, whichever log names it."""

import ipaddress
from collections.abc import Callable

import polars as pl

from features.lookalikes import plain
from features.registered import wire

_IPV4 = r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$"
_IPV4_PORT = r"^(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}):\d+$"
_BEFORE_HOST = r"^[\\\[\]\s]+"
_NOTHING = ["", "-", "(null)", "n/a"]

#: Accounts and groups that are the same on every Windows (Microsoft, "Well-known SIDs"), as its English logs name them.
_SIDS = {
    "s-1-0-0": "null sid",
    "s-1-1-0": "everyone",
    "s-1-5-2": "network",
    "s-1-5-3": "batch",
    "s-1-5-4": "interactive",
    "s-1-5-6": "service",
    "s-1-5-7": "anonymous logon",
    "s-1-5-9": "enterprise domain controllers",
    "s-1-5-11": "authenticated users",
    "s-1-5-18": "system",
    "s-1-5-19": "local service",
    "s-1-5-20": "network service",
    "s-1-5-32-544": "administrators",
    "s-1-5-32-545": "users",
    "s-1-5-32-546": "guests",
}
#: Accounts that every domain and machine has under the same number.
_OWN_SIDS = {"500": "administrator", "501": "guest", "502": "krbtgt", "503": "defaultaccount"}
_OWN_SID = r"^s-1-5-21-\d+-\d+-\d+-(50[0-3])$"

_HEX = r"\b[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]{6,}\b|\b[0-9a-f]{8,}\b"

#: What differs between two machines or two runs of one program, in lower-case paths; the order matters.
_FOLDS = (
    (r"\\users\\[^\\]+", r"\users\*"),
    (r"/(home|users|run/user)/[^/]+", "/${1}/*"),
    (r"/proc/\d+(/task/\d+)?", "/proc/*"),
    (r"/dev/pts/\d+", "/dev/pts/*"),
    (r"/var/folders/[^/*]+/[^/]+", "/var/folders/*"),
    (r"systemd-private-[0-9a-f]{32}-([^/]+)-[0-9a-z]{6}\b", "systemd-private-*-${1}-*"),
    (r"/(tmp)/(?:tmp|ssh)[.-][^/]+", "/${1}/*"),
    (r"/(tmp|dev/shm)/[^/]*\d[^/.]*", "/${1}/*"),
    (r"/snap/([^/]+)/(?:x?\d[^/]*|current\b)", "/snap/${1}/*"),
    (r"/flatpak/(app|runtime)/([^/]+)/([^/]+)/[^/]*\d[^/]*", "/flatpak/${1}/${2}/${3}/*"),
    (r"(^|[\\/])(_mei|is-|ns[a-z]|7z[a-z])[0-9a-z]*\d[0-9a-z]*\b", "${1}${2}*"),
    (r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", "*"),
    (r"s-1-5-21-[\d-]+", "*"),
    (r"_?v?\d+(?:\.\d+)+(?:[-_.]\d[\d._-]*)*", "*"),
    (_HEX, "*"),
    (r"__psscriptpolicytest_[^\\/]*", "__psscriptpolicytest_*"),
    (r"(^|[\\/~])(tmp|~df)[0-9a-z]+(\.tmp)?$", "${1}${2}*"),
    (r"\d{4,}", "*"),
    (_HEX, "*"),
    (r"\*(?:[-_.]?\*)+", "*"),
)


def named(text: pl.Expr) -> pl.Expr:
    """Lower-case, trimmed; null where a log writes a dash or nothing."""
    return text.str.strip_chars().str.to_lowercase().replace(_NOTHING, None)


def code(text: pl.Expr) -> pl.Expr:
    """A protocol's word in upper case: `NXDOMAIN`, `AAAA`, `GET`."""
    return named(text).str.to_uppercase()


def host(text: pl.Expr) -> pl.Expr:
    r"""A machine's short name, or its address uncut.

    >>> pl.select(host(pl.lit("MKT01.pandalab.com"))).item()
    'mkt01'
    """
    bare = address(plain(text).str.replace(_BEFORE_HOST, "")).str.replace(_BEFORE_HOST, "")
    bare = named(bare.str.replace(r"^([^:]*):\d*$", "${1}"))
    return _once(bare, _short)


def site(text: pl.Expr) -> pl.Expr:
    """A name of the DNS, whole and as on the wire, without port and closing dot; or an address.

    `ß` and the closing `ς` are `ss` and `σ` as in IDNA 2003; a name that comes as punycode keeps what it says.

    >>> pl.select(site(pl.lit("WWW.Bücher.example.:8080"))).item()
    'www.xn--bcher-kva.example'
    """
    return _once(named(plain(text)), _on_the_wire)


def user(text: pl.Expr) -> pl.Expr:
    r"""An account's name without its domain; machine accounts keep their `$`, well-known SIDs become names.

    >>> pl.select(user(pl.lit("SHIRE\\pgustavo"))).item()
    'pgustavo'
    >>> pl.select(user(pl.lit("S-1-5-21-1-2-3-500"))).item()
    'administrator'
    """
    name = named(named(plain(text)).str.replace(r"^.*\\", "").str.replace(r"^(.[^@]*)@.*$", "${1}"))
    return _once(name.replace(_SIDS), _without_domain_sid)


def address(text: pl.Expr) -> pl.Expr:
    """An IP address in its canonical form, without port, brackets and zone.

    >>> pl.select(address(pl.lit("::ffff:10.1.2.3"))).item()
    '10.1.2.3'
    """
    zoneless = named(plain(text)).str.replace_all(r"%[^\[\]]*", "")
    bare = named(zoneless.str.replace(r"^[\[\]\s]+", "").str.replace(r"(?:[\]\s]|\]:\d+)+$", ""))
    return bare.str.replace(_IPV4_PORT, "${1}").map_batches(_canonical, return_dtype=pl.String)


def path(text: pl.Expr) -> pl.Expr:
    r"""A file, program or pipe in lower case; the kernel's way of writing drive C becomes `c:\`.

    >>> pl.select(path(pl.lit(r"\Device\HarddiskVolume3\Windows\a.exe"))).item()
    'c:\\windows\\a.exe'
    """
    bare = named(plain(text)).str.replace(r"^(?:[\s\"]|\\\?\?\\|\\\\\?\\)+", "").str.replace(r"[\s\"]+$", "")
    return named(bare.str.replace(r"^\\device\\harddiskvolume\d+\\", "c:\\"))


def registry_key(text: pl.Expr) -> pl.Expr:
    r"""A registry key in lower case, under `hklm`, `hku` or another short root.

    >>> pl.select(registry_key(pl.lit(r"HKEY_LOCAL_MACHINE\Software"))).item()
    'hklm\\software'
    """
    key = named(plain(text)).str.replace(r"^(?:\\registry\\machine|hkey_local_machine)(\\|$)", "hklm${1}")
    return key.str.replace(r"^(?:\\registry\\user|hkey_users)(\\|$)", "hku${1}")


def folded_path(text: pl.Expr) -> pl.Expr:
    r"""A lower-case path with `*` for what differs between machines and runs: users, ids, versions, numbers.

    >>> pl.select(folded_path(pl.lit(r"c:\users\bob\agent_2.7.41491.993_2020-10-08_063613\a.exe"))).item()
    'c:\\users\\*\\agent*\\a.exe'
    """
    return text.map_batches(_folded, return_dtype=pl.String)


def _folded(paths: pl.Series) -> pl.Series:
    """Each distinct path is looked at once."""
    distinct = folded = paths.drop_nulls().unique()
    for pattern, stands_for in _FOLDS:
        folded = folded.str.replace_all(pattern, stands_for)
    return paths.replace_strict(distinct, folded, return_dtype=pl.String) if len(distinct) else paths


def _once(value: pl.Expr, use: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """What `use` makes of a value that it names several times, evaluated once: Polars repeats what Python looks at."""
    return value.map_batches(lambda texts: pl.select(use(pl.lit(texts))).to_series(), return_dtype=pl.String)


def _short(name: pl.Expr) -> pl.Expr:
    label = name.str.split(".").list.first()
    is_address = name.str.contains(_IPV4) | name.str.contains(":", literal=True)
    return pl.when(is_address).then(name).otherwise(named(label.str.replace(r"[\[\]\s]+$", "")))


def _on_the_wire(name: pl.Expr) -> pl.Expr:
    has_colons = name.str.count_matches(":", literal=True) > 1
    return _once(pl.when(has_colons).then(address(name)).otherwise(name), _address_or_wire)


def _address_or_wire(name: pl.Expr) -> pl.Expr:
    has_colons = name.str.count_matches(":", literal=True) > 1
    return pl.when(has_colons).then(name).otherwise(named(wire(name.str.replace(r"(?:[.\s]|:\d*)+$", ""))))


def _without_domain_sid(name: pl.Expr) -> pl.Expr:
    own = name.str.extract(_OWN_SID).replace_strict(_OWN_SIDS, default=None, return_dtype=pl.String)
    return pl.coalesce(own, name)


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
