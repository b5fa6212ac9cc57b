"""Random streams, one for each purpose, so that no stream disturbs another."""

from zlib import crc32

import numpy as np


def chance(seed: int, *purpose: str) -> np.random.Generator:
    """A generator that depends on `seed` and the words of `purpose` alone.

    >>> int(chance(1, "person", "3").integers(1000)) == int(chance(1, "person", "3").integers(1000))
    True
    """
    key = tuple(crc32(word.encode()) for word in purpose)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def hex_ids(rng: np.random.Generator, count: int, digits: int = 32) -> list[str]:
    """`count` random hexadecimal strings of an even number of `digits`."""
    text = rng.bytes(count * digits // 2).hex()
    return [text[at : at + digits] for at in range(0, count * digits, digits)]
