"""Several pieces of work at once, their results in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import polars as pl

from features.unpacking import Damaged

Result = TypeVar("Result")


def ahead(steps: Iterator[Callable[[], Result]]) -> Iterator[Result]:
    """What each step gives, in their order; as many are taken at once as there are processors.

    What is waiting is bounded. Where the steps end in damage, what was good before comes out first. One step alone is
    not worth a thread.
    """
    damage: list[Damaged] = []
    good = _undamaged(steps, damage)
    first, second = next(good, None), next(good, None)
    if first is not None and second is None:
        yield first()
    elif first is not None and second is not None:
        yield from _at_once(chain((first, second), good))
    for error in damage:
        raise error


def _undamaged(steps: Iterator[Callable[[], Result]], damage: list[Damaged]) -> Iterator[Callable[[], Result]]:
    """The steps before the damage that ends them, if any does."""
    try:
        yield from steps
    except Damaged as error:
        damage.append(error)


def _at_once(steps: Iterator[Callable[[], Result]]) -> Iterator[Result]:
    workers = pl.thread_pool_size()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        for step in steps:
            waiting.append(threads.submit(step))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
