"""A name is written one way, however often and in whatever company it comes."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import naming
from features.naming import normalised

COLUMNS = sorted(naming._WRITING)
NAMES = st.sampled_from(
    ["", "-", " WS1.corp.example ", "ws1", "CORP\\Alice", "alice@corp.example", "::ffff:10.0.0.7", "10.0.0.7:443",
     "C:\\Users\\alice\\AppData\\x.exe", "/home/bob/a", "HKLM\\Software\\Run", "www.Bücher.example.", "TCP", "n/a"]
)  # fmt: skip
CELLS = st.none() | NAMES | st.text(max_size=8)
FRAMES = st.lists(st.tuples(CELLS, CELLS), max_size=12)


def frame(cells: list[tuple[str | None, str | None]], columns: list[str]) -> pl.DataFrame:
    """A draft with some columns that name something and one that does not."""
    draft = pl.DataFrame(cells, schema={"one": pl.String, "other": pl.String}, orient="row")
    return draft.rename({"one": columns[0], "other": columns[1]}).with_row_index("line")


def directly(draft: pl.DataFrame) -> pl.DataFrame:
    """The same, each row worked out for itself."""
    named = [column for column in draft.columns if column in naming._WRITING]
    return draft.with_columns(naming._WRITING[column](pl.col(column).cast(pl.String)) for column in named)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(FRAMES, st.permutations(COLUMNS).map(lambda columns: columns[:2])), min_size=1, max_size=4),
    st.sampled_from([0, 1, 3, 2048]),
    st.sampled_from([1, 4, 65536]),
)
def test_a_name_is_written_as_if_it_stood_alone(
    frames: list[tuple[list[tuple[str | None, str | None]], list[str]]], most_new: int, most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(naming, "_MOST_NEW", most_new)
        patch.setattr(naming, "_MOST", most)
        for cells, columns in frames:
            draft = frame(cells, columns)
            assert normalised(draft).equals(directly(draft))
            assert normalised(draft).equals(directly(draft))


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_written_its_own_way(column: str) -> None:
    names = ["WS1.corp.example", None, "10.0.0.7:443", "C:\\Users\\Alice\\x.exe", "WS1.corp.example", "-"]
    draft = pl.DataFrame({column: names})
    assert normalised(draft).equals(directly(draft))
    assert normalised(draft)[column].null_count() >= 1


def test_numbers_are_named_by_their_text_and_other_columns_stay() -> None:
    draft = pl.DataFrame({"logon_type": [3, None, 3], "line": [1, 2, 3], "unknown": ["A", "B", None]})
    assert normalised(draft).equals(draft.with_columns(pl.Series("logon_type", ["3", None, "3"])))


@pytest.mark.parametrize("draft", [pl.DataFrame(), pl.DataFrame({"line": [1]}), pl.DataFrame({"user_name": [None]})])
def test_where_no_one_is_named_nothing_changes(draft: pl.DataFrame) -> None:
    assert normalised(draft).rows() == draft.rows()


def test_no_more_names_are_remembered_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_MOST", 10)
    for start in range(0, 100, 7):
        normalised(pl.DataFrame({"user_name": [f"user{number}" for number in range(start, start + 7)]}))
        assert len(naming._known["user_name"]) <= 10


def test_a_name_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    work_out = naming._worked_out

    def noted(column: str, names: pl.Series) -> pl.Series:
        asked.extend(names)
        return work_out(column, names)

    monkeypatch.setitem(naming._known, "user_name", {})
    monkeypatch.setattr(naming, "_worked_out", noted)
    for names in (["a", "b", "a"], ["b", "c"], ["a"]):
        normalised(pl.DataFrame({"user_name": names}))
    assert sorted(asked) == ["a", "b", "c"]


def test_names_forgotten_by_one_thread_are_still_written_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    work_out = naming._worked_out

    def interrupted(column: str, names: pl.Series) -> pl.Series:
        monkeypatch.setattr(naming, "_worked_out", work_out)
        normalised(pl.DataFrame({"user_name": ["C", "D", "E"]}))
        return work_out(column, names)

    monkeypatch.setattr(naming, "_MOST", 3)
    monkeypatch.setitem(naming._known, "user_name", {})
    normalised(pl.DataFrame({"user_name": ["A"]}))
    monkeypatch.setattr(naming, "_worked_out", interrupted)
    assert normalised(pl.DataFrame({"user_name": ["A", "B"]}))["user_name"].to_list() == ["a", "b"]
