"""One person in the estate, with this person's days, chances and whereabouts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from features.events import Domain
from training.estate.inhabitants import DAY, Estate, Person
from training.estate.rhythm import Rhythm

Streams = Iterator[tuple[Domain, pl.DataFrame]]


@dataclass(frozen=True)
class Life:
    """One person in the estate, with this person's days."""

    estate: Estate
    person: Person
    rhythm: Rhythm

    def chance(self, purpose: str) -> np.random.Generator:
        """The person's random stream for one purpose."""
        return self.estate.chance(purpose, self.person.name)

    def whereabouts(self, rng: np.random.Generator, time_N: np.ndarray) -> list[str]:
        """The public address the person appears from: the office, home on some days, or abroad."""
        day_N = np.clip((time_N - self.estate.began) // DAY, 0, self.estate.days - 1)
        at_home_D = rng.random(self.estate.days) < 0.2
        away = range(*self.person.away)
        address_D = [
            self.person.abroad if day in away else self.person.home if at_home else self.estate.egress
            for day, at_home in enumerate(at_home_D)
        ]
        return [address_D[day] for day in day_N]
