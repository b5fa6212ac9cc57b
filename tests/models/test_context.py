"""What agents know of an entity is told to their peers as of the moment before an event, and to nobody else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.context import TOLD, WIDTH, Acquaintances, Context, share

DOMAINS = 3
HALF_LIFE = timedelta(hours=1)
SLOTS = 1 << 17
laws = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Stream:
    """Events as `share` takes them."""

    entity_NE: NDArray[np.uint64]
    domain_N: NDArray[np.int64]
    active_N: NDArray[np.float64]
    vector_NW: NDArray[np.float32]
    nats_N: NDArray[np.float64]

    def of(self, rows: slice) -> "Stream":
        return Stream(*(array[rows] for array in vars(self).values()))


def stream(seed: int, events: int = 150) -> Stream:
    """Events of few entities, of which each names up to two different ones."""
    chance = np.random.default_rng(seed)
    entity_NE = np.stack([chance.integers(0, 6, events), chance.integers(6, 12, events)], axis=1)
    return Stream(
        np.where(chance.random((events, 2)) < 0.2, 0, entity_NE).astype(np.uint64),
        chance.integers(0, DOMAINS, events),
        np.cumsum(chance.choice([0.0, 1.0, 600.0, 7200.0], events)),
        chance.normal(0, 1, (events, WIDTH)).astype(np.float32),
        chance.exponential(3.0, events),
    )


def one_event(
    entity: int, domain: int, second: float, nats: float = 0.0, vector: float = 1.0, others: tuple[int, ...] = ()
) -> Stream:
    return Stream(
        np.array([[entity, *others]], np.uint64),
        np.array([domain]),
        np.array([second]),
        np.full((1, WIDTH), vector, np.float32),
        np.array([nats]),
    )


def nobody(domains: int = DOMAINS) -> list[Acquaintances]:
    return [Acquaintances(HALF_LIFE) for _ in range(domains)]


def told(known: list[Acquaintances], events: Stream) -> Context:
    return share(known, *vars(events).values())


def bits(*contexts: Context) -> tuple[bytes, bytes]:
    told_NDC = np.concatenate([context.told_NDC for context in contexts])
    return told_NDC.tobytes(), np.concatenate([context.alarm_ND for context in contexts]).tobytes()


def states(known: list[Acquaintances]) -> list[dict[str, bytes]]:
    return [{name: array.tobytes() for name, array in one.state().items()} for one in known]


def by_hand(events: Stream) -> Context:
    """The same told slowly: for each domain and entity a list of numbers, faded by the clock on the wall."""
    half_life = HALF_LIFE.total_seconds()
    known: list[dict[int, dict[str, NDArray[np.float64]]]] = [{} for _ in range(DOMAINS)]
    told_NDC, alarm_ND = np.zeros((events.domain_N.size, DOMAINS, TOLD)), np.zeros((events.domain_N.size, DOMAINS))
    for i, (entities, own, now, vector, nats) in enumerate(zip(*vars(events).values(), strict=True)):
        named = [int(entity) for entity in entities if entity]
        for d in (d for d in range(DOMAINS) if d != own):
            for one in (known[d][entity] for entity in named if entity in known[d]):
                left = 0.5 ** ((now - one["when"]) / half_life)
                weight, alarm = one["weight"] * left, one["alarm"] * left
                if np.log1p(weight) > told_NDC[i, d, WIDTH]:
                    told_NDC[i, d] = [*(one["mean"] * weight / (weight + 1)), np.log1p(weight)]
                mean, square = (one["usual"][1:] + np.array([2.0, 6.0])) / (one["usual"][0] + 1.0)
                one["usual"] = one["usual"] * 0.999 + np.array([1.0, alarm, alarm**2])
                above = (alarm - mean) / np.sqrt(max(square - mean**2, 0.5))
                alarm_ND[i, d] = max(alarm_ND[i, d], min(above, 8.0))
        for entity in named:
            none = {"weight": 0.0, "alarm": 0.0, "when": now, "mean": np.zeros(WIDTH), "usual": np.zeros(3)}
            one = known[own].setdefault(entity, {name: np.array(number) for name, number in none.items()})
            left = 0.5 ** ((now - one["when"]) / half_life)
            one["weight"], one["when"] = one["weight"] * left + 1.0, now
            one["alarm"] = np.maximum(one["alarm"] * left, max(0.0, nats - 3.0))
            one["mean"] = one["mean"] + (vector - one["mean"]) / one["weight"]
    return Context(told_NDC.astype(np.float32), alarm_ND.astype(np.float32))


@laws
@given(seed=seeds, cuts=st.lists(st.integers(0, 150), max_size=6))
def test_any_cut_tells_the_same_bits(seed: int, cuts: list[int]) -> None:
    events, one, other, ends = stream(seed), nobody(), nobody(), [*sorted(cuts), 150]
    parts = [told(one, events.of(slice(a, b))) for a, b in zip([0, *ends], ends, strict=False)]
    assert bits(*parts) == bits(told(other, events))
    assert states(one) == states(other)


@laws
@given(seed=seeds, at=st.integers(0, 150))
def test_what_was_kept_goes_on_exactly(seed: int, at: int) -> None:
    events, one, other = stream(seed), nobody(), nobody()
    told(one, events.of(slice(at)))
    told(other, stream(seed + 1))  # of which nothing may be left
    for kept, back in zip(one, other, strict=True):
        back.restore(kept.state())
    rest = events.of(slice(at, None))
    assert bits(told(one, rest)) == bits(told(other, rest))
    assert states(one) == states(other)


@laws
@given(seed=seeds)
def test_it_is_what_a_slow_reading_of_the_rules_tells(seed: int) -> None:
    events = stream(seed)
    of_one = replace(events, entity_NE=events.entity_NE[:, :1])  # two that are known equally well are told either way
    ours, theirs = told(nobody(), of_one), by_hand(of_one)
    np.testing.assert_allclose(ours.told_NDC, theirs.told_NDC, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(told(nobody(), events).alarm_ND, by_hand(events).alarm_ND, rtol=1e-3, atol=1e-3)


@laws
@given(seed=seeds, at=st.integers(0, 149))
def test_an_event_hears_neither_of_itself_nor_of_later_ones(seed: int, at: int) -> None:
    events = stream(seed)
    vector_NW, nats_N = events.vector_NW.copy(), events.nats_N.copy()
    vector_NW[at:], nats_N[at:] = 9.0, 50.0
    ours, theirs = told(nobody(), events), told(nobody(), replace(events, vector_NW=vector_NW, nats_N=nats_N))
    up_to = np.arange(at + 1)
    assert bits(ours.of(up_to)) == bits(theirs.of(up_to))


@laws
@given(seed=seeds)
def test_a_domain_never_hears_itself(seed: int) -> None:
    events = stream(seed)
    context, rows = told(nobody(), events), np.arange(150)
    assert not context.told_NDC[rows, events.domain_N].any()
    assert not context.alarm_ND[rows, events.domain_N].any()
    assert context.told_NDC.any()


@laws
@given(seed=seeds, own=st.integers(0, DOMAINS - 1))
def test_what_a_domain_hears_does_not_depend_on_what_it_said(seed: int, own: int) -> None:
    events = stream(seed)
    is_own = events.domain_N == own
    other = replace(events, vector_NW=np.where(is_own[:, None], np.float32(7), events.vector_NW))
    other = replace(other, nats_N=np.where(is_own, 40.0, events.nats_N))
    (rows,) = is_own.nonzero()
    assert bits(told(nobody(), events).of(rows)) == bits(told(nobody(), other).of(rows))


@laws
@given(seed=seeds)
def test_an_alarm_is_never_negative_nor_louder_than_eight_deviations(seed: int) -> None:
    events = stream(seed)
    context = told(nobody(), replace(events, nats_N=events.nats_N * 20))
    assert (context.alarm_ND >= 0).all()
    assert (context.alarm_ND <= 8).all()
    assert np.isfinite(context.told_NDC).all()


@pytest.mark.parametrize(
    ("entity", "others"), [(2, ()), (0, ()), (2, (0, 3))], ids=["somebody else", "nobody", "more of them"]
)
def test_an_entity_that_is_not_known_tells_nothing(entity: int, others: tuple[int, ...]) -> None:
    known = nobody()
    told(known, one_event(1, 0, 0.0, nats=30.0))
    told(known, one_event(0, 0, 0.0, nats=30.0))
    context = told(known, one_event(entity, 1, 1.0, others=others))
    assert not context.told_NDC.any()
    assert not context.alarm_ND.any()


def test_what_is_known_fades_by_half_in_a_half_life() -> None:
    known = nobody()
    told(known, one_event(1, 0, 0.0, nats=3.0 + 8.0, vector=2.0))
    for lives in (0, 1, 2):
        context = told(known, one_event(1, 1, lives * HALF_LIFE.total_seconds()))
        weight = 0.5**lives
        assert np.expm1(context.told_NDC[0, 0, WIDTH]) == pytest.approx(weight, rel=1e-5)
        assert context.told_NDC[0, 0, :WIDTH] == pytest.approx(2.0 * weight / (weight + 1), rel=1e-5)


def test_an_alarm_fades_by_half_in_a_half_life() -> None:
    heard = []
    for lives in (0, 1, 2):
        known = nobody()
        told(known, one_event(1, 0, 0.0, nats=3.0 + 8.0))
        heard.append(told(known, one_event(1, 1, lives * HALF_LIFE.total_seconds())).alarm_ND[0, 0])
    of_8, of_4, of_2 = ((alarm - 2.0) / np.sqrt(6.0 - 4.0) for alarm in (8.0, 4.0, 2.0))
    assert heard == pytest.approx([of_8, of_4, of_2], rel=1e-5)


def test_a_mean_follows_what_an_entity_does_of_late() -> None:
    known = nobody()
    for second, vector in ((0.0, 1.0), (20 * HALF_LIFE.total_seconds(), -1.0)):
        told(known, one_event(1, 0, second, vector=vector))
    context = told(known, one_event(1, 1, 20 * HALF_LIFE.total_seconds()))
    assert context.told_NDC[0, 0, :WIDTH] == pytest.approx(-0.5, abs=1e-4)


def test_of_two_entities_the_one_that_is_known_better_is_told() -> None:
    known = nobody()
    for entity, times in ((1, 3), (2, 5)):
        for _ in range(times):
            told(known, one_event(entity, 0, 0.0, vector=float(entity)))
    for entities in ((1, 2), (2, 1)):
        context = told(known, one_event(entities[0], 1, 0.0, others=entities[1:]))
        assert context.told_NDC[0, 0, :WIDTH] == pytest.approx(2.0 * 5 / 6, rel=1e-5)
        assert context.told_NDC[0, 0, WIDTH] == pytest.approx(np.log(6.0), rel=1e-5)


def test_an_alarm_that_is_always_there_is_none() -> None:
    known, heard = nobody(), []
    for second in range(300):
        told(known, one_event(1, 0, float(second), nats=3.0 + 6.0))
        heard.append(float(told(known, one_event(1, 1, float(second))).alarm_ND[0, 0]))
    assert heard[0] > 2.0
    assert heard[-1] < 0.1
    told(known, one_event(1, 0, 300.0, nats=3.0 + 14.0))
    assert told(known, one_event(1, 1, 300.0)).alarm_ND[0, 0] > 3.0


def test_an_event_as_usual_raises_no_alarm() -> None:
    known = nobody()
    told(known, one_event(1, 0, 0.0, nats=5.0))
    assert told(known, one_event(1, 1, 0.0)).alarm_ND[0, 0] == 0.0


def crowd(events: int) -> Stream:
    """Events of one domain, each of an entity that nobody ever heard of."""
    return Stream(
        np.random.default_rng(1).permutation(np.arange(1, events + 1, dtype=np.uint64) * 0x9E3779B97F4A7C15)[:, None],
        np.zeros(events, np.int64),
        np.zeros(events),
        np.zeros((events, WIDTH), np.float32),
        np.zeros(events),
    )


def test_no_more_entities_are_known_than_there_is_room_for_and_the_best_known_stays() -> None:
    known = nobody(2)
    for _ in range(5):
        told(known, one_event(77, 0, 0.0))
    told(known, crowd(3 * SLOTS))
    kept = known[0].state()
    assert SLOTS // 2 < kept["entities.keys"].size <= SLOTS
    assert np.expm1(told(known, one_event(77, 1, 0.0)).told_NDC[0, 0, WIDTH]) == pytest.approx(5.0, rel=1e-5)


@laws
@given(seed=seeds, second=st.floats(-1e6, 1e6))
def test_what_is_moved_to_another_second_has_not_faded(seed: int, second: float) -> None:
    one, other, events = nobody(), nobody(), stream(seed, 40)
    for known in (one, other):
        told(known, events)
    moved = replace(events, active_N=events.active_N - events.active_N[0] + second)
    for agent in one:
        agent.move_to(second)
    assert [agent.now for agent in one] == [second] * DOMAINS
    still = replace(events, active_N=events.active_N - events.active_N[0] + other[0].now)
    ours, theirs = told(one, moved), told(other, still)
    np.testing.assert_allclose(ours.told_NDC, theirs.told_NDC, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.alarm_ND, theirs.alarm_ND, rtol=1e-3, atol=1e-4)


def test_every_domain_knows_how_far_the_stream_has_come() -> None:
    known = nobody()
    told(known, one_event(1, 0, 5.0))
    assert [one.now for one in known] == [5.0] * DOMAINS
    told(known, stream(1, 0))
    known[0].reached(3.0)
    assert [one.now for one in known] == [5.0] * DOMAINS


@pytest.mark.parametrize("change", [np.zeros_like, lambda array: array + 1], ids=["emptied", "raised"])
def test_a_state_is_a_copy(change: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> None:
    known, events = nobody(), stream(3)
    told(known, events)
    before = states(known)
    for one in known:
        for array in one.state().values():
            array[...] = change(array)
    assert states(known) == before
