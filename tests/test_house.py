"""What holds for every file of the house."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "features", "models", "serving", "training")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
#: Ways to run what was meant to be data.
LOADERS = re.compile(r"pickle|joblib|torch\.load|load_model|(?<!_load_)pyfunc|yaml\.load")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_loads_from_this_repository(package: str) -> None:
    assert importlib.import_module(package).__file__ == str(ROOT / package / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_opens_with_one_sentence(path: Path) -> None:
    caption = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    assert re.fullmatch(r"[A-Z`](?:[^.]|\.(?!\s+[A-Z]))*\.", caption), caption


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=name_of)
def test_an_init_is_its_caption(path: Path) -> None:
    assert len(ast.parse(path.read_text()).body) == 1


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_knows_a_loader_that_runs_what_it_loads(path: Path) -> None:
    assert not LOADERS.findall(path.read_text())
