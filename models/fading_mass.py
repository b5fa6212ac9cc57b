"""Tables in which every event leaves its mass, which fades, and how small a share of it lies where an event falls."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State

_HALVINGS = 32  # after which all masses are scaled down, exactly
_HUGE = 2.0 ** (_HALVINGS - 0.5)  # unless events weighed little
_BLOCK, _TOGETHER = 512, 16  # rows whose sums stay near; tables whose shares are multiplied before a logarithm is taken


class FadingMass:
    """T tables of C cells; an event falls into one cell of each, and weighs half after `half_life` more events."""

    def __init__(self, tables: int, cells: int, half_life: int) -> None:
        self._mass_TC = np.zeros((tables, cells))
        self._weight_2 = np.array([0.0, 1.0])  # of all events so far, and of the next
        self._seen = np.zeros(1, np.int64)
        self._half_life = half_life

    def walk(self, cell_TB: NDArray[np.uint32], weight_B: NDArray[np.float64], *, learn: bool) -> NDArray[np.float64]:
        """Nats, (B,): the mean over the tables of -log of an event's share of its cell, itself counted in full.

        It is learned with its weight in [0, 1], and makes older ones fade by as much.
        """
        return _walk(cell_TB, weight_B, self._mass_TC, self._weight_2, self._seen, self._half_life, learn)

    def state(self) -> State:
        """The masses and the weights."""
        return {"mass": self._mass_TC.copy(), "weight": self._weight_2.copy(), "seen": self._seen.copy()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where its tables are of another shape."""
        if state["mass"].shape != self._mass_TC.shape:
            raise ValueError(f"expected masses of shape {self._mass_TC.shape}, got {state['mass'].shape}")
        self._mass_TC[:], self._weight_2[:], self._seen[:] = state["mass"], state["weight"], state["seen"]


@njit(cache=True)
def _walk(
    cell_TB: NDArray[np.uint32],
    weight_B: NDArray[np.float64],
    mass_TC: NDArray[np.float64],
    weight_2: NDArray[np.float64],
    seen: NDArray[np.int64],
    half_life: int,
    learn: bool,
) -> NDArray[np.float64]:
    """New events weigh ever more instead of old ones ever less; block by block, table by table."""
    tables, rows = cell_TB.shape
    nats_B = np.zeros(rows)
    growth, period = 2.0 ** (1.0 / half_life), half_life * _HALVINGS
    start = 0
    while start < rows:
        stop = min(rows, start + min(_BLOCK, period - seen[0] % period))
        one_W, learned_W, whole_W = _weights(weight_B[start:stop], weight_2, growth, learn)
        share_W = np.ones(stop - start)
        for table in range(tables):
            _share(cell_TB[table, start:stop], mass_TC[table], one_W, learned_W, whole_W, share_W, learn)
            if table % _TOGETHER == _TOGETHER - 1 or table == tables - 1:
                nats_B[start:stop] -= np.log(share_W)
                share_W[:] = 1.0
        if learn:
            seen[0] += stop - start
            if seen[0] % period == 0 and weight_2[1] > _HUGE:
                mass_TC *= 0.5**_HALVINGS
                weight_2 *= 0.5**_HALVINGS
        start = stop
    nats_B /= tables
    return nats_B


@njit(cache=True)
def _weights(
    weight_W: NDArray[np.float64], weight_2: NDArray[np.float64], growth: float, learn: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What each event weighs, how much of that is learned, and the reciprocal of what all before it and it weigh."""
    one_W, learned_W, whole_W = np.empty(weight_W.size), np.empty(weight_W.size), np.empty(weight_W.size)
    total, one = weight_2
    for i in range(weight_W.size):
        one_W[i], learned_W[i], whole_W[i] = one, one * weight_W[i], 1.0 / (total + one)
        if learn:
            total += learned_W[i]
            one *= growth if weight_W[i] == 1.0 else growth ** weight_W[i]  # a power takes long
    weight_2[0], weight_2[1] = total, one
    return one_W, learned_W, whole_W


@njit(cache=True)
def _share(
    cell_W: NDArray[np.uint32],
    mass_C: NDArray[np.float64],
    one_W: NDArray[np.float64],
    learned_W: NDArray[np.float64],
    whole_W: NDArray[np.float64],
    share_W: NDArray[np.float64],
    learn: bool,
) -> None:
    for i in range(cell_W.size):
        mass = mass_C[cell_W[i]]
        share_W[i] *= (mass + one_W[i]) * whole_W[i]
        if learn:
            mass_C[cell_W[i]] = mass + learned_W[i]
