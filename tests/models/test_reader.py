"""A reader tells how unlike an event is to its context, in the languages that it was fitted to."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.context import TOLD
from models.reader import Reader, arrays_of_reader, mismatch, reader_from

HIDDEN, OWN, SILENT = 6, 1, 2
LANGUAGES = (11, 12, 0, 14)
laws = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

Rows = NDArray[np.float32]


def made(seed: int = 1) -> Reader:
    """A reader that nobody fitted, of a domain among four of which one is silent."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = Reader(HIDDEN, LANGUAGES, OWN)
        torch.nn.init.normal_(reader.mean_H)
    return reader.eval()


READER = made()
NOTHING = np.zeros((len(LANGUAGES), TOLD), np.float32)


def events(seed: int, rows: int) -> tuple[Rows, Rows]:
    """Hidden vectors and contexts."""
    chance = np.random.default_rng(seed)
    told_BDC = chance.normal(0, 1, (rows, len(LANGUAGES), TOLD))
    return chance.normal(0, 2, (rows, HIDDEN)).astype(np.float32), told_BDC.astype(np.float32)


def read(hidden_BH: Rows, told_BDC: Rows) -> NDArray[np.float64]:
    return mismatch(READER, hidden_BH, told_BDC, NOTHING)[0]


@laws
@given(seed=seeds, rows=st.integers(0, 600), cuts=st.lists(st.integers(0, 600), max_size=5))
def test_any_cut_gives_the_same_bits(seed: int, rows: int, cuts: list[int]) -> None:
    hidden_BH, told_BDC = events(seed, rows)
    last_DC, parts = NOTHING, []
    for a, b in pairwise([0, *sorted(min(cut, rows) for cut in cuts), rows]):
        parts.append(mismatch(READER, hidden_BH[a:b], told_BDC[a:b], last_DC))
        last_DC = told_BDC[b - 1] if b > a else last_DC
    whole = mismatch(READER, hidden_BH, told_BDC, NOTHING)
    assert [np.concatenate(one).tobytes() for one in zip(*parts, strict=True)] == [one.tobytes() for one in whole]


@laws
@given(seed=seeds, rows=st.integers(1, 300))
def test_another_context_is_that_of_the_event_before(seed: int, rows: int) -> None:
    hidden_BH, told_BDC = events(seed, rows)
    _, other_B = mismatch(READER, hidden_BH, told_BDC, NOTHING)
    before_BDC = np.concatenate([NOTHING[None], told_BDC[:-1]])
    assert other_B.tobytes() == read(hidden_BH, before_BDC).tobytes()


@laws
@given(seed=seeds, rows=st.integers(1, 300), place=st.sampled_from([OWN, SILENT]))
def test_what_a_silent_peer_or_the_domain_itself_would_say_makes_no_difference(
    seed: int, rows: int, place: int
) -> None:
    hidden_BH, told_BDC = events(seed, rows)
    other_BDC = told_BDC.copy()
    other_BDC[:, place] = np.random.default_rng(seed).normal(0, 100, (rows, TOLD))
    assert read(hidden_BH, told_BDC).tobytes() == read(hidden_BH, other_BDC).tobytes()


@pytest.mark.parametrize("place", [0, 3])
def test_what_a_peer_says_that_speaks_makes_a_difference(place: int) -> None:
    hidden_BH, told_BDC = events(1, 50)
    other_BDC = told_BDC.copy()
    other_BDC[:, place] += 1.0
    assert (read(hidden_BH, told_BDC) != read(hidden_BH, other_BDC)).all()


@laws
@given(seed=seeds)
def test_a_mismatch_is_in_nats_and_never_negative(seed: int) -> None:
    hidden_BH, told_BDC = events(seed, 40)
    nats_B = read(hidden_BH, told_BDC * 100)
    assert nats_B.dtype == np.float64
    assert (nats_B >= 0).all()
    assert np.isfinite(nats_B).all()


def test_no_context_at_all_is_as_likely_as_not_where_nothing_was_fitted() -> None:
    reader = made()
    for weight in reader.parameters():
        torch.nn.init.zeros_(weight)
    hidden_BH, told_BDC = events(1, 5)
    own_B, other_B = mismatch(reader, hidden_BH, told_BDC, NOTHING)
    assert own_B.tolist() == other_B.tolist() == pytest.approx([np.log(2.0)] * 5)


def test_how_far_off_an_event_is_counts_up_to_four_deviations() -> None:
    hidden_BH, told_BDC = events(1, 30)
    mean_H, scale_H = READER.mean_H.numpy(), READER.scale_H.numpy()
    far_BH, farther_BH = (np.tile(mean_H + far * scale_H, (30, 1)).astype(np.float32) for far in (4.5, 1e6))
    assert read(far_BH, told_BDC).tobytes() == read(farther_BH, told_BDC).tobytes()
    assert read(far_BH, told_BDC).tobytes() != read(hidden_BH, told_BDC).tobytes()


def test_arrays_make_the_same_reader_again() -> None:
    arrays = arrays_of_reader(READER)
    again = reader_from(arrays)
    assert (again.languages, again.own) == (LANGUAGES, OWN)
    ours, theirs = (mismatch(one, *events(2, 300), NOTHING)[0] for one in (READER, again))
    assert ours.tobytes() == theirs.tobytes()
    assert {name: array.tobytes() for name, array in arrays_of_reader(again).items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


def test_arrays_are_a_copy() -> None:
    before = read(*events(3, 10))
    for array in arrays_of_reader(READER).values():
        array[...] = 0
    assert read(*events(3, 10)).tobytes() == before.tobytes()


@pytest.mark.parametrize("name", ["weights.mean_H", "weights.event.0.weight", "weights.context.2.bias"])
def test_arrays_of_another_shape_are_refused(name: str) -> None:
    arrays = arrays_of_reader(READER)
    with pytest.raises(RuntimeError, match=name.removeprefix("weights.")):
        reader_from(arrays | {name: arrays[name][:-1]})


def test_arrays_for_another_number_of_domains_are_refused() -> None:
    arrays = arrays_of_reader(READER)
    with pytest.raises(RuntimeError, match=r"context\.0\.weight"):
        reader_from(arrays | {"languages": arrays["languages"][:-1]})
