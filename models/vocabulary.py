"""The values of each field that were common enough in training, as small codes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSING, UNSEEN, FIRST = 0, 1, 2


@dataclass(frozen=True)
class Vocabulary:
    """For each field, the sorted hashes of the values it knows.

    A value's code is `FIRST` plus its place in that order; a missing value has the code `MISSING`, any other `UNSEEN`.
    """

    known: Mapping[str, NDArray[np.uint64]]

    @classmethod
    def learn(cls, codes: Mapping[str, NDArray[np.uint64]], most: int = 4096, least: int = 2) -> "Vocabulary":
        """Keep the `most` commonest values of each field among those seen `least` times."""
        return cls({name: _commonest(hash_B, most, least) for name, hash_B in codes.items()})

    @property
    def sizes(self) -> list[int]:
        """Codes of each field, missing and unseen among them."""
        return [FIRST + hashes.size for hashes in self.known.values()]

    def encode(self, codes: Mapping[str, NDArray[np.uint64]]) -> NDArray[np.int64]:
        """(B, K) int64 codes, one column a field, in this vocabulary's order."""
        return np.stack([_encode(codes[name], hashes) for name, hashes in self.known.items()], axis=1)


def _commonest(hash_B: NDArray[np.uint64], most: int, least: int) -> NDArray[np.uint64]:
    values, counts = np.unique(hash_B[hash_B != 0], return_counts=True)
    values, counts = values[counts >= least], counts[counts >= least]
    kept = np.argsort(-counts, kind="stable")[:most]
    return np.sort(values[kept])


def _encode(hash_B: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.int64]:
    if not known.size:
        return np.where(hash_B == 0, MISSING, UNSEEN)
    place = np.minimum(np.searchsorted(known, hash_B), known.size - 1)
    return np.where(hash_B == 0, MISSING, np.where(known[place] == hash_B, FIRST + place, UNSEEN))
