"""Two runs side by side: what they were told, what they learned from, and what came of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from agents.terminal import inert
from features.events import Domain
from models.registry import Data, NoRegistry, Past, Registry
from models.releases import NAME, model_name

_MODEL = re.compile(r"(?:secmesh-)?(?P<name>[a-z]+)(?:@(?P<alias>[\w-]+)|/(?P<version>\d{1,9}))", re.ASCII)
_NAMES = {"release": NAME} | {domain.value: model_name(domain) for domain in Domain}
_NONE = "-"
#: What is true of every run, and told elsewhere.
_TAGS = ("mlflow.source.git.commit", "mlflow.source.git.dirty")
_SHORT = 8

V = TypeVar("V")


@dataclass(frozen=True)
class Comparison:
    """Two runs, and by name what each has of what differs, None where it has none of it.

    `metrics` are all, each with the last value in either run, whether they differ or not.
    """

    runs: tuple[Past, Past]
    params: Mapping[str, tuple[str | None, str | None]]
    metrics: Mapping[str, tuple[float | None, float | None]]
    data: tuple[tuple[Data, ...], tuple[Data, ...]]


def compare(registry: Registry, run_a: str, run_b: str) -> Comparison:
    """Two runs, each named by its id, the beginning of it, or by a model that it made.

    Models are written `network@champion`, `network/3` or `release@challenger`. Raises NoRegistry for what is not there.
    """
    one, other = (registry.past(_run_of(registry, name)) for name in (run_a, run_b))
    params = _beside(dict(one.params) | _code(one), dict(other.params) | _code(other))
    differ = {name: pair for name, pair in params.items() if pair[0] != pair[1]}
    return Comparison((one, other), differ, _beside(one.metrics, other.metrics), (one.data, other.data))


def table(comparison: Comparison) -> Group:
    """The comparison for a terminal: data, what differs in the settings, and all metrics with their difference."""
    heads = [f"{inert(run.name)} {run.run_id[:_SHORT]}\n{run.began:%Y-%m-%d %H:%M} UTC" for run in comparison.runs]
    data = _table("data", heads, ([f"{n + 1}", *pair] for n, pair in enumerate(_told(comparison.data))))
    params = _table("settings that differ", heads, ([name, *pair] for name, pair in comparison.params.items()))
    rows = ([name, *map(_number, pair), _difference(*pair)] for name, pair in comparison.metrics.items())
    metrics = _table("metric", [*heads, "difference"], rows)
    for column in metrics.columns[1:]:
        column.justify = "right"
    return Group(data, params, metrics)


def _run_of(registry: Registry, name: str) -> str:
    """The id, or its beginning, of the run that `name` is, or that made the model it names."""
    if not any(sign in name for sign in "@/"):
        return name
    found = _MODEL.fullmatch(name)
    if not found or found["name"] not in _NAMES:
        known = ", ".join(_NAMES)
        raise NoRegistry(f"no model {name!r}: write NAME@ALIAS or NAME/VERSION, such as network@champion, of {known}")
    model = _NAMES[found["name"]]
    version = registry.alias(model, found["alias"]) if found["alias"] else int(found["version"])
    if version is None:
        raise NoRegistry(f"no {found['alias']} of {model}: `secmesh models` lists what there is")
    return registry.maker(model, version)


def _code(run: Past) -> dict[str, str]:
    """What made the run, as far as its tags tell."""
    return {tag.removeprefix("mlflow.source."): run.tags[tag] for tag in _TAGS if tag in run.tags}


def _beside(one: Mapping[str, V], other: Mapping[str, V]) -> dict[str, tuple[V | None, V | None]]:
    return {name: (one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())}


def _told(data: tuple[Sequence[Data], Sequence[Data]]) -> list[tuple[str | None, str | None]]:
    """The data of both runs, a line each, those in the same row beside each other."""
    one, other = ([_of(used) for used in side] for side in data)
    rows = max(len(one), len(other))
    return list(zip(*([*side, *[None] * (rows - len(side))] for side in (one, other)), strict=True))


def _of(data: Data) -> str:
    span = f"{data.since:%Y-%m-%d %H:%M} to {data.until:%Y-%m-%d %H:%M}"
    return f"{data.rows:,} {data.name} for {data.use}\n{span}\n{data.digest[:16]}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.6g}"


def _difference(one: float | None, other: float | None) -> str:
    """How much the other is above the one.

    >>> _difference(4.0, 5.0)
    '+1 (+25.0%)'
    """
    if one is None or other is None:
        return _NONE
    by = other - one
    return f"{by:+,.4g}" + (f" ({by / abs(one):+.1%})" if one and by else "")


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str | None]]) -> Table:
    """A table whose texts cannot steer the terminal."""
    page = Table(title, *(Column(Text(head)) for head in heads))
    for row in rows:
        page.add_row(*(Text("\n".join(map(inert, (cell or _NONE).split("\n")))) for cell in row))
    if not page.row_count:
        page.add_row("none")
    return page
