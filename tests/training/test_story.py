"""What a training run tells MLflow."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from features.events import Domain
from models import bundle
from models.releases import NAME, load
from training.lineage import lineage_of
from training.story import _commit, origin

Maker = Callable[[str], Any]


def text(told: Any, run: Any, name: str) -> str:
    """A text that a run kept."""
    return Path(told.registry._reader().download_artifacts(run.info.run_id, name)).read_text()


def test_a_run_tells_its_data_settings_measures_and_curves(told: Any, maker: Maker) -> None:
    run = maker("dns/1")
    (used,) = run.inputs.dataset_inputs
    assert json.loads(used.dataset.source)["digest"] == lineage_of(told.events[Domain.DNS]).digest
    assert {"seed", "epochs", "vocabulary site"} <= run.data.params.keys()
    wanted = {"loss", "later_loss", "final_loss", "final_later_loss", "share_p_0.01"}
    assert wanted <= run.data.metrics.keys()
    assert len(told.registry._reader().get_metric_history(run.info.run_id, "later_loss")) == 2
    assert run.data.tags["domain"] == "dns"


def test_a_run_keeps_its_figures_and_its_card(told: Any, maker: Maker) -> None:
    run = maker("dns/1")
    plots = {file.path for file in told.registry._reader().list_artifacts(run.info.run_id, "plots")}
    assert plots == {f"plots/{name}.png" for name in ("learning", "scores", "reliability", "fields")}
    card = text(told, run, "card.md")
    for part in ("Intended use", "Limits", "models:/secmesh-dns@champion", lineage_of(told.events[Domain.DNS]).digest):
        assert part in card
    assert "{" not in card


def test_a_version_has_its_card_and_the_hash_of_its_recipe(told: Any, maker: Maker) -> None:
    version = told.registry._reader().get_model_version("secmesh-dns", "2")
    assert version.description == text(told, maker("dns/2"), "card.md")
    assert version.tags["recipe"] == told.releases[1].members[Domain.DNS].recipe
    assert version.tags["recipe"] == maker("dns/2").data.tags["recipe"]
    assert version.tags["events"] == "400"


def test_a_release_tells_its_members(told: Any) -> None:
    release = told.releases[1]
    version = told.registry._reader().get_model_version(NAME, str(release.number))
    assert all(member.sha256 in version.description for member in release.members.values())
    assert "it grew from release 1" in version.description
    assert version.tags["dns"] == "2"
    assert (told.registry._reader().get_run(release.run_id).data.metrics)["system/cpu_utilization_percentage"] >= 0


def test_a_model_tells_of_its_own_training(told: Any) -> None:
    trained = load(told.registry, told.releases[0])[Domain.CLOUD].manifest["trained"]
    assert (trained["events"], trained["seed"]) == (400, 1)
    assert len(trained["loss"]) == len(trained["later_loss"]) == 2


def test_a_notebook_opens_what_training_registered(told: Any) -> None:
    folder = told.registry.fetch("secmesh-dns", 1)
    model = mlflow.pyfunc.load_model(str(folder.parent))
    verdicts = model.predict(told.events[Domain.DNS].tail(50))
    assert len(verdicts) == 50
    assert verdicts["p_offline"].between(0, 1).all()
    assert bundle.read(folder).manifest["domain"] == "dns"


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., str]:
    """git in a folder with one committed file."""
    if (git := shutil.which("git")) is None:
        pytest.skip("no git here")

    def run(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run([git, "-C", tmp_path, *who, *words], capture_output=True, text=True, check=True)  # noqa: S603
        return done.stdout.strip()

    run("init", "-q")
    (tmp_path / "kept.py").write_text("x = 1\n")
    run("add", "kept.py")
    run("commit", "-q", "-m", "first")
    return run


def test_a_run_names_the_commit_of_its_code_and_whether_it_was_changed(
    repository: Callable[..., str], tmp_path: Path
) -> None:
    commit = repository("rev-parse", "HEAD")
    clean = {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": "false"}
    assert _commit(tmp_path / "kept.py") == clean
    (tmp_path / "kept.py").write_text("x = 2\n")
    assert _commit(tmp_path / "kept.py") == clean | {"mlflow.source.git.dirty": "true"}


def test_code_that_git_does_not_keep_has_no_commit(
    repository: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed.py").write_text("x = 1\n")
    assert _commit(tmp_path / "installed.py") == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _commit(tmp_path / "kept.py") == {}
    assert origin("a test") == {"mlflow.source.name": "a test", "mlflow.source.type": "LOCAL"}
