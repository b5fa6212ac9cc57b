"""An agent is a fold over its domain's events, and tells why it finds one strange."""

import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.agent import Agent
from agents.recipe import Recipe, recipe_of
from agents.verdicts import VERDICTS
from features.events import Domain
from features.featurizer import Featurizer
from models.encoder import Encoder
from models.offline import Offline, questions
from models.vocabulary import Vocabulary

Stream = Callable[..., pl.DataFrame]
laws = settings(max_examples=15, deadline=None, derandomize=True)
domains = st.sampled_from([Domain.ENDPOINT, Domain.NETWORK])
seeds, sizes = st.integers(0, 1000), st.integers(1, 80)
cut_lists = st.lists(st.integers(0, 80), max_size=5)


def numbered(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(seq=pl.int_range(pl.len()))


def in_parts(agent: Agent, events: pl.DataFrame, cuts: list[int]) -> pl.DataFrame:
    ends = [*sorted(min(cut, events.height) for cut in cuts), events.height]
    return pl.concat([agent.observe(events[a:b]) for a, b in zip([0, *ends], ends, strict=False)])


def untrained(recipe: Recipe, events: pl.DataFrame) -> Offline:
    """An offline detector that knows the values of `events` and has weights as chance had them."""
    codes = Featurizer(recipe.fields, recipe.all_words, slots=64).observe(events).codes
    vocabulary = Vocabulary.learn({name: codes[name] for name in recipe.asked})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Offline(vocabulary, Encoder(vocabulary.sizes, questions(recipe.asks), width=4).eval())


@laws
@given(domain=domains, seed=seeds, rows=sizes, cuts=cut_lists)
def test_any_cut_gives_the_same_verdicts(domain: Domain, seed: int, rows: int, cuts: list[int], stream: Stream) -> None:
    events, recipe = numbered(stream(domain, seed, rows)), recipe_of(domain)
    assert_frame_equal(in_parts(Agent(recipe), events, cuts), Agent(recipe).observe(events), check_exact=True)


@laws
@given(domain=domains, seed=seeds, before=st.integers(0, 60), after=sizes)
def test_a_restored_agent_gives_the_same_verdicts(
    domain: Domain, seed: int, before: int, after: int, stream: Stream
) -> None:
    events = numbered(stream(domain, seed, before + after))
    one, other = Agent(recipe_of(domain)), Agent(recipe_of(domain))
    one.observe(events[:before])
    other.observe(events)
    other.restore(one.state())
    assert_frame_equal(other.observe(events[before:]), one.observe(events[before:]), check_exact=True)


@pytest.mark.parametrize("domain", list(Domain))
def test_a_verdict_a_row_with_exactly_these_columns(domain: Domain, stream: Stream) -> None:
    events = numbered(stream(domain, 2, 50))
    verdicts = Agent(recipe_of(domain), release=7).observe(events)
    assert verdicts.schema == VERDICTS
    assert verdicts.select("source", "line", "seq", "time", "uid").equals(
        events.select("source", "line", "seq", "time", "uid")
    )
    assert verdicts["activity"].equals(events["activity_name"])
    assert verdicts["domain"].unique().to_list() == [domain]
    assert verdicts["release"].unique().to_list() == [7]


@pytest.mark.parametrize("domain", list(Domain))
def test_p_is_a_probability_and_evidence_its_logarithm(domain: Domain, stream: Stream) -> None:
    verdicts = Agent(recipe_of(domain)).observe(numbered(stream(domain, 3, 400, strange=5)))
    for name in ("p", "p_online"):
        assert verdicts[name].is_between(0, 1, closed="right").all()
    assert (verdicts["evidence"].to_numpy() == -np.log(verdicts["p"].to_numpy())).all()


def test_without_an_encoder_there_is_no_offline_word(stream: Stream) -> None:
    verdicts = Agent(recipe_of(Domain.DNS)).observe(numbered(stream(Domain.DNS, 4, 30)))
    assert verdicts["p_offline"].null_count() == 30


@pytest.mark.parametrize("domain", list(Domain))
def test_an_encoder_has_its_say_and_changes_no_online_word(domain: Domain, stream: Stream) -> None:
    events, recipe = numbered(stream(domain, 5, 200)), recipe_of(domain)
    alone, both = (Agent(recipe, offline).observe(events) for offline in (None, untrained(recipe, events)))
    assert both["p_offline"].is_between(0, 1, closed="right").all()
    assert both["p_online"].equals(alone["p_online"])
    assert not both["p"].equals(alone["p"])


@given(cuts=st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_an_agent_with_an_encoder_cut_anywhere_says_the_same(cuts: list[int], stream: Stream) -> None:
    events, recipe = numbered(stream(Domain.ENDPOINT, 6, 300)), recipe_of(Domain.ENDPOINT)
    offline = untrained(recipe, events)
    whole = Agent(recipe, offline).observe(events)
    assert_frame_equal(in_parts(Agent(recipe, offline), events, cuts), whole, check_exact=True)


def test_the_first_event_is_not_strange_whatever_it_is(stream: Stream) -> None:
    agent = Agent(recipe_of(Domain.CLOUD))
    first = agent.observe(numbered(stream(Domain.CLOUD, 7, 1)))
    assert first["p"].to_list() == [1.0]


def test_the_same_strange_event_is_less_strange_the_second_time(stream: Stream) -> None:
    usual = numbered(stream(Domain.ENDPOINT, 8, 400, strange=1))
    verdicts = Agent(recipe_of(Domain.ENDPOINT)).observe(pl.concat([usual, usual[-1:], usual[-1:]]))
    first, *later = verdicts["evidence"][-3:].to_list()
    assert first > max(later)


@pytest.mark.parametrize("domain", list(Domain))
def test_strange_events_are_strange_and_say_why(domain: Domain, stream: Stream) -> None:
    verdicts = Agent(recipe_of(domain)).observe(numbered(stream(domain, 9, 400, strange=3)))
    strange, usual = verdicts[-3:], verdicts[100:-3]
    assert (strange["evidence"] > usual["evidence"].quantile(0.9)).any()
    assert (strange["reasons"].list.len() > 0).any()
    told = {*recipe_of(domain).fields}
    for reasons in verdicts["reasons"].to_list():
        nats = [reason["nats"] for reason in reasons]
        assert nats == sorted(nats, reverse=True)
        assert len(nats) <= 3
        assert all(any(field in reason["field"] for field in told) for reason in reasons)


@pytest.mark.parametrize("domain", [Domain.ENDPOINT, Domain.NETWORK])
def test_the_same_events_give_the_same_bytes(domain: Domain, stream: Stream) -> None:
    files = []
    for _ in range(2):
        files.append(io.BytesIO())
        Agent(recipe_of(domain)).observe(numbered(stream(domain, 10, 200))).write_ipc(files[-1])
    assert files[0].getvalue() == files[1].getvalue()


def test_no_events_have_no_verdicts_and_teach_nothing(stream: Stream) -> None:
    agent, events = Agent(recipe_of(Domain.WEB)), numbered(stream(Domain.WEB, 11, 50))
    agent.observe(events)
    before = {name: array.tobytes() for name, array in agent.state().items()}
    nothing = agent.observe(events[:0])
    assert nothing.schema == VERDICTS
    assert nothing.is_empty()
    assert {name: array.tobytes() for name, array in agent.state().items()} == before


def test_an_agent_that_wakes_takes_the_next_event_as_following_at_once(stream: Stream) -> None:
    events = numbered(stream(Domain.NETWORK, 12, 100))
    late = events.with_columns(pl.col("time") + pl.duration(days=3000))
    one, other = Agent(recipe_of(Domain.NETWORK)), Agent(recipe_of(Domain.NETWORK))
    for agent in (one, other):
        agent.observe(events[:50])
        agent.wake()
    assert one.observe(events[50:])["p"].equals(other.observe(late[50:])["p"])


def test_a_verdict_says_how_much_rests_on_the_principals_own_past(stream: Stream) -> None:
    events = numbered(stream(Domain.NETWORK, 3, 60))
    source = events.select(pl.coalesce("src_endpoint_ip", "device_hostname")).to_series()
    before = pl.DataFrame({"source": source}).select(pl.int_range(pl.len()).over("source")).to_series()
    expected = pl.select(pl.when(source.is_null()).then(0.0).otherwise(before / (before + 1))).to_series()
    assert Agent(recipe_of(Domain.NETWORK)).observe(events)["history"].to_list() == expected.to_list()


def test_the_score_is_what_p_is_the_probability_of(stream: Stream) -> None:
    verdicts = Agent(recipe_of(Domain.ENDPOINT)).observe(numbered(stream(Domain.ENDPOINT, 4, 300)))[200:]
    ordered = verdicts.sort("score")
    assert verdicts["score"].min() >= 0.0  # type: ignore[operator]  # a float column
    assert np.corrcoef(ordered["p"].rank(), -ordered["score"].rank())[0, 1] > 0.9
