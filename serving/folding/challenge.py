"""Watches which release waits to take the champion's place."""

import time
from collections.abc import Callable
from typing import Final

from models.registry import NoRegistry, Registry
from models.releases import CHALLENGER, NAME

#: Seconds between two looks at the challenger's alias, which take 6 ms each.
EVERY_SECONDS: Final = 5.0


class Challenge:
    """One look after another at the challenger; `tell` hears whenever another release waits than before, or none."""

    def __init__(
        self, registry: Registry, tell: Callable[[int | None], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry, self._tell, self._clock = registry, tell, clock
        self._told: int | None = None
        self._next = clock() + EVERY_SECONDS

    def look(self, release: int | None) -> None:
        """While `release` scores; looks once in EVERY_SECONDS, however often it is asked."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + EVERY_SECONDS
        try:
            number = self._registry.alias(NAME, CHALLENGER)
        except NoRegistry:
            return  # nothing was trained yet
        except Exception:  # whatever ails the catalogue, who looks for the champion says so
            return
        waits = None if number == release else number
        if waits != self._told:
            self._told = waits
            self._tell(waits)
