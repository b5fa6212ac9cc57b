"""Short texts keep what a recipe counts and drop the rest."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.texts import TEMPLATE_CHARS, base_name, folder, joined, letters, network_of, shape, size, template


def read(made: Callable[[pl.Expr], pl.Expr], value: str | int | float | None, kind: type[pl.DataType]) -> str | None:
    found: str | None = pl.DataFrame({"v": [value]}, schema={"v": kind}).select(made(pl.col("v"))).item()
    return found


@pytest.mark.parametrize("made", [base_name, folder, shape, template, network_of, letters])
def test_what_is_missing_stays_missing(made: Callable[[pl.Expr], pl.Expr]) -> None:
    assert read(made, None, pl.String) is None


def test_a_missing_number_has_no_size() -> None:
    assert read(size, None, pl.Int64) is None


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 40).flatmap(lambda n: st.integers(2**n, 2 ** (n + 1) - 1)))
def test_a_size_is_the_power_of_two_at_or_below(number: int) -> None:
    assert read(size, number, pl.Int64) == f"2^{number.bit_length() - 1}"


@pytest.mark.parametrize("number", [0, -5, 0.3])
def test_less_than_one_is_no_size(number: float) -> None:
    assert read(size, number, pl.Float64) == "0"


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (r"c:\a\b.exe", (r"c:\a", "b.exe")),
        ("/usr/bin/ssh", ("/usr/bin", "ssh")),
        ("ssh", (None, "ssh")),
        ("c:\\a\\", (r"c:\a", None)),
    ],
)
def test_a_path_is_a_folder_and_a_name(path: str, parts: tuple[str | None, str | None]) -> None:
    assert (read(folder, path, pl.String), read(base_name, path, pl.String)) == parts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"copy C:\Users\bob\a.doc d:\x", r"COPY c:\users\eve\b.doc e:\y"),
        ("ping 10.0.0.1 -n 4", "ping 10.20.30.44 -n 100"),
        ('run "first text"', 'run "another, longer text"'),
        ("load deadbeef01234567", "load 0123456789abcdef00"),
    ],
)
def test_runs_of_one_command_have_one_shape(one: str, other: str) -> None:
    assert read(shape, one, pl.String) == read(shape, other, pl.String)


def test_different_commands_have_different_shapes() -> None:
    assert len({read(shape, text, pl.String) for text in ("net use", "net user", "net group")}) == 3


def test_a_shape_is_short() -> None:
    assert len(read(shape, "x y " * 1000, pl.String) or "") == 120


def test_neighbours_are_in_one_network_and_strangers_in_others() -> None:
    hosts = ["10.1.2.3", "10.1.2.99", "10.1.3.3", "2001:db8:1:2::5", "2001:db8:1:2::6", "2001:db8:1:3::5"]
    a, b, c, d, e, f = (read(network_of, host, pl.String) for host in hosts)
    assert (a, d) == (b, e)
    assert len({a, c, d, f}) == 4


def test_what_is_no_address_is_in_no_network() -> None:
    assert read(network_of, "printer", pl.String) is None


def test_texts_are_joined_without_what_is_missing() -> None:
    frame = pl.DataFrame({"a": ["x", None, "x"], "b": ["y", "y", None]})
    assert frame.select(joined(pl.col("a"), pl.col("b"))).to_series().to_list() == ["x y", "y", "x"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/user/4711/a1b2c3d4e5f6.html", "/user/*/*.html"),
        ("/", "/"),
        ("/blog/2020/10/08/post-2020-10-08", "/blog/*/*/*/post-*"),
        ("/item/3F2504E0-4F89-11D3-9A0C-0305E82C3301/x.JPG", "/item/*/x.jpg"),
        ("/dl/dGhpcyBpcyBhIHRva2Vu1A==", "/dl/*"),
        ("/in/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc-_1", "/in/*"),
        ("/s/x9k2m4q8z0.php", "/s/*.php"),
        ("/GetUserByIdAndName", "/getuserbyidandname"),
        ("/cart;jsessionid=0A1B/pay;a=b", "/cart/pay"),
        ("/a/%2e%2e/%2E%2E/etc", "/a/../../etc"),
        ("/a/%252e%252e/x", "/a/%*%*/x"),
        ("/a%00.php", "/a%*.php"),
    ],
)
def test_a_template_has_stars_for_ids_and_tokens(path: str, expected: str) -> None:
    assert read(template, path, pl.String) == expected


URL_PIECES = st.sampled_from(
    [*"/.;%-_:*=", "%2e", "%25", "%3b", "%2f", "%00", "12", "a1b2c3", "deadbeef", "Ab1", "eyJ", ".php"]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(URL_PIECES | st.text(max_size=4), max_size=12).map("".join))
def test_a_template_is_its_own(path: str) -> None:
    once = read(template, path, pl.String)
    assert read(template, once, pl.String) == once


@settings(deadline=None)
@given(st.uuids(), st.uuids(), st.integers(0), st.integers(0), st.dates(), st.dates())
def test_requests_of_one_kind_have_one_template(
    one: UUID, other: UUID, first: int, second: int, early: date, late: date
) -> None:
    a, b = (f"/v1/{i}/{n}/{i.hex}.html/{d}" for i, n, d in ((one, first, early), (other, second, late)))
    assert read(template, a, pl.String) == read(template, b, pl.String)


def test_a_template_of_a_long_path_is_short() -> None:
    assert len(read(template, "/abc" * 100_000, pl.String) or "") == TEMPLATE_CHARS
