"""What stands beside a bundle so that MLflow opens it in a notebook: `MLmodel`, and an example of what it takes."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

MODEL, EXAMPLE = "MLmodel", "input_example.json"

#: How MLflow calls the types of columns.
_TYPES: Mapping[type[pl.DataType], str] = {
    pl.String: "string",
    pl.Int32: "integer",
    pl.Int64: "long",
    pl.Float32: "float",
    pl.Float64: "double",
    pl.Boolean: "boolean",
    pl.Datetime: "datetime",
}

JSON = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Flavour:
    """How a notebook opens a model.

    `loader` names the module of this house that reads the folder; it is text, which serving never follows. `takes` and
    `gives` are the columns of frames in and out, of which `needs` may not be left out; `example` is a frame to try.
    """

    loader: str
    takes: pl.Schema
    gives: pl.Schema
    needs: frozenset[str]
    example: pl.DataFrame


def write(flavour: Flavour, folder: Path, told: JSON) -> None:
    """Write `MLmodel` and the example into `folder`; `told` are MLflow's own fields, such as `run_id`.

    `MLmodel` is YAML, of which JSON is the part that needs no writer.
    """
    sides = {"inputs": _columns(flavour.takes, flavour.needs), "outputs": _columns(flavour.gives, set(flavour.gives))}
    fields = {
        "flavors": {"python_function": {"loader_module": flavour.loader, "python_version": platform.python_version()}},
        "signature": {side: json.dumps(columns) for side, columns in sides.items()} | {"params": None},
        # MLflow's own check takes neither Polars nor times with a zone: the loader checks what it is given.
        "is_signature_from_type_hint": True,
        "saved_input_example_info": {"artifact_path": EXAMPLE, "type": "dataframe", "pandas_orient": "split"},
    }
    _keep(folder / MODEL, fields | dict(told))
    told_plainly = flavour.example.with_columns(pl.selectors.temporal().dt.to_string("iso:strict"))
    _keep(folder / EXAMPLE, {"columns": told_plainly.columns, "data": [list(row) for row in told_plainly.rows()]})


def _columns(schema: pl.Schema, needs: frozenset[str] | set[str]) -> list[JSON]:
    return [_type(kind) | {"name": name, "required": name in needs} for name, kind in schema.items()]


def _type(kind: pl.DataType) -> dict[str, object]:
    """A column's type in MLflow's words.

    >>> _type(pl.List(pl.Int64()))
    {'type': 'array', 'items': {'type': 'long'}}
    """
    if isinstance(kind, pl.List):
        return {"type": "array", "items": _type(kind.inner)}  # type: ignore[arg-type]  # an instance where we made it
    if isinstance(kind, pl.Struct):
        inside = {field.name: _type(field.dtype) | {"required": False} for field in kind.fields}  # type: ignore[arg-type]
        return {"type": "object", "properties": inside}
    return {"type": _TYPES[type(kind)]}


def _keep(path: Path, fields: JSON) -> None:
    path.write_text(json.dumps(fields, indent=1) + "\n", "utf-8")
