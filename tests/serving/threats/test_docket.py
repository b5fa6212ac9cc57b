"""What was ranked last comes back as it was, or not at all."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.council import Cut
from models import bundle
from serving.threats.docket import Docket, DocketRefused, NoDocket, keep, kept
from tests.serving.dockets import docket, verdicts


def told(docket: Docket) -> list[dict[str, object]]:
    return [threat.record() for threat in docket.council.rank()]


def test_a_docket_comes_back_as_it_was(tmp_path: Path) -> None:
    keep(before := docket("a", "b"), tmp_path / "home" / "var")
    after = kept(tmp_path / "home" / "var")
    assert told(after) == told(before) != []
    assert (after.criticality, after.events, after.most, after.cut) == ({("host", "a"): 2.5}, 2, 7, Cut(0.05, 3))


def test_only_the_spellings_of_those_held_are_kept(tmp_path: Path) -> None:
    keep(docket("a", "b"), tmp_path)
    assert kept(tmp_path).spellings.rows() == [("host", "a", "A"), ("host", "b", "B")]


def test_a_council_that_comes_back_goes_on_hearing(tmp_path: Path) -> None:
    keep(before := docket("a"), tmp_path)
    after = kept(tmp_path)
    for one in (before, after):
        one.council.hear(verdicts("b", "c", nats=9.0).with_columns(pl.col("seq") + 10))
    assert told(after) == told(before)


def test_the_last_one_counts_and_the_one_before_stays_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hosts in (("a",), ("b",), ("c", "d")):
        keep(docket(*hosts), tmp_path)
        assert told(kept(tmp_path)) == told(docket(*hosts))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        keep(docket("e"), tmp_path)
    assert told(kept(tmp_path)) == told(docket("c", "d"))


def test_where_nothing_was_ranked_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoDocket, match="no threats were ranked here yet; rank some with `secmesh rank`"):
        kept(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("var")
    keep(docket("a", "b"), var)
    return var


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_docket_is_refused_with_its_file_named(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    var = tmp_path_factory.mktemp("damaged")
    shutil.copytree(whole, var, dirs_exist_ok=True)
    name = data.draw(st.sampled_from(["newest", f"1/{bundle.ARRAYS}", f"1/{bundle.MANIFEST}"]))
    path = var / "docket" / name
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    cut = data.draw(st.booleans())
    path.write_bytes(content[:at] if cut else content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises((DocketRefused, NoDocket)) as refused:
        kept(var)
    assert str(var / "docket") in str(refused.value)
    assert "`secmesh rank`" in str(refused.value)
    keep(docket("c"), var)  # and that does help
    assert kept(var).events == 1


def test_a_docket_of_another_moment_or_version_is_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    keep(docket("c"), tmp_path)
    folder = tmp_path / "docket"
    shutil.rmtree(folder / "2")
    shutil.copytree(folder / "1", folder / "2")
    with pytest.raises(DocketRefused, match=r"expected the docket that .*newest speaks of"):
        kept(tmp_path)
    shutil.rmtree(folder / "1")
    sha256 = bundle.write(folder / "1", {}, {"kind": "docket"})
    (folder / "newest").write_text(f"1 {sha256}\n")
    with pytest.raises(DocketRefused, match="expected a docket of this version"):
        kept(tmp_path)
