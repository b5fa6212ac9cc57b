"""Teaches agents from past events: fits their encoders, lets them watch the past go by, then read each other."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.agent import Agent
from agents.keeping import check_readers
from agents.mesh import Looked, Mesh
from agents.recipe import Recipe, recipe_of
from features.events import Domain
from features.logs import Events, cut
from features.mistakes import FoundWrong
from models.context import TOLD
from models.language import DRIFT, founded, speak, translated
from models.offline import Offline
from training.acquainting import acquaint
from training.counting import Counted, codes_of, count
from training.fitting import EPOCHS, Fit, Settings, fit_counted
from training.past import Past, batches, past_of

_BATCH = 50_000
#: Batches whose events the readers learn from: the newest.
_READ = 20
#: Most different events that a language is made of: the commonest.
_SPOKEN = 1 << 17

#: Fits a domain's encoder to its events.
Teach = Callable[[Domain, Counted], Fit]


@dataclass(frozen=True)
class Before:
    """What earlier training left: agents, which watch if they are not taught, and encoders whose languages are read."""

    agents: Mapping[Domain, Agent]
    encoders: Mapping[Domain, Offline]


NOTHING = Before({}, {})


class LanguageLost(FoundWrong):
    """A new encoder cannot say what the readers of other domains were fitted to."""


@dataclass(frozen=True)
class Learned:
    """An agent that knows the past, how its encoder was fitted, and its verdicts on the newest of that past."""

    agent: Agent
    fit: Fit
    verdicts: pl.DataFrame


@dataclass(frozen=True)
class Lesson:
    """What was learned together, by domain, and the mesh of these agents and those that only watched."""

    learned: Mapping[Domain, Learned]
    mesh: Mesh


def learn(
    recipe: Recipe,
    events: pl.DataFrame,
    *,
    seed: int,
    epochs: int = EPOCHS,
    told: Callable[[int], None] = lambda epoch: None,
) -> Learned:
    """One agent by itself, from its domain's `events` in the order of time; `told` hears of each epoch done."""
    counted = count(codes_of(recipe, [events]), events.height)
    settings = Settings(epochs=epochs)
    fitted = fit_counted(counted, recipe.asks, settings, seed=seed, told=lambda epoch: told(epoch.number))
    agent = Agent(recipe, fitted.offline)
    verdicts = agent.observe(events.with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64)))
    return Learned(agent, fitted, verdicts)


def learn_together(
    past: Events | Past,
    taught: Collection[Domain] = tuple(Domain),
    before: Before = NOTHING,
    *,
    seed: int,
    epochs: int = EPOCHS,
    teach: Teach | None = None,
    watched: Callable[[int], None] = lambda events: None,
    shares: bool = True,
) -> Lesson:
    """An agent for each domain of `taught` that has events in the `past`, whose slices are in memory one at a time.

    Where agents share, they learn to read what the rest of the mesh knows. Encoders are fitted by `teach`, else in so
    many `epochs`; `watched` hears of events that the mesh looked at. Raises LanguageLost where agents of `before` could
    not read a new one.
    """
    past = past_of(past)
    fits = _fitted([domain for domain in past.rows if domain in taught], past, before, teach or _teacher(seed, epochs))
    agents = {domain: before.agents.get(domain) or Agent(recipe_of(domain)) for domain in Domain}
    agents |= {domain: Agent(recipe_of(domain), fitted.offline) for domain, fitted in fits.items()}
    mesh = Mesh(agents, shares=shares)
    with resting(mesh, fits):
        looked = _looked(mesh, past, watched)
        if shares:
            languages = [agent.language for agent in agents.values()]
            for place, domain in enumerate(Domain):
                if domain in fits:
                    agents[domain].reader = acquaint(*_seen(looked, domain), languages, place, seed=seed)
            check_readers(agents)
        verdicts = pl.concat([mesh.judge(one) for one in looked])
    of = {domain: verdicts.filter(pl.col("domain") == domain.value) for domain in fits}
    return Lesson({domain: Learned(agents[domain], fitted, of[domain]) for domain, fitted in fits.items()}, mesh)


def watch(mesh: Mesh, events: Events, taught: Collection[Domain]) -> None:
    """Let the agents of a mesh that were taught learn online from later events."""
    with resting(mesh, taught):
        for batch in cut(events, _BATCH):
            mesh.observe(batch)


@contextmanager
def resting(mesh: Mesh, taught: Collection[Domain]) -> Iterator[None]:
    """Let all agents look, and those that are not taught be afterwards as they were before: they have seen it."""
    others = {domain: agent.state() for domain, agent in mesh.agents.items() if domain not in taught}
    yield
    for domain, state in others.items():
        mesh.agents[domain].restore(state)
    mesh.synchronise()


def _fitted(domains: Sequence[Domain], past: Past, before: Before, teach: Teach) -> dict[Domain, Fit]:
    """The new encoders, each with its language: that of the one before it where somebody who read that one stays."""
    are_read, fits = any(domain not in domains for domain in before.agents), {}
    for domain in domains:
        counted = count(codes_of(recipe_of(domain), past.slices(domain)), past.rows[domain])
        fits[domain] = teach(domain, counted)
        _speak(fits[domain].offline, before.encoders.get(domain) if are_read else None, counted, domain)
    return fits


def _teacher(seed: int, epochs: int) -> Teach:
    return lambda domain, counted: fit_counted(counted, recipe_of(domain).asks, Settings(epochs=epochs), seed=seed)


def _speak(offline: Offline, older: Offline | None, counted: Counted, domain: Domain) -> None:
    """Let an encoder speak a language of its own, or where one is given that of an older encoder."""
    codes, count_U = counted.commonest(_SPOKEN)
    hidden_UH = offline.answer(codes).hidden_BH
    if older is None or not older.language:
        speak(offline.encoder, founded(hidden_UH, count_U))
        return
    spoken = translated(hidden_UH, older.answer(codes).vector_BW, count_U, older.language)
    if spoken.drift > DRIFT:
        raise LanguageLost(
            f"the new {domain} encoder loses {spoken.drift:.0%} of what the other domains' models read, more than "
            f"{DRIFT:.0%}: train all domains together with `secmesh train`, naming none"
        )
    speak(offline.encoder, spoken)


def _looked(mesh: Mesh, past: Past, watched: Callable[[int], None]) -> deque[Looked]:
    """What the mesh made of the newest of the past, after it has looked at all of it."""
    looked = deque[Looked](maxlen=_READ)
    for batch in batches(past, _BATCH):
        looked.append(mesh.look(batch))
        watched(sum(frame.height for frame in batch.values()))
    return looked


def _seen(looked: Iterable[Looked], domain: Domain) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The domain's events among what was looked at, as hidden vectors and contexts."""
    both = [(one.sights[domain], one.contexts[domain]) for one in looked if domain in one.sights]
    told = [context.told_NDC for _, context in both if context is not None]
    if not told:
        return np.zeros((0, 0), np.float32), np.zeros((0, 0, TOLD), np.float32)
    return np.concatenate([sight.hidden_BH for sight, _ in both]), np.concatenate(told)
