"""The word of an agent's peers is heard as far as their contexts tell its events apart, and where it is unusual."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.peers import Heard, Peers
from models.context import TOLD, Context
from models.reader import Reader

DOMAINS, OWN, PEER, HIDDEN = 3, 0, 2, 4
laws = settings(max_examples=20, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

Roles = NDArray[np.float32]


def reader_of_roles(language: int = 9) -> Reader:
    """A reader to whom events of role 1 or -1 go with contexts that say the same."""
    reader = Reader(HIDDEN, [0, 0, language], OWN)
    with torch.no_grad():
        for weight in reader.parameters():
            weight.zero_()
        for network, place in ((reader.event, 0), (reader.context, PEER * TOLD)):
            into, _, out, _ = network.parameters()  # weights and biases of two layers
            into[0, place], into[1, place] = 1.0, -1.0
            out[0, 0], out[0, 1] = 4.0, -4.0
    return reader.eval()


READER = reader_of_roles()


def roles(seed: int, events: int) -> Roles:
    role_B: Roles = np.random.default_rng(seed).choice([-1.0, 1.0], events).astype(np.float32)
    return role_B


def stream(done_B: Roles, known_B: Roles, alarm_B: NDArray[np.float64] | None = None) -> tuple[Context, Roles]:
    """Events of `done_B` roles by those who are known for `known_B`, of whom a peer has something to tell."""
    told_NDC = np.zeros((done_B.size, DOMAINS, TOLD), np.float32)
    told_NDC[:, PEER, 0] = known_B
    alarm_ND = np.zeros((done_B.size, DOMAINS), np.float32)
    alarm_ND[:, PEER] = 0.0 if alarm_B is None else alarm_B
    hidden_BH = np.zeros((done_B.size, HIDDEN), np.float32)
    hidden_BH[:, 0] = done_B
    return Context(told_NDC, alarm_ND), hidden_BH


def mixed(seed: int, events: int = 400) -> tuple[Context, Roles, NDArray[np.float64]]:
    """Events that mostly go with their contexts, with alarms, and how usual their own agent finds them."""
    chance, role_B = np.random.default_rng(seed), roles(seed, events)
    known_B = role_B * np.where(chance.random(events) < 0.1, -1, 1).astype(np.float32)
    alarm_B = np.where(chance.random(events) < 0.3, chance.exponential(2.0, events), 0.0)
    return *stream(role_B, known_B, alarm_B), np.exp(-chance.exponential(1.0, events))


def heard(peers: Peers, context: Context, hidden_BH: Roles, p_own_B: NDArray[np.float64] | None = None) -> Heard:
    return peers.observe(context, hidden_BH, READER, np.ones(len(hidden_BH)) if p_own_B is None else p_own_B)


def in_pieces(peers: Peers, events: tuple[Context, Roles, NDArray[np.float64]], ends: list[int]) -> tuple[bytes, bytes]:
    context, hidden_BH, p_own_B = events
    pieces = [np.arange(a, b) for a, b in pairwise(ends)]
    parts = [heard(peers, context.of(rows), hidden_BH[rows], p_own_B[rows]) for rows in pieces]
    return np.concatenate([one.nats_B for one in parts]).tobytes(), np.concatenate([one.p_B for one in parts]).tobytes()


@laws
@given(seed=seeds, cuts=st.lists(st.integers(0, 400), max_size=5))
def test_any_cut_is_heard_to_the_same_bits(seed: int, cuts: list[int]) -> None:
    events = mixed(seed)
    assert in_pieces(Peers(DOMAINS), events, [0, *sorted(cuts), 400]) == in_pieces(Peers(DOMAINS), events, [0, 400])


@laws
@given(seed=seeds, at=st.integers(0, 400))
def test_what_was_kept_goes_on_exactly(seed: int, at: int) -> None:
    events, one, other = mixed(seed), Peers(DOMAINS), Peers(DOMAINS)
    in_pieces(other, mixed(seed + 1), [0, 400])  # of which nothing may be left
    in_pieces(one, events, [0, at])
    other.restore(one.state())
    assert in_pieces(one, events, [at, 400]) == in_pieces(other, events, [at, 400])
    ours, theirs = one.state(), other.state()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@laws
@given(seed=seeds)
def test_nats_are_not_negative_and_p_is_a_probability(seed: int) -> None:
    said = heard(Peers(DOMAINS), *mixed(seed))
    assert (said.nats_B >= 0).all()
    assert ((said.p_B > 0) & (said.p_B <= 1)).all()


@laws
@given(seed=seeds)
def test_an_event_is_judged_before_it_is_learned(seed: int) -> None:
    context, hidden_BH, p_own_B = mixed(seed)
    alarm_ND = context.alarm_ND.copy()
    alarm_ND[200:] = 8.0
    ours = heard(Peers(DOMAINS), context, hidden_BH, p_own_B)
    theirs = heard(Peers(DOMAINS), Context(context.told_NDC, alarm_ND), hidden_BH, p_own_B)
    assert ours.nats_B[:200].tobytes() == theirs.nats_B[:200].tobytes()


@pytest.mark.parametrize(
    "silenced",
    [
        lambda context, reader: (Context(np.zeros_like(context.told_NDC), context.alarm_ND), reader),
        lambda context, reader: (Context(np.ones_like(context.told_NDC), context.alarm_ND), reader),
        lambda context, reader: (context, reader_of_roles(language=0)),
    ],
    ids=["no context", "everybody alike", "a peer that is not read"],
)
def test_where_contexts_tell_nobody_apart_nobody_listens(
    silenced: Callable[[Context, Reader], tuple[Context, Reader]],
) -> None:
    context, hidden_BH, p_own_B = mixed(1)
    context, reader = silenced(context, READER)
    said = Peers(DOMAINS).observe(context, hidden_BH, reader, p_own_B)
    alone = Peers(DOMAINS).observe(Context(context.told_NDC * 0, context.alarm_ND * 0), hidden_BH, reader, p_own_B)
    assert context.alarm_ND.any()
    # the first context may differ from none at all
    assert said.nats_B.max() < 0.05
    np.testing.assert_allclose(said.p_B, alone.p_B, atol=0.02)


def test_contexts_of_just_anybody_weigh_next_to_nothing() -> None:
    alarm_B = np.where(np.arange(2000) % 50 == 0, 6.0, 0.0)
    random, known = ((roles(1, 2000), roles(seed, 2000)) for seed in (2, 1))
    of_anybody, of_them = (heard(Peers(DOMAINS), *stream(*both, alarm_B)).nats_B[1000:] for both in (random, known))
    assert of_anybody.mean() < 0.2 * of_them.mean()


def test_who_does_what_is_not_their_role_is_heard_of() -> None:
    done_B = roles(1, 600)
    known_B = done_B.copy()
    known_B[590] *= -1
    said = heard(Peers(DOMAINS), *stream(done_B, known_B))
    assert said.nats_B[590] > 4.0
    assert said.p_B[590] == said.p_B.min() < 0.2
    assert np.delete(said.nats_B, 590)[300:].max() < 1.0


def test_an_alarm_after_quiet_is_heard_of() -> None:
    done_B, alarm_B = roles(1, 600), np.zeros(600)
    alarm_B[590] = 3.0
    said = heard(Peers(DOMAINS), *stream(done_B, done_B, alarm_B))
    assert said.nats_B[590] > 4.0
    assert said.p_B[590] == said.p_B.min() < 0.2


def test_an_alarm_about_everybody_tells_nobody_apart() -> None:
    done_B = roles(1, 600)
    everywhere, nowhere = (heard(Peers(DOMAINS), *stream(done_B, done_B, np.full(600, alarm))) for alarm in (4.0, 0.0))
    np.testing.assert_allclose(everywhere.nats_B, nowhere.nats_B, atol=1e-9)


def test_an_alarm_below_the_mean_of_all_counts_nothing() -> None:
    done_B, alarm_B = roles(1, 600), np.random.default_rng(1).uniform(0.0, 4.0, 600)
    alarmed, quiet = (heard(Peers(DOMAINS), *stream(done_B, done_B, alarm)).nats_B for alarm in (alarm_B, None))
    is_low, is_high = alarm_B[200:] < 1.5, alarm_B[200:] > 2.5
    np.testing.assert_allclose(alarmed[200:][is_low], quiet[200:][is_low], atol=1e-9)
    assert (alarmed[200:][is_high] > quiet[200:][is_high] + 0.1).all()


def test_what_its_own_agent_finds_counts_beside_the_word_of_peers() -> None:
    done_B, p_own_B = roles(1, 600), np.ones(600)
    p_own_B[590] = 1e-4
    said = heard(Peers(DOMAINS), *stream(done_B, done_B), p_own_B)
    assert said.nats_B[590] < 1.0
    assert said.p_B[590] == said.p_B.min() < 0.2


def nats_of_an_alarm(share: float) -> float:
    """What a peer's alarm counts after 2,000 events of which a share does not go with its context."""
    done_B, alarm_B = roles(1, 2001), np.zeros(2001)
    known_B = np.where(np.random.default_rng(3).random(2001) < share, -done_B, done_B).astype(np.float32)
    known_B[2000], alarm_B[2000] = done_B[2000], 5.0
    return float(heard(Peers(DOMAINS), *stream(done_B, known_B, alarm_B)).nats_B[2000])


@pytest.mark.parametrize(("share", "weight"), [(0.1, 0.8), (0.2, 0.6), (0.4, 0.2), (0.5, 0.0), (0.8, 0.0)])
def test_the_word_weighs_as_much_as_contexts_tell_apart(share: float, weight: float) -> None:
    assert nats_of_an_alarm(share) / nats_of_an_alarm(0.0) == pytest.approx(weight, abs=0.1)


def test_no_events_are_heard_of_as_nothing() -> None:
    peers = Peers(DOMAINS)
    before = {name: array.tobytes() for name, array in peers.state().items()}
    assert heard(peers, *stream(roles(1, 0), roles(1, 0))).p_B.size == 0
    assert {name: array.tobytes() for name, array in peers.state().items()} == before
