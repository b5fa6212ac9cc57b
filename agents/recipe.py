"""A recipe: what one domain's agent looks at, in declarative Python."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
from river.base import AnomalyDetector

from features.events import Domain
from features.missing import MISSING
from features.word import Word
from models.loda import Loda
from models.offline import Ask, asked_fields
from models.rs_hash import RSHash


@dataclass(frozen=True)
class Recipe:
    """One domain's agent, declared.

    `fields` are the short texts an event is boiled down to, as expressions over its columns; one of them is `kind`, the
    sort of event among whose like it is judged, and `principal` names the one that says whose doing it is. `words` are
    the features that the online detectors see and judge by how usual they are. `added` speak for themselves, and their
    nats count with the weight beside them on top of that; `at_least` do so, too, and an event is at least as strange
    as they say. `detectors` join the marginals: any anomaly detector of River's. `asks` are the questions put to the
    offline encoder. Raises ValueError naming a field that is spoken of but not declared.
    """

    domain: Domain
    principal: str
    fields: Mapping[str, pl.Expr]
    words: tuple[Word, ...]
    asks: tuple[Ask, ...]
    added: tuple[tuple[Word, float], ...] = ()
    at_least: tuple[tuple[Word, float], ...] = ()
    detectors: tuple[AnomalyDetector, ...] = (Loda(n_random_cuts=16), RSHash(n_grids=16))

    def __post_init__(self) -> None:
        """Look for fields that do not exist."""
        spoken = [
            "kind",
            self.principal,
            *asked_fields(self.asks),
            *(name for word in self.all_words for name in word.needs),
        ]
        for name in spoken:
            if name not in self.fields and name != MISSING:
                raise ValueError(f"recipe {self.domain}: no field {name!r}; it has {', '.join(self.fields)}")

    @property
    def all_words(self) -> tuple[Word, ...]:
        """The words that are judged, then those that speak for themselves."""
        return (*self.words, *(word for word, _ in (*self.added, *self.at_least)))

    @property
    def asked(self) -> list[str]:
        """The fields that the encoder reads."""
        return asked_fields(self.asks)


def recipe_of(domain: Domain) -> Recipe:
    """The recipe in `agents/recipes/<domain>.py`."""
    recipe: Recipe = importlib.import_module(f"agents.recipes.{domain.value}").RECIPE
    return recipe
