"""Fits a domain's reader: what kind of event goes with what its peers know of those who did it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.reader import Reader, product
from models.threads import one_thread

_BATCH, _EPOCHS, _RATE, _DECAY = 1024, 8, 3e-3, 1e-4
_LEAST = 2 * _BATCH
_NARROW = 1e-6


def acquaint(
    hidden_BH: NDArray[np.float32], told_BDC: NDArray[np.float32], languages: Sequence[int], own: int, *, seed: int
) -> Reader | None:
    """A reader fitted to past events and their contexts, or None where there are fewer than 2,048.

    `languages` are those of all domains, 0 for one that is silent, `own` is the place of the events' among them. In
    each batch an event's own context is told from that of another event of the batch. The same `seed` gives the same
    weights on the same machine.
    """
    if len(hidden_BH) < _LEAST:
        return None
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        reader = Reader(hidden_BH.shape[1], languages, own)
        reader.mean_H.copy_(torch.from_numpy(hidden_BH.mean(axis=0)))
        reader.scale_H.copy_(torch.from_numpy(hidden_BH.std(axis=0) + _NARROW))
        _fit(reader, torch.from_numpy(hidden_BH), torch.from_numpy(told_BDC))
    return reader.eval()


def _fit(reader: Reader, hidden_BH: torch.Tensor, told_BDC: torch.Tensor) -> None:
    optimizer = torch.optim.Adam(reader.parameters(), lr=_RATE, weight_decay=_DECAY)
    for _ in range(_EPOCHS):
        for at_M in torch.split(torch.randperm(len(hidden_BH)), _BATCH):
            event_ME, context_ME = reader.of_event(hidden_BH[at_M]), reader.of_context(told_BDC[at_M])
            another_ME = context_ME[torch.randperm(len(at_M))]
            loss = torch.nn.functional.softplus(-product(event_ME, context_ME)).mean()
            loss = loss + torch.nn.functional.softplus(product(event_ME, another_ME)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
