"""The reader: how unlike an event is to what its peers know of those who did it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from features.featurizer import part, under
from features.memory import State
from models.context import TOLD

_INNER, _MEET = 64, 32
_ROWS = 256
_FAR = 4.0  # deviations from the mean beyond which an input says no more


class Reader(nn.Module):
    """Two small networks, one for an event and one for its context, that meet in an inner product.

    Fitted to tell events with their own context from events with another's, the product is their pointwise mutual
    information (noise contrast; Gutmann & Hyvaerinen, AISTATS 2010; van den Oord et al., 2018). `forward` gives
    -log P(the context is the event's own), in nats. `own` is the place of the event's domain; of the context it reads
    the parts of other domains, each in the language that it was fitted to, and none where that is 0.
    """

    mean_H: Tensor
    scale_H: Tensor
    is_read_D1: Tensor

    def __init__(self, hidden: int, languages: Sequence[int], own: int) -> None:
        super().__init__()
        self.own, self.languages = own, tuple(languages)
        is_read_D = [float(language != 0 and d != own) for d, language in enumerate(languages)]
        self.register_buffer("mean_H", torch.zeros(hidden))
        self.register_buffer("scale_H", torch.ones(hidden))
        self.register_buffer("is_read_D1", torch.tensor(is_read_D)[:, None], persistent=False)
        self.event = nn.Sequential(nn.Linear(hidden, _INNER), nn.ReLU(), nn.Linear(_INNER, _MEET))
        self.context = nn.Sequential(nn.Linear(len(languages) * TOLD, _INNER), nn.ReLU(), nn.Linear(_INNER, _MEET))

    def of_event(self, hidden_BH: Tensor) -> Tensor:
        """(B, H) hidden vectors of the encoder to (B, M)."""
        place: Tensor = self.event(((hidden_BH - self.mean_H) / self.scale_H).clamp(-_FAR, _FAR))
        return place

    def of_context(self, told_BDC: Tensor) -> Tensor:
        """(B, D, TOLD) contexts to (B, M)."""
        place: Tensor = self.context((told_BDC * self.is_read_D1).flatten(1))
        return place

    def forward(self, hidden_BH: Tensor, told_BDC: Tensor) -> Tensor:
        """How unlike each event and its context are, (B,) in nats >= 0."""
        nats_B: Tensor = nn.functional.softplus(-product(self.of_event(hidden_BH), self.of_context(told_BDC)))
        return nats_B


def product(event_BM: Tensor, context_BM: Tensor) -> Tensor:
    """How well events and contexts go together, (B,)."""
    together_B: Tensor = (event_BM * context_BM).sum(dim=1) / _MEET**0.5
    return together_B


def mismatch(
    reader: Reader, hidden_BH: NDArray[np.float32], told_BDC: NDArray[np.float32], last_DC: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How unlike each event is to its own context, and to that of the event before, (B,) float64 each.

    `last_DC` is the context of the event before the first. In blocks of one shape, so that any cut of the stream gives
    the same bits.
    """
    before_BDC = np.concatenate([last_DC[None], told_BDC])[: len(told_BDC)]
    answers = [np.zeros((2, 0), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(hidden_BH), _ROWS):
            rows = slice(start, start + _ROWS)
            event, contexts = _block(hidden_BH[rows]), (_block(told_BDC[rows]), _block(before_BDC[rows]))
            both = torch.stack([reader(event, context) for context in contexts]).numpy()
            answers.append(both[:, : len(hidden_BH) - start])
    own_B, other_B = np.concatenate(answers, axis=1).astype(np.float64)
    return own_B, other_B


def arrays_of_reader(reader: Reader) -> State:
    """Everything as plain arrays."""
    shape: State = {"shape": np.array([reader.mean_H.numel(), reader.own]), "languages": np.array(reader.languages)}
    return shape | under("weights", {name: tensor.numpy().copy() for name, tensor in reader.state_dict().items()})


def reader_from(arrays: State) -> Reader:
    """The reader that `arrays` hold; raises RuntimeError where they do not fit together."""
    hidden, own = arrays["shape"].tolist()
    reader = Reader(hidden, arrays["languages"].tolist(), own)
    reader.load_state_dict({name: torch.from_numpy(array) for name, array in part(arrays, "weights").items()})
    return reader.eval()


def _block(rows: NDArray[np.float32]) -> Tensor:
    """The same rows, and zeros up to the block's size."""
    block = np.zeros((_ROWS, *rows.shape[1:]), np.float32)
    block[: len(rows)] = rows
    return torch.from_numpy(block)
