"""What a training job leaves in the registry."""

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.events import Domain
from features.logs import Events, read_logs
from models.home import Home
from models.registry import NoRegistry, Registry
from models.releases import Release, challenger, champion, load, model_name
from training.fitting import NoDevice
from training.jobs import train
from training.lineage import NothingToLearn, lineage_of
from training.shelf import shelve
from training.simulation import simulate


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Events:
    folder = tmp_path_factory.mktemp("estate")
    simulate(folder, seed=1, days=1, users=4, play=0)
    return read_logs(sorted(folder.glob("*.jsonl"))).events


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What two domains logged on a smaller estate."""
    folder = tmp_path_factory.mktemp("small")
    simulate(folder, seed=1, days=1, users=2, play=0)
    return [folder / "dns.jsonl", folder / "cloud.jsonl"]


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
    release = train(taught, Registry(home), seed=1, epochs=2, told=lambda *step: told.append(step)).release
    return Done(Registry(home), taught, release, told)


def some(events: Events, *domains: Domain, rows: int = 400) -> Events:
    return {domain: events[domain][:rows] for domain in domains}


def small(events: Events, registry: Registry, seed: int = 1) -> Release:
    return train(events, registry, seed=seed, epochs=2, is_compared=False).release


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
    assert {"events", "seed", "epochs", "rate", "device", "vocabulary site"} <= run.data.params.keys()
    assert run.data.params["epochs done"] == "2"
    assert "recipe" in run.data.tags
    wanted = {"loss", "later_loss", "final_loss", "share_p_0.01", "share_p_0.001"}
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


def test_what_too_few_new_events_speak_for_stays_the_challenger(registry: Registry, events: Events) -> None:
    first = small(some(events, Domain.DNS), registry)
    outcome = train(some(events, Domain.DNS), registry, seed=2, epochs=2)
    assert not outcome.decision.is_taken
    assert champion(registry) == first
    assert challenger(registry) == outcome.release
    assert f"secmesh promote {outcome.release.number} --reason" in outcome.in_words()[-1]


def test_one_event_is_enough_for_every_domain(registry: Registry, events: Events) -> None:
    release = train(some(events, *Domain, rows=1), registry, seed=1, epochs=1).release
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


def test_a_job_that_was_stopped_goes_on_and_makes_the_same_models(
    registry: Registry, tmp_path: Path, logs: list[Path]
) -> None:
    shelf = shelve(logs, tmp_path / "shelf")
    job = partial(train, shelf, registry, seed=1, epochs=3, folder=tmp_path, is_compared=False)
    whole = train(shelf, registry, seed=1, epochs=3, is_compared=False).release
    heard: list[tuple[Domain, int, int]] = []

    def stop(*step: Any) -> None:
        heard.append(step)
        if step == (Domain.CLOUD, 2, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job(told=stop)
    stopped = len(heard)
    again = job(told=lambda *step: heard.append(step)).release
    assert heard[stopped:] == [(Domain.CLOUD, 3, 3)]
    assert {d: member.sha256 for d, member in again.members.items()} == {
        d: member.sha256 for d, member in whole.members.items()
    }


def test_a_shelf_makes_the_models_that_events_in_memory_make_and_faces_the_same_gate(
    registry: Registry, tmp_path: Path, logs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.gate.LEAST_EVENTS", 20)
    shelf, events = shelve(logs, tmp_path / "shelf"), read_logs(logs).events
    small(events, registry)
    on_disk, in_memory = (train(past, registry, seed=2, epochs=2) for past in (shelf, events))
    assert {d: member.sha256 for d, member in on_disk.release.members.items()} == {
        d: member.sha256 for d, member in in_memory.release.members.items()
    }
    assert any(compared.measures for compared in on_disk.decision.compared)


def test_settings_are_swept_for_in_runs_below_the_job_and_told_of_the_model(
    registry: Registry, tmp_path: Path, events: Events
) -> None:
    heard: list[tuple[str, int, int | None]] = []
    release = train(
        some(events, Domain.DNS),
        registry,
        seed=1,
        sweep=2,
        folder=tmp_path,
        heard=lambda *step: heard.append(step),
    ).release
    found = runs(registry)
    assert found.keys() == {"train", "sweep dns", "trial 0", "trial 1", "train dns"}
    assert [step for step in heard if step[0] == "sweeping dns"] == [("sweeping dns", n, 2) for n in (1, 2)]
    assert heard[-1] == ("watching", 400, 400)
    by_name = {run.info.run_name: run for run in all_runs(registry)}
    assert by_name["sweep dns"].data.tags["mlflow.parentRunId"] == release.run_id
    chosen, told = by_name["sweep dns"].data.params, by_name["train dns"].data.params
    assert all(told[name] == chosen[f"best {name}"] for name in ("rate", "batch", "width", "epochs"))
    assert told["sweep"] == "2"


def test_a_device_that_is_not_here_is_refused_before_anything_is_done(tmp_path: Path, events: Events) -> None:
    with pytest.raises(NoDevice, match="device 'abacus' is not here"):
        train(some(events, Domain.DNS), Registry(Home.at(tmp_path)), seed=1, device="abacus")
    assert not (tmp_path / "mlruns").exists()


def test_events_of_one_moment_alone_are_learned_from_again_and_again(registry: Registry, events: Events) -> None:
    moment = {Domain.DNS: events[Domain.DNS][:300].with_columns(time=events[Domain.DNS]["time"][0])}
    small(moment, registry)
    outcome = train(moment, registry, seed=2, epochs=1)
    assert outcome.release.versions == {Domain.DNS: 2}
    assert not outcome.decision.is_taken


def runs(registry: Registry) -> dict[str, list[str]]:
    """The states of all runs by name, in the order they began."""
    found: dict[str, list[str]] = {}
    for run in sorted(all_runs(registry), key=lambda run: run.info.start_time):
        found.setdefault(run.info.run_name, []).append(run.info.status)
    return found


def all_runs(registry: Registry) -> list[Any]:
    client = registry._reader()
    experiment = client.get_experiment_by_name("secmesh")
    return list(client.search_runs([experiment.experiment_id]))
