"""Several pieces of work at once, their results in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import polars as pl

from features.unpacking import Damaged

Result = TypeVar("Result")


def ahead(steps: Iterator[Callable[[], Result]]) -> Iterator[Result]:
    """What each step gives, in their order; as many are taken at once as there are processors.

    What is waiting is bounded. Where the steps end in damage, what was good before comes out first.
    """
    workers = pl.thread_pool_size()
    waiting: deque[Future[Result]] = deque()
    damage: Damaged | None = None
    with ThreadPoolExecutor(workers) as threads:
        try:
            for step in steps:
                waiting.append(threads.submit(step))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
        except Damaged as error:
            damage = error
        while waiting:
            yield waiting.popleft().result()
    if damage:
        raise damage
