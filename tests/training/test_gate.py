"""What the gate takes and what it refuses, by agents taught well and badly."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from agents.agent import Agent
from agents.keeping import arrays_of, fresh_mesh, manifest_of
from agents.mesh import Mesh
from agents.recipe import recipe_of
from features.events import Domain
from features.logs import Events, read_logs
from models import bundle
from training.counterfeits import NEAR, REAL, WILD, counterfeited
from training.gate import MARGINS, Decision, judge, leads, precisions, reigning
from training.learning import learn
from training.simulation import simulate

NETWORK = Domain.NETWORK
EPOCHS = 6


@dataclass(frozen=True)
class Estate:
    """What networks did before the first attack and since, and the uids of attacks."""

    before: pl.DataFrame
    since: pl.DataFrame
    attacks: frozenset[str]


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Estate:
    folder = tmp_path_factory.mktemp("estate")
    simulate(folder, seed=1, days=4, users=20, play=6)
    events = read_logs([folder / "network.jsonl"]).events[NETWORK]
    truth = json.loads((folder / "truth.json").read_text())
    is_early = pl.col("time") < datetime.fromisoformat(truth["attack_begins"])
    uids = frozenset(uid for campaign in truth["campaigns"] for uid in campaign["uids"])
    return Estate(events.filter(is_early)[-6000:], events.filter(~is_early)[:6000], uids)


@pytest.fixture(scope="module")
def taught(estate: Estate) -> Mapping[str, Agent]:
    """Agents taught from all of the past, from half of it, from too little, from a jumble, and by an attacker."""
    lessons = {
        "all": estate.before,
        "half": estate.before[-3000:],
        "few": estate.before[-100:],
        "jumble": jumbled(estate.before),
        "poison": pl.concat([estate.before, *[attacks_of(estate)] * 5]),
    }
    return {name: learn(recipe_of(NETWORK), events, seed=0, epochs=EPOCHS).agent for name, events in lessons.items()}


def jumbled(events: pl.DataFrame) -> pl.DataFrame:
    """Each value in another event."""
    chance = np.random.default_rng(0)
    names = [name for name in events.columns if name not in ("source", "member", "line", "time", "uid", "class_uid")]
    return events.with_columns(events[name].gather(chance.permutation(events.height)) for name in names)


def attacks_of(estate: Estate) -> pl.DataFrame:
    """The attacks, dated as if they had always been there."""
    last = pl.lit(estate.before["time"][-1]).cast(estate.before.schema["time"])
    return estate.since.filter(pl.col("uid").is_in(list(estate.attacks))).with_columns(time=last)


def decided(estate: Estate, champion: Agent, challenger: Agent, *, has_labels: bool) -> Decision:
    attacks = estate.attacks if has_labels else None
    meshes = Mesh({NETWORK: champion}), Mesh({NETWORK: challenger})
    return judge(meshes[0], meshes[1], {NETWORK: estate.since}, seed=0, attacks=attacks)


@pytest.mark.parametrize("has_labels", [True, False])
def test_a_challenger_that_learned_from_more_is_taken(
    estate: Estate, taught: Mapping[str, Agent], has_labels: bool
) -> None:
    decision = decided(estate, taught["half"], taught["all"], has_labels=has_labels)
    assert decision.is_taken, decision.in_words()
    assert decision.reason == "it improves or holds in network"


@pytest.mark.parametrize("has_labels", [True, False])
@pytest.mark.parametrize("lesson", ["few", "jumble", "half"])
def test_a_challenger_that_was_taught_badly_is_refused(
    estate: Estate, taught: Mapping[str, Agent], lesson: str, has_labels: bool
) -> None:
    decision = decided(estate, taught["all"], taught[lesson], has_labels=has_labels)
    assert not decision.is_taken
    assert decision.reason == "it is worse in network"
    assert re.search(r"network: is worse: .*\d after .*\d, allowed", " ".join(decision.in_words()))


def test_a_poisoned_challenger_is_refused_where_there_are_labels_and_only_there(
    estate: Estate, taught: Mapping[str, Agent]
) -> None:
    assert not decided(estate, taught["all"], taught["poison"], has_labels=True).is_taken
    assert decided(estate, taught["all"], taught["poison"], has_labels=False).is_taken


def test_an_agent_holds_against_itself_by_every_measure(estate: Estate, taught: Mapping[str, Agent]) -> None:
    decision = decided(estate, taught["all"], taught["all"], has_labels=True)
    assert decision.is_taken
    (compared,) = decision.compared
    assert len(compared.measures) == 6
    assert all(measure.champion == measure.challenger for measure in compared.measures)


def test_judging_changes_neither_mesh_and_the_same_seed_judges_the_same(
    estate: Estate, taught: Mapping[str, Agent]
) -> None:
    before = {name: agent.state() for name, agent in taught.items()}
    first = decided(estate, taught["all"], taught["half"], has_labels=True)
    for name, agent in taught.items():
        assert all(np.array_equal(array, agent.state()[part]) for part, array in before[name].items())
    assert decided(estate, taught["all"], taught["half"], has_labels=True) == first


def test_a_first_release_is_taken_as_there_is_none_to_compare_with(estate: Estate) -> None:
    decision = judge(None, fresh_mesh(), {NETWORK: estate.since}, seed=0)
    assert decision.is_taken
    assert decision.in_words() == ["taken: there is no champion to compare with: it is the first"]
    assert decision.metrics() == {"gate": 1.0}


@pytest.mark.parametrize("rows", [0, 199])
def test_without_enough_events_nothing_is_taken(estate: Estate, taught: Mapping[str, Agent], rows: int) -> None:
    mesh = Mesh({NETWORK: taught["all"]})
    decision = judge(mesh, mesh, {NETWORK: estate.since[:rows]}, seed=0)
    assert not decision.is_taken
    assert decision.reason == "no domain has 200 new events to judge by: give more logs"
    assert decision.in_words()[1:] == ([f"network: not judged ({rows} events are fewer than 200)"] if rows else [])


def test_a_share_of_strange_events_that_grew_too_much_is_refused(
    estate: Estate, taught: Mapping[str, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.gate.MARGINS", dict.fromkeys(MARGINS, 1.0))
    shy, loud = Mesh({NETWORK: taught["all"]}), Mesh({NETWORK: taught["half"]})
    said = loud.observe

    def louder(events: Events, order: pl.DataFrame | None = None) -> pl.DataFrame:
        return said(events, order).with_columns(p=pl.col("p") / 20)

    monkeypatch.setattr(loud, "observe", louder)
    decision = judge(shy, loud, {NETWORK: estate.since}, seed=0)
    assert not decision.is_taken
    assert "share of p <= 0.01" in decision.in_words()[1]


def test_a_domain_that_the_champion_lacks_or_reads_by_another_recipe_is_compared_with_an_untaught_agent(
    taught: Mapping[str, Agent], tmp_path: Path
) -> None:
    agent = taught["few"]
    bundle.write(tmp_path / "now", arrays_of(agent), manifest_of(agent))
    bundle.write(tmp_path / "then", arrays_of(agent), manifest_of(agent) | {"words": ["of old"]})
    now, then = bundle.read(tmp_path / "now"), bundle.read(tmp_path / "then")
    kept = reigning({NETWORK: now}, 1)
    assert kept.mesh.agents[NETWORK].offline
    assert kept.notes.keys() == set(Domain) - {NETWORK}
    changed = reigning({NETWORK: then}, 1)
    assert changed.mesh.agents[NETWORK].offline is None
    assert changed.notes[NETWORK] == "its recipe changed: compared with an agent that knows nothing"
    assert changed.notes[Domain.DNS].startswith("the champion has no model of it")


def test_a_first_model_of_a_domain_is_taken_after_an_untaught_agent_and_the_note_says_so(
    estate: Estate, taught: Mapping[str, Agent]
) -> None:
    champion = reigning({}, 1)
    mesh = Mesh({NETWORK: taught["all"]})
    decision = judge(champion.mesh, mesh, {NETWORK: estate.since}, seed=0, attacks=estate.attacks, notes=champion.notes)
    assert decision.is_taken, decision.in_words()
    assert "compared with an agent that knows nothing" in decision.in_words()[1]


def test_every_number_of_a_decision_is_in_its_table_and_its_metrics(
    estate: Estate, taught: Mapping[str, Agent]
) -> None:
    decision = decided(estate, taught["all"], taught["half"], has_labels=True)
    table, metrics = decision.table(), decision.metrics()
    assert table.height == 6
    assert table["holds"].not_().any()
    assert metrics["gate"] == 0.0
    assert len(metrics) == 1 + 3 * table.height
    assert all(re.fullmatch(r"[\w./ -]+", name) for name in metrics)  # what MLflow takes
    shown = table.filter(pl.col("measure") == "AUC of attacks")["challenger"].item()
    assert metrics["gate/network/AUC of attacks/challenger"] == shown


# Measures


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=2, max_size=40))
def test_means_of_precisions_and_leads_are_what_scikit_learn_measures(rows: list[tuple[bool, int]]) -> None:
    is_wanted_B, p_B = np.array([wanted for wanted, _ in rows]), np.array([p / 6 for _, p in rows])
    if not is_wanted_B.any() or is_wanted_B.all():
        return
    assert precisions(is_wanted_B, p_B).mean() == pytest.approx(average_precision_score(is_wanted_B, -p_B))
    assert leads(is_wanted_B, p_B).mean() == pytest.approx(roc_auc_score(is_wanted_B, -p_B))


# Counterfeits


def changes(mixed: pl.DataFrame, kind_B: NDArray[np.int8], kind: int) -> pl.DataFrame:
    """How many values of each counterfeit are not those of the event before it."""
    names = [name for name in mixed.columns if name not in ("line", "uid")]
    frame = mixed.with_columns(kind=pl.Series(kind_B))
    real = frame.filter(pl.col("kind") == REAL)
    pairs = frame.filter(pl.col("kind") == kind).join(real, on=["line", "uid"], how="left", suffix="_real")
    different = [pl.col(name).ne_missing(pl.col(f"{name}_real")) for name in names]
    return pairs.select("activity_name", "activity_name_real", changed=pl.sum_horizontal(different))


def test_counterfeits_follow_real_events_and_leave_them_as_they_are(estate: Estate) -> None:
    mixed = counterfeited(estate.since, np.random.default_rng(0))
    assert mixed.events.filter(pl.Series(mixed.kind_B == REAL)).equals(estate.since)
    assert mixed.events["time"].is_sorted()
    assert (mixed.kind_B == WILD).sum() == 600
    assert 500 < (mixed.kind_B == NEAR).sum() <= 600


def test_a_near_counterfeit_has_exactly_one_other_value_and_is_of_the_same_activity(estate: Estate) -> None:
    mixed = counterfeited(estate.since, np.random.default_rng(0))
    near = changes(mixed.events, mixed.kind_B, NEAR)
    assert set(near["changed"]) == {1}
    assert near["activity_name"].eq_missing(near["activity_name_real"]).all()


def test_a_wild_counterfeit_is_unlike_its_event_in_most_values(estate: Estate) -> None:
    mixed = counterfeited(estate.since, np.random.default_rng(0))
    wild, near = (changes(mixed.events, mixed.kind_B, kind)["changed"].to_numpy() for kind in (WILD, NEAR))
    assert np.median(wild) > 2 * np.median(near)


def test_the_same_seed_makes_the_same_counterfeits(estate: Estate) -> None:
    one, two, other = (counterfeited(estate.since[:500], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.events.equals(two.events)
    assert not one.events.equals(other.events)


def test_events_that_are_all_alike_have_no_near_counterfeit(estate: Estate) -> None:
    alike = pl.concat([estate.since[:1]] * 300)
    mixed = counterfeited(alike, np.random.default_rng(0))
    assert not (mixed.kind_B == NEAR).any()
    mesh = Mesh({NETWORK: Agent(recipe_of(NETWORK))})
    assert judge(mesh, mesh, {NETWORK: alike}, seed=0).is_taken
