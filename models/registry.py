"""The catalogue of models and of the runs that made them, kept by MLflow."""

import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, TypeVar

from features.mistakes import FoundWrong
from models import bundle, flavour
from models.flavour import Flavour
from models.home import Home

CHAMPION = "champion"
#: The folder of a registered model that holds its bundle, and nothing else.
BUNDLE = "bundle"
#: How the names begin that MLflow gives to what it measures of the machine.
SYSTEM = "system/"

#: MLflow neither calls home nor runs what it stores; it is silent in a user's terminal.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
#: Most metrics and most parameters that MLflow takes in one call.
METRICS_A_CALL, PARAMS_A_CALL = 1000, 100
#: Longest dataset digest that MLflow's schema holds; the full one is kept in the dataset's source.
DIGEST_LENGTH = 36
#: MLflow's name for what a run used some data for.
_USE = "mlflow.data.context"
#: That an experiment trains models, so that MLflow's page opens on them and not on what is for language models.
_KIND = MappingProxyType({"mlflow.experimentKind": "custom_model_development"})
#: Runs named where a prefix fits several.
_AMBIGUOUS = 3

#: MLflow's codes for a name, version or alias that is not there.
ABSENT = frozenset(("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"))

T = TypeVar("T")


class NoRegistry(FoundWrong):
    """What was to be read is not in the registry; the text is one line that ends with a remedy."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One version of a registered model, with the last metrics of the run that made it."""

    name: str
    version: int
    aliases: tuple[str, ...]
    created: datetime
    run_id: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Data:
    """Some events that a run read: how many, the first and the last of them, and what it used them for."""

    name: str
    digest: str
    rows: int
    since: datetime
    until: datetime
    use: str


@dataclass(frozen=True, slots=True)
class Past:
    """A run as it was kept; `metrics` are the last of each, without what was measured of the machine."""

    run_id: str
    name: str
    status: str
    began: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    data: tuple[Data, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One training run under way; what is logged is there at once for whoever watches."""

    client: Any  # an MlflowClient, whose name would cost 1.3 s of import
    experiment_id: str
    run_id: str

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log what was measured at `step`."""
        self._log([(name, value, step) for name, value in metrics.items()])

    def log_batch(self, curves: Mapping[str, Sequence[float]]) -> None:
        """Log whole curves at once, a point for each step from 0 (1000 points take 0.1 s)."""
        self._log([(name, value, step) for name, curve in curves.items() for step, value in enumerate(curve)])

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log the settings of the run."""
        param = _mlflow().entities.Param
        for part in _parts([param(name, str(value)) for name, value in params.items()], PARAMS_A_CALL):
            self.client.log_batch(self.run_id, params=part)

    def log_figure(self, figure: Any, path: str) -> None:
        """Keep a matplotlib figure as the artifact `path`, a name that ends in .png or .svg."""
        self.client.log_figure(self.run_id, figure, path)

    def log_text(self, text: str, path: str) -> None:
        """Keep `text` as the artifact `path`."""
        self.client.log_text(self.run_id, text, path)

    def log_dict(self, fields: Mapping[str, bundle.JSON], path: str) -> None:
        """Keep `fields` as the JSON artifact `path`."""
        self.client.log_dict(self.run_id, dict(fields), path)

    def log_input(self, name: str, digest: str, rows: int, span: tuple[datetime, datetime], context: str) -> None:
        """Name the data of the run: its digest, row count and first and last event; `context` is its use."""
        entities = _mlflow().entities
        seen = {"rows": rows, "since": span[0].isoformat(), "until": span[1].isoformat()}
        dataset = entities.Dataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type="events",
            source=json.dumps({"digest": digest} | seen),
            profile=json.dumps(seen),
        )
        use = entities.InputTag(_USE, context)
        self.client.log_inputs(self.run_id, datasets=[entities.DatasetInput(dataset, tags=[use])])

    def tag(self, tags: Mapping[str, str]) -> None:
        """Add tags to the run; MLflow's own begin with `mlflow.`."""
        tag = _mlflow().entities.RunTag
        self.client.log_batch(self.run_id, tags=[tag(name, value) for name, value in tags.items()])

    @contextmanager
    def watched(self, every: timedelta = timedelta(seconds=5)) -> Iterator[None]:
        """Log what MLflow measures of the machine (processors, memory, disk, network) while the body runs.

        It looks every `every`, and once more at the end, so that a short body is seen, too.
        """
        monitor = _monitor(self.client.tracking_uri, self.run_id, every)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()
            monitor.collect_metrics()
            monitor.publish_metrics(monitor.aggregate_metrics())
            monitor.mlflow_logger.flush()

    def _log(self, points: Sequence[tuple[str, float, int]]) -> None:
        metric, now = _mlflow().entities.Metric, time.time_ns() // 1_000_000
        for part in _parts([metric(name, float(value), now, step) for name, value, step in points], METRICS_A_CALL):
            self.client.log_batch(self.run_id, metrics=part)


@dataclass(frozen=True, slots=True)
class Registry:
    """Models by name, version and alias; folders go in and come out, nothing in them is ever run.

    `uri` names an MLflow server; without one the catalogue is a file below `home.mlruns`.
    """

    home: Home
    uri: str | None = None

    @property
    def database(self) -> Path:
        """The catalogue's own file, where no server is named."""
        return self.home.mlruns / "mlflow.db"

    @contextmanager
    def run(self, experiment: str, name: str, params: Mapping[str, object], tags: Mapping[str, str]) -> Iterator[Run]:
        """A run of `experiment`, created with the registry if need be; it ends as FAILED if its body raises."""
        client = self._writer()
        experiment_id = self._experiment(client, experiment)
        created = client.create_run(experiment_id, run_name=name, tags=dict(tags))
        run = Run(client, experiment_id, created.info.run_id)
        status = "FAILED"
        try:
            run.log_params(params)
            yield run
            status = "FINISHED"
        finally:
            client.set_terminated(run.run_id, status)

    def register(
        self,
        name: str,
        folder: Path,
        run: Run,
        *,
        opened: Flavour | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
        described: str = "",
    ) -> int:
        """Keep the bundle in `folder` as the next version of `name`; BundleRefused if it is none.

        `opened` says how a notebook opens it, `described` is Markdown that MLflow shows on the version's page.
        """
        bundle.read(folder)
        model = run.client.create_logged_model(run.experiment_id, name=name, source_run_id=run.run_id, tags=dict(tags))
        with TemporaryDirectory() as staged:
            shutil.copytree(folder, Path(staged) / BUNDLE)
            if opened:
                flavour.write(opened, Path(staged), {"run_id": run.run_id, "model_id": model.model_id})
            run.client.log_model_artifacts(model.model_id, staged)
        run.client.finalize_logged_model(model.model_id, "READY")
        run.client.log_outputs(run.run_id, [_mlflow().entities.LoggedModelOutput(model.model_id, step=0)])
        _name(run.client, name)
        # The source is a place, not `models:/`, which MLflow would look up in its global registry instead of this one.
        version = run.client.create_model_version(
            name,
            source=model.artifact_location,
            run_id=run.run_id,
            model_id=model.model_id,
            tags=dict(tags),
            description=described,
        )
        return int(version.version)

    def fetch(self, name: str, version: int) -> Path:
        """The local folder of a version's bundle; read it with `bundle.read`, which verifies it."""
        client = self._reader()
        with _missing(f"no {name} version {version} here: `secmesh models` lists what there is"):
            source = str(client.get_model_version(name, str(version)).source)
        if self.uri is None:
            return _bundle_in(self._own(source))
        return _bundle_in(Path(_mlflow().artifacts.download_artifacts(source, tracking_uri=self.uri)))

    def alias(self, name: str, alias: str) -> int | None:
        """The version that `alias` points at (6 ms, so it can be asked every second)."""
        client = self._reader()
        try:
            return int(client.get_model_version_by_alias(name, alias).version)
        except _mlflow().MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise

    def promote(self, name: str, version: int, alias: str) -> None:
        """Point `alias` at `version`, in one step for whoever reads."""
        client = self._reader()
        with _missing(f"no {name} version {version} to be {alias}: `secmesh models` lists what there is"):
            client.set_registered_model_alias(name, alias, str(version))

    def tag(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Add tags to a version, which MLflow shows beside it."""
        client = self._reader()
        with _missing(f"no {name} version {version} to be tagged: `secmesh models` lists what there is"):
            for key, value in tags.items():
                client.set_model_version_tag(name, str(version), key, value)

    def describe(self, name: str, version: int, text: str) -> None:
        """Put `text`, which is Markdown, on a version's page."""
        client = self._reader()
        with _missing(f"no {name} version {version} to be described: `secmesh models` lists what there is"):
            client.update_model_version(name, str(version), text)

    def maker(self, name: str, version: int) -> str:
        """The id of the run that made a version."""
        client = self._reader()
        with _missing(f"no {name} version {version} here: `secmesh models` lists what there is"):
            return str(client.get_model_version(name, str(version)).run_id)

    def past(self, run_id: str) -> Past:
        """The run whose id is `run_id`, or the only one whose id begins so."""
        client = self._reader()
        found = _begun_with(client, run_id) if re.fullmatch(r"[0-9a-f]{1,32}", run_id) else []
        if not found:
            raise NoRegistry(f"no run {run_id!r} in {self._uri()}: name one by the id that `mlflow ui` shows")
        if len(found) > 1:
            ids = ", ".join(f"{run.info.run_id} ({run.info.run_name})" for run in found[:_AMBIGUOUS])
            raise NoRegistry(f"several runs begin with {run_id!r}, such as {ids}: write more of it")
        return _past(found[0])

    def models(self) -> list[Registered]:
        """Every version of every model, the newest of each name first."""
        client = self._reader()
        names = sorted(client.search_registered_models(), key=lambda model: str(model.name))
        metrics = cache(lambda run_id: _own(client.get_run(run_id).data.metrics))
        rows = [_registered(v, model.aliases, metrics) for model in names for v in _versions(client, model.name)]
        if not rows:
            raise NoRegistry(f"the registry at {self._uri()} is empty: train a model first with `secmesh train`")
        return rows

    def _uri(self) -> str:
        return self.uri or f"sqlite:///{self.database}"

    def _client(self) -> Any:
        return _mlflow().MlflowClient(tracking_uri=self._uri(), registry_uri=self._uri())

    def _writer(self) -> Any:
        self.home.mlruns.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._client()

    def _reader(self) -> Any:
        """A client for what is there already: MLflow itself would make a database where it finds none."""
        if self.uri is None and not _is_catalogue(self.database):
            raise NoRegistry(f"no registry at {self.database}: train first with `secmesh train`, or name its --home")
        return self._client()

    def _own(self, source: str) -> Path:
        """A version's folder in this home, wherever the home was when the version was kept."""
        return self.home.mlruns.joinpath("artifacts", *source.split("/")[-3:])

    def _experiment(self, client: Any, name: str) -> str:
        place = None if self.uri else (self.home.mlruns / "artifacts").as_uri()
        found = client.get_experiment_by_name(name)
        if found and place and found.artifact_location != place:
            raise NoRegistry(f"{self.database} was made in {found.artifact_location}: move it back, or train elsewhere")
        return str(found.experiment_id if found else client.create_experiment(name, place, tags=dict(_KIND)))


@cache
def _mlflow() -> Any:
    """MLflow, imported when it is first needed: it takes 1.3 s."""
    os.environ.update(ENVIRONMENT)
    import mlflow

    return mlflow


def _monitor(uri: str, run_id: str, every: timedelta) -> Any:
    """MLflow's own observer of the machine."""
    _mlflow()
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor: Any = SystemMetricsMonitor  # which MLflow leaves untyped
    return monitor(run_id, sampling_interval=every.total_seconds(), tracking_uri=uri)


def _bundle_in(folder: Path) -> Path:
    """Where a registered folder has its bundle: until November 2026 it held nothing else."""
    inside = folder / BUNDLE
    return inside if os.path.lexists(inside) else folder


@contextmanager
def _missing(remedy: str) -> Iterator[None]:
    """Say `remedy` where MLflow says that something is not there."""
    try:
        yield
    except _mlflow().MlflowException as error:
        if error.error_code in ABSENT:
            raise NoRegistry(remedy) from error
        raise


def _name(client: Any, name: str) -> None:
    """See to it that `name` is registered, whoever was first."""
    try:
        client.create_registered_model(name)
    except _mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _is_catalogue(database: Path) -> bool:
    """Whether MLflow has set up its tables in `database`; looks without writing."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall())
    except sqlite3.DatabaseError:
        return False


def _versions(client: Any, name: str) -> list[Any]:
    """The versions of `name`, the newest first."""
    found = client.search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def _registered(version: Any, aliases: Mapping[str, object], metrics: Any) -> Registered:
    return Registered(
        name=version.name,
        version=int(version.version),
        aliases=tuple(sorted(alias for alias, at in aliases.items() if int(str(at)) == int(version.version))),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        run_id=version.run_id,
        metrics=metrics(version.run_id),
    )


def _begun_with(client: Any, prefix: str) -> list[Any]:
    """Some runs whose ids begin with `prefix`, of all experiments."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"attributes.run_id LIKE '{prefix}%'"
    return list(client.search_runs(experiments, filter_string=wanted, max_results=_AMBIGUOUS + 1))


def _past(run: Any) -> Past:
    return Past(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        began=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        params=dict(run.data.params),
        metrics=_own(run.data.metrics),
        tags=dict(run.data.tags),
        data=tuple(_data(used) for used in run.inputs.dataset_inputs if used.dataset.source_type == "events"),
    )


def _data(used: Any) -> Data:
    told, tags = json.loads(used.dataset.source), {tag.key: tag.value for tag in used.tags}
    since, until = datetime.fromisoformat(told["since"]), datetime.fromisoformat(told["until"])
    return Data(used.dataset.name, told["digest"], told["rows"], since, until, tags.get(_USE, ""))


def _own(metrics: Mapping[str, float]) -> dict[str, float]:
    """What a run measured of its work, not of the machine it ran on."""
    return {name: value for name, value in metrics.items() if not name.startswith(SYSTEM)}


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
