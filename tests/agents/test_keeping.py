"""An agent that was kept on disk comes back knowing the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from agents.agent import Agent
from agents.keeping import agent_from, arrays_of, check_inherited, fresh_mesh, manifest_of, mesh_from
from agents.recipe import Recipe, recipe_of
from features.events import Domain
from features.featurizer import Featurizer
from features.words.rarity import Rarity
from models.bundle import Bundle, BundleRefused, read, write
from models.encoder import Encoder
from models.offline import Ask, Offline, questions
from models.vocabulary import Vocabulary

Stream = Callable[..., pl.DataFrame]


def kept(agent: Agent, folder: Path) -> Bundle:
    write(folder, arrays_of(agent), manifest_of(agent))
    return read(folder)


def numbered(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(seq=pl.int_range(pl.len()))


def trained(recipe: Recipe, events: pl.DataFrame, *, with_encoder: bool) -> Agent:
    codes = Featurizer(recipe.fields, recipe.all_words, slots=64).observe(events).codes
    vocabulary = Vocabulary.learn({name: codes[name] for name in recipe.asked})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        encoder = Encoder(vocabulary.sizes, questions(recipe.asks), width=4).eval()
    agent = Agent(recipe, Offline(vocabulary, encoder) if with_encoder else None)
    agent.observe(events)
    return agent


@pytest.mark.parametrize("domain", list(Domain))
@pytest.mark.parametrize("with_encoder", [True, False], ids=["with encoder", "online only"])
def test_a_kept_agent_gives_the_same_verdicts(
    domain: Domain, with_encoder: bool, tmp_path: Path, stream: Stream
) -> None:
    recipe, events = recipe_of(domain), numbered(stream(domain, 1, 120))
    agent = trained(recipe, events[:80], with_encoder=with_encoder)
    again = agent_from(kept(agent, tmp_path / "a"), recipe, release=3)
    agent.wake()
    ours, theirs = (one.observe(events[80:]).drop("release") for one in (agent, again))
    assert_frame_equal(ours, theirs, check_exact=True)


def test_a_kept_agent_says_of_which_release_it_is(tmp_path: Path, stream: Stream) -> None:
    recipe, events = recipe_of(Domain.DNS), numbered(stream(Domain.DNS, 1, 20))
    again = agent_from(kept(Agent(recipe), tmp_path / "a"), recipe, release=12)
    assert again.observe(events)["release"].unique().to_list() == [12]


def test_the_same_agent_is_kept_as_the_same_bytes(tmp_path: Path, stream: Stream) -> None:
    events = numbered(stream(Domain.WEB, 1, 60))
    a, b = (trained(recipe_of(Domain.WEB), events, with_encoder=True) for _ in range(2))
    assert kept(a, tmp_path / "a").sha256 == kept(b, tmp_path / "b").sha256


@pytest.mark.parametrize(
    "other",
    [
        lambda recipe: recipe_of(Domain.WEB),
        lambda recipe: replace(recipe, words=recipe.words[:-1]),
        lambda recipe: replace(recipe, words=(*recipe.words[:-1], Rarity("rcode"))),
        lambda recipe: replace(recipe, asks=(*recipe.asks[:-1], Ask("rcode", ("site",)))),
        lambda recipe: replace(recipe, fields=recipe.fields | {"new": pl.col("status")}),
    ],
    ids=["domain", "fewer words", "another word", "another question", "another field"],
)
def test_an_agent_of_another_recipe_is_refused(other: Callable[[Recipe], Recipe], tmp_path: Path) -> None:
    recipe = recipe_of(Domain.DNS)
    with pytest.raises(BundleRefused, match="train it again"):
        agent_from(kept(Agent(recipe), tmp_path / "a"), other(recipe), release=1)


def test_a_mesh_has_six_agents_whatever_a_release_lacks(tmp_path: Path, stream: Stream) -> None:
    recipe, events = recipe_of(Domain.DNS), stream(Domain.DNS, 1, 40)
    bundle = kept(trained(recipe, numbered(events), with_encoder=True), tmp_path / "a")
    mesh = mesh_from({Domain.DNS: bundle}, release=5)
    assert list(mesh.agents) == list(fresh_mesh().agents) == list(Domain)
    verdicts = mesh.observe({Domain.DNS: events, Domain.WEB: stream(Domain.WEB, 1, 5)})
    releases = verdicts.group_by("domain").agg(pl.col("release").first()).sort("domain")
    assert releases.rows() == [("dns", 5), ("web", None)]


def test_a_kept_model_that_reads_what_a_new_peer_does_not_say_is_refused() -> None:
    languages = np.array([5 if domain is Domain.DNS else 0 for domain in Domain])
    stored = {Domain.IDENTITY: Bundle({"reader.languages": languages}, {}, "")}
    silent = {Domain.DNS: Agent(recipe_of(Domain.DNS))}
    with pytest.raises(BundleRefused, match=r"the identity model was fitted to read another dns model .* naming none"):
        check_inherited(stored, silent)
    check_inherited(stored, {Domain.WEB: Agent(recipe_of(Domain.WEB))})


def test_a_bundle_whose_arrays_do_not_fit_its_recipe_is_refused_with_a_remedy(tmp_path: Path) -> None:
    agent = Agent(recipe_of(Domain.DNS))
    arrays = {name: array for name, array in arrays_of(agent).items() if name != "online.prudence.seen"}
    write(tmp_path / "cut", arrays, manifest_of(agent))
    with pytest.raises(BundleRefused, match=r"the dns model of release 1 does not hold what .*train it again"):
        agent_from(read(tmp_path / "cut"), recipe_of(Domain.DNS), 1)
