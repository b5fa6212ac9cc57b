"""The hash is a fixed function of a text, whatever the batch around it."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import hash64, hex64

TEXTS = st.lists(st.none() | st.text(max_size=40), max_size=30)


def series(texts: list[str | None]) -> pl.Series:
    return pl.Series("text", texts, dtype=pl.String)


def murmur64a(data: bytes, seed: int) -> int:
    """Austin Appleby's MurmurHash64A, written for reading."""
    mix, bits = 0xC6A4A7935BD1E995, (1 << 64) - 1
    code = seed ^ (len(data) * mix & bits)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little") * mix & bits
        code = (code ^ ((word ^ (word >> 47)) * mix & bits)) * mix & bits
    if whole < len(data):
        code = (code ^ int.from_bytes(data[whole:], "little")) * mix & bits
    code = (code ^ (code >> 47)) * mix & bits
    return code ^ (code >> 47)


@settings(deadline=None)
@given(TEXTS, st.integers(0, 2**64 - 1))
def test_every_hash_is_murmurhash64a_of_the_utf8_bytes(texts: list[str | None], seed: int) -> None:
    expected = [0 if text is None else max(1, murmur64a(text.encode(), seed)) for text in texts]
    assert hash64(series(texts), seed).tolist() == expected


@settings(deadline=None)
@given(TEXTS, st.integers(0, 30))
def test_any_cut_into_batches_gives_the_same_hashes(texts: list[str | None], cut: int) -> None:
    whole = series(texts)
    parts = np.concatenate([hash64(whole[:cut]), hash64(whole[cut:])])
    assert parts.tolist() == hash64(whole).tolist()


@settings(deadline=None)
@given(TEXTS)
def test_only_null_is_zero(texts: list[str | None]) -> None:
    assert (hash64(series(texts)) == 0).tolist() == [text is None for text in texts]


def test_a_hundred_thousand_different_texts_have_different_hashes() -> None:
    keys = pl.Series([f"host{number}|user{number % 7}" for number in range(100_000)])
    assert len(np.unique(hash64(keys))) == 100_000


def test_another_seed_gives_another_hash() -> None:
    assert hash64(series(["a"]), 1)[0] != hash64(series(["a"]), 2)[0]


def test_numbers_are_hashed_by_their_text() -> None:
    assert hash64(pl.Series([12, None])).tolist() == hash64(series(["12", None])).tolist()


def test_hex_is_the_hash_in_sixteen_digits() -> None:
    assert hex64(series(["x", None])).to_list() == [f"{hash64(series(['x']))[0]:016x}", None]
