"""What the tests of several floors share: a home with an empty registry."""

import shutil
from pathlib import Path

import pytest

from models.home import Home
from models.registry import Registry


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty catalogue, made once: MLflow takes seconds to set up its tables."""
    registry = Registry(Home.at(tmp_path_factory.mktemp("template")))
    with registry.run("template", "empty", {}, {}):
        return registry.database


@pytest.fixture
def registry(tmp_path: Path, template: Path) -> Registry:
    """A registry of the test's own, below `tmp_path / "home"`, with nothing in it."""
    home = Home.at(tmp_path / "home")
    home.mlruns.mkdir(parents=True)
    shutil.copy(template, home.mlruns / "mlflow.db")
    return Registry(home)
