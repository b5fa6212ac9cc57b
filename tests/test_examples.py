"""The examples run from top to bottom, and what they say of their outcome is so."""

import runpy
from pathlib import Path
from typing import Any

import matplotlib
import mlflow
import polars as pl
import pytest

from agents.recipes import network
from models import releases
from models.champions import read
from models.registry import Registry
from training.jobs import Outcome

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.py"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All names that the notebook has at its end; whatever it changes for its process is put back."""
    uri, backend = mlflow.get_tracking_uri(), matplotlib.get_backend()
    with pytest.MonkeyPatch.context() as patch, pl.Config():
        patch.chdir(tmp_path_factory.mktemp("examples"))
        patch.setattr(network, "RECIPE", network.RECIPE)
        matplotlib.use("Agg")
        try:
            yield runpy.run_path(str(NOTEBOOK), run_name="__main__")
        finally:
            mlflow.set_tracking_uri(uri)
            matplotlib.use(backend)


def test_the_first_release_learned_from_peace_alone(ran: dict[str, Any]) -> None:
    uids = set().union(*(frame["uid"].to_list() for frame in ran["before"].values()))
    assert uids
    assert ran["attacks"]
    assert not uids & ran["attacks"]


def test_the_first_release_was_taken_and_the_second_holds_another_network_model_alone(ran: dict[str, Any]) -> None:
    first, second = ran["first"], ran["second"]
    assert isinstance(first, Outcome)
    assert first.decision.is_taken
    differ = {d for d, version in second.release.versions.items() if version != first.release.versions[d]}
    assert [domain.value for domain in differ] == ["network"]


def test_the_record_tells_that_the_first_came_back_and_the_second_serves(ran: dict[str, Any]) -> None:
    registry = ran["registry"]
    assert isinstance(registry, Registry)
    champion = releases.champion(registry)
    assert champion is not None
    assert champion.number == ran["second"].release.number
    assert [(act.number, act.is_rollback) for act in read(registry.home).acts[-2:]] == [(1, True), (2, False)]


def test_the_gate_judged_the_network_agent_by_numbers(ran: dict[str, Any]) -> None:
    judged = ran["second"].decision.table().filter(pl.col("domain") == "network")
    assert judged.height >= 4
    assert judged["challenger"].is_finite().all()


def test_the_opened_model_gives_each_event_a_verdict_with_reasons(ran: dict[str, Any]) -> None:
    verdicts = ran["verdicts"]
    assert verdicts.height == 2000
    assert verdicts["p"].is_between(0, 1).all()
    assert ran["strangest"]["reasons"].list.len().min() >= 1


def test_the_search_chose_columns_that_tell_odd_rows_better_than_chance(ran: dict[str, Any]) -> None:
    assert ran["search"].best_score_ > 5 * ran["is_odd"].mean()


def test_every_later_event_was_judged_once_by_the_champion(ran: dict[str, Any]) -> None:
    heard = ran["heard"]
    later = pl.concat([frame["uid"] for frame in ran["after"].values()])
    assert sorted(heard["uid"]) == sorted(later)
    assert heard["release"].unique().to_list() == [ran["second"].release.number]


def test_attacks_are_found_among_the_first_threats(ran: dict[str, Any]) -> None:
    assert len(ran["found"]) >= 2
    assert ran["right"][0] is not None


def test_every_figure_it_speaks_of_is_drawn(ran: dict[str, Any]) -> None:
    drawn = {path.stem: path.read_bytes() for path in ran["folder"].glob("*.png")}
    assert set(drawn) == {
        "learning of all agents",
        "reliability on new events",
        "scores of new events",
        "precision and recall",
        "evidence over time",
    }
    assert all(picture.startswith(PNG) for picture in drawn.values())
