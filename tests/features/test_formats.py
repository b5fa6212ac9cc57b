"""What a log is taken for is said, with the reason."""

from pathlib import Path

import polars as pl
import pytest

from features.events import Domain, schema
from features.files import UnreadablePath
from features.formats import formats


def test_a_log_is_named_with_what_it_was_known_by(tmp_path: Path) -> None:
    (tmp_path / "conn.log").write_text('{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2"}\n')
    (seen,) = formats([tmp_path])
    assert (seen.source, seen.member, seen.format) == (str(tmp_path / "conn.log"), None, "zeek")
    assert "Zeek" in seen.why
    assert seen.begins.startswith('{"ts":1.5')
    assert seen.unmapped == 0.0


def test_the_share_of_fields_in_no_column_is_told(tmp_path: Path) -> None:
    (tmp_path / "conn.log").write_text('{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1","vlan":7}\n')
    (seen,) = formats([tmp_path])
    assert seen.unmapped == 0.25


def test_what_is_no_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.empty").write_text("")
    (tmp_path / "b.letter").write_text("Dear all,\n")
    (tmp_path / "c.gz").write_bytes(b"\x1f\x8b\x08cut")
    empty, letter, cut = formats([tmp_path])
    assert (empty.format, empty.why) == (None, "it is empty")
    assert letter.format is None
    assert "no sign of" in letter.why
    assert cut.format is None
    assert cut.why


def test_a_path_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePath):
        formats([tmp_path / "none"])


def test_events_kept_as_parquet_are_told_from_other_tables(tmp_path: Path) -> None:
    pl.DataFrame(schema=schema(Domain.DNS)).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "b.parquet")
    ours, others = formats([tmp_path])
    assert ours.format == "secmesh events of dns"
    assert others.format is None
