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
class Answers:
    """Of B events: the nats of every question, the encoder's hidden vectors, and what peers read of these."""

    nats_BQ: NDArray[np.float64]
    hidden_BH: NDArray[np.float32]
    vector_BW: NDArray[np.float32]


@dataclass(frozen=True)
class Offline:
    """A vocabulary and the encoder trained over it."""

    vocabulary: Vocabulary
    encoder: Encoder

    @property
    def language(self) -> int:
        """The number of the language that its vectors are in."""
        return int(self.encoder.language)

    def surprisals(self, codes: Codes) -> NDArray[np.float64]:
        """(B, Q) nats of every question."""
        return self.answer(codes).nats_BQ

    def answer(self, codes: Codes) -> Answers:
        """What the encoder makes of each event; equal events are asked once.

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
            blocks_RK = torch.split(torch.from_numpy(code_UK), _ROWS)
            nats_UQ: NDArray[np.float32] = torch.cat([self.encoder(block_RK) for block_RK in blocks_RK]).numpy()
            hidden = [self.encoder.hidden(block_RK) for block_RK in blocks_RK]
            vector_UW: NDArray[np.float32] = torch.cat([self.encoder.vectors(block) for block in hidden]).numpy()
            hidden_UH: NDArray[np.float32] = torch.cat(hidden).numpy()
        return Answers(nats_UQ[back_B].astype(np.float64), hidden_UH[back_B], vector_UW[back_B])

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
