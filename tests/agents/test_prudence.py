"""An agent learns under a quota, holds it where someone strays, and lets it go where the world moves."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.notices import Notice
from agents.prudence import BLOCK, Prudence

NAMES = ("one", "two", "three", "four")
PRINCIPALS = 60
QUIET, LATE = 40_000, 24_000

Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint64]]


def quiet(seed: int, rows: int) -> Rows:
    """Features about a centre, their sum as the score, and one of sixty principals."""
    chance = np.random.default_rng(seed)
    x_BF = np.clip(chance.normal(0.3, 0.08, (rows, len(NAMES))), 0, 1)
    return x_BF, x_BF.sum(axis=1), chance.integers(1, PRINCIPALS + 1, rows).astype(np.uint64)


def part_of(rows: Rows, start: int, stop: int | None = None) -> Rows:
    x_BF, score_B, principal_B = rows
    return x_BF[start:stop], score_B[start:stop], principal_B[start:stop]


def moved(x_BF: NDArray[np.float64], which_B: NDArray[np.bool_], by: float) -> NDArray[np.float64]:
    shifted_BF = x_BF.copy()
    shifted_BF[which_B, :2] += by
    return np.clip(shifted_BF, 0, 1)


def watched(prudence: Prudence, rows: Rows) -> tuple[NDArray[np.float64], list[Notice]]:
    """Block by block, as an agent does."""
    x_BF, score_B, principal_B = rows
    kind_B, weights, notices, begin = np.ones(len(x_BF), np.uint64), [np.zeros(0)], [], 0
    while begin < len(x_BF):
        part = slice(begin, min(len(x_BF), begin + prudence.until_block()))
        weights.append(prudence.weigh(x_BF[part], kind_B[part]))
        notices += prudence.notice(x_BF[part], score_B[part], principal_B[part])
        begin = part.stop
    return np.concatenate(weights), notices


@cache
def stream(what: str) -> Rows:
    """A quiet stream in which, later, all principals move at once, or one alone."""
    x_BF, _, principal_B = quiet(1, QUIET + LATE)
    late_B = np.arange(QUIET + LATE) >= QUIET
    if what == "one creeps":
        principal_B[np.random.default_rng(2).random(QUIET + LATE) < 0.2] = 1
        x_BF = moved(x_BF, late_B & (principal_B == 1), 0.35)
    if what == "the world moves":
        x_BF = moved(x_BF, late_B, 0.3)
    return x_BF, x_BF.sum(axis=1), principal_B


@cache
def told(what: str) -> tuple[NDArray[np.float64], list[Notice]]:
    return watched(Prudence(NAMES), stream(what))


def test_nothing_is_noticed_in_a_quiet_stream_and_nearly_all_is_learned() -> None:
    weight_B, notices = told("nothing")
    assert notices == []
    assert weight_B.mean() > 0.99


def test_the_world_is_told_from_one_that_creeps() -> None:
    world = {notice.what for notice in told("the world moves")[1]}
    assert "the world changed" in world
    assert "an entity creeps" not in world
    creeping = [notice for notice in told("one creeps")[1] if notice.what == "an entity creeps"]
    assert {notice.entity for notice in creeping} == {1}
    assert set(creeping[0].features) <= {*NAMES, "score"}
    assert "the world changed" not in {notice.what for notice in told("one creeps")[1]}


def test_one_that_creeps_teaches_next_to_nothing() -> None:
    x_BF, _, principal_B = stream("one creeps")
    weight_B, _ = told("one creeps")
    strange_B = (principal_B == 1) & (np.arange(len(x_BF)) >= QUIET)
    assert weight_B[strange_B].mean() < 0.1
    assert weight_B[(principal_B != 1) & (np.arange(len(x_BF)) >= QUIET)].mean() > 0.9


def test_a_world_that_moved_may_become_usual_and_is_noticed_once() -> None:
    _, notices = told("the world moves")
    relaxed = max(notice.event for notice in notices if notice.learning == "relaxed")
    assert relaxed < QUIET + LATE // 2
    assert not [notice for notice in notices if notice.event > relaxed + BLOCK and notice.learning == "held"]


@settings(max_examples=4, deadline=None, derandomize=True)
@given(cuts=st.lists(st.integers(0, QUIET + LATE), max_size=6), what=st.sampled_from(["one creeps", "the world moves"]))
def test_any_cut_gives_the_same_bits(cuts: list[int], what: str) -> None:
    prudence, ends = Prudence(NAMES), [0, *sorted(cuts), QUIET + LATE]
    parts = [watched(prudence, part_of(stream(what), a, b)) for a, b in pairwise(ends)]
    weight_B, notices = told(what)
    assert np.concatenate([some_B for some_B, _ in parts]).tobytes() == weight_B.tobytes()
    assert [notice for _, some in parts for notice in some] == notices


@pytest.mark.parametrize("at", [QUIET + 700, QUIET + BLOCK])
def test_restored_it_goes_on_the_same(at: int) -> None:
    rows = stream("the world moves")
    one, other = Prudence(NAMES), Prudence(NAMES)
    watched(one, part_of(rows, 0, at))
    watched(other, quiet(9, 5_000))
    other.restore(one.state())
    ours, theirs = (watched(each, part_of(rows, at)) for each in (one, other))
    assert ours[0].tobytes() == theirs[0].tobytes()
    assert ours[1] == theirs[1]
