"""What the tests of serving share: a small estate, its logs, and a home whose champion has seen the first of them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.keeping import arrays_of, manifest_of
from agents.recipe import recipe_of
from features.events import Domain
from features.logs import Events, read_logs
from models import bundle
from models.home import Home
from models.registry import Registry, Run
from models.releases import model_name, promote, publish
from training.learning import learn
from training.simulation import simulate


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log for each domain, two days in the life of six people, one attack among them."""
    out = tmp_path_factory.mktemp("estate")
    simulate(out, seed=3, days=2, users=6, play=1)
    (out / "truth.json").unlink()
    return out


@pytest.fixture(scope="session")
def champion(estate: Path, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose champion release knows all six domains; do not write to it."""
    home = Home.at(tmp_path_factory.mktemp("champion"))
    home.mlruns.mkdir()
    shutil.copy(template, home.mlruns / "mlflow.db")
    registry = Registry(home)
    events = read_logs([estate]).events
    with registry.run("serving", "learn", {}, {}) as run:
        versions = _registered(registry, run, events, tmp_path_factory.mktemp("bundles"))
        run.log_metrics({"events": float(sum(frame.height for frame in events.values()))})
        promote(registry, publish(registry, run, versions))
    return home


@pytest.fixture(scope="session")
def two_releases(estate: Path, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose champion is release 1, and where release 2 waits; both know networks alone. Do not write to it."""
    root = tmp_path_factory.mktemp("two")
    home = Home.at(root)
    home.mlruns.mkdir()
    shutil.copy(template, home.mlruns / "mlflow.db")
    registry, recipe = Registry(home), recipe_of(Domain.NETWORK)
    events = read_logs([estate / "network.jsonl"]).events[Domain.NETWORK]
    with registry.run("serving", "learn", {}, {}) as run:
        for number in (1, 2):
            agent, folder = learn(recipe, events.head(200 * number), seed=number, epochs=1).agent, root / str(number)
            bundle.write(folder, arrays_of(agent), manifest_of(agent))
            version = registry.register(model_name(Domain.NETWORK), folder, run)
            release = publish(registry, run, {Domain.NETWORK: version})
            if number == 1:
                promote(registry, release)
    return root


@pytest.fixture
def twice(two_releases: Path, tmp_path: Path) -> Registry:
    """The registry of a home of the test's own, `tmp_path / "home"`, with the champion 1 and the release 2."""
    shutil.copytree(two_releases, tmp_path / "home")
    return Registry(Home.at(tmp_path / "home"))


def _registered(registry: Registry, run: Run, events: Events, folder: Path) -> Mapping[Domain, int]:
    versions = {}
    for domain, frame in events.items():
        agent = learn(recipe_of(domain), frame.head(500), seed=0, epochs=2).agent
        bundle.write(folder / domain, arrays_of(agent), manifest_of(agent))
        versions[domain] = registry.register(model_name(domain), folder / domain, run)
    return versions
