"""A frozen reference: how features lay when a stream was young, and which group of entities has moved away since."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.memory import State, mix

_BINS = 16
_WINDOW = 32  # events of a group that are compared at once
_LEARNT = 96  # windows that become the reference,
_USUAL = 96  # and those after them that show how far from it is usual
_SLACK = 1.0  # standard deviations beyond the usual that are not counted
_MOST = 4.0  # standard deviations that one window counts for
_ALARM = 12.0  # what windows must add up to
_FLOORS = 0.01, 0.005  # least standard deviation of a distance, and of a mean


@dataclass(frozen=True)
class Divergence:
    """A group of entities no longer looks as it did when it was frozen; told once, until it is frozen anew.

    `event` is the number of events seen; `group` 0 is all events. `feature` moved most, `way` says how: its mean went
    up or down, or its values are spread otherwise; None is all features together. `by` is how far in this window: on
    [0, 1], for a spread the Hellinger distance. `share` of the groups that are watched have moved, this one counted.
    """

    event: int
    group: int
    feature: int | None
    way: Literal["spread", "up"]
    by: float
    share: float


class _Charts(NamedTuple):
    """G groups (the first is all events) of F features in K bins, with C charts; the arrays change in place.

    `tallies_G3`: events in the window, windows that were full, whether it is known to have moved. `usual_G2C`: mean
    and sum of squared deviations of what each chart shows while it learns what is usual.
    """

    seen: NDArray[np.int64]
    tallies_G3: NDArray[np.int64]
    window_GFK: NDArray[np.float64]
    frozen_GFK: NDArray[np.float64]
    usual_G2C: NDArray[np.float64]
    excess_GC: NDArray[np.float64]
    world_C: NDArray[np.float64]


class Reference:
    """Control charts of recent events against histograms that are frozen until told otherwise.

    Entities fall into groups by their code. A group's first 96 windows of 32 events are frozen as its histogram of
    each feature; the next 96 show how far a window usually lies from it, in Hellinger distance by feature and all
    together, and in how much higher each mean is. Of a group's distances those of all events at that time are taken
    away, so that it is told only where it moves against the rest; what all share is told of group 0. From then on
    one-sided cumulative sums (Page, Biometrika 1954) of standardised distances, less a slack of one, alarm at 12. If
    windows were independent and normal that would be less than once in 10^10 windows of a chart (Siegmund 1985, eq.
    2.57); because no window counts for more than 4 standard deviations, no burst of fewer than four windows alarms.
    All events are told where their ways change with the hour, unless the reference saw these hours. Means that fall
    are told by their distance alone: poison has to be strange, and strange is high.
    """

    def __init__(self, n_features: int, groups: int = 4) -> None:
        histograms, charts = (groups + 1, n_features, _BINS), 2 * n_features + 1
        self._charts = _Charts(
            np.zeros(1, np.int64),
            np.zeros((groups + 1, 3), np.int64),
            np.zeros(histograms),
            np.zeros(histograms),
            np.zeros((groups + 1, 2, charts)),
            np.zeros((groups + 1, charts)),
            np.zeros(charts),
        )

    def observe(self, x_BF: NDArray[np.float32 | np.float64], entity_B: NDArray[np.uint64]) -> tuple[Divergence, ...]:
        """The groups found to have moved during these events; `x_BF` in [0, 1], `entity_B` codes of entities.

        Raises ValueError where the number of features is another.
        """
        features = self._charts.window_GFK.shape[1]
        if x_BF.shape[1] != features:
            raise ValueError(f"expected {features} features, got {x_BF.shape[1]}")
        told_T5 = _watch(x_BF, entity_B, self._charts)
        return tuple(_divergence(row, features) for row in told_T5.tolist())

    def freeze(self, group: int | None = None) -> None:
        """Take what comes next of a group, or of all, as the reference."""
        if group is None:
            self._charts.world_C[:] = 0
        for array in self._charts[1:-1]:
            array[slice(None) if group is None else group] = 0

    @property
    def watched(self) -> float:
        """The share of the groups whose reference is learnt, and of all events taken as one."""
        return float((self._charts.tallies_G3[:, 1] >= _LEARNT + _USUAL).mean())

    def state(self) -> State:
        """The histograms, what is usual, and how far each chart has come."""
        return {name: array.copy() for name, array in self._charts._asdict().items()}

    def restore(self, state: State) -> None:
        """Go on from `state`; raises ValueError where it has other groups or features."""
        for name, array in self._charts._asdict().items():
            if state[name].shape != array.shape:
                raise ValueError(f"expected {name} of shape {array.shape}, got {state[name].shape}")
            array[:] = state[name]


def group_of(entity: int, groups: int = 4) -> int:
    """The group in which a reference of so many counts an entity."""
    return int(_group(np.uint64(entity), groups))


def _divergence(row: list[float], features: int) -> Divergence:
    event, group, chart, by, share = row
    feature = None if chart == 0 else (int(chart) - 1) % features
    return Divergence(int(event), int(group), feature, "up" if chart > features else "spread", by, share)


@njit(cache=True)
def _group(entity: np.uint64, groups: int) -> int:
    return 1 + int(mix(entity, np.uint64(0)) % np.uint64(groups))


@njit(cache=True)
def _watch(
    x_BF: NDArray[np.float32 | np.float64], entity_B: NDArray[np.uint64], charts: _Charts
) -> NDArray[np.float64]:
    """Rows of event, group, chart, how far, share: one for each group that is found to have moved."""
    groups, features, bins = charts.window_GFK.shape
    told_T5, told = np.empty((groups, 5)), 0
    for i in range(x_BF.shape[0]):
        charts.seen[0] += 1
        group = _group(entity_B[i], groups - 1)
        for f in range(features):
            charts.window_GFK[group, f, min(bins - 1, max(0, int(x_BF[i, f] * bins)))] += 1.0
        charts.tallies_G3[group, 0] += 1
        if charts.tallies_G3[group, 0] == _WINDOW:
            charts.window_GFK[0] += charts.window_GFK[group]
            charts.tallies_G3[0, 0] += 1
            told += _close(group, charts, told_T5[told])
            if charts.tallies_G3[0, 0] == groups - 1:  # as many windows as there are groups
                told += _close(0, charts, told_T5[told])
    return told_T5[:told]


@njit(cache=True)
def _close(group: int, charts: _Charts, row_5: NDArray[np.float64]) -> int:
    """Compare a full window and empty it; 1 where the group is found to have moved, with `row_5` filled."""
    windows = charts.tallies_G3[group, 1]
    shown_C = _shown(charts.window_GFK[group], charts.frozen_GFK[group])
    if windows < _LEARNT or (group and charts.tallies_G3[0, 1] <= _LEARNT and windows == _LEARNT):
        charts.frozen_GFK[group] += charts.window_GFK[group]
        charts.tallies_G3[group, 1] = min(_LEARNT, windows + 1)
    else:
        charts.tallies_G3[group, 1] += 1
        if group == 0:
            charts.world_C[:] += (shown_C - charts.world_C) / 2
        else:
            shown_C -= charts.world_C
        if windows < _LEARNT + _USUAL:
            _learn(shown_C, windows - _LEARNT + 1, charts.usual_G2C[group])
        else:
            _count(shown_C, charts.usual_G2C[group], charts.excess_GC[group])
    charts.window_GFK[group] = 0.0
    charts.tallies_G3[group, 0] = 0
    chart = charts.excess_GC[group].argmax()
    if charts.excess_GC[group, chart] < _ALARM or charts.tallies_G3[group, 2]:
        return 0
    charts.tallies_G3[group, 2] = 1
    row_5[:4] = np.array([charts.seen[0], group, chart, shown_C[chart]])
    watched_G = charts.tallies_G3[1:, 1] > _LEARNT + _USUAL
    row_5[4] = charts.tallies_G3[1:, 2].sum() / max(1, watched_G.sum())
    return 1


@njit(cache=True)
def _shown(window_FK: NDArray[np.float64], frozen_FK: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the charts show: distance of all features, of each, how far each mean lies above, and below."""
    features, bins = window_FK.shape
    shown_C = np.empty(2 * features + 1)
    recent, long, squares = window_FK[0].sum(), max(1.0, frozen_FK[0].sum()), 0.0
    for f in range(features):
        alike, above = 0.0, 0.0
        for k in range(bins):
            alike += np.sqrt(window_FK[f, k] * frozen_FK[f, k])
            above += k * (window_FK[f, k] / recent - frozen_FK[f, k] / long)
        square = max(0.0, 1.0 - alike / np.sqrt(recent * long))
        squares += square
        shown_C[1 + f] = np.sqrt(square)
        shown_C[1 + features + f] = above / bins
    shown_C[0] = np.sqrt(squares / features)
    return shown_C


@njit(cache=True)
def _learn(shown_C: NDArray[np.float64], windows: int, usual_2C: NDArray[np.float64]) -> None:
    """Welford's mean and sum of squared deviations (Technometrics 1962)."""
    for c in range(shown_C.size):
        off = shown_C[c] - usual_2C[0, c]
        usual_2C[0, c] += off / windows
        usual_2C[1, c] += off * (shown_C[c] - usual_2C[0, c])


@njit(cache=True)
def _count(shown_C: NDArray[np.float64], usual_2C: NDArray[np.float64], excess_C: NDArray[np.float64]) -> None:
    """Add what exceeds the usual; a mean is compared with the frozen one itself, so that no creep becomes usual."""
    distances = (shown_C.size - 1) // 2 + 1
    for c in range(shown_C.size):
        usual, floor = (usual_2C[0, c], _FLOORS[0]) if c < distances else (0.0, _FLOORS[1])
        deviation = max(floor, np.sqrt(usual_2C[1, c] / (_USUAL - 1)))
        excess_C[c] = max(0.0, excess_C[c] + min(_MOST, (shown_C[c] - usual) / deviation) - _SLACK)
