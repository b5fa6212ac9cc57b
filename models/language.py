"""The language of a domain: the few directions of its encoder's hidden vectors that its peers learn to read."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import WIDTH
from models.encoder import Encoder

#: The share of what peers read that a newer encoder may say otherwise.
DRIFT = 0.25
_FAINT = 1e-6


@dataclass(frozen=True)
class Spoken:
    """Directions (H, WIDTH) from a centre (H,) on, the language's number, and the share of it that is lost in them."""

    centre_H: NDArray[np.float32]
    basis_HW: NDArray[np.float32]
    number: int
    drift: float = 0.0


def founded(hidden_UH: NDArray[np.float32], count_U: NDArray[np.int64]) -> Spoken:
    """A new language: the directions in which events differ most, each with a variance of one."""
    share_U = count_U / count_U.sum()
    centre_H = share_U @ hidden_UH
    away_UH = (hidden_UH - centre_H) * np.sqrt(share_U)[:, None]
    _, length_K, along_KH = np.linalg.svd(away_UH, full_matrices=False)
    basis_HW = np.zeros((hidden_UH.shape[1], WIDTH), np.float32)
    used = min(WIDTH, int((length_K > _FAINT).sum()))
    basis_HW[:, :used] = along_KH[:used].T / length_K[:used]
    number = int.from_bytes(hashlib.sha256(basis_HW.tobytes()).digest()[:7]) + 1
    return Spoken(centre_H.astype(np.float32), basis_HW, number)


def translated(
    hidden_UH: NDArray[np.float32], older_UW: NDArray[np.float32], count_U: NDArray[np.int64], number: int
) -> Spoken:
    """The older language of that number as a newer encoder speaks it, by least squares over the same events."""
    share_U = count_U / count_U.sum()
    root_U = np.sqrt(share_U)[:, None]
    known_UH = np.c_[hidden_UH, np.ones(len(hidden_UH))] * root_U
    answer_HW = np.linalg.lstsq(known_UH, older_UW * root_U, rcond=None)[0]
    lost = float(np.square(known_UH @ answer_HW - older_UW * root_U).sum())
    whole = float(np.square((older_UW - share_U @ older_UW) * root_U).sum())
    basis_HW = answer_HW[:-1]
    centre_H = -np.linalg.lstsq(basis_HW.T, answer_HW[-1], rcond=None)[0]
    return Spoken(
        centre_H.astype(np.float32), basis_HW.astype(np.float32), number, lost / whole if whole > _FAINT else 0.0
    )


def speak(encoder: Encoder, spoken: Spoken) -> None:
    """Let the encoder speak a language from now on."""
    with torch.no_grad():
        encoder.centre.copy_(torch.from_numpy(spoken.centre_H))
        encoder.basis.copy_(torch.from_numpy(spoken.basis_HW))
        encoder.language.fill_(spoken.number)
