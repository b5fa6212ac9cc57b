"""What a method's units come to: average precision, AUC, recall at few false positives, false alarms, delay."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from benchmarks.streams.stream import Judge, View

_FEW = 0.01
_FIRST, _SELDOM = 1 / 3, 0.999
_T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
_TIED = 0.01
#: A row in which nearly everything is bad ranks its methods by AUC: any order has a high precision there.
_MOSTLY = 0.9


@dataclass(frozen=True)
class Figures:
    """One method on one row with one seed; None where a figure does not apply.

    `alarms` are false alarms a day above what one unit in a thousand passed in the first third of the stream; `missed`
    and `delay` how many bad units, and minutes, went by before the first above 99 % of the good ones.
    """

    row: str
    method: str
    seed: int
    units: int
    bad: int
    rate: float
    stride: int
    precision: float | None = None
    auc: float | None = None
    recall: float | None = None
    alarms: float | None = None
    missed: int | None = None
    delay: float | None = None


def figures(view: View, scored: pl.DataFrame) -> dict[str, float | int | None]:
    """All figures of one view of the scored events."""
    units = view.judge(scored)
    bad_N, score_N = units["bad"].to_numpy().astype(bool), units["score"].to_numpy().astype(np.float64)
    told: dict[str, float | int | None] = {"units": len(bad_N), "bad": int(bad_N.sum())}
    if view.quiet:
        return told | {"alarms": _alarms(units)}
    if not 0 < bad_N.sum() < len(bad_N):
        return told
    fpr_K, tpr_K, _ = roc_curve(bad_N, score_N, drop_intermediate=False)
    told |= {
        "precision": float(average_precision_score(bad_N, score_N)),
        "auc": float(roc_auc_score(bad_N, score_N)),
        "recall": float(tpr_K[fpr_K <= _FEW].max()),
    }
    return told | (_delay(view.delayed, scored) if view.delayed else {})


def _alarms(units: pl.DataFrame) -> float:
    first = int(units.height * _FIRST)
    ordered = units.sort("time", maintain_order=True)
    threshold = float(np.quantile(ordered["score"][:first].to_numpy(), _SELDOM))
    rest = ordered[first:]
    days = float((rest["time"][-1] - rest["time"][0]).total_seconds()) / 86_400
    return rest.filter(pl.col("score") > threshold).height / days


def _delay(attack_events: Judge, scored: pl.DataFrame) -> dict[str, float | int | None]:
    """Over the single events, at the threshold that one good event in a hundred passes."""
    labelled = attack_events(scored).filter(pl.col("score").is_not_null())
    threshold = labelled.filter(~pl.col("bad"))["score"].quantile(1 - _FEW)
    attack = labelled.filter("bad").sort("time")
    seen = attack.with_row_index("nth").filter(pl.col("score") > threshold)
    if not seen.height:
        return {"missed": attack.height, "delay": None}
    return {
        "missed": int(seen["nth"][0]),
        "delay": (seen["time"][0] - attack["time"][0]).total_seconds() / 60,
    }


def ranked_by(rows: Sequence[Figures]) -> str:
    """The figure by which a row ranks its methods: `precision`, or `auc` where nearly everything is bad."""
    return "auc" if rows[0].bad > _MOSTLY * rows[0].units else "precision"


def means(results: Sequence[Figures], figure: str) -> dict[str, dict[str, tuple[float, float | None]]]:
    """Row -> method -> mean over the seeds, and half the 95 % interval (Student's) where there are several."""
    told: dict[str, dict[str, list[float]]] = {}
    for result in results:
        value = asdict(result)[figure]
        if value is not None:
            told.setdefault(result.row, {}).setdefault(result.method, []).append(float(value))
    return {row: {method: _mean(values) for method, values in some.items()} for row, some in told.items()}


def _mean(values: Sequence[float]) -> tuple[float, float | None]:
    if len(values) < 2:
        return float(np.mean(values)), None
    half = _T_975.get(len(values), 1.96) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def ranks(rows: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
    """Method -> its rank in every row that it has, 1 the best, ties shared."""
    told: dict[str, list[float]] = {}
    for values in rows.values():
        names = list(values)
        place_N: NDArray[np.float64] = pl.Series(list(values.values())).rank("average", descending=True).to_numpy()
        for name, place in zip(names, place_N, strict=True):
            told.setdefault(name, []).append(float(place))
    return told


def won(rows: Mapping[str, Mapping[str, float]], method: str) -> int:
    """The rows in which a method is the best, or within a hundredth of it."""
    return sum(values[method] >= max(values.values()) - _TIED for values in rows.values() if method in values)
