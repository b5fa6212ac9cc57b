"""Files of labels, and what is said of those that cannot be used."""

from pathlib import Path

import polars as pl
import pytest

from training.labels import LabelsRefused, labelled, read_labels

EVENTS = pl.DataFrame(
    {"source": ["a", "a", "b", "b"], "member": [None, None, "in.log", "in.log"], "line": [0, 1, 0, 1]}
    | {"uid": ["u0", "u1", "u2", "u3"]},
    schema_overrides={"member": pl.String},
)


def file(tmp_path: Path, text: str) -> Path:
    """A CSV file of that text."""
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def answers(path: Path) -> dict[str, bool]:
    """What a file says of the events, by uid."""
    found = labelled(EVENTS, read_labels(path), path)
    return dict(zip(found["uid"], found["is_attack"], strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uid,label\nu0,1\nu3,0\n", {"u0": True, "u3": False}),
        ("uid,mal\nu0,true\nu3,False\n", {"u0": True, "u3": False}),
        ("uid,why,label\nu0,ransom,1\n", {"u0": True}),
        ("source,line,label\na,1,1\nb,1,0\n", {"u1": True, "u3": False}),
        ("source,member,line,label\na,,0,1\nb,in.log,0,0\n", {"u0": True, "u2": False}),
        ("uid,label\nu1,1\nu1,1\ngone,0\n", {"u1": True}),
    ],
)
def test_labels_say_which_events_are_attacks(tmp_path: Path, text: str, expected: dict[str, bool]) -> None:
    assert answers(file(tmp_path, text)) == expected


@pytest.mark.parametrize("label", [[1, 0], [True, False], [1.0, 0.0]])
def test_parquet_says_the_same_as_csv(tmp_path: Path, label: list[object]) -> None:
    path = tmp_path / "labels.parquet"
    pl.DataFrame({"line": [0, 1], "source": ["a", "a"], "label": label}).write_parquet(path)
    assert answers(path) == {"u0": True, "u1": False}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected rows of labels as CSV"),
        ("uid,label\n", "holds no label"),
        ("label\n1\n", "no column 'line' or 'uid'"),
        ("uid\nu0\n", "expected a column 'label' of 0 and 1, found as other columns: none"),
        ("uid,a,b\nu0,1,0\n", "expected a column 'label' of 0 and 1, found as other columns: a, b"),
        ("uid,label\nu0,1\nu1,2\n", "line 3, column 'label': expected 0 or 1, found '2'"),
        ("uid,label\nu0,\n", "line 2, column 'label': expected 0 or 1, found None"),
        ("source,line,label\na,0,1\na,x,1\n", "line 3, column 'line': expected a record's number, from 0, found 'x'"),
        ("uid,label\nu0,1\n,1\n", "line 3, column 'uid': expected a uid, found None"),
        ("uid,label\nu0,1\nu1,0\nu0,0\n", "line 2: the event of uid 'u0' is labelled 0 and 1"),
        ("uid,label\nzz,1\n", "no event is one that it labels, such as the event of uid 'zz'"),
        ("line,label\n1,1\n", "line 1 is in 2 logs: say which in columns 'source' and 'member'"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_by_line_column_and_value(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(LabelsRefused, match=f"^{tmp_path}/labels.csv.*{told}"):
        answers(file(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("labels.txt", b"uid,label\n", "ends in .csv or .parquet"),
        ("gone.csv", None, "no such file"),
        ("labels.parquet", b"PAR1 no more", "expected rows of labels as PARQUET"),
    ],
)
def test_a_file_that_holds_no_labels_is_refused(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelsRefused, match=told):
        read_labels(tmp_path / name)


def test_a_parquet_row_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    pl.DataFrame({"line": [0, 1], "label": [1, 7]}).write_parquet(path)
    with pytest.raises(LabelsRefused, match="row 2, column 'label': expected 0 or 1, found '7'"):
        read_labels(path)
