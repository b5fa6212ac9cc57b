"""An agent as plain arrays and back: what training hands to scoring through the registry."""

from collections.abc import Mapping

from agents.agent import Agent
from agents.mesh import Mesh
from agents.recipe import Recipe, recipe_of
from features.events import Domain
from features.featurizer import part
from features.memory import State
from models.bundle import JSON, Bundle, BundleRefused
from models.offline import offline_from


def arrays_of(agent: Agent) -> State:
    """All that an agent knows, offline and online."""
    offline = agent.offline.arrays() if agent.offline else {}
    return {f"offline.{name}": array for name, array in offline.items()} | {
        f"online.{name}": array for name, array in agent.state().items()
    }


def manifest_of(agent: Agent) -> dict[str, JSON]:
    """What has to be true of the recipe that reads those arrays."""
    return _signed(agent.recipe)


def agent_from(bundle: Bundle, recipe: Recipe, release: int) -> Agent:
    """The agent that a bundle holds, awake; raises BundleRefused if it was trained by another recipe."""
    expected = _signed(recipe)
    if {name: bundle.manifest.get(name) for name in expected} != expected:
        raise BundleRefused(
            f"the {recipe.domain} model of release {release} was trained by another recipe than "
            f"agents/recipes/{recipe.domain}.py: train it again with `secmesh train {recipe.domain}`"
        )
    offline = part(dict(bundle.arrays), "offline")
    agent = Agent(recipe, offline_from(offline, recipe.asks) if offline else None, release)
    agent.restore(part(dict(bundle.arrays), "online"))
    agent.wake()
    return agent


def mesh_from(bundles: Mapping[Domain, Bundle], release: int) -> Mesh:
    """A mesh of the agents that a release holds; a domain it lacks starts with an agent that knows nothing."""
    kept = {domain: agent_from(bundle, recipe_of(domain), release) for domain, bundle in bundles.items()}
    return Mesh(fresh_mesh().agents | kept)


def fresh_mesh() -> Mesh:
    """A mesh of agents that know nothing, for when there is no release: online detection alone."""
    return Mesh({domain: Agent(recipe_of(domain)) for domain in Domain})


def _signed(recipe: Recipe) -> dict[str, JSON]:
    """A recipe as far as stored state depends on it: words, questions and names of fields."""
    return {
        "kind": "agent",
        "domain": recipe.domain.value,
        "principal": recipe.principal,
        "words": [repr(word) for word in recipe.all_words],
        "weights": [weight for _, weight in (*recipe.added, *recipe.at_least)],
        "detectors": [repr(detector) for detector in recipe.detectors],
        "asks": [ask.name for ask in recipe.asks],
        "fields": list(recipe.fields),
    }
