"""A reader learns which events go with what their peers know of those who did them."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.context import TOLD
from models.reader import Reader, arrays_of_reader, mismatch
from training.acquainting import acquaint

ROLES, HIDDEN, OWN, PEER = 4, 10, 0, 2
LANGUAGES = (7, 0, 9)

Rows = NDArray[np.float32]


def planted(rows: int, seed: int, share: float = 1.0) -> tuple[Rows, Rows]:
    """Events of entities with a role, each role with its own events here and its own context there.

    Of a `share` of the events this is so; the context of the others is anybody's.
    """
    chance = np.random.default_rng(seed)
    does_RH, is_RC = (np.random.default_rng(0).normal(0, 2, (ROLES, width)) for width in (HIDDEN, TOLD))
    role_B = chance.integers(0, ROLES, rows)
    known_B = np.where(chance.random(rows) < share, role_B, chance.integers(0, ROLES, rows))
    told_BDC = np.zeros((rows, len(LANGUAGES), TOLD), np.float32)
    told_BDC[:, PEER] = is_RC[known_B] + chance.normal(0, 0.3, (rows, TOLD))
    return (does_RH[role_B] + chance.normal(0, 0.3, (rows, HIDDEN))).astype(np.float32), told_BDC


def taught(hidden_BH: Rows, told_BDC: Rows, seed: int = 1, languages: tuple[int, ...] = LANGUAGES) -> Reader:
    reader = acquaint(hidden_BH, told_BDC, languages, OWN, seed=seed)
    assert reader is not None
    return reader


def told_apart(reader: Reader, hidden_BH: Rows, told_BDC: Rows) -> float:
    """How often an event is found nearer to its own context than to that of the event before; a tie counts half."""
    own_B, other_B = mismatch(reader, hidden_BH, told_BDC, told_BDC[-1])
    return float(((own_B < other_B) + 0.5 * (own_B == other_B)).mean())


@pytest.fixture(scope="module")
def reader() -> Reader:
    return taught(*planted(6000, 1))


def test_an_event_goes_with_its_own_context_rather_than_with_anothers(reader: Reader) -> None:
    hidden_BH, told_BDC = planted(2000, 2)
    assert told_apart(reader, hidden_BH, told_BDC) > 0.8  # of a quarter, both contexts are of one role
    own_B, other_B = mismatch(reader, hidden_BH, told_BDC, told_BDC[-1])
    assert other_B.mean() > own_B.mean() + 1.0


def test_somebody_who_does_what_is_anothers_role_is_amiss(reader: Reader) -> None:
    hidden_BH, told_BDC = planted(2000, 2)
    usual_B, _ = mismatch(reader, hidden_BH, told_BDC, told_BDC[0])
    strange_B, _ = mismatch(reader, hidden_BH, planted(2000, 3)[1], told_BDC[0])
    assert np.median(usual_B) < 0.3
    assert np.quantile(strange_B, 0.5) > np.quantile(usual_B, 0.95)


def test_where_nothing_goes_with_anything_nothing_is_told_apart() -> None:
    reader = taught(*planted(4000, 1, share=0.0))
    assert told_apart(reader, *planted(4000, 2, share=0.0)) == pytest.approx(0.5, abs=0.05)


def test_what_silent_peers_know_is_not_learned() -> None:
    reader = taught(*planted(4000, 1), languages=(7, 9, 0))
    assert told_apart(reader, *planted(500, 2)) == 0.5


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, two, other = (arrays_of_reader(taught(*planted(2100, 1), seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["weights.event.0.weight"], other["weights.event.0.weight"])


def test_chance_and_threads_are_left_as_they_were() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    taught(*planted(2048, 1))
    assert torch.rand(3).equal(wanted)
    assert torch.get_num_threads() == threads


def test_fewer_than_2048_events_make_no_reader() -> None:
    assert acquaint(*planted(2047, 1), LANGUAGES, OWN, seed=1) is None
    assert acquaint(*planted(0, 1), LANGUAGES, OWN, seed=1) is None
    assert taught(*planted(2048, 1)).languages == LANGUAGES


def test_events_that_are_all_alike_make_a_reader_that_is_finite() -> None:
    hidden_BH, told_BDC = planted(2048, 1)
    reader = taught(np.ones_like(hidden_BH), np.zeros_like(told_BDC))
    assert all(np.isfinite(array).all() for array in arrays_of_reader(reader).values())
    own_B, other_B = mismatch(reader, hidden_BH, told_BDC, told_BDC[0])
    assert np.isfinite([own_B, other_B]).all()
