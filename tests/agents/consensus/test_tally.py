"""The tally knows how many verdicts each witness has on each entity by habit, in a table that does not grow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.consensus.tally import Tally
from agents.consensus.testimony import testimony as spoken  # pytest takes what is called test... for a test

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=20, deadline=None, derandomize=True)
TEN_MINUTES = 600


def crowd(seed: int, rows: int = 60) -> list[dict[str, Any]]:
    """Verdicts of many users on many hosts, over some hours."""
    chance = np.random.default_rng(seed)
    picks = chance.integers(0, 12, (rows, 4)).tolist()
    seconds = np.sort(chance.integers(0, 10_000, rows)).tolist()
    domains = ["endpoint", "network", "dns"]
    return [
        {"user": f"u{u}", "host": f"h{h}", "value": f"v{v}", "domain": domains[d % 3], "at": at}
        for (u, h, v, d), at in zip(picks, seconds, strict=True)
    ]


def busy(host: str, verdicts: int, episodes: int, after: int = 0) -> list[dict[str, Any]]:
    """So many verdicts on a host in each of so many episodes."""
    return [{"host": host, "at": TEN_MINUTES * (after + n)} for n in range(episodes) for _ in range(verdicts)]


def observed(verdicts: pl.DataFrame, cuts: list[int], slots: int = 4096) -> tuple[NDArray[np.float64], Tally]:
    """What a tally says of verdicts in pieces, and the tally."""
    tally = Tally(slots)
    ends = [*sorted(min(cut, verdicts.height) for cut in cuts), verdicts.height]
    usual = [tally.observe(spoken(verdicts[a:b])) for a, b in zip([0, *ends], ends, strict=False)]
    return np.concatenate(usual), tally


def habits(verdicts: pl.DataFrame) -> NDArray[np.float64]:
    """How busy each verdict's host is by habit."""
    usual_NE, _ = observed(verdicts, [])
    return usual_NE[:, 1]


def bits(tally: Tally) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in tally.state().items()}


@laws
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 60), max_size=5), slots=st.sampled_from([64, 4096]))
def test_any_cut_gives_the_same_habits(seed: int, cuts: list[int], slots: int, said: Said) -> None:
    """Even where entities push each other out."""
    verdicts = said(*crowd(seed))
    (one_NE, one), (other_NE, other) = observed(verdicts, cuts, slots), observed(verdicts, [], slots)
    assert bits(one) == bits(other)
    assert (one_NE == other_NE).all()


@laws
@given(seed=st.integers(0, 1000), at=st.integers(0, 60))
def test_a_restored_tally_goes_on_the_same(seed: int, at: int, said: Said) -> None:
    verdicts = said(*crowd(seed))
    (_, one), (_, other) = observed(verdicts[:at], []), observed(verdicts, [])
    other.restore(one.state())
    told = spoken(verdicts[at:])
    assert (one.observe(told) == other.observe(told)).all()
    assert bits(other) == bits(one)


@laws
@given(verdicts=st.integers(1, 30), episodes=st.integers(1, 10), burst=st.integers(1, 200))
def test_a_habit_is_the_mean_of_the_episodes_before_and_never_of_the_one_it_is(
    verdicts: int, episodes: int, burst: int, said: Said
) -> None:
    rows = said(*busy("h", verdicts, episodes), *busy("h", burst, 1, after=episodes))
    expected = (verdicts * episodes + 3) / (episodes + 3)
    np.testing.assert_allclose(habits(rows)[-burst:], expected, rtol=5e-3)  # a week halves it


@laws
@given(seed=st.integers(0, 1000))
def test_nobody_is_less_busy_than_one_verdict(seed: int, said: Said) -> None:
    usual_NE, _ = observed(said(*crowd(seed, 200)), [])
    assert (usual_NE >= 1.0).all()
    assert (usual_NE[:, 2:] == 1.0).all()  # they name no addresses


def test_each_witness_has_its_own_habit_of_each_entity(said: Said) -> None:
    rows = [*busy("h", 50, 5), {"host": "h", "domain": "dns", "at": 9_000}, {"host": "g", "at": 9_000}]
    *_, other_witness, other_host = habits(said(*rows, {"user": "h", "at": 9_000}))[:-1]
    assert (other_witness, other_host) == (1.0, 1.0)
    assert habits(said(*rows, {"host": "h", "at": 9_000}))[-1] > 10.0


def test_a_new_habit_takes_the_place_of_an_old_one(said: Said) -> None:
    weeks = 10 * 7 * 24 * 6
    quiet = busy("h", 1, 20, after=weeks)
    assert habits(said(*busy("h", 50, 20), *quiet))[-1] < 2.0 < habits(said(*busy("h", 50, 20), *busy("h", 1, 20)))[-1]


def test_a_state_is_not_changed_by_what_comes_later(said: Said) -> None:
    _, tally = observed(said(*crowd(3)), [])
    state = tally.state()
    before = {name: array.tobytes() for name, array in state.items()}
    tally.observe(spoken(said(*crowd(4), first=60)))
    assert {name: array.tobytes() for name, array in state.items()} == before


def test_a_tally_stays_bounded(said: Said) -> None:
    _, tally = observed(said(*crowd(3, 2_000)), [], slots=64)
    assert all(array.shape[0] <= 64 for array in tally.state().values())


def test_an_address_counts_at_either_end_and_once_where_it_is_at_both(said: Said) -> None:
    """Ten verdicts in each of three episodes: (30 + 3) / (3 + 3)."""
    ends = [{"address": "10.0.0.9"}, {"peer": "10.0.0.9"}, {"address": "10.0.0.9", "peer": "10.0.0.9"}]
    rows = [ends[n] | {"at": TEN_MINUTES * n} for n in range(3) for _ in range(10)]
    usual_NE, _ = observed(said(*rows, *(end | {"at": 3 * TEN_MINUTES} for end in ends)), [])
    expected = [[1, 1, 5.5, 1], [1, 1, 1, 5.5], [1, 1, 5.5, 1]]
    np.testing.assert_allclose(usual_NE[-3:], expected, rtol=5e-3)
