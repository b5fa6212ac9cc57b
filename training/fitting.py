"""Fits a domain's encoder to the events it was shown."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from features.word import Codes
from models.encoder import Encoder
from models.offline import Ask, Offline, asked_fields, questions
from models.vocabulary import Vocabulary

#: Passes over the events that an encoder is fitted with, unless asked otherwise.
EPOCHS = 16

_BATCH = 1024
_LATER = 0.1


@dataclass(frozen=True)
class Fit:
    """A fitted detector and its learning curves: mean nats an event after each epoch, on old and on later events."""

    offline: Offline
    loss: list[float]
    later_loss: list[float]


@dataclass(frozen=True)
class Rows:
    """Different events as codes (U, K), and how much each weighs (U,), 1 on average."""

    code_UK: torch.Tensor
    weight_U: torch.Tensor


def fit(
    codes: Codes,
    asks: Sequence[Ask],
    *,
    seed: int,
    epochs: int = EPOCHS,
    rate: float = 1e-2,
    told: Callable[[int], None] = lambda epoch: None,
) -> Fit:
    """Fit an encoder that answers `asks` to events in the order of the log; the newest tenth only judges it.

    Each different event weighs the square root of its count, and each kind of event (the first field's code) the
    square root of its total, so that a flood of one sort does not drown the rest. The same `seed` gives the same
    weights on the same machine. `told` hears of each epoch done.
    """
    vocabulary = Vocabulary.learn({name: codes[name] for name in asked_fields(asks)})
    code_BK = vocabulary.encode(codes)
    split = max(1, int(len(code_BK) * (1 - _LATER)))
    rows, later = _rows(code_BK[:split]), _rows(code_BK[split:] if split < len(code_BK) else code_BK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(vocabulary.sizes, questions(asks))
    _start_from_frequencies(encoder, rows)
    losses, later_losses = [], []
    with _one_thread():
        for epoch, loss in enumerate(_epochs(encoder, rows, np.random.default_rng(seed), epochs, rate)):
            losses.append(loss)
            later_losses.append(_judge(encoder, later))
            told(epoch)
    return Fit(Offline(vocabulary, encoder.eval()), losses, later_losses)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work alone: on batches this small a second thread doubles the time, and the last bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rows(code_BK: NDArray[np.int64]) -> Rows:
    code_UK, count_U = np.unique(code_BK, axis=0, return_counts=True)
    weight_U = np.sqrt(count_U)
    weight_U /= np.sqrt(np.bincount(code_UK[:, 0], weights=weight_U)[code_UK[:, 0]])
    return Rows(torch.from_numpy(code_UK), torch.from_numpy((weight_U / weight_U.mean()).astype(np.float32)))


def _start_from_frequencies(encoder: Encoder, rows: Rows) -> None:
    """Before it has learned anything it answers with how common each value is."""
    with torch.no_grad():
        for k, size in enumerate(encoder.sizes):
            count_V = torch.bincount(rows.code_UK[:, k], weights=rows.weight_U, minlength=size) + 0.5
            encoder.bias[encoder.codes_of(k)] = torch.log(count_V / count_V.sum()).to(torch.float32)


def _epochs(encoder: Encoder, rows: Rows, chance: np.random.Generator, epochs: int, rate: float) -> Iterator[float]:
    """Train, and yield each epoch's mean loss."""
    batches = -(-len(rows.code_UK) // _BATCH)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * batches)
    for _ in range(epochs):
        total = 0.0
        for at_M in torch.split(torch.from_numpy(chance.permutation(len(rows.code_UK))), _BATCH):
            loss = (encoder(rows.code_UK[at_M]).sum(dim=1) * rows.weight_U[at_M]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(at_M)
        yield total / len(rows.code_UK)


def _judge(encoder: Encoder, rows: Rows) -> float:
    with torch.inference_mode():
        batches = zip(torch.split(rows.code_UK, _BATCH), torch.split(rows.weight_U, _BATCH), strict=True)
        losses = [float((encoder(code_MK).sum(dim=1) * weight_M).sum()) for code_MK, weight_M in batches]
    return sum(losses) / len(rows.code_UK)
