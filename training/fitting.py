"""Fits a domain's encoder to the events it was shown."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import cos, isfinite, pi
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.featurizer import part, under
from features.memory import State
from features.mistakes import AskedWrong, FoundWrong
from features.word import Codes
from models.bundle import JSON, Bundle
from models.encoder import Encoder
from models.offline import Ask, Offline, asked_fields, questions
from models.threads import one_thread
from models.vocabulary import Vocabulary
from training.checkpoints import Checkpoints
from training.counting import Counted, Weighed, count

#: Passes over the events that an encoder is fitted with, unless asked otherwise.
EPOCHS = 16

_MOMENTS = ("exp_avg", "exp_avg_sq")


class NoDevice(AskedWrong):
    """A device was asked for that this machine, or this build of torch, does not have."""


class Diverged(FoundWrong):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Settings:
    """How an encoder is fitted.

    `most` and `least` bound the vocabulary. Fitting stops after `patience` epochs in a row that were no better on later
    events, and the best epoch's weights are kept. Raises ValueError naming a setting out of its range.
    """

    epochs: int = EPOCHS
    rate: float = 1e-2
    batch: int = 1024
    width: int = 32
    decay: float = 0.0
    most: int = 4096
    least: int = 2
    patience: int | None = None

    def __post_init__(self) -> None:
        """Look for settings that cannot be."""
        for name in ("epochs", "batch", "width", "most", "least"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not (isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate is {self.rate}, expected a number above 0")
        if not (isfinite(self.decay) and self.decay >= 0):
            raise ValueError(f"decay is {self.decay}, expected a number from 0")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience is {self.patience}, expected at least 1, or None for all epochs")


@dataclass(frozen=True)
class Epoch:
    """One pass over the events: its number from 0, and mean nats an event on old and on later ones."""

    number: int
    loss: float
    later_loss: float


@dataclass(frozen=True)
class Fit:
    """A fitted detector and its learning curves: mean nats an event after each epoch, on old and on later events.

    `best` is the epoch whose weights these are, `settings` how it was fitted.
    """

    offline: Offline
    loss: list[float]
    later_loss: list[float]
    best: int
    settings: Settings


@dataclass(frozen=True)
class Rows:
    """Different events as codes (U, K), and how much each weighs (U,), 1 on average."""

    code_UK: Tensor
    weight_U: Tensor

    def batches(self, size: int, order_U: NDArray[np.int64] | None = None) -> Iterator["Rows"]:
        """The rows, or those at `order_U`, by at most `size`."""
        at_U = np.arange(len(self.code_UK)) if order_U is None else order_U
        for at_M in torch.split(torch.from_numpy(at_U).to(self.code_UK.device), size):
            yield Rows(self.code_UK[at_M], self.weight_U[at_M])


def fit(
    codes: Codes,
    asks: Sequence[Ask],
    *,
    seed: int,
    epochs: int = EPOCHS,
    rate: float = 1e-2,
    told: Callable[[int], None] = lambda epoch: None,
) -> Fit:
    """Fit to events in the order of the log that are in memory; `told` hears of each epoch done."""
    counted = count([{name: codes[name] for name in asked_fields(asks)}], len(codes[asks[0].field]))
    settings = Settings(epochs=epochs, rate=rate)
    return fit_counted(counted, asks, settings, seed=seed, told=lambda epoch: told(epoch.number))


def fit_counted(
    counted: Counted,
    asks: Sequence[Ask],
    settings: Settings,
    *,
    seed: int,
    device: str = "cpu",
    keep: Path | None = None,
    told: Callable[[Epoch], None] = lambda epoch: None,
) -> Fit:
    """Fit an encoder that answers `asks`, over the fields that were counted; the newest tenth only judges it.

    The same `seed` gives the same weights on the same machine's CPU. `told` hears of each epoch done. Below `keep` each
    epoch is kept, and a fit of the same events, questions, settings and seed goes on there, with the same weights in
    the end as if it had never stopped. Raises Diverged where the loss is no number.
    """
    vocabulary = counted.vocabulary(settings.most, settings.least)
    rows, later = _rows(counted.old(vocabulary), device), _rows(counted.later(vocabulary), device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(vocabulary.sizes, questions(asks), width=settings.width)
    _start_from_frequencies(encoder, rows)
    course = _Course(encoder.to(device), settings, -(-len(rows.code_UK) // settings.batch))
    checkpoints = Checkpoints(keep / _key(vocabulary, asks, settings, seed, device, rows, later)) if keep else None
    if checkpoints and (reached := checkpoints.latest()):
        course.restore(reached)
    with one_thread():
        for order_U in _orders(len(rows.code_UK), seed, settings.epochs, course.done):
            if course.is_over:
                break
            epoch = course.pass_over(rows, later, order_U)
            if checkpoints:
                checkpoints.keep(course.done, course.arrays(), course.manifest())
            told(epoch)
    return course.fitted(vocabulary)


def device_of(asked: str) -> str:
    """The device to fit on; `auto` is the fastest there is. Raises NoDevice.

    >>> device_of("cpu")
    'cpu'
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(name for name, is_there in there.items() if is_there)
    if not there.get(asked, False):
        have = ", ".join(name for name, is_there in there.items() if is_there)
        raise NoDevice(f"device {asked!r} is not here; expected auto or one of {have}")
    return asked


def one_cycle(step: int, steps: int, rate: float) -> tuple[float, float]:
    """The learning rate and Adam's first beta at `step` of `steps`: up to `rate`, then down to nearly nothing.

    (Smith and Topin, SPIE 11006, 2019; as torch's OneCycleLR by default. A function of the step needs no state.)
    """
    peak, end = 0.3 * steps - 1, steps - 1
    first, last = rate / 25, rate / 25 / 1e4
    if step <= peak:
        return _eased(first, rate, step / peak), _eased(0.95, 0.85, step / peak)
    return _eased(rate, last, (step - peak) / (end - peak)), _eased(0.85, 0.95, (step - peak) / (end - peak))


class _Course:
    """An encoder on its way: its optimizer, its curves, and the best weights so far."""

    def __init__(self, encoder: Encoder, settings: Settings, batches: int) -> None:
        self._encoder, self._settings, self._batches = encoder, settings, batches
        self._optimizer = torch.optim.AdamW(encoder.parameters(), lr=settings.rate, weight_decay=settings.decay)
        self._losses: list[float] = []
        self._later_losses: list[float] = []
        self._best, self._best_weights = 0, _weights(encoder)

    @property
    def done(self) -> int:
        """Epochs done."""
        return len(self._losses)

    @property
    def is_over(self) -> bool:
        """Whether patience is at its end."""
        patience = self._settings.patience
        return patience is not None and self.done - 1 - self._best >= patience

    def pass_over(self, rows: Rows, later: Rows, order_U: NDArray[np.int64]) -> Epoch:
        """Learn from all rows once, in this order, and be judged by the later ones."""
        first, total = self.done * self._batches, 0.0
        for step, some in enumerate(rows.batches(self._settings.batch, order_U), start=first):
            self._set_pace(step)
            loss = (_nats(self._encoder, some) * some.weight_U).mean()
            self._optimizer.zero_grad()
            torch.autograd.backward(loss)
            self._optimizer.step()
            total += loss.item() * len(some.code_UK)
        epoch = Epoch(self.done, total / len(rows.code_UK), _judge(self._encoder, later, self._settings.batch))
        self._take(epoch)
        return epoch

    def fitted(self, vocabulary: Vocabulary) -> Fit:
        """The encoder of the best epoch, on the CPU; of the last one where there is no patience."""
        is_best = self._settings.patience is not None
        if is_best:
            _set_weights(self._encoder, self._best_weights)
        offline = Offline(vocabulary, self._encoder.cpu().eval())
        best = self._best if is_best else self.done - 1
        return Fit(offline, self._losses, self._later_losses, best, self._settings)

    def arrays(self) -> State:
        """All that the next epochs depend on, but for the curves."""
        moments = self._optimizer.state
        state = under("encoder", _weights(self._encoder)) | under("best", self._best_weights)
        for name, weight in self._encoder.named_parameters():
            state |= {f"{kind}.{name}": moments[weight][kind].cpu().numpy() for kind in _MOMENTS}
        return state

    def manifest(self) -> dict[str, JSON]:
        """The curves."""
        return {"kind": "fitting", "best": self._best, "loss": self._losses, "later_loss": self._later_losses}

    def restore(self, reached: Bundle) -> None:
        """Go on from there."""
        arrays, told = dict(reached.arrays), reached.manifest
        self._losses, self._later_losses, self._best = [*told["loss"]], [*told["later_loss"]], int(told["best"])
        self._best_weights = part(arrays, "best")
        _set_weights(self._encoder, part(arrays, "encoder"))
        for name, weight in self._encoder.named_parameters():
            moments = {kind: torch.from_numpy(arrays[f"{kind}.{name}"]).to(weight.device) for kind in _MOMENTS}
            self._optimizer.state[weight] = {"step": torch.tensor(float(self.done * self._batches))} | moments

    def _set_pace(self, step: int) -> None:
        rate, beta = one_cycle(step, self._settings.epochs * self._batches, self._settings.rate)
        for group in self._optimizer.param_groups:
            group["lr"], group["betas"] = rate, (beta, group["betas"][1])

    def _take(self, epoch: Epoch) -> None:
        if not (isfinite(epoch.loss) and isfinite(epoch.later_loss)):
            raise Diverged(
                f"the loss is no number after epoch {epoch.number + 1}; lower the rate {self._settings.rate}"
            )
        if not self._later_losses or epoch.later_loss < self._later_losses[self._best]:
            self._best, self._best_weights = epoch.number, _weights(self._encoder)
        self._losses.append(epoch.loss)
        self._later_losses.append(epoch.later_loss)


def _orders(rows: int, seed: int, epochs: int, done: int) -> Iterator[NDArray[np.int64]]:
    """The order of the rows in each epoch to come: chance is drawn for those that are done, too."""
    chance = np.random.default_rng(seed)
    for epoch in range(epochs):
        order_U = chance.permutation(rows)
        if epoch >= done:
            yield order_U


def _rows(weighed: Weighed, device: str) -> Rows:
    return Rows(torch.from_numpy(weighed.code_UK).to(device), torch.from_numpy(weighed.weight_U).to(device))


def _start_from_frequencies(encoder: Encoder, rows: Rows) -> None:
    """Before it has learned anything it answers with how common each value is."""
    code_UK, weight_U = rows.code_UK.cpu(), rows.weight_U.cpu()
    with torch.no_grad():
        for k, size in enumerate(encoder.sizes):
            count_V = torch.bincount(code_UK[:, k], weights=weight_U, minlength=size) + 0.5
            encoder.bias[encoder.codes_of(k)] = torch.log(count_V / count_V.sum()).to(torch.float32)


def _nats(encoder: Encoder, rows: Rows) -> Tensor:
    """Each row's surprisal over all questions, (U,)."""
    answers_UQ: Tensor = encoder(rows.code_UK)
    return answers_UQ.sum(dim=1)


def _judge(encoder: Encoder, rows: Rows, batch: int) -> float:
    """Mean nats a row; weights need not be 1 on average."""
    with torch.inference_mode():
        losses = [float((_nats(encoder, some) * some.weight_U).sum()) for some in rows.batches(batch)]
    return sum(losses) / float(rows.weight_U.sum())


def _weights(encoder: Encoder) -> State:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in encoder.state_dict().items()}


def _set_weights(encoder: Encoder, weights: State) -> None:
    encoder.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def _eased(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (cos(pi * share) + 1)


def _key(vocabulary: Vocabulary, asks: Sequence[Ask], settings: Settings, seed: int, device: str, *tables: Rows) -> str:
    """A digest of all that a fit depends on."""
    told: Mapping[str, object] = {
        "settings": asdict(settings),
        "asks": [(ask.field, ask.given) for ask in asks],
        "seed": seed,
        "device": device,
        "torch": torch.__version__,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for hash_V in vocabulary.known.values():
        digest.update(hash_V.size.to_bytes(8, "little") + hash_V.tobytes())
    for rows in tables:
        digest.update(rows.code_UK.cpu().numpy().tobytes() + rows.weight_U.cpu().numpy().tobytes())
    return digest.hexdigest()[:32]
