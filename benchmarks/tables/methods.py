"""Every method of the comparison: ours in this process, a peer in its own environment."""

import io
import subprocess
import time
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.tables import peers
from benchmarks.tables.figures import Figures
from benchmarks.tables.matrices import matrices
from benchmarks.tables.table import Table
from models.rare_rows import RareRows

_OURS = "secmesh"

#: Method -> whether its scores depend on a seed.
METHODS: Mapping[str, bool] = MappingProxyType({_OURS: True, **{name: name in peers.CHANCY for name in peers.METHODS}})


class PeerAbsent(Exception):
    """A peer's package cannot be run."""


def figures(table: Table, method: str, seed: int, python: str) -> Figures:
    """Learn from the past, score the later rows, and only then look at the labels."""
    score_N, fitting, scoring = _own(table, seed) if method == _OURS else _peer(table, method, seed, python)
    return Figures(
        table.name,
        table.group,
        method,
        seed,
        bad=int(table.bad_N.sum()),
        rows=len(table.bad_N),
        past=table.past.height,
        past_bad=table.past_bad,
        cut=table.cut,
        auc=float(roc_auc_score(table.bad_N, score_N)),
        precision=float(average_precision_score(table.bad_N, score_N)),
        fitting=table.past.height / max(1e-9, fitting),
        scoring=len(score_N) / max(1e-9, scoring),
    )


def _own(table: Table, seed: int) -> tuple[NDArray[np.float64], float, float]:
    began = time.perf_counter()
    model = RareRows(random_state=seed).fit(table.past)
    fitted = time.perf_counter()
    score_N = -model.score_samples(table.later)
    return score_N, fitted - began, time.perf_counter() - fitted


def _peer(table: Table, method: str, seed: int, python: str) -> tuple[NDArray[np.float64], float, float]:
    past_BF, later_BF = matrices(table)
    rows = io.BytesIO()
    np.savez(rows, past=past_BF, later=later_BF)
    command = [python, "-P", peers.__file__, method, str(seed)]
    told = subprocess.run(command, input=rows.getvalue(), capture_output=True, check=False)  # noqa: S603  # our own
    if told.returncode:
        reason = told.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise PeerAbsent(f"{method} under {python}: {reason}")
    scores = np.load(io.BytesIO(told.stdout))
    return scores["score"], float(scores["fitting"]), float(scores["scoring"])
