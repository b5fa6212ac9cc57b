"""A new release brings its encoder; what was learned online of the stream goes on."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from agents import succeeding
from agents.agent import Agent
from agents.keeping import agent_from, arrays_of, fresh_mesh, manifest_of, mesh_from
from agents.mesh import Mesh
from agents.recipe import Recipe, recipe_of
from agents.succeeding import OF_THE_ENCODER, go_on, heirs_of, inherited, succeed
from features.events import Domain
from features.featurizer import Featurizer
from features.memory import State
from models.bundle import Bundle, BundleRefused, read, write
from models.encoder import Encoder
from models.offline import Offline, questions
from models.vocabulary import Vocabulary

Stream = Callable[..., pl.DataFrame]
DNS = Domain.DNS


def numbered(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(seq=pl.int_range(pl.len()))


def trained(recipe: Recipe, events: pl.DataFrame, seed: int) -> Agent:
    """An agent whose encoder nobody fitted, which will do."""
    codes = Featurizer(recipe.fields, recipe.all_words, slots=64).observe(events).codes
    vocabulary = Vocabulary.learn({name: codes[name] for name in recipe.asked})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(vocabulary.sizes, questions(recipe.asks), width=4).eval()
    agent = Agent(recipe, Offline(vocabulary, encoder))
    agent.observe(numbered(events))
    return agent


def bundled(agent: Agent, folder: Path) -> Bundle:
    write(folder, arrays_of(agent), manifest_of(agent))
    return read(folder)


@pytest.fixture
def releases(tmp_path: Path, stream: Stream) -> Mapping[int, Bundle]:
    """The DNS models of two releases."""
    return {
        number: bundled(trained(recipe_of(DNS), stream(DNS, number, 40 * number), number), tmp_path / str(number))
        for number in (1, 2)
    }


def same(ours: State, theirs: State) -> bool:
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def of_the_encoder(state: State) -> State:
    return {name: array for name, array in state.items() if name.startswith(OF_THE_ENCODER)}


def unshared(state: State) -> State:
    """All but what peers may read, whose moments are counted from the start of each mesh."""
    return {name: array for name, array in state.items() if not name.startswith("acquaintances")}


def of_the_stream(state: State) -> State:
    return {name: array for name, array in state.items() if not name.startswith(OF_THE_ENCODER)}


def test_the_encoder_and_what_is_known_of_its_answers_are_new_and_all_else_goes_on(
    releases: Mapping[int, Bundle], stream: Stream
) -> None:
    mesh = mesh_from({DNS: releases[1]}, release=1)
    mesh.observe({DNS: stream(DNS, 7, 60)})
    before = mesh.agents[DNS].state()
    whole = succeed(mesh, heirs_of(mesh.agents, {DNS: releases[2]}, 2), is_first=False)
    after, new = mesh.agents[DNS].state(), agent_from(releases[2], recipe_of(DNS), 2)
    assert whole == []
    assert same(of_the_stream(after), of_the_stream(before))
    assert same(of_the_encoder(after), of_the_encoder(new.state()))
    assert not same(of_the_encoder(after), of_the_encoder(before))
    heir, wanted = mesh.agents[DNS].offline, new.offline
    assert heir is not None
    assert wanted is not None
    assert same(heir.arrays(), wanted.arrays())


def test_numbers_go_on_and_each_verdict_tells_its_release(releases: Mapping[int, Bundle], stream: Stream) -> None:
    mesh = mesh_from({DNS: releases[1]}, release=1)
    events = stream(DNS, 7, 60)
    first = mesh.observe({DNS: events[:25]})
    succeed(mesh, heirs_of(mesh.agents, {DNS: releases[2]}, 2), is_first=False)
    then = mesh.observe({DNS: events[25:]})
    assert pl.concat([first, then])["seq"].to_list() == list(range(60))
    assert (first["release"].unique().to_list(), then["release"].unique().to_list()) == ([1], [2])


@pytest.mark.parametrize("cut", [0, 1, 25, 59])
def test_online_verdicts_are_those_of_a_mesh_that_nobody_succeeded(
    cut: int, releases: Mapping[int, Bundle], stream: Stream
) -> None:
    events = stream(DNS, 7, 60)
    alone, mesh = (mesh_from({DNS: releases[1]}, release=1) for _ in range(2))
    mesh.observe({DNS: events[:cut]})
    succeed(mesh, heirs_of(mesh.agents, {DNS: releases[2]}, 2), is_first=False)
    ours, theirs = mesh.observe({DNS: events[cut:]}), alone.observe({DNS: events})[cut:]
    assert_frame_equal(ours.select("seq", "p_online", "history"), theirs.select("seq", "p_online", "history"))
    assert not ours["p_offline"].equals(theirs["p_offline"])


def test_back_and_forth_loses_nothing_that_was_learned_online(releases: Mapping[int, Bundle], stream: Stream) -> None:
    mesh = mesh_from({DNS: releases[1]}, release=1)
    mesh.observe({DNS: stream(DNS, 7, 60)})
    before = of_the_stream(mesh.agents[DNS].state())
    for number in (2, 1):
        succeed(mesh, heirs_of(mesh.agents, {DNS: releases[number]}, number), is_first=False)
    assert same(of_the_stream(mesh.agents[DNS].state()), before)
    assert mesh.observe({DNS: stream(DNS, 8, 3)})["release"].unique().to_list() == [1]


def test_what_was_kept_goes_on_as_the_mesh_that_never_stopped(releases: Mapping[int, Bundle], stream: Stream) -> None:
    mesh = mesh_from({DNS: releases[1]}, release=1)
    mesh.observe({DNS: stream(DNS, 7, 60), Domain.WEB: stream(Domain.WEB, 7, 20)})
    state, recipes = mesh.state(), {domain.value: manifest_of(agent) for domain, agent in mesh.agents.items()}
    succeed(mesh, heirs_of(mesh.agents, {DNS: releases[2]}, 2), is_first=False)
    again = mesh_from({DNS: releases[2]}, release=2)
    assert go_on(again, state, recipes, is_first=False) == []
    assert same(again.state(), mesh.state())
    rest = {DNS: stream(DNS, 8, 30), Domain.WEB: stream(Domain.WEB, 8, 30)}
    assert_frame_equal(again.observe(rest), mesh.observe(rest), check_exact=True)


def test_a_domain_that_the_release_lacks_goes_on_without_the_encoder_of_the_one_before(
    releases: Mapping[int, Bundle], stream: Stream
) -> None:
    mesh = mesh_from({DNS: releases[1]}, release=1)
    mesh.observe({DNS: stream(DNS, 7, 60)})
    before = of_the_stream(mesh.agents[DNS].state())
    succeed(mesh, heirs_of(mesh.agents, {}, 2), is_first=False)
    assert same(of_the_stream(mesh.agents[DNS].state()), before)
    verdicts = mesh.observe({DNS: stream(DNS, 8, 3)})
    assert verdicts["release"].null_count() == verdicts["p_offline"].null_count() == 3


def test_an_agent_that_never_had_a_release_leaves_whole_unless_it_saw_more(
    releases: Mapping[int, Bundle], stream: Stream
) -> None:
    for events, leaves in ((79, True), (80, False)):
        mesh = fresh_mesh()
        mesh.observe({DNS: stream(DNS, 7, events)})
        before = of_the_stream(mesh.agents[DNS].state())
        succeed(mesh, heirs_of(mesh.agents, {DNS: releases[2]}, 2), is_first=True)
        after = mesh.agents[DNS].state()
        assert same(of_the_stream(after), before) is not leaves
        assert same(unshared(after), unshared(agent_from(releases[2], recipe_of(DNS), 2).state())) is leaves


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes that may be changed while others have them loaded."""
    folder = shutil.copytree(Path(succeeding.__file__).with_name("recipes"), tmp_path / "recipes")
    monkeypatch.setattr(succeeding, "_RECIPES", folder)
    return folder


def rewritten(recipes: Path) -> Recipe:
    """The DNS recipe without its last rarity, as its file then says."""
    path = recipes / "dns.py"
    path.write_text(path.read_text().replace('        Rarity("program", given="site"),\n', ""))
    old = recipe_of(DNS)
    new = replace(old, words=tuple(word for word in old.words if "program" not in repr(word)))
    assert len(new.words) == len(old.words) - 1
    return new


def test_a_recipe_that_changed_meanwhile_is_read_anew_and_its_agent_comes_whole(
    releases: Mapping[int, Bundle], recipes: Path, stream: Stream, tmp_path: Path
) -> None:
    new = rewritten(recipes)
    bundle = bundled(trained(new, stream(DNS, 3, 50), 3), tmp_path / "new")
    mesh = mesh_from({DNS: releases[1]}, release=1)
    mesh.observe({DNS: stream(DNS, 7, 60)})
    assert succeed(mesh, heirs_of(mesh.agents, {DNS: bundle}, 2), is_first=False) == [DNS]
    assert mesh.agents[DNS].recipe.words == new.words
    assert same(unshared(mesh.agents[DNS].state()), unshared(agent_from(bundle, new, 2).state()))
    verdicts = mesh.observe({DNS: stream(DNS, 8, 3)})
    assert verdicts["seq"].to_list() == [60, 61, 62]


def test_a_model_of_a_recipe_that_is_nowhere_is_refused_and_nothing_changes(
    releases: Mapping[int, Bundle], recipes: Path, stream: Stream, tmp_path: Path
) -> None:
    other = replace(recipe_of(DNS), words=recipe_of(DNS).words[:-1])
    bundle = bundled(trained(other, stream(DNS, 3, 50), 3), tmp_path / "new")
    mesh = mesh_from({DNS: releases[1]}, release=1)
    before = mesh.state()
    with pytest.raises(BundleRefused, match=r"the dns model of release 2 was trained by another recipe.*stop what"):
        heirs_of(mesh.agents, {DNS: bundle}, 2)
    assert same(mesh.state(), before)


def test_notices_go_on(releases: Mapping[int, Bundle]) -> None:
    mesh = mesh_from({DNS: releases[1]}, release=1)
    mesh.agents[DNS].notices.append(notice := object())  # type: ignore[arg-type] # whatever it says
    succeed(mesh, heirs_of(mesh.agents, {DNS: releases[2]}, 2), is_first=False)
    assert list(mesh.agents[DNS].notices) == [notice]


def test_inheritance_is_of_every_array_once(releases: Mapping[int, Bundle]) -> None:
    past, fresh = (agent_from(releases[n], recipe_of(DNS), n).state() for n in (1, 2))
    heritage = inherited(past, fresh, is_first=False)
    assert heritage.keys() == past.keys() == fresh.keys()
    assert (
        Mesh(mesh_from({DNS: releases[1]}, 1).agents).state().keys() == mesh_from({DNS: releases[2]}, 2).state().keys()
    )
