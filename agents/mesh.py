"""The mesh: six agents over one log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.agent import Agent, Sight
from agents.verdicts import VERDICTS
from features.clock import Clock
from features.events import Domain
from features.featurizer import part, under
from features.logs import Events, in_order
from features.memory import State
from models.context import Context, share

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Looked:
    """What every agent that has events made of its part, and what the peers of each know of them."""

    sights: Mapping[Domain, Sight]
    contexts: Mapping[Domain, Context | None]


class Mesh:
    """Splits the log by domain, lets each agent judge its part, and puts the verdicts back in order.

    Where it `shares`, agents read what the others know of an event's entities, as of the moment before the event.
    """

    def __init__(self, agents: Mapping[Domain, Agent], *, shares: bool = True) -> None:
        self.agents = dict(agents)
        self._shares = shares
        self._next = 0
        self._clock = Clock()
        self._began = max((agent.acquaintances.now for agent in agents.values()), default=0.0)
        self.synchronise()

    def observe(self, events: Events, order: pl.DataFrame | None = None) -> pl.DataFrame:
        """The verdicts on a batch, in the order of the log: `features.logs.in_order`, unless an `order` is given."""
        return self.judge(self.look(events, order))

    def look(self, events: Events, order: pl.DataFrame | None = None) -> Looked:
        """What the agents make of a batch, each by itself, and what they then know of each other's."""
        order = (
            (in_order(events) if order is None else order)
            .with_row_index("seq", offset=self._next)
            .cast({"seq": pl.Int64})
        )
        self._next += order.height
        sights = {domain: self._look(domain, events, order) for domain in events}
        return Looked(sights, self._contexts(sights) if self._shares else dict.fromkeys(sights))

    def judge(self, looked: Looked) -> pl.DataFrame:
        """The verdicts on what was looked at, in the order of the log."""
        parts = [self.agents[domain].judge(sight, looked.contexts[domain]) for domain, sight in looked.sights.items()]
        return pl.concat([pl.DataFrame(schema=VERDICTS), *parts]).sort("seq")

    def synchronise(self) -> None:
        """Take what agents that are new here know of entities as being of now."""
        now = self._began + self._clock.seconds
        for agent in self.agents.values():
            agent.acquaintances.move_to(now)

    def wake(self) -> None:
        """Take the next event as following at once on what was learned, however long ago that was."""
        self._clock.wait()
        for agent in self.agents.values():
            agent.wake()

    def notices(self) -> list[str]:
        """What each agent has to say of its stream as a whole, in words, latest last."""
        return [f"{domain}: {notice.in_words()}" for domain, agent in self.agents.items() for notice in agent.notices]

    def state(self) -> State:
        """What every agent learned online, and the number of the next event."""
        state: State = {"next": np.array([self._next]), "began": np.array([self._began])}
        state |= under("clock", self._clock.state())
        for domain, agent in self.agents.items():
            state |= {f"{domain}.{name}": array for name, array in agent.state().items()}
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._next, self._began = int(state["next"][0]), float(state["began"][0])
        self._clock.restore(part(state, "clock"))
        for domain, agent in self.agents.items():
            agent.restore(part(state, domain.value))

    def _look(self, domain: Domain, events: Events, order: pl.DataFrame) -> Sight:
        places = order.filter(pl.col("domain") == domain.value)
        return self.agents[domain].look(events[domain][places["row"]].with_columns(places["seq"]))

    def _contexts(self, sights: Mapping[Domain, Sight]) -> dict[Domain, Context]:
        """Put the sights in the order of the log, and let each event ask before it is known."""
        seqs = [sight.events["seq"].to_numpy() for sight in sights.values()]
        order_N = np.argsort(np.concatenate([np.zeros(0, np.int64), *seqs]))
        place_N = np.argsort(order_N)
        domains = list(self.agents)

        def ordered(parts: list[NDArray[Scalar]]) -> NDArray[Scalar]:
            return np.concatenate(parts)[order_N]

        if not sights:
            return {}
        context = share(
            [agent.acquaintances for agent in self.agents.values()],
            ordered([sight.entity_BE for sight in sights.values()]),
            ordered([np.full(sight.p_B.size, domains.index(domain)) for domain, sight in sights.items()]),
            self._began + self._clock.advance(ordered([_times(sight) for sight in sights.values()])),
            ordered([sight.vector_BW for sight in sights.values()]),
            ordered([-np.log(sight.p_B) for sight in sights.values()]),
        )
        ends = np.cumsum([sight.p_B.size for sight in sights.values()])
        return {
            domain: context.of(place_N[end - sight.p_B.size : end])
            for (domain, sight), end in zip(sights.items(), ends, strict=True)
        }


def _times(sight: Sight) -> NDArray[np.int64]:
    times: NDArray[np.int64] = sight.events["time"].to_physical().to_numpy()
    return times
