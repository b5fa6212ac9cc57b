"""The offline detector answers each question with an exact surprisal, event for event."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.encoder import Encoder
from models.offline import Ask, Offline, asked_fields, offline_from, questions
from models.vocabulary import FIRST, MISSING, UNSEEN, Vocabulary

Codes = Mapping[str, NDArray[np.uint64]]
ASKS = (Ask("program", ("parent", "user")), Ask("parent", ("user",)), Ask("user", ("host", "program")))
FIELDS = ("program", "parent", "user", "host")


def detector() -> Offline:
    """A detector over four fields of which `host` is never known, with weights as chance had them."""
    known = {name: np.arange(1, 4 + 2 * k, dtype=np.uint64) for k, name in enumerate(FIELDS[:-1])}
    vocabulary = Vocabulary(known | {"host": np.zeros(0, np.uint64)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        encoder = Encoder(vocabulary.sizes, questions(ASKS), width=6)
        torch.nn.init.normal_(encoder.bias)
        torch.nn.init.normal_(encoder.place)
    return Offline(vocabulary, encoder.eval())


DETECTOR = detector()


def events(seed: int, rows: int) -> Codes:
    """Codes of random events: 0 is missing, above 9 is never known."""
    chance = np.random.default_rng(seed)
    return {name: chance.integers(0, 13, rows).astype(np.uint64) for name in FIELDS}


def part_of(codes: Codes, start: int, stop: int | None) -> Codes:
    return {name: hash_B[start:stop] for name, hash_B in codes.items()}


def by_hand(offline: Offline, codes: Codes) -> NDArray[np.float64]:
    """The formula of the encoder's docstring, one event and question at a time."""
    weights = {name: array.astype(np.float64) for name, array in offline.arrays().items() if "encoder" in name}
    start_K = np.cumsum([0, *offline.vocabulary.sizes])
    code_BK = offline.vocabulary.encode(codes)
    nats_BQ = np.zeros((len(code_BK), len(ASKS)))
    for b, code_K in enumerate(code_BK):
        for q, (target, given_fields) in enumerate(offline.encoder.questions):
            h = weights["encoder.place"][q] + sum(
                weights["encoder.embed.weight"][start_K[k] + code_K[k]] for k in given_fields
            )
            h = h + np.tanh(weights["encoder.mix.weight"] @ h + weights["encoder.mix.bias"])
            rows = slice(start_K[target], start_K[target + 1])
            logits_V = weights["encoder.out.weight"][rows] @ h + weights["encoder.bias"][rows]
            nats_BQ[b, q] = np.log(np.exp(logits_V).sum()) - logits_V[code_K[target]]
    return nats_BQ


def test_a_surprisal_is_minus_log_softmax() -> None:
    codes = events(1, 200)
    np.testing.assert_allclose(DETECTOR.surprisals(codes), by_hand(DETECTOR, codes), atol=1e-5)


def test_surprisals_are_a_row_an_event_and_not_negative() -> None:
    nats_BQ = DETECTOR.surprisals(events(2, 5_000))
    assert nats_BQ.shape == (5_000, len(ASKS))
    assert nats_BQ.dtype == np.float64
    assert (nats_BQ >= 0).all()


def test_the_chances_of_all_values_of_a_field_add_up_to_one() -> None:
    known = [int(value) for value in DETECTOR.vocabulary.known["program"]]
    rows = [0, *known, 99]
    codes = {name: np.full(len(rows), 2, np.uint64) for name in FIELDS} | {"program": np.array(rows, np.uint64)}
    assert np.exp(-DETECTOR.surprisals(codes)[:, 0]).sum() == pytest.approx(1.0, abs=1e-5)


def test_equal_events_have_equal_answers() -> None:
    codes = {name: np.tile(hash_B, 3) for name, hash_B in events(3, 50).items()}
    a, b, c = np.split(DETECTOR.surprisals(codes), 3)
    assert a.tobytes() == b.tobytes() == c.tobytes()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), rows=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_any_cut_gives_the_same_answers(seed: int, rows: int, cuts: list[int]) -> None:
    codes, ends = events(seed, rows), [*sorted(cuts), None]
    parts = [DETECTOR.surprisals(part_of(codes, a or 0, b)) for a, b in zip([0, *ends], ends, strict=False)]
    np.testing.assert_allclose(np.concatenate(parts), DETECTOR.surprisals(codes), atol=1e-5)


def test_more_different_events_than_fit_at_once_are_answered_in_order() -> None:
    codes = events(5, 12_000)
    whole = DETECTOR.surprisals(codes)
    back = DETECTOR.surprisals({name: hash_B[::-1] for name, hash_B in codes.items()})[::-1]
    np.testing.assert_allclose(whole, back, atol=1e-5)


def test_no_events_have_no_answers() -> None:
    assert DETECTOR.surprisals(events(6, 0)).shape == (0, len(ASKS))


def test_values_never_seen_are_alike_and_unlike_missing_ones() -> None:
    codes = {name: np.array([1, 1, 1], np.uint64) for name in FIELDS} | {"program": np.array([77, 88, 0], np.uint64)}
    unseen, other, missing = DETECTOR.surprisals(codes)
    assert unseen.tobytes() == other.tobytes()
    assert unseen[0] != missing[0]
    assert DETECTOR.vocabulary.encode(codes)[:, 0].tolist() == [UNSEEN, UNSEEN, MISSING]
    assert FIRST > UNSEEN


def test_arrays_make_the_same_detector_again() -> None:
    codes = events(7, 100)
    again = offline_from(DETECTOR.arrays(), ASKS)
    assert again.surprisals(codes).tobytes() == DETECTOR.surprisals(codes).tobytes()
    assert {name: array.tobytes() for name, array in again.arrays().items()} == {
        name: array.tobytes() for name, array in DETECTOR.arrays().items()
    }


def test_arrays_are_a_copy() -> None:
    before = DETECTOR.surprisals(events(8, 10))
    DETECTOR.arrays()["encoder.bias"][:] = 9.0
    assert DETECTOR.surprisals(events(8, 10)).tobytes() == before.tobytes()


@pytest.mark.parametrize("name", ["encoder.bias", "encoder.embed.weight", "encoder.out.weight", "encoder.mix.weight"])
def test_arrays_of_another_shape_are_refused(name: str) -> None:
    arrays = DETECTOR.arrays()
    with pytest.raises(RuntimeError, match=name.removeprefix("encoder.")):
        offline_from(arrays | {name: arrays[name][:-1]}, ASKS)


def test_arrays_of_other_questions_are_refused() -> None:
    with pytest.raises(RuntimeError, match="place"):
        offline_from(DETECTOR.arrays(), ASKS[:2])


def test_a_vocabulary_of_another_size_is_refused() -> None:
    arrays = DETECTOR.arrays()
    with pytest.raises(RuntimeError, match="embed"):
        offline_from(arrays | {"vocabulary.user": np.arange(1, 100, dtype=np.uint64)}, ASKS)


def test_questions_name_their_fields_in_the_order_they_first_come() -> None:
    assert asked_fields(ASKS) == list(FIELDS)
    assert questions(ASKS) == [(0, (1, 2)), (1, (2,)), (2, (3, 0))]
    assert [ask.name for ask in ASKS[:2]] == ["program given parent, user", "parent given user"]
