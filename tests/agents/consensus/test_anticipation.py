"""What was learned of the order of intrusions names the next tactic, and says how far a threat has come."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.anticipation import Anticipation, known
from agents.consensus.tactics import kill_chain
from training.estate.campaigns import PACKAGED, Campaign, read_campaigns

LEARNED = Anticipation.learned(known().values())
INTO, RUN, STAY, HIDE, SPREAD, TAKE, BREAK = (kill_chain()[n] for n in (2, 3, 4, 6, 9, 10, 13))
chains = st.lists(st.sampled_from(kill_chain()), max_size=20)
begun = chains.filter(bool)


def _starts(campaign: Campaign) -> list[int]:
    starts: list[int] = []
    for step in campaign.steps:
        starts.append(step.after + (starts[-1] if starts and step.since == "previous" else 0))
    return starts


def _chain(campaign: Campaign) -> tuple[str, ...]:
    names = {name.partition(" ")[2].lower().replace(" ", "-"): name for name in kill_chain()}
    order = np.argsort(_starts(campaign), kind="stable")
    return tuple(dict.fromkeys(names[campaign.steps[n].tactic] for n in order))


def test_what_is_known_says_the_same_as_the_campaign_files() -> None:
    campaigns = read_campaigns(PACKAGED)
    assert known() == {campaign.family: _chain(campaign) for campaign in campaigns}
    assert len(known()) == len(campaigns)


@given(seen=begun)
def test_the_chances_of_what_has_not_come_sum_to_one(seen: list[str]) -> None:
    named = LEARNED.anticipated(seen)
    assert {tactic for tactic, _ in named} == {*kill_chain()} - {*seen}
    if named:
        assert math.isclose(sum(chance for _, chance in named), 1.0, abs_tol=1e-12)


@given(seen=begun)
def test_the_likeliest_comes_first_and_nothing_is_impossible(seen: list[str]) -> None:
    named = [chance for _, chance in LEARNED.anticipated(seen)]
    assert named == sorted(named, reverse=True)
    assert all(0.0 < chance <= 1.0 for chance in named)


@given(seen=chains)
def test_a_tactic_counts_where_it_first_comes(seen: list[str]) -> None:
    once = list(dict.fromkeys(seen))
    assert LEARNED.anticipated(seen) == LEARNED.anticipated(once)
    assert LEARNED.progress(seen) == LEARNED.progress(once)


@settings(max_examples=20, deadline=None)
@given(told=st.lists(chains, max_size=6), seen=begun)
def test_the_same_chains_teach_the_same_whatever_their_order(told: list[list[str]], seen: list[str]) -> None:
    assert Anticipation.learned(told).anticipated(seen) == Anticipation.learned(told[::-1]).anticipated(seen)


@settings(max_examples=20, deadline=None)
@given(told=st.lists(chains, max_size=6), alone=st.sampled_from(kill_chain()), seen=begun)
def test_a_chain_of_one_tactic_teaches_nothing(told: list[list[str]], alone: str, seen: list[str]) -> None:
    assert Anticipation.learned([*told, [alone], []]).anticipated(seen) == Anticipation.learned(told).anticipated(seen)


@given(seen=chains, further=st.sampled_from(kill_chain()))
def test_progress_never_falls_and_is_bounded(seen: list[str], further: str) -> None:
    before, after = LEARNED.progress(seen), LEARNED.progress([*seen, further])
    assert 0.0 <= before <= after < math.log(math.factorial(len(kill_chain()) - 1))


def test_progress_by_chance_is_as_rare_as_promised() -> None:
    chance = np.random.default_rng(0)
    orders = (chance.permutation(len(kill_chain())) for _ in range(1000))
    reached = np.array([LEARNED.progress([kill_chain()[n] for n in order]) for order in orders])
    for nats in (1.0, 2.0, 3.0):
        spread = math.sqrt(math.exp(-nats) / reached.size)
        assert (reached >= nats).mean() <= math.exp(-nats) + 3.0 * spread


def test_a_family_held_out_comes_further_than_the_same_tactics_the_other_way_round() -> None:
    forth, back = [], []
    for family, chain in known().items():
        learned = Anticipation.learned(other for name, other in known().items() if name != family)
        forth.append(learned.progress(chain))
        back.append(learned.progress(chain[::-1]))
    assert np.mean(forth) > np.mean(back) + 1.0


def test_one_tactic_alone_is_no_progress() -> None:
    assert {LEARNED.progress([tactic]) for tactic in kill_chain()} == {0.0}
    assert LEARNED.progress([]) == 0.0


def test_before_anything_was_seen_nothing_is_anticipated() -> None:
    assert LEARNED.anticipated([]) == ()


def test_when_everything_came_nothing_is_left() -> None:
    assert LEARNED.anticipated(kill_chain()) == ()


def test_who_learned_nothing_holds_all_tactics_for_equally_likely() -> None:
    named = Anticipation.learned([]).anticipated([INTO])
    assert [chance for _, chance in named] == pytest.approx([1 / 13] * 13)


def test_what_always_follows_is_foretold() -> None:
    learned = Anticipation.learned([[INTO, RUN, STAY, SPREAD, BREAK]] * 30 + [[RUN, BREAK]] * 5)
    assert learned.anticipated([INTO, RUN])[0][0] == STAY
    assert learned.anticipated([INTO, RUN, STAY])[0][0] == SPREAD


def test_what_came_before_the_last_tactic_tells_two_ways_apart() -> None:
    ways = {INTO: (RUN, STAY, HIDE), SPREAD: (RUN, TAKE, BREAK)}
    learned = Anticipation.learned([start, *order] for start, rest in ways.items() for order in permutations(rest))
    assert {tactic for tactic, _ in learned.anticipated([INTO, RUN])[:2]} == {STAY, HIDE}
    assert {tactic for tactic, _ in learned.anticipated([SPREAD, RUN])[:2]} == {TAKE, BREAK}


@pytest.mark.parametrize("ask", [LEARNED.anticipated, LEARNED.progress, lambda seen: Anticipation.learned([seen])])
def test_an_unknown_tactic_is_named(ask: object) -> None:
    with pytest.raises(ValueError, match=r"tactic 'lateral' is unknown, expected one such as 'TA0043 Reconnaissance'"):
        ask([INTO, "lateral"])  # type: ignore[operator]  # one of the three
