"""A quota of learning: how much each event may teach the detectors, so that no poison becomes usual quickly."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State

_WINDOW = 1024  # events
#: Windows in which every event teaches in full, for all is new then.
YOUNG = 4
_LASTING = 100  # windows over which shares are remembered
_GROWTH, _LITTLE = 2.0, 1e-4  # how many times its share a cell may teach, and how much more
_LEAST = 0.5  # of a window's events, which shares are of where less of it was taught
_PLACES, _KINDS = 6, 256  # cells of a feature, and of all kinds
_NEVER = np.iinfo(np.int64).max
_SEEN, _HELD = 0, 1


class Quota:
    """Weights in [0, 1] for detectors to learn with, by how fast what an event looks like may become usual.

    Each feature is cut into six cells, and each kind of event has one. A cell has a long-run share of all that was
    taught; in a window of 1,024 events it may teach twice that share of them and a tenth of an event. An event teaches
    as much as the fullest of its cells has room for. So once 100 windows are seen, what a cell teaches doubles no
    sooner than every 70,000 events, or 23,000 where half of all are kept from teaching, however many send them, in
    whatever steps, under however many names: who sends an event does not matter here. What every cell is used to is
    taught in full, as is all in the first four windows. A habit that is really new is learned at that pace, too.

    While it is held, a cell may teach no more than its share, so that nothing grows, and shares stay as they are.
    """

    def __init__(self, n_features: int) -> None:
        cells = n_features * _PLACES + _KINDS
        self._share_N, self._taught_N = np.zeros(cells), np.zeros(cells)
        self._tallies = np.array([0, _NEVER])

    def observe(self, x_BF: NDArray[np.float32 | np.float64], kind_B: NDArray[np.uint64]) -> NDArray[np.float64]:
        """The weight of each event, (B,) float64; features lie in [0, 1], `kind_B` is a hash of its kind.

        Raises ValueError where the number of features is another.
        """
        features = (self._share_N.size - _KINDS) // _PLACES
        if x_BF.shape[1] != features:
            raise ValueError(f"expected {features} features, got {x_BF.shape[1]}")
        return _grant(x_BF, kind_B, self._share_N, self._taught_N, self._tallies)

    def hold(self, event: int) -> None:
        """Let nothing grow after that many events of the stream, until released; an earlier hold stays."""
        self._tallies[_HELD] = min(event, self._tallies[_HELD])

    def release(self) -> None:
        """Let shares grow again."""
        self._tallies[_HELD] = _NEVER

    def state(self) -> State:
        """Shares, what was taught in this window, events seen, and from which on it is held."""
        arrays = {"share": self._share_N, "taught": self._taught_N, "tallies": self._tallies}
        return {name: array.copy() for name, array in arrays.items()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of another number of features."""
        if state["share"].shape != self._share_N.shape:
            raise ValueError(f"expected shares of {self._share_N.size} cells, got {state['share'].size}")
        self._share_N[:], self._taught_N[:], self._tallies[:] = state["share"], state["taught"], state["tallies"]


@njit(cache=True)
def _grant(
    x_BF: NDArray[np.float32 | np.float64],
    kind_B: NDArray[np.uint64],
    share_N: NDArray[np.float64],
    taught_N: NDArray[np.float64],
    tallies: NDArray[np.int64],
) -> NDArray[np.float64]:
    weight_B, cell_T = np.ones(x_BF.shape[0]), np.empty(x_BF.shape[1] + 1, np.int64)
    for i in range(x_BF.shape[0]):
        held = tallies[_SEEN] >= tallies[_HELD]
        growth, little = (1.0, 0.0) if held else (_GROWTH, _LITTLE)
        _locate(x_BF[i], kind_B[i], cell_T)
        if tallies[_SEEN] >= YOUNG * _WINDOW:
            for cell in cell_T:
                room = (growth * share_N[cell] + little) * _WINDOW - taught_N[cell]
                weight_B[i] = max(0.0, min(weight_B[i], room))
        for cell in cell_T:
            taught_N[cell] += weight_B[i]
        tallies[_SEEN] += 1
        if tallies[_SEEN] % _WINDOW == 0:
            if not held:
                taught = max(taught_N[-_KINDS:].sum(), _LEAST * _WINDOW)
                share_N += (taught_N / taught - share_N) / min(tallies[_SEEN] // _WINDOW, _LASTING)
            taught_N[:] = 0.0
    return weight_B


@njit(cache=True)
def _locate(x_F: NDArray[np.float32 | np.float64], kind: np.uint64, cell_T: NDArray[np.int64]) -> None:
    """The cells that an event lies in: one of each feature, and its kind's."""
    for f in range(x_F.size):
        cell_T[f] = f * _PLACES + int(min(1.0, max(0.0, x_F[f])) * (_PLACES - 1) + 0.5)
    cell_T[x_F.size] = x_F.size * _PLACES + int(kind % np.uint64(_KINDS))
