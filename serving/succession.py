"""Watches which release is the champion, and has the agents of a new one ready beside those that score."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from agents.agent import Agent
from agents.succeeding import Heirs, heirs_of
from features.events import Domain
from models.registry import CHAMPION, NoRegistry, Registry
from models.releases import NAME, champion, load
from serving.say import Say

#: Seconds between two looks at the champion's alias, which take 6 ms each.
EVERY_SECONDS = 1.0
#: Seconds after which a release that was refused is tried again: somebody may have mended it.
AGAIN_SECONDS = 3.0


class Succession:
    """One look after another at the champion; a new one is loaded, verified and handed to `arrive`.

    `release` is the one that scores now, `agents` its agents; `arrive` puts heirs in their place, now or when it suits.
    What cannot be used, for whatever reason, is refused and said once; the champion before goes on.
    """

    def __init__(
        self,
        registry: Registry,
        release: int | None,
        agents: Mapping[Domain, Agent],
        arrive: Callable[[Heirs], None],
        say: Say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused: int | None = None
        self._registry, self._release, self._agents = registry, release, agents
        self._arrive, self._say, self._clock = arrive, say, clock
        self._next, self._again = clock(), 0.0
        self._said = ""

    def look(self) -> None:
        """Have the heirs arrive if there is a new champion; looks once in EVERY_SECONDS, however often it is asked."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + EVERY_SECONDS
        try:
            number = self._registry.alias(NAME, CHAMPION)
        except NoRegistry:
            return  # nothing was trained yet
        except Exception as error:  # whatever ails the catalogue, the champion goes on
            self._warn(f"the champion cannot be looked up: {_in_words(error)}; {self._who_goes_on()}")
            return
        if number is not None and number != self._release:
            self._follow(number)
        else:
            self.refused = None

    def _follow(self, number: int) -> None:
        if number == self.refused and self._clock() < self._again:
            return
        try:
            heirs = self._heirs(number)
        except Exception as error:  # whatever is wrong with a release, the champion before goes on
            self.refused, self._again = number, self._clock() + AGAIN_SECONDS
            self._warn(f"release {number} is refused: {_in_words(error)}; {self._who_goes_on()}")
            return
        if heirs is not None:
            self.refused, self._release, self._said = None, number, ""
            self._arrive(heirs)

    def _heirs(self, number: int) -> Heirs | None:
        """The agents of release `number`, or none if another is the champion by now: the next look finds it."""
        release = champion(self._registry)
        if release is None or release.number != number:
            return None
        return heirs_of(self._agents, load(self._registry, release), number)

    def _warn(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._say([line], "warning")

    def _who_goes_on(self) -> str:
        return "the online models go on alone" if self._release is None else f"{_named(self._release)} goes on"


def in_words(now: int | None, before: int | None, whole: Iterable[Domain]) -> list[str]:
    """What a user should know of a succession: who scores now, and which agents begin anew.

    >>> in_words(2, 1, [Domain.DNS])
    ['release 2 scores from here on, after release 1', 'dns has another recipe: its agent begins as release 2 has it']
    """
    told = [] if now == before else [f"{_named(now)} scores from here on, after {_named(before)}"]
    knows = "knows nothing yet" if now is None else f"begins as {_named(now)} has it"
    return told + [f"{domain} has another recipe: its agent {knows}" for domain in whole]


@contextmanager
def watching(look: Callable[[], None]) -> Iterator[None]:
    """Has a thread of its own `look` every EVERY_SECONDS, until the end of the context."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(EVERY_SECONDS):
            look()

    thread = threading.Thread(target=watch, name="succession", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _named(release: int | None) -> str:
    return "no release" if release is None else f"release {release}"


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
