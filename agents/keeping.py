"""An agent as plain arrays and back: what training hands to scoring through the registry."""

from collections.abc import Iterable, Mapping

from agents.agent import Agent
from agents.mesh import Mesh
from agents.recipe import Recipe, recipe_of
from features.events import Domain
from features.featurizer import part, under
from features.memory import State
from models.bundle import JSON, Bundle, BundleRefused
from models.offline import Offline, offline_from
from models.reader import arrays_of_reader, reader_from


def arrays_of(agent: Agent) -> State:
    """All that an agent knows, offline and online."""
    offline = under("offline", agent.offline.arrays()) if agent.offline else {}
    reader = under("reader", arrays_of_reader(agent.reader)) if agent.reader else {}
    return offline | reader | under("online", agent.state())


def manifest_of(agent: Agent) -> dict[str, JSON]:
    """What has to be true of the recipe that reads those arrays."""
    return _signed(agent.recipe)


def agent_from(bundle: Bundle, recipe: Recipe, release: int) -> Agent:
    """The agent that a bundle holds, awake; raises BundleRefused if it is not one of this recipe."""
    expected = _signed(recipe)
    if {name: bundle.manifest.get(name) for name in expected} != expected:
        raise BundleRefused(
            f"the {recipe.domain} model of release {release} was trained by another recipe than "
            f"agents/recipes/{recipe.domain}.py: train it again with `secmesh train {recipe.domain}`"
        )
    try:
        agent = _agent_from(bundle, recipe, release)
    except (LookupError, ValueError, TypeError, RuntimeError) as error:
        raise BundleRefused(
            f"the {recipe.domain} model of release {release} does not hold what its recipe needs ({error}): "
            f"train it again with `secmesh train {recipe.domain}`"
        ) from error
    agent.wake()
    return agent


def _agent_from(bundle: Bundle, recipe: Recipe, release: int) -> Agent:
    offline, reader, online = (part(dict(bundle.arrays), name) for name in ("offline", "reader", "online"))
    agent = Agent(
        recipe,
        offline_from(offline, recipe.asks) if offline else None,
        release,
        reader_from(reader) if reader else None,
    )
    agent.restore(online)
    return agent


def mesh_from(bundles: Mapping[Domain, Bundle], release: int) -> Mesh:
    """A mesh of the agents that a release holds; a domain it lacks starts with an agent that knows nothing.

    Raises BundleRefused where an agent was fitted to read another agent than the one beside it.
    """
    agents = _agents_from(bundles, release)
    check_readers(agents)
    return Mesh(agents)


def part_of_mesh_from(bundles: Mapping[Domain, Bundle], release: int) -> Mesh:
    """The same of some of a release's agents; what cannot be read any more is not."""
    agents = _agents_from(bundles, release)
    unread = [domain for domain, agent in agents.items() if _misread(domain, _languages(agent), agents)]
    for domain in unread:
        agents[domain].reader = None
    return Mesh(agents)


def check_readers(agents: Mapping[Domain, Agent]) -> None:
    """Raise BundleRefused where an agent reads a peer whose encoder now speaks another language."""
    for domain, agent in agents.items():
        _check(domain, _languages(agent), agents)


def check_inherited(bundles: Mapping[Domain, Bundle], agents: Mapping[Domain, Agent]) -> None:
    """Raise BundleRefused where a stored model was fitted to read another peer than the new agent beside it."""
    for domain, bundle in bundles.items():
        _check(domain, bundle.arrays.get("reader.languages", ()), agents)


def _check(domain: Domain, languages: Iterable[int], agents: Mapping[Domain, Agent]) -> None:
    for peer in _misread(domain, languages, agents):
        raise BundleRefused(
            f"the {domain} model was fitted to read another {peer} model than the one beside it: "
            "train all domains together with `secmesh train`, naming none"
        )


def _languages(agent: Agent) -> tuple[int, ...]:
    return agent.reader.languages if agent.reader else ()


def _misread(domain: Domain, languages: Iterable[int], agents: Mapping[Domain, Agent]) -> list[Domain]:
    """The peers among `agents` that speak another language than a reader of `domain` was fitted to."""
    others = {peer: language for peer, language in zip(Domain, languages, strict=False) if language and peer != domain}
    return [peer for peer in agents if peer in others and others[peer] != agents[peer].language]


def _agents_from(bundles: Mapping[Domain, Bundle], release: int) -> dict[Domain, Agent]:
    kept = {domain: agent_from(bundle, recipe_of(domain), release) for domain, bundle in bundles.items()}
    return fresh_mesh().agents | kept


def offline_before(bundle: Bundle, recipe: Recipe) -> Offline | None:
    """The encoder that a bundle holds, if it answers the questions of `recipe`, whatever else that changed."""
    offline = part(dict(bundle.arrays), "offline")
    is_asked_alike = bundle.manifest.get("asks") == [ask.name for ask in recipe.asks]
    return offline_from(offline, recipe.asks) if offline and is_asked_alike else None


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
