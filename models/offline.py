"""The offline detector: what training knew of a domain's events, asked about new ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from features.featurizer import part
from features.memory import State
from features.word import Codes
from models.encoder import Encoder, Question
from models.vocabulary import Vocabulary

_ROWS = 64
_ODD = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Ask:
    """A question to the encoder: how surprising is `field`, given these other fields?"""

    field: str
    given: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `actor given kind, program`."""
        return f"{self.field} given {', '.join(self.given)}"


@dataclass(frozen=True)
class Offline:
    """A vocabulary and the encoder trained over it."""

    vocabulary: Vocabulary
    encoder: Encoder

    def surprisals(self, codes: Codes) -> NDArray[np.float64]:
        """(B, Q) nats of every question; equal events are asked once.

        The encoder sees blocks of one fixed shape, so that a matrix product rounds an event's numbers the same way
        whatever it is asked together with: any cut of the stream gives the same bits.
        """
        code_BK = self.vocabulary.encode(codes)
        key_B = code_BK @ _radix(self.vocabulary.sizes)
        _, first_U, back_B = np.unique(key_B, return_index=True, return_inverse=True)
        blocks = max(1, -(-first_U.size // _ROWS))
        code_UK = np.zeros((blocks * _ROWS, code_BK.shape[1]), np.int64)
        code_UK[: first_U.size] = code_BK[first_U]
        with torch.inference_mode():
            parts = [self.encoder(block_RK) for block_RK in torch.split(torch.from_numpy(code_UK), _ROWS)]
        nats_UQ: NDArray[np.float32] = torch.cat(parts).numpy()
        return nats_UQ[back_B].astype(np.float64)

    def arrays(self) -> State:
        """Everything as plain arrays."""
        weights = {f"encoder.{name}": tensor.numpy().copy() for name, tensor in self.encoder.state_dict().items()}
        return weights | {f"vocabulary.{name}": hashes for name, hashes in self.vocabulary.known.items()}


def offline_from(arrays: State, asks: Sequence[Ask]) -> Offline:
    """The detector that `arrays` hold; raises RuntimeError where they do not fit the questions."""
    fields = asked_fields(asks)
    known = part(arrays, "vocabulary")
    vocabulary = Vocabulary({name: known[name].astype(np.uint64) for name in fields})
    weights = {name: torch.from_numpy(array) for name, array in part(arrays, "encoder").items()}
    encoder = Encoder(vocabulary.sizes, questions(asks), width=weights["place"].shape[1])
    encoder.load_state_dict(weights)
    return Offline(vocabulary, encoder.eval())


def asked_fields(asks: Sequence[Ask]) -> list[str]:
    """Every field the questions speak of, in the order they first do."""
    return list(dict.fromkeys(name for ask in asks for name in (ask.field, *ask.given)))


def questions(asks: Sequence[Ask]) -> list[Question]:
    """The questions with fields as places in `asked_fields`."""
    place: Mapping[str, int] = {name: k for k, name in enumerate(asked_fields(asks))}
    return [(place[ask.field], tuple(place[name] for name in ask.given)) for ask in asks]


def _radix(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Weights that make one number of a row of codes; it may wrap, so they are odd multiples far apart."""
    powers = [pow(_ODD, k, 2**64) for k in range(len(sizes))]
    return np.array(powers, np.uint64).astype(np.int64)
