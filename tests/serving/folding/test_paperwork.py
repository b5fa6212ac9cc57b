"""Every threat that is listed has its file, which changes when the threat does; there are never too many."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from serving.folding import documenting, proposing
from serving.folding.last_ranking import RankingRefused, keep, path_in
from serving.folding.paperwork import MOST, REPORTS, Papers, written
from serving.threats.reports import report
from tests.serving.folding.rankings import ranked
from tests.serving.threats.threats import threat


def papers(var: Path) -> Papers:
    return Papers(var, REPORTS, documenting.write)


def files(var: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (var / "reports").iterdir()}


def test_what_is_listed_has_a_report_and_what_is_not_has_none(tmp_path: Path) -> None:
    assert papers(tmp_path).look() == 0
    one, two, three = (replace(threat(), id=f"{n:010}", listed=n < 3) for n in (1, 2, 3))
    keep(ranked(1, one, two, three), tmp_path)
    assert papers(tmp_path).look() == 2
    assert files(tmp_path) == {"0000000001.md": report(one), "0000000002.md": report(two)}


def test_only_what_has_changed_is_written_again(tmp_path: Path) -> None:
    one, two = (replace(threat(), id=f"{n:010}") for n in (1, 2))
    writer = papers(tmp_path)
    keep(ranked(1, one, two), tmp_path)
    assert writer.look() == 2
    assert writer.look() == 0
    keep(ranked(2, two, replace(one, rank=2)), tmp_path)
    assert writer.look() == 0  # the rank is not in the report
    keep(ranked(3, two, replace(one, score=99.0)), tmp_path)
    assert (writer.look(), papers(tmp_path).look()) == (1, 0)
    assert "99.0" in files(tmp_path)["0000000001.md"]


def test_of_threats_that_are_gone_the_newest_reports_stay(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    for n in range(MOST + 20):
        (folder / f"gone{n}.md").write_text("x")
        os.utime(folder / f"gone{n}.md", (n, n))
    keep(ranked(1, *(replace(threat(), id=f"{n:010}") for n in range(10))), tmp_path)
    papers(tmp_path).look()
    found = files(tmp_path)
    assert len(found) == MOST
    assert [name for name in (f"gone{n}.md" for n in range(MOST + 20)) if name not in found] == [
        f"gone{n}.md" for n in range(30)
    ]


def test_a_ranking_that_is_damaged_is_refused_and_the_next_is_not(tmp_path: Path) -> None:
    writer = papers(tmp_path)
    keep(ranked(1, threat()), tmp_path)
    path_in(tmp_path).write_bytes(path_in(tmp_path).read_bytes()[:-1])
    with pytest.raises(RankingRefused):
        writer.look()
    keep(ranked(2, threat()), tmp_path)
    assert writer.look() == 1


def test_proposals_are_json_with_whole_commands() -> None:
    told = msgspec.json.decode(proposing.write(msgspec.json.encode(threat().record())))
    assert told["threat"] == threat().id
    assert {"what", "target", "command", "confidence", "reason"} == told["proposals"][0].keys()


def test_only_what_is_written_of_a_threat_is_found_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("x")
    keep(ranked(1, threat()), tmp_path)
    papers(tmp_path).look()
    assert written(tmp_path, REPORTS, threat().id) == report(threat()).encode()
    for id in ("0123456789", "", "../secret", f"{threat().id}/../{threat().id}", f"{threat().id}\n", "a" * 5000, "\0"):
        assert written(tmp_path, REPORTS, id) is None
