"""How the agents of a new release take the place of those that watch now, without forgetting what these saw.

What an agent learns online is of the stream: which names there are, who does what, how usual a score is. It stays with
whoever watches the stream. What a release was judged for is its encoder, and with it all that tells how usual the
encoder's answers are: the marginals of its `answers`, the calibrator `offline` and those of what its peers say, whose
scores mean nothing under another encoder; what it tells its peers of entities, too, where it changed its language. So,
domain by domain:

- Where the recipe is the same, the new encoder comes with these as the release has them, and all the rest goes on:
  memories, clock, online detectors and their calibrators, prudence, history.
- Where the recipe is another, no old number means what it meant, and the agent comes whole from the release.
- Where the release has no model, the agent goes on without an encoder, for the one it had was not judged with this
  release: to roll back is to be rid of what is rolled back. A mesh is thus always what its release makes of it plus
  what was learned online, and that is what a restart finds.
- A mesh of no release knows what it saw and nothing else; there an agent that saw less than its heir leaves whole, or
  a month of training would be given up for a minute of watching.
"""

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.agent import Agent
from agents.keeping import agent_from, check_readers, manifest_of
from agents.mesh import Mesh
from agents.recipe import Recipe
from features.events import Domain
from features.featurizer import part, under
from features.memory import State
from models.bundle import JSON, Bundle, BundleRefused

#: The parts of an agent's state that belong to the encoder and not to the stream.
OF_THE_ENCODER = ("language", "answers", "calibrator.offline", "peers")

_RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Heirs:
    """The agents of a release that are ready to take over, one for each domain."""

    release: int
    agents: Mapping[Domain, Agent]


def heirs_of(agents: Mapping[Domain, Agent], bundles: Mapping[Domain, Bundle], release: int) -> Heirs:
    """The heirs of `agents`, which may go on watching meanwhile.

    A recipe that changed since it was loaded is read anew. Raises BundleRefused for a model of any other recipe, and
    whatever a recipe raises that somebody is writing.
    """
    heirs = {domain: _heir(agent, bundles.get(domain), release) for domain, agent in agents.items()}
    check_readers(heirs)
    return Heirs(release, heirs)


def succeed(mesh: Mesh, heirs: Heirs, *, is_first: bool) -> list[Domain]:
    """Let `heirs` watch from the next event on; the domains whose agent is new as a whole.

    `is_first` says that the mesh had no release before. The numbers of events go on; all agents change or none.
    """
    whole = []
    for domain, heir in heirs.agents.items():
        agent = mesh.agents[domain]
        if manifest_of(agent) != manifest_of(heir):
            whole.append(domain)
            continue
        heir.restore(inherited(agent.state(), heir.state(), is_first=is_first))
        heir.notices.extend(agent.notices)
    mesh.agents.update(heirs.agents)
    mesh.synchronise()
    return whole


def go_on(mesh: Mesh, state: State, recipes: Mapping[str, JSON], *, is_first: bool) -> list[Domain]:
    """Let a mesh as its release has it go on from the `state` of one of another release.

    `recipes` are the manifests of the agents that `state` is of. The same mesh comes out as if `succeed` had put these
    agents in the place of those.
    """
    whole, joined = [], {name: array for name, array in state.items() if name.startswith(("next", "began", "clock."))}
    for domain, agent in mesh.agents.items():
        known = agent.state()
        if recipes.get(domain.value) != manifest_of(agent):
            whole.append(domain)
        else:
            known = inherited(part(state, domain.value), known, is_first=is_first)
        joined |= under(domain.value, known)
    mesh.restore(joined)
    mesh.synchronise()
    return whole


def inherited(past: State, fresh: State, *, is_first: bool) -> State:
    """What an agent knows that goes on from `past` with the encoder of an agent that knows `fresh`."""
    if is_first and _seen(past) < _seen(fresh):
        return fresh
    places = OF_THE_ENCODER if past["language"] == fresh["language"] else (*OF_THE_ENCODER, "acquaintances")
    kept = {name: array for name, array in past.items() if not _is_of(places, name)}
    return kept | {name: array for name, array in fresh.items() if _is_of(places, name)}


def _heir(agent: Agent, bundle: Bundle | None, release: int) -> Agent:
    if bundle is None:
        return Agent(agent.recipe)
    is_the_same = all(bundle.manifest.get(name) == value for name, value in manifest_of(agent).items())
    recipe = agent.recipe if is_the_same else _recipe_anew(agent.recipe.domain)
    try:
        return agent_from(bundle, recipe, release)
    except BundleRefused as error:
        raise BundleRefused(f"{error}; where more than that file has changed, stop what scores and start it") from error


def _recipe_anew(domain: Domain) -> Recipe:
    """The recipe as its file says now; the module that others imported stays as it is."""
    recipe: Recipe = runpy.run_path(str(_RECIPES / f"{domain.value}.py"))["RECIPE"]
    return recipe


def _is_of(places: Sequence[str], name: str) -> bool:
    return name in places or name.startswith(tuple(f"{place}." for place in places))


def _seen(state: State) -> int:
    return int(state["prudence.seen"][0])
