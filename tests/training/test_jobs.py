"""What a training job leaves in the registry."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.events import Domain
from features.logs import Events, read_logs
from models.home import Home
from models.registry import NoRegistry, Registry
from models.releases import Release, champion, load, model_name
from training.jobs import train
from training.lineage import NothingToLearn, lineage_of
from training.simulation import simulate


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Events:
    folder = tmp_path_factory.mktemp("estate")
    simulate(folder, seed=1, days=1, users=4, play=0)
    return read_logs(sorted(folder.glob("*.jsonl"))).events


@dataclass(frozen=True)
class Done:
    """A job that was done, with all that can be looked at."""

    registry: Registry
    events: Events
    release: Release
    told: list[tuple[Domain, int, int]]

    def run(self, domain: Domain) -> Any:
        """The run that taught `domain`, as MLflow tells it."""
        client = self.registry._reader()
        version = str(self.release.versions[domain])
        return client.get_run(client.get_model_version(model_name(domain), version).run_id)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, template: Path, events: Events) -> Done:
    home = Home.at(tmp_path_factory.mktemp("home"))
    home.mlruns.mkdir(parents=True)
    shutil.copy(template, home.mlruns / "mlflow.db")
    told: list[tuple[Domain, int, int]] = []
    taught = some(events, Domain.DNS, Domain.CLOUD)
    release = train(taught, Registry(home), seed=1, epochs=2, told=lambda *step: told.append(step))
    return Done(Registry(home), taught, release, told)


def some(events: Events, *domains: Domain, rows: int = 400) -> Events:
    return {domain: events[domain][:rows] for domain in domains}


def small(events: Events, registry: Registry, seed: int = 1) -> Release:
    return train(events, registry, seed=seed, epochs=2)


def test_a_job_makes_what_it_taught_the_champion(done: Done) -> None:
    assert champion(done.registry) == done.release
    assert done.release.versions == {Domain.DNS: 1, Domain.CLOUD: 1}
    assert done.registry.alias(model_name(Domain.DNS), "champion") == 1


def test_each_domain_is_a_run_below_the_run_of_the_job(done: Done) -> None:
    for domain in done.release.members:
        assert done.run(domain).data.tags["mlflow.parentRunId"] == done.release.run_id
        assert done.run(domain).info.run_name == f"train {domain}"


def test_a_run_tells_what_it_learned_from_and_how_it_went(done: Done) -> None:
    run, client = done.run(Domain.DNS), done.registry._reader()
    source = json.loads(run.inputs.dataset_inputs[0].dataset.source)
    assert source["digest"] == lineage_of(done.events[Domain.DNS]).digest
    assert source["rows"] == 400
    assert {"events", "seed", "epochs", "recipe", "vocabulary site"} <= run.data.params.keys()
    wanted = {"loss", "later_loss", "final_loss", "share_p_0.01", "share_p_0.001", "events_per_second"}
    assert wanted <= run.data.metrics.keys()
    assert len(client.get_metric_history(run.info.run_id, "later_loss")) == 2
    plots = {file.path for file in client.list_artifacts(run.info.run_id, "plots")}
    assert plots == {f"plots/{name}.png" for name in ("learning", "scores", "reliability", "fields")}


def test_a_model_has_a_card(done: Done) -> None:
    cards = [path.read_text() for path in done.registry.home.mlruns.rglob("card.md")]
    assert len(cards) == 2
    assert sum(lineage_of(done.events[Domain.DNS]).digest in card and "| site |" in card for card in cards) == 1


def test_a_model_tells_of_its_own_training(done: Done) -> None:
    told = load(done.registry, done.release)[Domain.DNS].manifest["trained"]
    assert told["events"] == 400
    assert len(told["loss"]) == len(told["later_loss"]) == 2


def test_each_epoch_of_each_domain_is_told(done: Done) -> None:
    assert done.told == [(domain, epoch, 2) for domain in (Domain.DNS, Domain.CLOUD) for epoch in (1, 2)]


def test_the_same_seed_gives_the_same_models_and_another_seed_others(registry: Registry, events: Events) -> None:
    one, two, other = (small(some(events, Domain.DNS), registry, seed) for seed in (1, 1, 2))
    assert one.members[Domain.DNS].sha256 == two.members[Domain.DNS].sha256
    assert one.members[Domain.DNS].sha256 != other.members[Domain.DNS].sha256


def test_a_partial_job_inherits_and_a_stopped_one_changes_no_champion(registry: Registry, events: Events) -> None:
    first = small(some(events, Domain.DNS, Domain.CLOUD), registry)
    second = small(some(events, Domain.DNS), registry)
    assert second.base == first.number
    assert second.versions == {Domain.DNS: 2, Domain.CLOUD: 1}

    def stop(domain: Domain, epoch: int, epochs: int) -> None:
        if domain is Domain.CLOUD:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(some(events, Domain.DNS, Domain.CLOUD), registry, seed=2, epochs=2, told=stop)
    assert champion(registry) == second
    assert registry.alias(model_name(Domain.DNS), "champion") == 2
    assert runs(registry)["train"] == ["FINISHED", "FINISHED", "FAILED"]


def test_one_event_is_enough_for_every_domain(registry: Registry, events: Events) -> None:
    release = train(some(events, *Domain, rows=1), registry, seed=1, epochs=1)
    assert set(release.members) == set(Domain)


def test_no_event_at_all_is_refused_and_leaves_no_registry(tmp_path: Path, events: Events) -> None:
    registry = Registry(Home.at(tmp_path))
    with pytest.raises(NothingToLearn, match="no event to learn from"):
        small(some(events, Domain.DNS, rows=0), registry)
    with pytest.raises(NoRegistry):
        champion(registry)


def test_the_digest_tells_events_apart_but_not_their_order(events: Events) -> None:
    frame = events[Domain.DNS][:50]
    mixed = frame[np.random.default_rng(0).permutation(50)]
    assert lineage_of(mixed) == lineage_of(frame)
    assert lineage_of(frame[1:]).digest != lineage_of(frame).digest
    other = frame.with_columns(uid=pl.concat_str("uid", pl.lit("x")))
    assert lineage_of(other).digest != lineage_of(frame).digest


def runs(registry: Registry) -> dict[str, list[str]]:
    """The states of all runs by name, in the order they began."""
    client = registry._reader()
    experiment = client.get_experiment_by_name("secmesh")
    found: dict[str, list[str]] = {}
    for run in sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.start_time):
        found.setdefault(run.info.run_name, []).append(run.info.status)
    return found
