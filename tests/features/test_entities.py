"""One entity is written one way, whichever log names it."""

import unicodedata
from collections.abc import Callable
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import entities


def written(expression: Callable[[pl.Expr], pl.Expr], text: str | None) -> str | None:
    found: str | None = (
        pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(expression(pl.col("text"))).item()
    )
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MKT01.pandalab.com", "mkt01"),
        ("\\\\FILESRV", "filesrv"),
        (" ws1 ", "ws1"),
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("-", None),
        ("", None),
        (".", None),
        (None, None),
    ],
)
def test_a_host_is_its_short_name_or_its_address(text: str | None, expected: str | None) -> None:
    assert written(entities.host, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SHIRE\\pgustavo", "pgustavo"),
        ("NT AUTHORITY\\SYSTEM", "system"),
        ("pgustavo@THESHIRE.LOCAL", "pgustavo"),
        ("CORP\\Bob@corp.com", "bob"),
        ("MKT01$", "mkt01$"),
        ("MKT01$@CORP.COM", "mkt01$"),
        ("@handle", "@handle"),
        ("-", None),
        ("CORP\\", None),
    ],
)
def test_a_user_has_no_domain_and_machines_keep_their_dollar(text: str, expected: str | None) -> None:
    assert written(entities.user, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:5060", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("fe80::1%12", "fe80::1"),
        ("fe80:0:0:0:3b31:a8fa:5adc:7b9e", "fe80::3b31:a8fa:5adc:7b9e"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("ff:not:an:address", "ff:not:an:address"),
        ("-", None),
    ],
)
def test_an_address_has_one_form(text: str, expected: str | None) -> None:
    assert written(entities.address, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C:\\Windows\\System32\\cmd.exe", "c:\\windows\\system32\\cmd.exe"),
        ("\\device\\harddiskvolume2\\Windows\\a.exe", "c:\\windows\\a.exe"),
        ("\\??\\C:\\x", "c:\\x"),
        ("\\\\?\\C:\\x", "c:\\x"),
        ('"C:\\a b\\c.exe"', "c:\\a b\\c.exe"),
        ("/usr/bin/Env", "/usr/bin/env"),
        ("-", None),
    ],
)
def test_a_path_is_lower_case_from_its_drive(text: str, expected: str | None) -> None:
    assert written(entities.path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\REGISTRY\\MACHINE\\SOFTWARE\\X", "hklm\\software\\x"),
        ("\\REGISTRY\\USER\\S-1-5-18", "hku\\s-1-5-18"),
        ("HKEY_LOCAL_MACHINE\\System", "hklm\\system"),
        ("HKEY_USERS\\x", "hku\\x"),
        ("HKLM\\System", "hklm\\system"),
    ],
)
def test_a_registry_key_starts_with_its_short_root(text: str, expected: str) -> None:
    assert written(entities.registry_key, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c:\\users\\bob\\x.exe", "c:\\users\\*\\x.exe"),
        ("/home/bob/.ssh/id", "/home/*/.ssh/id"),
        ("c:\\windowsazure\\guestagent_2.7.41491.993_2020-10-08_063613\\a.exe", "c:\\windowsazure\\guestagent*\\a.exe"),
        ("c:\\x\\{3f2504e0-4f89-11d3-9a0c-0305e82c3301}\\y", "c:\\x\\*\\y"),
        ("hku\\s-1-5-21-1-2-3-1104\\software", "hku\\*\\software"),
        ("c:\\windows\\prefetch\\dllhost.exe-61f58501.pf", "c:\\windows\\prefetch\\dllhost.exe-*.pf"),
        ("c:\\t\\__psscriptpolicytest_ab12cd.xyz.ps1", "c:\\t\\__psscriptpolicytest_*"),
        ("c:\\temp\\tmp3f.tmp", "c:\\temp\\tmp*"),
        ("\\local\\mojo.7508.4932.3078356885910408908", "\\local\\mojo.*"),
        ("c:\\windows\\system32\\svchost.exe", "c:\\windows\\system32\\svchost.exe"),
        ("c:\\program files\\7-zip\\7z.exe", "c:\\program files\\7-zip\\7z.exe"),
    ],
)
def test_a_folded_path_forgets_what_differs_between_machines_and_runs(text: str, expected: str) -> None:
    assert written(entities.folded_path, text) == expected


def test_a_site_keeps_its_whole_name() -> None:
    assert written(entities.site, "WWW.Example.COM.:8080") == "www.example.com"
    assert written(entities.site, "www.example.com.") == "www.example.com"


def test_a_code_is_upper_case() -> None:
    assert written(entities.code, "NoError") == "NOERROR"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S-1-5-18", "system"),
        ("s-1-5-19", "local service"),
        (" S-1-5-20 ", "network service"),
        ("NT AUTHORITY\\SYSTEM", "system"),
        ("S-1-5-7", "anonymous logon"),
        ("S-1-1-0", "everyone"),
        ("S-1-5-21-3623811015-3361044348-30300820-500", "administrator"),
        ("S-1-5-21-1-2-3-501", "guest"),
        ("S-1-5-21-1-2-3-502", "krbtgt"),
        ("S-1-5-21-1-2-3-1500", "s-1-5-21-1-2-3-1500"),
        ("S-1-5-21-1-2-3", "s-1-5-21-1-2-3"),
        ("S-1-5-180", "s-1-5-180"),
    ],
)
def test_a_sid_that_is_the_same_everywhere_is_a_name_and_another_keeps_one_spelling(text: str, expected: str) -> None:
    assert written(entities.user, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::1", "::1"),
        ("[FE80::1%eth0]:443", "fe80::1"),
        ("10.1.2.3:80", "10.1.2.3"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("www。example。com", "www.example.com"),
        (":80", None),
    ],
)
def test_a_site_is_written_as_on_the_wire(text: str, expected: str | None) -> None:
    assert written(entities.site, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[::1]:445", "::1"),
        (" \\\\[fe80::1%3]", "fe80::1"),
        ("10.1.2.3:445", "10.1.2.3"),
        ("filesrv.corp:445", "filesrv"),
    ],
)
def test_a_host_has_no_port(text: str, expected: str) -> None:
    assert written(entities.host, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/users/bob/library/x", "/users/*/library/x"),
        ("/tmp/xyz123", "/tmp/*"),
        ("/tmp/xyz123/run.sh", "/tmp/*/run.sh"),
        ("/tmp/tmp.abcdefghij/run.sh", "/tmp/*/run.sh"),
        ("/tmp/install.sh", "/tmp/install.sh"),
        ("/proc/4711/exe", "/proc/*/exe"),
        ("/proc/4711/task/4712/comm", "/proc/*/comm"),
        ("/proc/self/exe", "/proc/self/exe"),
        ("/private/var/folders/zz/zyx_1234/t/x", "/private/var/folders/*/t/x"),
        ("/snap/firefox/4033/usr/bin/firefox", "/snap/firefox/*/usr/bin/firefox"),
        ("/snap/firefox/current/usr/bin/firefox", "/snap/firefox/*/usr/bin/firefox"),
        ("/var/lib/flatpak/runtime/org.gnome/x86_64/44/bin/x", "/var/lib/flatpak/runtime/org.gnome/x86_64/*/bin/x"),
        (
            "c:\\programdata\\package cache\\{3f2504e0-4f89-11d3-9a0c-0305e82c3301}v1.2.3.4\\setup.exe",
            "c:\\programdata\\package cache\\*\\setup.exe",
        ),
        ("c:\\temp\\is-ab1de.tmp\\setup.exe", "c:\\temp\\is-*.tmp\\setup.exe"),
        ("c:\\temp\\_mei21042\\python.dll", "c:\\temp\\_mei*\\python.dll"),
        ("/run/user/1000/bus", "/run/user/*/bus"),
    ],
)
def test_a_folded_path_knows_where_systems_put_what_passes(text: str, expected: str) -> None:
    assert written(entities.folded_path, text) == expected


NORMALISERS = [
    entities.named,
    entities.code,
    entities.host,
    entities.site,
    entities.user,
    entities.address,
    entities.path,
    entities.registry_key,
    entities.folded_path,
]

#: Texts made of what the normalisers look for, and of anything.
PIECES = st.sampled_from(
    [
        *"\\/.:@%[]\"'?-_{}$*~ \t\0\u200b\u202e\u0430\u0410\u03c3\u03c2\u00df\u0130\u0131\u212a\u0301\u0345\uff21",
        "::1",
        "10.1.2.3",
        ":80",
        "s-1-5-21-1-2-3-500",
        "\\\\?\\",
        "\\??\\",
        "\\device\\harddiskvolume3\\",
        "\\registry\\machine",
        "hkey_users",
        "c:\\users\\bob",
        "/home/bob",
        "/tmp/x1",
        "/proc/12",
        "/var/folders/ab/cd1",
        "/snap/x/12",
        "1234",
        "1.2.3",
        "deadbeef",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "(null)",
        "Admin",
        "tmp",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)


def _has_two_cases(text: str) -> bool:
    """Whether capitals lead back: not so for a dotless i, nor for the iota that stands below a letter."""
    return text.upper().casefold() == text.casefold() and "\u0345" not in unicodedata.normalize("NFKD", text)


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.sampled_from(NORMALISERS))
def test_what_is_written_once_stays_as_it_is(text: str, expression: Callable[[pl.Expr], pl.Expr]) -> None:
    once = written(expression, text)
    assert written(expression, once) == once


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.sampled_from([one for one in NORMALISERS if one is not entities.folded_path]))
def test_no_name_is_empty(text: str, expression: Callable[[pl.Expr], pl.Expr]) -> None:
    assert written(expression, text) != ""


@settings(deadline=None, max_examples=200)
@given(
    TEXTS.filter(_has_two_cases),
    st.sampled_from(NORMALISERS[2:-1]),
    st.sampled_from(["", " ", "\t", " \u00a0"]),
)
def test_case_and_surrounding_blanks_do_not_matter(
    text: str, expression: Callable[[pl.Expr], pl.Expr], blank: str
) -> None:
    assert written(expression, blank + text.upper() + blank) == written(expression, text)


@pytest.mark.parametrize("expression", NORMALISERS)
def test_what_is_missing_stays_missing(expression: Callable[[pl.Expr], pl.Expr]) -> None:
    assert written(expression, None) is None


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(
        [
            "c:\\users\\{user}\\appdata\\local\\temp\\is-{letters}1.tmp\\setup.exe",
            "/home/{user}/.cache/x",
            "/users/{user}/library/x",
            "/proc/{number}/exe",
            "/snap/firefox/{number}/bin/x",
            "/tmp/x{number}/run",
            "c:\\programdata\\package cache\\{{{guid}}}v{number}.0.1\\setup.exe",
            "/var/folders/{letters}/{letters}{number}/t/x",
        ]
    ),
    st.lists(st.tuples(st.from_regex("[a-z]{5}", fullmatch=True), st.integers(1, 99_999), st.uuids()), min_size=2),
)
def test_machines_and_runs_share_their_folded_paths(form: str, runs: list[tuple[str, int, UUID]]) -> None:
    paths = [form.format(user=letters, letters=letters, number=number, guid=guid) for letters, number, guid in runs]
    assert len({written(entities.folded_path, path) for path in paths}) == 1
