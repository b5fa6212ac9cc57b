"""The same log makes the same bytes, whatever the process, its hashes, its threads, and how often it began again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.registry import Registry
from tests.reliability.figures import tell
from tests.serving.logs_of_posts import post, posts_of, written
from training.simulation import simulate

#: PYTHONHASHSEED, threads, and entries after which a snapshot is kept and taken again (never, if 0).
RUNS = (("0", 1, 0), ("random", 2, 3), ("1", 2, 0), ("random", 1, 1), ("0", 2, 5), ("random", 2, 0))
#: How many of them are made, and of how many events; more by environment variable.
FOLDS = int(os.environ.get("SECMESH_FOLDS", "2"))
EVENTS = int(os.environ.get("SECMESH_FOLD_EVENTS", "600"))


def folded(log: Path, registry: Registry, hashes: str, threads: int, every: int) -> dict[str, Any]:
    """What a process makes of a log."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")}
    environment = os.environ | limits | {"PYTHONHASHSEED": hashes}
    home = registry.home.var.parent
    command = [sys.executable, "-m", "tests.reliability.folded_log", str(log), str(home), str(every), str(threads)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603  # ours
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_same_log_makes_the_same_bytes(registry: Registry, tmp_path: Path) -> None:
    simulate(tmp_path / "logs", seed=3, days=1, users=4, play=1)
    written(tmp_path / "events.db", [post(events) for events in posts_of(tmp_path / "logs", EVENTS, EVENTS // 10)])
    found = [folded(tmp_path / "events.db", registry, *run) for run in RUNS[:FOLDS]]
    assert found[0]["events"] == EVENTS
    assert len(found[0]["ranking"]) > 2
    for other in found[1:]:
        for part in ("ranking", "about", "arrays"):
            assert other[part] == found[0][part]
    tell("determinism", folds=len(found), events=EVENTS, arrays=len(found[0]["arrays"]))
