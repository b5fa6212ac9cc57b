"""How much of what is said of an event rests on the past of the one whose doing it is."""

import numpy as np
from numpy.typing import NDArray

from features.memory import AHEAD, Memory, State, count, empty_memory, fetch, kernel, memory_state, restore_memory

_PRINCIPALS = 1 << 21


class History:
    """n / (n + 1) for a principal with n earlier events: the weight of own counts in a conditional rarity.

    The rest comes from those it behaves like and from its domain (`Rarity` and `Peers` in `features/words`),
    so a principal's first event rests on these alone. An event of nobody has no history.
    """

    def __init__(self) -> None:
        self._events = empty_memory(_PRINCIPALS, np.inf)

    def observe(self, principal_B: NDArray[np.uint64]) -> NDArray[np.float64]:
        """The share of each event's verdict, (B,) float64 in [0, 1): look first, remember second."""
        share_B = np.zeros(principal_B.size)
        _shares(principal_B, self._events, share_B)
        return share_B

    def state(self) -> State:
        """How many events each principal had."""
        return memory_state(self._events, "events")

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        restore_memory(self._events, state, "events")


@kernel
def _shares(principal_B: NDArray[np.uint64], events: Memory, share_B: NDArray[np.float64]) -> None:
    for i in range(principal_B.size):
        if i + AHEAD < principal_B.size:
            fetch(events, principal_B[i + AHEAD])
        if principal_B[i] != 0:
            before = count(events, principal_B[i], 0.0)
            share_B[i] = before / (before + 1.0)
