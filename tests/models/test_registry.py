"""The laws of the catalogue of models."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from models import bundle
from models.flavour import Flavour
from models.home import Home
from models.registry import CHAMPION, SYSTEM, Data, NoRegistry, Registry, Run

NAME = "secmesh-endpoint"


def model(folder: Path, value: float = 0.0) -> Path:
    """A small model that holds `value`."""
    bundle.write(folder, {"w": np.array([value])}, {"kind": "encoder"})
    return folder


def trained(registry: Registry, tmp_path: Path, *values: float) -> list[int]:
    """The versions of models of these values, all made by one run."""
    with registry.run("train", "nightly", {}, {}) as run:
        return [registry.register(NAME, model(tmp_path / f"m{value}", value), run) for value in values]


def listing(folder: Path) -> list[Path]:
    """All that is in `folder`."""
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    "read",
    [
        lambda registry: registry.models(),
        lambda registry: registry.alias(NAME, CHAMPION),
        lambda registry: registry.fetch(NAME, 1),
        lambda registry: registry.promote(NAME, 1, CHAMPION),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"no database" * 999])
def test_reading_where_there_is_no_registry_says_so_and_creates_nothing(
    tmp_path: Path, read: Callable[[Registry], object], content: bytes | None
) -> None:
    registry = Registry(Home.at(tmp_path))
    if content is not None:
        registry.home.mlruns.mkdir()
        registry.database.write_bytes(content)
    before = listing(tmp_path)
    with pytest.raises(NoRegistry, match=r"^no registry at .*mlflow\.db: train first .*$"):
        read(registry)
    assert listing(tmp_path) == before
    assert content is None or registry.database.read_bytes() == content


def test_an_empty_registry_says_how_to_fill_it(registry: Registry) -> None:
    with pytest.raises(NoRegistry, match="secmesh train"):
        registry.models()


def test_reading_leaves_the_registry_as_it_is(registry: Registry, tmp_path: Path) -> None:
    (version,) = trained(registry, tmp_path, 1.0)
    before = registry.database.read_bytes()
    registry.models()
    registry.alias(NAME, CHAMPION)
    bundle.read(registry.fetch(NAME, version))
    assert registry.database.read_bytes() == before


def test_versions_count_up_and_each_keeps_its_own_model(registry: Registry, tmp_path: Path) -> None:
    assert trained(registry, tmp_path, 1.0, 2.0, 3.0) == [1, 2, 3]
    found = [bundle.read(registry.fetch(NAME, version)).arrays["w"].tolist() for version in (1, 2, 3)]
    assert found == [[1.0], [2.0], [3.0]]


def test_only_a_bundle_is_registered(registry: Registry, tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / "MLmodel").write_text("loader_module: os")
    with registry.run("train", "nightly", {}, {}) as run, pytest.raises(bundle.BundleRefused, match="MLmodel"):
        registry.register(NAME, folder, run)
    with pytest.raises(NoRegistry):
        registry.models()


def test_a_bundle_stands_alone_in_its_folder_beside_what_a_notebook_needs(registry: Registry, tmp_path: Path) -> None:
    example = pl.DataFrame({"x": [1.5]})
    opened = Flavour("some.module", example.schema, example.schema, frozenset(), example)
    with registry.run("train", "nightly", {}, {}) as run:
        version = registry.register(NAME, model(tmp_path / "m"), run, opened=opened)
    folder = registry.fetch(NAME, version)
    assert {path.name for path in folder.iterdir()} == {bundle.ARRAYS, bundle.MANIFEST}
    assert {path.name for path in folder.parent.iterdir()} == {"MLmodel", "input_example.json", "bundle"}


def test_a_bundle_registered_when_it_lay_alone_is_still_read(registry: Registry, tmp_path: Path) -> None:
    (version,) = trained(registry, tmp_path, 1.0)
    folder = registry.fetch(NAME, version)
    before = folder.parent
    folder.rename(tmp_path / "aside")
    for path in (tmp_path / "aside").iterdir():
        path.rename(before / path.name)
    assert registry.fetch(NAME, version) == before
    assert bundle.read(before).arrays["w"].tolist() == [1.0]


def test_a_link_in_place_of_a_bundle_is_refused(registry: Registry, tmp_path: Path) -> None:
    (version,) = trained(registry, tmp_path, 1.0)
    folder = registry.fetch(NAME, version)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(bundle.BundleRefused):
        bundle.read(registry.fetch(NAME, version))


def test_a_version_tells_its_tags_and_what_it_is(registry: Registry, tmp_path: Path) -> None:
    with registry.run("train", "nightly", {}, {}) as run:
        version = registry.register(NAME, model(tmp_path / "m"), run, tags={"recipe": "ab12"}, described="# A card")
    registry.tag(NAME, version, {"judged": "yes"})
    kept = run.client.get_model_version(NAME, str(version))
    assert (kept.tags, kept.description) == ({"recipe": "ab12", "judged": "yes"}, "# A card")
    registry.describe(NAME, version, "# Another")
    assert run.client.get_model_version(NAME, str(version)).description == "# Another"
    assert registry.maker(NAME, version) == run.run_id


def test_an_alias_points_at_one_version_and_moves(registry: Registry, tmp_path: Path) -> None:
    first, second = trained(registry, tmp_path, 1.0, 2.0)
    assert registry.alias(NAME, CHAMPION) is None
    for version in (first, second, first):
        registry.promote(NAME, version, CHAMPION)
        assert registry.alias(NAME, CHAMPION) == version
    assert registry.alias("secmesh-dns", CHAMPION) is None


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("fetch", ()), ("maker", ()), ("promote", (CHAMPION,)), ("tag", ({"a": "b"},)), ("describe", ("# A card",))],
)
@pytest.mark.parametrize(("name", "version"), [(NAME, 9), ("secmesh-dns", 1)])
def test_a_version_that_is_not_there_is_named(
    registry: Registry, tmp_path: Path, verb: str, arguments: tuple[object, ...], name: str, version: int
) -> None:
    trained(registry, tmp_path, 1.0)
    with pytest.raises(NoRegistry, match=f"no {name} version {version}.*secmesh models"):
        getattr(registry, verb)(name, version, *arguments)


def test_models_lists_every_version_with_its_aliases_time_and_metrics(registry: Registry, tmp_path: Path) -> None:
    with registry.run("train", "nightly", {}, {}) as run:
        run.log_metrics({"auc": 0.5}, step=0)
        run.log_metrics({"auc": 0.9}, step=1)
        registry.register(NAME, model(tmp_path / "a"), run)
        registry.register(NAME, model(tmp_path / "b"), run)
        registry.register("secmesh-dns", model(tmp_path / "c"), run)
    registry.promote(NAME, 1, CHAMPION)
    rows = registry.models()
    assert [(row.name, row.version, row.aliases) for row in rows] == [
        ("secmesh-dns", 1, ()),
        (NAME, 2, ()),
        (NAME, 1, (CHAMPION,)),
    ]
    assert all(row.metrics == {"auc": 0.9} and row.run_id == run.run_id for row in rows)
    assert all(timedelta(0) <= datetime.now(UTC) - row.created < timedelta(minutes=1) for row in rows)


def test_a_run_keeps_all_it_is_given(registry: Registry) -> None:
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    params = {f"p{number}": number for number in range(150)}
    with registry.run("train", "nightly", params, {"domain": "dns"}) as run:
        run.log_batch({"loss": [1 / (1 + step) for step in range(2500)]})
        run.log_text("# card", "card.md")
        run.log_dict({"alpha": 0.1}, "report.json")
        run.log_figure(Figure(), "plots/loss.png")
        run.log_input("events", "ab" * 32, 1000, (first, last), "training")
    kept = run.client.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {name: str(value) for name, value in params.items()}
    assert kept.data.tags["domain"] == "dns"
    assert len(run.client.get_metric_history(run.run_id, "loss")) == 2500
    names = {path.name for path in listing(registry.home.mlruns / "artifacts" / run.run_id)}
    assert {"card.md", "report.json", "loss.png"} <= names
    (data,) = kept.inputs.dataset_inputs
    assert data.dataset.digest == ("ab" * 32)[:36]
    assert "ab" * 32 in data.dataset.source
    assert "2026-02-01" in data.dataset.profile


def test_a_run_is_remembered_by_the_beginning_of_its_id(registry: Registry) -> None:
    span = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    with registry.run("train", "nightly", {"seed": 1}, {}) as run:
        run.tag({"recipe": "ab12"})
        run.log_metrics({"auc": 0.5}, step=0)
        run.log_metrics({"auc": 0.9, f"{SYSTEM}load": 1.0}, step=1)
        run.log_input("events", "ab" * 32, 1000, span, "training")
    past = registry.past(run.run_id[:12])
    assert past == registry.past(run.run_id)
    assert (past.run_id, past.name, past.status) == (run.run_id, "nightly", "FINISHED")
    assert (past.params, past.metrics, past.tags["recipe"]) == ({"seed": "1"}, {"auc": 0.9}, "ab12")
    assert past.data == (Data("events", "ab" * 32, 1000, *span, "training"),)


def test_a_run_that_is_not_there_or_one_of_several_is_refused(registry: Registry) -> None:
    ids = []
    for _ in range(17):  # of 17 ids two begin alike
        with registry.run("train", "nightly", {}, {}) as run:
            ids.append(run.run_id)
    (digit, _), *_ = Counter(name[0] for name in ids).most_common(1)
    with pytest.raises(NoRegistry, match=rf"several runs begin with '{digit}', such as .* \(nightly\)"):
        registry.past(digit)
    for wrong in ("", "0" * 32, "%", "nightly", "' OR '1'='1"):
        with pytest.raises(NoRegistry, match=r"no run .*mlflow ui"):
            registry.past(wrong)


def test_a_watched_run_tells_of_the_machine_and_lists_only_its_own_measures(registry: Registry, tmp_path: Path) -> None:
    with registry.run("train", "nightly", {}, {}) as run, run.watched(timedelta(milliseconds=50)):
        run.log_metrics({"auc": 0.5})
        registry.register(NAME, model(tmp_path / "m"), run)
    measured = run.client.get_run(run.run_id).data.metrics
    assert measured[f"{SYSTEM}system_memory_usage_megabytes"] > 0
    assert f"{SYSTEM}cpu_utilization_percentage" in measured
    assert [row.metrics for row in registry.models()] == [{"auc": 0.5}]
    assert not [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


def test_a_watched_run_that_breaks_breaks_as_it_would(registry: Registry) -> None:
    with pytest.raises(ZeroDivisionError), registry.run("train", "nightly", {}, {}) as run, run.watched():
        raise ZeroDivisionError
    assert run.client.get_run(run.run_id).info.status == "FAILED"


def test_a_run_that_breaks_is_kept_as_failed(registry: Registry) -> None:
    seen: list[Run] = []

    def broken() -> None:
        with registry.run("train", "nightly", {}, {}) as run:
            seen.append(run)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert seen[0].client.get_run(seen[0].run_id).info.status == "FAILED"


def test_all_is_kept_below_the_home(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    trained(registry, tmp_path, 1.0)
    registry.promote(NAME, 1, CHAMPION)
    assert registry.fetch(NAME, 1).is_relative_to(registry.home.mlruns)
    assert listing(tmp_path / "elsewhere") == []


def test_a_home_that_was_moved_serves_but_does_not_train(registry: Registry, tmp_path: Path) -> None:
    trained(registry, tmp_path, 1.0)
    (tmp_path / "home").rename(tmp_path / "moved")
    moved = Registry(Home.at(tmp_path / "moved"))
    assert bundle.read(moved.fetch(NAME, 1)).arrays["w"].tolist() == [1.0]
    with pytest.raises(NoRegistry, match="move it back"):
        trained(moved, tmp_path, 2.0)
    assert not (tmp_path / "home").exists()


def test_a_catalogue_named_by_address_keeps_the_same_laws(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = Registry(Home.at(tmp_path / "unused"), uri=f"sqlite:///{registry.database}")
    trained(named, tmp_path, 1.0)
    assert bundle.read(named.fetch(NAME, 1)).arrays["w"].tolist() == [1.0]


def test_the_home_is_below_the_current_directory_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.at(None) == Home(mlruns=tmp_path / "mlruns", var=tmp_path / "var") == Home.at(tmp_path)
    assert Home.at(Path("here")).mlruns == tmp_path / "here" / "mlruns"


def test_the_registry_is_quiet_and_costs_nothing_until_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from models.home import Home; from models.registry import Registry\n"
        "assert 'mlflow' not in sys.modules\n"
        "with Registry(Home.at(Path(sys.argv[1]))).run('train', 'nightly', {}, {}): pass\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(  # noqa: S603 - the program is the line above
        [sys.executable, "-c", program, tmp_path / "new"], capture_output=True, cwd=root, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")
