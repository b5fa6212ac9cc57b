"""Drift: whether the scores and features of a stream have shifted, with the whole world or with one entity."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from river.drift import ADWIN

from features.memory import Memory, State, empty_memory, find, memory_state, restore_memory, touch

_BLOCK = 256  # events, counted from the first of the stream
_SETTLE = 4  # blocks from a change to its being told
_WARM_UP = 16  # blocks that are not judged, while features learn the stream
_FAST, _SLOW = 4.0, 64.0  # half-lives of an entity's means, in blocks
_DELTA = 1e-4  # that ADWIN finds a change where there is none
_LEAST = 0.03  # of the span: smaller shifts are not told
_ENOUGH = 4.0, 16.0  # recent and all events of an entity that can have moved
_WORLD = 0.5  # share of such entities that move together where the world changed
_NONE = -1.0  # in a state, in place of a mean that is not known yet
_LEFT = 0.5  # share of a shift that is left without the entity that explains it


@dataclass(frozen=True)
class Shift:
    """What changed in a stream, told `_SETTLE` blocks after it was found.

    `event` is the number of events seen, `since` that at which it was found, a little after it began. `streams` are
    the features' numbers, with the score as the last; `by` is how far the mean of each moved on [0, 1]. `share` of the
    `entities` with enough events moved the same way as the stream that moved most, each beyond the standard error of
    its recent mean.
    `entity` is the code of the one without whose events most of the shift vanishes.
    """

    event: int
    since: int
    streams: tuple[int, ...]
    by: tuple[float, ...]
    scope: Literal["world", "entity"] | None
    entity: int | None
    share: float
    entities: int


class Drift:
    """ADWIN2 (Bifet and Gavalda, SDM 2007) by River on sums of blocks of features and scores, and who moved.

    ADWIN's bound asks for values in [0, 1]; fed with sums of n such values its cut is that of the single ones, but by
    the variance of the blocks, so that events of a block need not be independent. Shifts under 3 % of the span, and
    those that are gone when they should be told, are not told; but many small ones that add up are. Scores are >= 0,
    and halved where they are a nat a feature.
    """

    def __init__(self, n_features: int, entities: int = 4096) -> None:
        streams = n_features + 1
        self._adwins = [_adwin() for _ in range(streams)]
        self._seen = 0
        self._block_N = np.zeros(streams)  # sums over the block that is not full yet
        self._total_N, self._width_N = np.zeros(streams), np.zeros(streams)  # of each ADWIN's window, and blocks in it
        self._level_N = np.full(streams, np.nan)  # the mean that was last told, or the first
        self._since_N = np.full(streams, -1)  # of shifts not told yet
        # Of each entity: fast and slow weight, fast sums, slow sums, slow sums of squares.
        self._entities = empty_memory(entities, _FAST, _SLOW, *[_FAST] * streams, *[_SLOW] * (2 * streams))

    def observe(
        self, x_BF: NDArray[np.float32 | np.float64], score_B: NDArray[np.float64], entity_B: NDArray[np.uint64]
    ) -> tuple[Shift, ...]:
        """The shifts told during these events; `x_BF` in [0, 1], `entity_B` the code of each event's entity.

        Raises ValueError where the number of features is another.
        """
        if x_BF.shape[1] + 1 != len(self._adwins):
            raise ValueError(f"expected {len(self._adwins) - 1} features, got {x_BF.shape[1]}")
        shifts, begin = [], 0
        while begin < len(x_BF):
            end = min(len(x_BF), begin + _BLOCK - self._seen % _BLOCK)
            now = float(self._seen // _BLOCK)
            _gather(x_BF[begin:end], score_B[begin:end], entity_B[begin:end], now, self._block_N, self._entities)
            self._seen += end - begin
            if self._seen % _BLOCK == 0:
                shifts += self._judge()
            begin = end
        return tuple(shifts)

    def state(self) -> State:
        """Windows as River writes them down (bytes of numbers), the entities it remembers, and what is pending."""
        windows = [np.frombuffer(_written(adwin), np.uint8) for adwin in self._adwins]
        return {
            "seen": np.array([self._seen]),
            "block": self._block_N.copy(),
            "total": self._total_N.copy(),
            "width": self._width_N.copy(),
            "level": np.nan_to_num(self._level_N, nan=_NONE),
            "since": self._since_N.copy(),
            "windows": np.concatenate(windows),
            "windows.sizes": np.array([window.size for window in windows]),
            **memory_state(self._entities, "entities"),
        }

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it is of another number of features."""
        if state["level"].shape != self._level_N.shape:
            raise ValueError(f"expected {self._level_N.size} streams, got {state['level'].size}")
        self._seen = int(state["seen"][0])
        for name, array_N in self._vectors().items():
            array_N[:] = state[name]
        self._level_N[self._level_N == _NONE] = np.nan
        windows = np.split(state["windows"], np.cumsum(state["windows.sizes"])[:-1])
        self._adwins = [_adwin(window.tobytes()) for window in windows]
        restore_memory(self._entities, state, "entities")

    def _vectors(self) -> dict[str, NDArray[np.generic]]:
        return {
            "block": self._block_N,
            "total": self._total_N,
            "width": self._width_N,
            "level": self._level_N,
            "since": self._since_N,
        }

    def _judge(self) -> list[Shift]:
        """Feed a full block; what has settled is told."""
        if self._seen <= _WARM_UP * _BLOCK:
            self._block_N[:] = 0
            return []
        self._total_N += self._block_N
        self._width_N += 1
        for n, total in enumerate(self._block_N.tolist()):
            self._adwins[n].update(total)  # type: ignore[no-untyped-call] # River has no types here
            if self._adwins[n].drift_detected:
                self._found(n)
        self._block_N[:] = 0
        pending_N = self._since_N >= 0
        if not (self._width_N[pending_N] >= _SETTLE).any():
            return []
        return self._tell(pending_N & (self._width_N >= _SETTLE / 2))

    def _found(self, n: int) -> None:
        """Stream `n` has a change: what its window dropped is the old level, what comes next the new one."""
        adwin = self._adwins[n]
        if np.isnan(self._level_N[n]):
            self._level_N[n] = (self._total_N[n] - adwin.total) / (self._width_N[n] - adwin.width) / _BLOCK
        if self._since_N[n] < 0:
            self._since_N[n] = self._seen
        self._adwins[n] = _adwin()
        self._total_N[n] = self._width_N[n] = 0

    def _tell(self, settled_N: NDArray[np.bool_]) -> list[Shift]:
        """The shift of the settled streams that are still off their level, as one."""
        since_N = self._since_N.copy()
        self._since_N[settled_N] = -1
        mean_N = self._total_N / np.maximum(1, self._width_N) / _BLOCK
        by_N = mean_N - self._level_N
        (streams,) = (settled_N & (np.abs(by_N) >= _LEAST)).nonzero()
        if not streams.size:
            return []
        self._level_N[streams] = mean_N[streams]
        most = int(streams[np.abs(by_N[streams]).argmax()])
        return [
            Shift(
                self._seen,
                int(since_N[streams].min()),
                tuple(streams.tolist()),
                tuple(by_N[streams].tolist()),
                *self._scope(most, float(np.sign(by_N[most]))),
            )
        ]

    def _scope(self, n: int, sign: float) -> tuple[Literal["world", "entity"] | None, int | None, float, int]:
        """Who moved in stream `n`: scope, entity, the share of entities that moved in the same way, and of how many."""
        streams = self._level_N.size
        (at_E,) = self._entities.keys_S.nonzero()
        age_E = (self._seen - 1) // _BLOCK - self._entities.when_S[at_E]
        faded_PE = 0.5 ** (age_E / np.array([[_FAST], [_SLOW]]))
        counts_CE = self._entities.counts_SC[at_E].T
        weight_PE = counts_CE[:2] * faded_PE
        sum_PE = counts_CE[[2 + n, 2 + streams + n]] * faded_PE
        mean_PE = sum_PE / np.maximum(weight_PE, 1e-300)
        square_E = counts_CE[2 + 2 * streams + n] * faded_PE[1] / np.maximum(weight_PE[1], 1e-300)
        error_E = np.sqrt(np.maximum(0.0, square_E - mean_PE[1] ** 2) / np.maximum(weight_PE[0], 1e-300))
        told_E = (weight_PE[0] >= _ENOUGH[0]) & (weight_PE[1] >= _ENOUGH[1])
        moved_E = sign * (mean_PE[0] - mean_PE[1]) > error_E
        share = float(moved_E[told_E].mean()) if told_E.any() else 0.0
        if share >= _WORLD and told_E.sum() > 2:
            return "world", None, share, int(told_E.sum())
        rest_E, whole = _without_each(sum_PE, weight_PE)
        one = int((sign * rest_E).argmin())
        explained = at_E.size > 1 and sign * rest_E[one] <= _LEFT * sign * whole
        entity = int(self._entities.keys_S[at_E[one]]) if explained else None
        return "entity" if explained else None, entity, share, int(told_E.sum())


def _adwin(written: bytes | None = None) -> ADWIN:
    """A fresh window, or one that River wrote down."""
    adwin = ADWIN(delta=_DELTA, clock=2)  # type: ignore[no-untyped-call] # River has no types here
    if written is not None:
        adwin._helper.__setstate__(written)  # River knows no other way
    return adwin


def _written(adwin: ADWIN) -> bytes:
    return bytes(adwin._helper.__getstate__())  # River knows no other way


def _without_each(sum_PE: NDArray[np.float64], weight_PE: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """How far the fast mean lies above the slow one without each entity, and with all."""
    sum_P1, weight_P1 = sum_PE.sum(axis=1, keepdims=True), weight_PE.sum(axis=1, keepdims=True)
    rest_PE = (sum_P1 - sum_PE) / np.maximum(weight_P1 - weight_PE, 1e-9)
    whole_P1 = sum_P1 / weight_P1
    return rest_PE[0] - rest_PE[1], float(whole_P1[0, 0] - whole_P1[1, 0])


@njit(cache=True)
def _gather(
    x_BF: NDArray[np.float32 | np.float64],
    score_B: NDArray[np.float64],
    entity_B: NDArray[np.uint64],
    now: float,
    block_N: NDArray[np.float64],
    entities: Memory,
) -> None:
    """Add events of block number `now`, one after the other, so that no cut changes the sums."""
    features, streams = x_BF.shape[1], x_BF.shape[1] + 1
    row_N = np.empty(streams)
    for i in range(x_BF.shape[0]):
        for f in range(features):
            row_N[f] = x_BF[i, f]
        row_N[features] = score_B[i] / (score_B[i] + features)
        for n in range(streams):
            block_N[n] += row_N[n]
        own_C = entities.counts_SC[_slot(entity_B[i], now, entities)]
        own_C[:2] += 1.0
        _add(row_N, own_C[2 : 2 + streams], own_C[2 + streams : 2 + 2 * streams], own_C[2 + 2 * streams :])


@njit(cache=True)
def _add(
    row_N: NDArray[np.float64], fast_N: NDArray[np.float64], slow_N: NDArray[np.float64], square_N: NDArray[np.float64]
) -> None:
    """One plain loop for each sum, which the compiler makes several steps at once."""
    for n in range(row_N.size):
        fast_N[n] += row_N[n]
    for n in range(row_N.size):
        slow_N[n] += row_N[n]
    for n in range(row_N.size):
        square_N[n] += row_N[n] * row_N[n]


@njit(cache=True)
def _slot(entity: np.uint64, now: float, entities: Memory) -> int:
    """The slot of an entity, faded to `now`: as `touch` does, but with one power for all columns of a half-life."""
    slot = find(entities, entity)
    if slot < 0:
        return touch(entities, entity, now)
    age = now - entities.when_S[slot]
    if age > 0.0:
        own_C = entities.counts_SC[slot]
        fast, slow, slowly = np.exp2(-age / _FAST), np.exp2(-age / _SLOW), 2 + (own_C.size - 2) // 3
        own_C[0] *= fast
        own_C[1] *= slow
        own_C[2:slowly] *= fast
        own_C[slowly:] *= slow
        entities.when_S[slot] = now
    return slot
