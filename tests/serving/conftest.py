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


def _registered(registry: Registry, run: Run, events: Events, folder: Path) -> Mapping[Domain, int]:
    versions = {}
    for domain, frame in events.items():
        agent = learn(recipe_of(domain), frame.head(500), seed=0, epochs=2).agent
        bundle.write(folder / domain, arrays_of(agent), manifest_of(agent))
        versions[domain] = registry.register(model_name(domain), folder / domain, run)
    return versions
