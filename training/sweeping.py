"""Looks for the settings with which an encoder understands later events best, and gives up on bad ones early."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from models.offline import Ask
from models.registry import Registry, Run
from training.counting import Counted
from training.fitting import Diverged, Epoch, Settings, fit_counted

#: What is tried, each choice between what makes sense for logs of thousands to millions of events.
SPACE: dict[str, BaseDistribution] = {
    "epochs": CategoricalDistribution([4, 8, 16, 24]),
    "rate": FloatDistribution(1e-3, 5e-2, log=True),
    "batch": CategoricalDistribution([512, 1024, 2048, 4096]),
    "width": CategoricalDistribution([16, 32, 64]),
    "decay": CategoricalDistribution([0.0, 1e-3, 1e-2, 1e-1]),
    "most": CategoricalDistribution([512, 1024, 4096, 16384]),
    "least": IntDistribution(1, 5),
}
#: A trial is compared with those before it so often, at even shares of its epochs: rates fall by share, too.
COMPARISONS = 4
#: Trials that nothing is compared with.
UNPRUNED = 4

_OVER = (TrialState.COMPLETE, TrialState.PRUNED)

#: Hears of a trial's number, how many there will be, and the best loss so far.
Told = Callable[[int, int, float], None]


class Sweep:
    """Trials of settings on one domain's events, kept in `folder`, if any, so that a sweep that was stopped goes on.

    What is compared is the surprisal of later events over the same values, whatever the vocabulary: the later loss and
    `Counted.unseen_nats`. A trial's choice depends on the trials that are over and on `seed` alone, so that a sweep
    that went on chooses as if it had never stopped. A trial is given up where it is worse after a quarter of its epochs
    than the median of those before (Golovin et al., KDD 2017). The first trial is the default, so the best is no worse.
    """

    def __init__(
        self, counted: Counted, asks: Sequence[Ask], *, seed: int, folder: Path | None, device: str = "cpu"
    ) -> None:
        self._counted, self._asks, self._seed, self._device = counted, asks, seed, device
        self._targets = [ask.field for ask in asks]
        if folder:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            storage=f"sqlite:///{(folder / 'sweep.db').absolute()}" if folder else None,
            study_name=_name(counted, asks, seed),
            pruner=optuna.pruners.MedianPruner(UNPRUNED),
            load_if_exists=True,
        )

    def run(
        self,
        trials: int,
        registry: Registry,
        experiment: str,
        parent: Run,
        told: Told = lambda trial, trials, best: None,
    ) -> Settings:
        """Have `trials` trials over, those before an interruption among them, each a run below `parent`; the best."""
        self._forget_unfinished()
        tags = {"mlflow.parentRunId": parent.run_id}
        for number in range(len(self._study.get_trials(states=_OVER)), trials):
            trial, settings = self._asked(number)
            with registry.run(experiment, f"trial {number}", trial.params, tags) as run:
                self._try(trial, settings, run)
            told(number + 1, trials, self._study.best_value)
        best = Settings(**self._study.best_params)
        parent.log_params({f"best {name}": value for name, value in self._study.best_params.items()})
        parent.log_metrics({"best_trial_loss": self._study.best_value, "trials": trials})
        return best

    def _asked(self, number: int) -> tuple[Trial, Settings]:
        """The next trial; its chance is its own, not what is left of that of the trials before it."""
        chance = int(np.random.default_rng([self._seed, number]).integers(2**32))
        self._study.sampler = TPESampler(seed=chance, n_startup_trials=UNPRUNED)
        if not number and not self._study.get_trials(states=(TrialState.WAITING,)):
            self._study.enqueue_trial({name: getattr(Settings(), name) for name in SPACE})
        trial = self._study.ask(SPACE)
        return trial, Settings(**trial.params)

    def _try(self, trial: Trial, settings: Settings, run: Run) -> None:
        vocabulary = self._counted.vocabulary(settings.most, settings.least)
        apart = self._counted.unseen_nats(vocabulary, self._targets)
        losses: list[float] = []

        def heard(epoch: Epoch) -> None:
            losses.append(epoch.later_loss + apart)
            run.log_metrics(
                {"loss": epoch.loss, "later_loss": epoch.later_loss, "trial_loss": losses[-1]}, epoch.number
            )
            share, beyond = divmod(COMPARISONS * (epoch.number + 1), settings.epochs)
            if not beyond:
                trial.report(losses[-1], share)
            if not beyond and trial.should_prune():
                raise TrialPruned

        try:
            fit_counted(self._counted, self._asks, settings, seed=self._seed, device=self._device, told=heard)
        except (TrialPruned, Diverged):
            self._study.tell(trial, state=TrialState.PRUNED)
            run.log_metrics({"given_up": 1.0})
        else:
            self._study.tell(trial, losses[-1])

    def _forget_unfinished(self) -> None:
        """A trial that was under way when the sweep stopped is asked anew."""
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)


def _name(counted: Counted, asks: Sequence[Ask], seed: int) -> str:
    """What makes two sweeps one: the same events, questions and seed."""
    digest = hashlib.sha256(f"{seed} {sorted(SPACE)} {[(ask.field, ask.given) for ask in asks]}".encode())
    for array in (counted.hash_UK, counted.old_U, counted.later_U):
        digest.update(array.tobytes())
    return digest.hexdigest()[:32]
