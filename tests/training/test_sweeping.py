"""How settings are looked for."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.home import Home
from models.offline import Ask, asked_fields
from models.registry import Registry
from training import sweeping
from training.counting import Counted, count
from training.fitting import Diverged, Epoch, Settings, fit_counted
from training.sweeping import SPACE, Sweep

ASKS = (Ask("program", given=("kind",)),)
TRIALS = 8


@pytest.fixture(scope="module")
def counted() -> Counted:
    chance = np.random.default_rng(0)
    kind_B = chance.integers(1, 3, 3000)
    program_B = 100 * kind_B + np.minimum(chance.geometric(0.05, 3000), 99)
    codes = {"program": program_B.astype(np.uint64), "kind": kind_B.astype(np.uint64)}
    return count([{name: codes[name] for name in asked_fields(ASKS)}], 3000)


def swept(counted: Counted, registry: Registry, folder: Path, told: Any = None, trials: int = TRIALS) -> Settings:
    sweep = Sweep(counted, ASKS, seed=5, folder=folder)
    with registry.run("secmesh", "train", {}, {}) as run:
        return sweep.run(trials, registry, "secmesh", run, told or (lambda trial, trials, best: None))


def trials_of(registry: Registry) -> list[Any]:
    """The runs of trials, in the order they began."""
    client = registry._reader()
    experiment = client.get_experiment_by_name("secmesh")
    runs = client.search_runs([experiment.experiment_id])
    found = [run for run in runs if run.info.run_name.startswith("trial")]
    return sorted(found, key=lambda run: run.info.start_time)


@pytest.fixture(scope="module")
def whole(counted: Counted, template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, Settings]:
    """The registry of a sweep that nothing stopped, and what it chose; only read it."""
    home = Home.at(tmp_path_factory.mktemp("whole"))
    home.mlruns.mkdir()
    shutil.copy(template, home.mlruns / "mlflow.db")
    return Registry(home), swept(counted, Registry(home), tmp_path_factory.mktemp("sweep") / "whole")


def test_trials_are_runs_below_their_job_and_the_first_is_the_default(whole: tuple[Registry, Settings]) -> None:
    registry, best = whole
    runs = trials_of(registry)
    assert len(runs) == TRIALS
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs}) == 1
    assert runs[0].data.params == {name: str(getattr(Settings(), name)) for name in SPACE}
    parent = registry._reader().get_run(runs[0].data.tags["mlflow.parentRunId"])
    assert parent.data.params == {f"best {name}": str(getattr(best, name)) for name in SPACE}
    finished = [run.data.metrics["trial_loss"] for run in runs if "given_up" not in run.data.metrics]
    assert parent.data.metrics["best_trial_loss"] == min(finished)


@pytest.mark.parametrize("at", [1, 6])
def test_a_sweep_that_was_stopped_goes_on_as_if_it_had_not(
    whole: tuple[Registry, Settings],
    counted: Counted,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    chosen = [run.data.params for run in trials_of(whole[0])]

    def fit(*events: Any, told: Callable[[Epoch], None], **named: Any) -> Any:
        def heard(epoch: Epoch) -> None:
            if len(trials_of(registry)) == at and epoch.number == 1:
                raise KeyboardInterrupt
            told(epoch)

        return fit_counted(*events, told=heard, **named)

    monkeypatch.setattr(sweeping, "fit_counted", fit)
    with pytest.raises(KeyboardInterrupt):
        swept(counted, registry, tmp_path / "stopped")
    monkeypatch.undo()
    assert swept(counted, registry, tmp_path / "stopped") == whole[1]
    after = [run.data.params for run in trials_of(registry) if run.info.status == "FINISHED"]
    assert after == chosen


def test_a_bad_trial_is_given_up(
    counted: Counted, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*events: Any, told: Callable[[Epoch], None], **named: Any) -> Any:
        number = len(trials_of(registry)) - 1
        return fit_counted(
            *events, told=lambda epoch: told(replace(epoch, later_loss=epoch.later_loss + 100 * number)), **named
        )

    monkeypatch.setattr(sweeping, "fit_counted", fit)
    assert swept(counted, registry, tmp_path / "sweep") == Settings()
    given_up = [run.data.metrics.get("given_up", 0.0) for run in trials_of(registry)]
    assert given_up == [0.0] * sweeping.UNPRUNED + [1.0] * (TRIALS - sweeping.UNPRUNED)


def test_a_trial_without_a_loss_is_given_up(
    counted: Counted, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*events: Any, **named: Any) -> Any:
        if len(trials_of(registry)) > 1:
            raise Diverged("the loss is no number")
        return fit_counted(*events, **named)

    monkeypatch.setattr(sweeping, "fit_counted", fit)
    assert swept(counted, registry, tmp_path / "sweep", trials=3) == Settings()


def test_each_trial_is_told_with_the_best_loss_so_far(counted: Counted, registry: Registry, tmp_path: Path) -> None:
    heard: list[tuple[int, int, float]] = []
    swept(counted, registry, tmp_path / "sweep", lambda *told: heard.append(told), trials=3)
    assert [trial for trial, _, _ in heard] == [1, 2, 3]
    assert [best for _, _, best in heard] == sorted((best for _, _, best in heard), reverse=True)
