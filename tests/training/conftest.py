"""What tests of training share: a small estate's logs, and a home where two releases learned from them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents.recipe import recipe_of
from features.events import Domain
from features.logs import Events, read_logs
from models.home import Home
from models.registry import Registry
from models.releases import Release, promote, publish
from training.learning import learn
from training.lineage import lineage_of
from training.simulation import simulate
from training.story import EXPERIMENT, Story, keep, origin, tell, tell_data, tell_release

TAUGHT = (Domain.DNS, Domain.CLOUD)


@dataclass(frozen=True)
class Told:
    """Two releases whose whole story was told, and the logs that they learned from."""

    registry: Registry
    logs: list[Path]
    events: Events
    releases: tuple[Release, Release]


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Told:
    """Two releases of two domains that differ by their seed; only read it, or add runs."""
    home = Home.at(tmp_path_factory.mktemp("told"))
    home.mlruns.mkdir()
    shutil.copy(template, home.mlruns / "mlflow.db")
    folder = tmp_path_factory.mktemp("estate")
    simulate(folder, seed=1, days=1, users=4, play=0)
    logs = [folder / f"{domain}.jsonl" for domain in TAUGHT]
    events = {domain: frame.head(400) for domain, frame in read_logs(logs).events.items()}
    return Told(Registry(home), logs, events, (_train(Registry(home), events, 1), _train(Registry(home), events, 2)))


def _train(registry: Registry, events: Events, seed: int) -> Release:
    with registry.run(EXPERIMENT, "train", {"seed": seed}, origin("a test")) as job, job.watched():
        versions = {domain: _teach(registry, domain, events, seed) for domain in events}
        release = publish(registry, job, versions)
        tell_release(release, registry, job)
        promote(registry, release)
    return release


def _teach(registry: Registry, domain: Domain, events: Events, seed: int) -> int:
    recipe, lineage, settings = recipe_of(domain), lineage_of(events[domain]), {"seed": seed, "epochs": 2}
    with registry.run(EXPERIMENT, f"train {domain}", settings, origin("a test")) as run:
        tell_data(recipe, lineage, run)
        story = Story(recipe, lineage, settings, learn(recipe, events[domain], seed=seed, epochs=2))
        tell(story, run)
        return keep(story, events[domain], registry, run)


@pytest.fixture(scope="session")
def maker(told: Told) -> Callable[[str], Any]:
    """`maker("dns/1")`: the run that made a version of a domain's model, as MLflow tells it."""

    def run_of(name: str) -> Any:
        domain, version = name.split("/")
        return told.registry._reader().get_run(told.registry.maker(f"secmesh-{domain}", int(version)))

    return run_of
