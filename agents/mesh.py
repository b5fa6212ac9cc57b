"""The mesh: six agents over one log."""

import importlib
from collections.abc import Mapping

import polars as pl

from agents.agent import Agent
from agents.recipe import Recipe
from agents.verdicts import VERDICTS
from features.events import Domain
from features.featurizer import part
from features.memory import State


def recipe_of(domain: Domain) -> Recipe:
    """The recipe in `agents/recipes/<domain>.py`."""
    recipe: Recipe = importlib.import_module(f"agents.recipes.{domain.value}").RECIPE
    return recipe


class Mesh:
    """Splits the log by domain, lets each agent judge its part, and puts the verdicts back in order."""

    def __init__(self, agents: Mapping[Domain, Agent]) -> None:
        self.agents = dict(agents)
        self._next = 0

    def observe(self, events: Mapping[Domain, pl.DataFrame]) -> pl.DataFrame:
        """The verdicts on a batch in the order of the log: by time within the batch, ties by domain and row."""
        batch = [
            frame.select("time", pl.lit(d).alias("d"), pl.int_range(pl.len()).alias("row"))
            for d, frame in enumerate(events.get(domain, pl.DataFrame()) for domain in Domain)
            if frame.height
        ]
        if not batch:
            return pl.DataFrame(schema=VERDICTS)
        order = pl.concat(batch).sort("time", "d", "row").with_row_index("seq", offset=self._next)
        self._next += order.height
        parts = []
        for d, domain in enumerate(Domain):
            places = order.filter(pl.col("d") == d)
            if places.height:
                ordered = events[domain][places["row"]].with_columns(places["seq"].cast(pl.Int64))
                parts.append(self.agents[domain].observe(ordered))
        return pl.concat(parts).sort("seq")

    def state(self) -> State:
        """What every agent learned online."""
        return {
            f"{domain}.{name}": array for domain, agent in self.agents.items() for name, array in agent.state().items()
        }

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        for domain, agent in self.agents.items():
            agent.restore(part(state, domain.value))
