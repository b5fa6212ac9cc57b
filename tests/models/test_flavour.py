"""The `MLmodel` that we write, as MLflow reads it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from mlflow.models import Model

from models.flavour import EXAMPLE, MODEL, Flavour, write

TIME = datetime(2026, 3, 2, tzinfo=UTC)
TAKES = pl.Schema(
    {"time": pl.Datetime("us", "UTC"), "port": pl.Int64(), "rate": pl.Float64(), "is_known": pl.Boolean()}
)
GIVES = pl.Schema({"p": pl.Float64(), "why": pl.List(pl.Struct({"field": pl.String(), "nats": pl.Float32()}))})
EVENTS = pl.DataFrame([[TIME], [80], [0.5], [None]], TAKES)
FLAVOUR = Flavour("some.module", TAKES, GIVES, frozenset(("time",)), EVENTS)


def test_mlflow_reads_what_we_write(tmp_path: Path) -> None:
    write(FLAVOUR, tmp_path, {"run_id": "r1", "model_id": "m-1"})
    model = Model.load(tmp_path / MODEL)
    assert (model.run_id, model.model_id) == ("r1", "m-1")
    assert model.flavors["python_function"]["loader_module"] == "some.module"
    assert model.signature.inputs.input_names() == TAKES.names()
    assert model.signature.inputs.required_input_names() == ["time"]
    assert [str(kind) for kind in model.signature.inputs.input_types()] == [
        *("DataType.datetime", "DataType.long", "DataType.double", "DataType.boolean")
    ]
    assert "Array({field: string (optional), nats: float (optional)})" in str(model.signature.outputs)


def test_mlflow_reads_the_example_back(tmp_path: Path) -> None:
    write(FLAVOUR, tmp_path, {})
    example: Any = Model.load(tmp_path / MODEL).load_input_example(str(tmp_path))
    assert example["port"].tolist() == [80]
    assert json.loads((tmp_path / EXAMPLE).read_text())["data"] == [["2026-03-02T00:00:00.000000+00:00", 80, 0.5, None]]


def test_nothing_is_written_but_text(tmp_path: Path) -> None:
    write(FLAVOUR, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [MODEL, EXAMPLE]
    assert all(json.loads(path.read_text()) for path in tmp_path.iterdir())
