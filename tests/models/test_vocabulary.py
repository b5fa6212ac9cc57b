"""A vocabulary keeps what was common in training, and knows what it does not know."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.vocabulary import FIRST, MISSING, UNSEEN, Vocabulary

hash_lists = st.lists(st.integers(0, 12) | st.just(2**64 - 1), max_size=60)


def hashes(*values: int) -> NDArray[np.uint64]:
    return np.array(values, np.uint64)


def encoded(vocabulary: Vocabulary, *values: int) -> list[int]:
    codes: list[int] = vocabulary.encode({"a": hashes(*values)})[:, 0].tolist()
    return codes


def test_a_common_value_has_a_code_and_a_rare_or_missing_one_has_none() -> None:
    vocabulary = Vocabulary.learn({"a": hashes(0, 0, 0, 30, 30, 20, 20, 20, 10)})
    assert vocabulary.sizes == [FIRST + 2]
    assert encoded(vocabulary, 20, 30, 10, 99, 0) == [FIRST, FIRST + 1, UNSEEN, UNSEEN, MISSING]


def test_the_commonest_are_kept() -> None:
    vocabulary = Vocabulary.learn({"a": hashes(1, 1, 2, 2, 2, 3, 3, 3, 3)}, most=2)
    assert vocabulary.known["a"].tolist() == [2, 3]


def test_a_field_without_a_common_value_is_unseen_or_missing() -> None:
    vocabulary = Vocabulary.learn({"a": hashes(1, 2, 3)})
    assert encoded(vocabulary, 1, 7, 0) == [UNSEEN, UNSEEN, MISSING]


def test_columns_are_in_the_order_of_the_vocabulary() -> None:
    vocabulary = Vocabulary({"b": hashes(5), "a": hashes(6)})
    codes = {"a": hashes(6, 5), "b": hashes(5, 0), "c": hashes(1, 1)}
    assert vocabulary.encode(codes).tolist() == [[FIRST, FIRST], [MISSING, UNSEEN]]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(taught=hash_lists, asked=hash_lists, most=st.integers(1, 6), least=st.integers(1, 4))
def test_a_code_means_one_value(taught: list[int], asked: list[int], most: int, least: int) -> None:
    vocabulary = Vocabulary.learn({"a": hashes(*taught)}, most, least)
    assert vocabulary.known["a"].size <= most
    for value, code in zip(asked, encoded(vocabulary, *asked), strict=True):
        assert 0 <= code < vocabulary.sizes[0]
        assert (code == MISSING) == (value == 0)
        if code >= FIRST:
            assert vocabulary.known["a"][code - FIRST] == value
            assert taught.count(value) >= least
