"""What other processes wrote of a threat is given as it was written, and nothing else is."""

from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from serving.folding import documenting, last_shadow, proposing
from serving.folding.last_ranking import keep
from serving.folding.messages import Shadow, Side
from serving.folding.paperwork import PROPOSALS, REPORTS, Papers
from serving.threats.reports import report
from tests.serving.folding.rankings import ranked
from tests.serving.posting import call, gated, home_of
from tests.serving.threats.threats import threat


def test_a_report_and_proposals_are_given_by_the_id_of_their_threat(tmp_path: Path) -> None:
    home, id = home_of(tmp_path / "home"), threat().id
    with gated(home) as (routes, _):
        assert call(routes, "GET", f"/v1/threats/{id}/report").status == 404
        keep(ranked(1, threat()), home.var)
        Papers(home.var, REPORTS, documenting.write).look()
        Papers(home.var, PROPOSALS, proposing.write).look()
        told = call(routes, "GET", f"/v1/threats/{id}/report")
        assert (told.status, told.headers["content-type"]) == (200, "text/markdown; charset=utf-8")
        assert told.body == report(threat()).encode()
        told = call(routes, "GET", f"/v1/threats/{id}/proposals")
        assert (told.status, told.headers["content-type"]) == (200, "application/json")
        assert msgspec.json.decode(told.body)["threat"] == id


@pytest.mark.parametrize("id", ["0123456789", "..", "../keys", "%2e%2e%2fkeys", "a" * 3000, "\0", "é"])
def test_no_other_file_is_given(id: str, tmp_path: Path) -> None:
    home = home_of(tmp_path / "home")
    with gated(home) as (routes, _):
        (home.var / "keys.md").write_text("secret")
        (home.var / "reports").mkdir()
        assert call(routes, "GET", f"/v1/threats/{quote(id)}/report").status == 404
        assert call(routes, "GET", f"/v1/threats/{id}/report").status == 404


def test_the_shadow_is_told_of_while_there_is_one(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home")
    one, other = (Side(n, 900.0, 90.0, 0.01, 0.001, 30_000.0) for n in (1, 2))
    shadow = Shadow(7, 100, 0, one, other, 0.9)
    with gated(home) as (routes, _):
        assert "shadow" not in msgspec.json.decode(call(routes, "GET", "/v1/release").body)
        last_shadow.keep(shadow, home.var)
        told = msgspec.json.decode(call(routes, "GET", "/v1/release").body)
        assert msgspec.convert(told["shadow"], Shadow) == shadow
        last_shadow.path_in(home.var).write_text("{")
        assert "shadow" not in msgspec.json.decode(call(routes, "GET", "/v1/release").body)
