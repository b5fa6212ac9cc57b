"""The mesh: six agents over one log."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from agents.agent import Agent
from agents.verdicts import VERDICTS
from features.events import Domain
from features.featurizer import part
from features.logs import Events, in_order
from features.memory import State


class Mesh:
    """Splits the log by domain, lets each agent judge its part, and puts the verdicts back in order."""

    def __init__(self, agents: Mapping[Domain, Agent]) -> None:
        self.agents = dict(agents)
        self._next = 0

    def observe(self, events: Events) -> pl.DataFrame:
        """The verdicts on a batch, in the order of the log (`features.logs.in_order`)."""
        order = in_order(events).with_row_index("seq", offset=self._next).cast({"seq": pl.Int64})
        self._next += order.height
        parts = [self._part(domain, events, order) for domain in events]
        return pl.concat([pl.DataFrame(schema=VERDICTS), *parts]).sort("seq")

    def notices(self) -> list[str]:
        """What each agent has to say of its stream as a whole, in words, latest last."""
        return [f"{domain}: {notice.in_words()}" for domain, agent in self.agents.items() for notice in agent.notices]

    def state(self) -> State:
        """What every agent learned online, and the number of the next event."""
        state: State = {"next": np.array([self._next])}
        for domain, agent in self.agents.items():
            state |= {f"{domain}.{name}": array for name, array in agent.state().items()}
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._next = int(state["next"][0])
        for domain, agent in self.agents.items():
            agent.restore(part(state, domain.value))

    def _part(self, domain: Domain, events: Events, order: pl.DataFrame) -> pl.DataFrame:
        places = order.filter(pl.col("domain") == domain.value)
        return self.agents[domain].observe(events[domain][places["row"]].with_columns(places["seq"]))
