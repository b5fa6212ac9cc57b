"""A recipe: what one domain's agent looks at, in declarative Python."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from features.events import Domain
from features.word import Word
from models.offline import Ask, asked_fields


@dataclass(frozen=True)
class Recipe:
    """One domain's agent, declared.

    `fields` are the short texts an event is boiled down to, as expressions over its columns; one of them is `kind`,
    the sort of event among whose like it is judged. `words` are the features that the online detector sees, `asks`
    the questions put to the offline encoder. Raises ValueError naming a field that is spoken of but not declared.
    """

    domain: Domain
    fields: Mapping[str, pl.Expr]
    words: tuple[Word, ...]
    asks: tuple[Ask, ...]

    def __post_init__(self) -> None:
        """Look for fields that do not exist."""
        spoken = ["kind", *asked_fields(self.asks), *(name for word in self.words for name in word.needs)]
        for name in spoken:
            if name not in self.fields:
                raise ValueError(f"recipe {self.domain}: no field {name!r}; it has {', '.join(self.fields)}")

    @property
    def asked(self) -> list[str]:
        """The fields that the encoder reads."""
        return asked_fields(self.asks)


def recipe_of(domain: Domain) -> Recipe:
    """The recipe in `agents/recipes/<domain>.py`."""
    recipe: Recipe = importlib.import_module(f"agents.recipes.{domain.value}").RECIPE
    return recipe
