"""One entity is written one way, whichever log names it."""

from collections.abc import Callable

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


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from([entities.host, entities.user, entities.address, entities.path]))
def test_what_is_written_once_stays_as_it_is_and_is_never_empty(
    text: str, expression: Callable[[pl.Expr], pl.Expr]
) -> None:
    once = written(expression, text)
    assert once != ""
    if expression is not entities.path:
        assert written(expression, once) == once
