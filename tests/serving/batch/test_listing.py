"""What is told of models and releases."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from features.events import Domain
from models import bundle, champions, releases
from models.registry import NoRegistry, Registry
from serving.batch.listing import HEADINGS, Listing, listing

TEN = datetime(2026, 11, 24, 10, tzinfo=UTC)


def filled(registry: Registry, folder: Path) -> Registry:
    """Two releases of dns: the first was champion, then the second, which was rolled back."""
    for number in (1, 2):
        with registry.run("train", "nightly", {}, {}) as run:
            bundle.write(folder / str(number), {"w": np.array([float(number)])}, {"kind": "agent"})
            version = registry.register(releases.model_name(Domain.DNS), folder / str(number), run)
            release = releases.publish(registry, run, {Domain.DNS: version})
            run.log_metrics({"loss": 0.5, "gate": 1.0})
        releases.note(registry, release, is_taken=number == 1, reason=f"reason {number}", now=lambda: TEN)
        releases.promote(registry, release, reason="go", by="ann", now=lambda: TEN)
    releases.rollback(registry, by="bob", now=lambda: TEN)
    return registry


def of_release(told: Listing, version: str) -> dict[str, list[str]]:
    (row,) = [row for row in told.rows if row[0] == ["secmesh-release"] and row[1] == [version]]
    return dict(zip(HEADINGS, row, strict=True))


def test_a_release_tells_its_serial_its_aliases_what_the_gate_said_and_when_it_was_champion(
    registry: Registry, tmp_path: Path
) -> None:
    told = listing(filled(registry, tmp_path))
    assert told.warnings == []
    assert told.rows[0][:3] == (["secmesh-release"], ["1"], ["champion"])
    first, second = of_release(told, "1"), of_release(told, "2")
    history = HEADINGS[4]
    assert first[history] == [
        "2026-11-24 10:00 taken: reason 1",
        "2026-11-24 10:00 promoted by ann: go",
        "2026-11-24 10:00 rolled back to by bob",
    ]
    assert second["aliases"] == ["challenger"]
    assert second[history] == ["2026-11-24 10:00 refused: reason 2", "2026-11-24 10:00 promoted by ann: go"]
    assert first["metrics"] == ["loss 0.5"]


def test_models_of_domains_have_no_gate(registry: Registry, tmp_path: Path) -> None:
    told = listing(filled(registry, tmp_path))
    assert [row[4] for row in told.rows if row[0] == ["secmesh-dns"]] == [[], []]


def test_a_record_that_was_changed_is_told_and_the_rest_is_listed(registry: Registry, tmp_path: Path) -> None:
    filled(registry, tmp_path)
    path = champions.record_path(registry.home)
    path.write_text(path.read_text().replace("ann", "eve"))
    told = listing(registry)
    (warning,) = told.warnings
    assert "champions.json: changed since it was signed" in warning
    assert of_release(told, "2")["aliases"] == ["challenger"]
    shutil.rmtree(registry.home.var)
    assert len(listing(registry).rows) == 4


def test_an_empty_registry_says_what_to_do(registry: Registry) -> None:
    with pytest.raises(NoRegistry, match="secmesh train"):
        listing(registry)
