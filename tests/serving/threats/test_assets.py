"""Criticality that people state is taken as they meant it, or refused by line, column and value."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.threats.assets import AssetsRefused, read_assets

HEADING = "kind,name,nats\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "assets.csv"


def test_names_are_written_as_in_events(path: Path) -> None:
    path.write_text(HEADING + "user,CORP\\Ann,3\nhost,DC01.corp.example,5.5\naddress,[2001:DB8::0:1],-2\n\n")
    assert read_assets(path) == {("user", "ann"): 3.0, ("host", "dc01"): 5.5, ("address", "2001:db8::1"): -2.0}


def test_columns_may_stand_in_any_order_after_a_byte_order_mark(path: Path) -> None:
    path.write_text('\ufeffnats,name,kind\r\n1,"pc, the old one",host\r\n', encoding="utf-8")
    assert read_assets(path) == {("host", "pc, the old one"): 1.0}


def test_a_file_without_rows_states_nothing(path: Path) -> None:
    path.write_text(HEADING)
    assert read_assets(path) == {}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(nats=st.floats())
def test_nats_are_from_minus_ten_to_ten(nats: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("assets") / "assets.csv"
    path.write_text(f"{HEADING}host,h,{nats!r}\n")
    if -10.0 <= nats <= 10.0:
        assert read_assets(path) == {("host", "h"): nats}
    else:
        with pytest.raises(AssetsRefused, match="column 'nats': expected a number from -10 to 10"):
            read_assets(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", " line 1: expected the columns kind,name,nats, found ''"),
        ("kind,name\n", " line 1: expected the columns kind,name,nats, found 'kind,name'"),
        ("kind,name,nats,nats\n", " line 1: expected the columns kind,name,nats, found 'kind,name,nats,nats'"),
        ("host,h,1\nprocess,x,1\n", " line 3, column 'kind': expected user, host, address, found 'process'"),
        ("host,-,1\n", " line 2, column 'name': expected the name of a host, found '-'"),
        ("user,,1\n", " line 2, column 'name': expected the name of a user, found ''"),
        ("address,mail,1\n", " line 2, column 'name': expected an IP address, found 'mail'"),
        ("host,h,much\n", " line 2, column 'nats': expected a number from -10 to 10, found 'much'"),
        ('host,"a\nb",1\nhost,h,11\n', " line 4, column 'nats': expected a number from -10 to 10, found '11'"),
        ("host,h\n", " line 2: expected 3 cells, found 2"),
        ("host,PC1,1\nhost,h,1\nhost,pc1.corp.example,2\n", " line 4: host pc1 is in line 2, too; expected each once"),
    ],
)
def test_what_is_wrong_is_named(path: Path, content: str, expected: str) -> None:
    path.write_text(content if content.startswith("kind") or not content else HEADING + content)
    with pytest.raises(AssetsRefused) as refused:
        read_assets(path)
    assert str(refused.value) == f"{path}{expected}"


def test_what_is_no_csv_is_refused(path: Path) -> None:
    with pytest.raises(AssetsRefused, match="no such file of assets"):
        read_assets(path)
    for content in (b"\xff\xfe\x00", HEADING.encode() + b'host,"h,1\n'):
        path.write_bytes(content)
        with pytest.raises(AssetsRefused, match="expected lines of CSV in UTF-8"):
            read_assets(path)
