"""When somebody is active, and how strongly they prefer one thing to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from training.estate.inhabitants import DAY, HOUR, Estate, Person

BURSTS = 22

T = TypeVar("T")


@dataclass(frozen=True)
class Rhythm:
    """The bursts of activity of each day (D days x K bursts, milliseconds UTC) and how busy each day is."""

    centre_DK: np.ndarray
    busy_D: np.ndarray

    def moments(self, rng: np.random.Generator, mean: float) -> np.ndarray:
        """Sorted moments at which somebody acts who acts `mean` times on a usual working day."""
        day_N = np.repeat(np.arange(len(self.busy_D)), rng.poisson(mean * self.busy_D))
        burst_N = rng.integers(0, self.centre_DK.shape[1], len(day_N))
        late_N = rng.exponential(150_000, len(day_N))
        return np.sort(self.centre_DK[day_N, burst_N] + late_N.astype(np.int64))


def person_rhythm(estate: Estate, person: Person) -> Rhythm:
    """The working days of `person`: a morning, an afternoon, now and then an evening; quiet weekends."""
    rng = estate.chance("rhythm", person.name)
    weekday_D = np.array([estate.weekday(day) for day in range(estate.days)])
    day_D = np.arange(estate.days)
    share_D = np.where(weekday_D < 5, rng.uniform(0.8, 1.15, estate.days), person.weekend)
    busy_D = np.where((day_D >= person.joins) & (rng.random(estate.days) > 0.03), share_D * person.energy, 0.0)
    return Rhythm(_office_hours(rng, estate, person), busy_D)


def _office_hours(rng: np.random.Generator, estate: Estate, person: Person) -> np.ndarray:
    shape = (estate.days, BURSTS)
    half = person.hours / 2
    middle = np.where(rng.random(shape) < 0.5, person.begins + half / 2 - 0.3, person.begins + 1.5 * half + 0.4)
    hour_DK = np.where(rng.random(shape) < 0.04, rng.uniform(19, 23, shape), rng.normal(middle, half / 4, shape))
    day_D1 = estate.began + np.arange(estate.days)[:, None] * DAY
    return day_D1 + (np.clip(hour_DK, 0.2, 23.6) * HOUR).astype(np.int64)


def steady_rhythm(estate: Estate, name: str) -> Rhythm:
    """A machine's days: the same by night and on Sundays."""
    rng = estate.chance("rhythm", name)
    day_D1 = estate.began + np.arange(estate.days)[:, None] * DAY
    centre_DK = day_D1 + rng.integers(0, DAY - 1_200_000, (estate.days, 96))
    return Rhythm(centre_DK, rng.uniform(0.9, 1.1, estate.days))


def every(rng: np.random.Generator, begins: int, ends: int, period: int, jitter: float = 0.05) -> np.ndarray:
    """Moments `period` milliseconds apart from `begins` to before `ends`, each late by up to `jitter` of a period."""
    tick_N = np.arange(begins, ends, period)
    return np.minimum(tick_N + (rng.random(len(tick_N)) * jitter * period).astype(np.int64), ends - 1)


def tastes(rng: np.random.Generator, size: int, *, steep: float = 1.1, whim: float = 0.8) -> np.ndarray:
    """Probabilities over `size` things in the order of their popularity: Zipf's law bent by personal whim."""
    weight = np.arange(1, size + 1) ** -steep * rng.lognormal(0, whim, size)
    return np.asarray(weight / weight.sum())


def pick(rng: np.random.Generator, things: Sequence[T], count: int, p: np.ndarray | None = None) -> list[T]:
    """`count` of `things`, with repetition."""
    return [things[at] for at in rng.choice(len(things), count, p=p)]
