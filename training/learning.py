"""Teaches one domain's agent from past events: fits its encoder, then lets it watch them go by."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from agents.agent import Agent
from agents.recipe import Recipe
from features.featurizer import Featurizer
from training.fitting import EPOCHS, Fit, fit


@dataclass(frozen=True)
class Learned:
    """An agent that knows the past, how its encoder was fitted, and its verdicts on that past."""

    agent: Agent
    fit: Fit
    verdicts: pl.DataFrame


def learn(
    recipe: Recipe,
    events: pl.DataFrame,
    *,
    seed: int,
    epochs: int = EPOCHS,
    told: Callable[[int], None] = lambda epoch: None,
) -> Learned:
    """Learn from `events`, a domain's frame in the order of time; `told` hears of each epoch done."""
    codes = Featurizer(recipe.fields, ()).observe(events).codes
    fitted = fit({name: codes[name] for name in recipe.asked}, recipe.asks, seed=seed, epochs=epochs, told=told)
    agent = Agent(recipe, fitted.offline)
    verdicts = agent.observe(events.with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64)))
    return Learned(agent, fitted, verdicts)
