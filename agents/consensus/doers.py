"""The doers: how odd each is in what it does, among all that it does."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from features.hashing import hash64
from features.memory import Memory, State, empty_memory, find, memory_state, restore_memory, touch

#: Who a strange thing is put down to: the process that did it, else the user, else the address; on which host.
DOER = ("process", "user", "address")


class Doers:
    """A bounded table of each doer's verdicts and their evidence in sum, by activity; nothing depends on batches."""

    def __init__(self, slots: int = 1 << 16) -> None:
        self._doers = empty_memory(slots, np.inf, np.inf)

    def enter(self, verdicts: pl.DataFrame) -> None:
        """Enter verdicts, in the order of the log."""
        _add(_doer_key(verdicts), verdicts["evidence"].to_numpy(), self._doers)

    def oddness(self, things: pl.DataFrame) -> NDArray[np.float64]:
        """How odd the doer of each thing is within its `thread`, (T,) float64, in nats.

        The sum over the activities that it does there of its mean evidence less 1, which is what chance makes of the
        mean: a doer of many sorts of odd things stands out, one that is odd now and then among much that is usual
        does not.
        """
        mean_T = _mean(_doer_key(things), self._doers)
        told = things.select("thread", pl.coalesce(DOER).alias("doer"), "host", "domain", "activity")
        told = told.with_columns(excess=pl.Series(np.maximum(mean_T - 1.0, 0.0)))
        doer = ["thread", "doer", "host"]
        once = told.unique([*doer, "domain", "activity"], maintain_order=True)
        summed = once.group_by(doer, maintain_order=True).agg(pl.col("excess").sum().alias("odd"))
        return told.join(summed, on=doer, nulls_equal=True, maintain_order="left")["odd"].to_numpy()

    def state(self) -> State:
        """The table."""
        return memory_state(self._doers, "doers")

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        restore_memory(self._doers, state, "doers")


def _doer_key(verdicts: pl.DataFrame) -> NDArray[np.uint64]:
    doers = verdicts.select(
        pl.coalesce(DOER).fill_null("").alias("doer"), pl.col("host").fill_null(""), "domain", "activity"
    )
    return hash64(doers.select(pl.concat_str(pl.all(), separator="\n", ignore_nulls=True)).to_series())


@njit(cache=True)
def _add(doer_N: NDArray[np.uint64], evidence_N: NDArray[np.float64], doers: Memory) -> None:
    for i in range(doer_N.size):
        slot = touch(doers, doer_N[i], 0.0)
        doers.counts_SC[slot, 0] += 1.0
        doers.counts_SC[slot, 1] += evidence_N[i]


@njit(cache=True)
def _mean(doer_N: NDArray[np.uint64], doers: Memory) -> NDArray[np.float64]:
    mean_N = np.zeros(doer_N.size)
    for i in range(doer_N.size):
        slot = find(doers, doer_N[i])
        if slot >= 0:
            mean_N[i] = doers.counts_SC[slot, 1] / doers.counts_SC[slot, 0]
    return mean_N
