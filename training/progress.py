"""How long work tells how far it is."""

from collections.abc import Callable, Sequence

from agents.terminal import Told


def unheard(step: str, done: int, whole: int | None) -> None:
    """Progress nobody asked for."""


def adding(told: Told, step: str, whole: int | None = None) -> Callable[[int], None]:
    """A listener that is told of parts, and tells their sum.

    >>> add = adding(lambda *progress: print(*progress), "reading")
    >>> add(2), add(3)
    reading 2 None
    reading 5 None
    (None, None)
    """
    done = 0

    def add(part: int) -> None:
        nonlocal done
        done += part
        told(step, done, whole)

    return add


def lessons(domains: Sequence[str], told: Told) -> Callable[[str, int, int], None]:
    """A listener to `training.jobs.train` on these domains, which tells all their epochs as one step."""

    def heard(domain: str, epoch: int, epochs: int) -> None:
        told("learning", domains.index(domain) * epochs + epoch, len(domains) * epochs)

    return heard
