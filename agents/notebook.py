"""A model in a notebook: what MLflow's `python_function` flavour loads, from plain data alone."""

from pathlib import Path

import pandas as pd
import polars as pl

from agents.keeping import agent_from
from agents.recipe import recipe_of
from agents.verdicts import VERDICTS
from features.events import ATTRIBUTES, Domain, schema
from features.mistakes import FoundWrong
from models import bundle
from models.bundle import Bundle, BundleRefused
from models.flavour import Flavour
from models.registry import BUNDLE

#: What a frame of events must have; any other column that it lacks is as if every event were silent about it.
NEEDS = frozenset(("time",))
#: Verdicts without the release, of which a model alone knows nothing.
GIVES = pl.Schema({name: kind for name, kind in VERDICTS.items() if name != "release"})

#: Free text, where people leave secrets: an example shows none of it.
_MAY_HOLD_SECRETS = ("process_cmd_line", "script_content", "http_request_url_query_string", "http_request_referrer")


class EventsRefused(FoundWrong):
    """A frame is not one of the model's events; the text names the column and what was expected."""


class Watcher:
    """A domain's model as it was registered. It never learns: each call starts from what the model knew then."""

    def __init__(self, kept: Bundle, domain: Domain) -> None:
        self._kept, self.domain = kept, domain

    def predict(self, events: pd.DataFrame | pl.DataFrame) -> pd.DataFrame:
        """A verdict for each event, row for row; `events` has the columns that `secmesh convert` writes.

        Each event is judged by what the model knew and what is before it in time. Raises EventsRefused.
        """
        taken = events_of(self.domain, events)
        ordered = taken.with_row_index("seq").cast({"seq": pl.Int64}).sort("time", maintain_order=True)
        verdicts = agent_from(self._kept, recipe_of(self.domain), 0).observe(ordered)
        told = verdicts.sort("seq").select(GIVES.names()).to_pandas()
        return told if isinstance(events, pl.DataFrame) else told.set_index(events.index)


def events_of(domain: Domain, frame: pd.DataFrame | pl.DataFrame) -> pl.DataFrame:
    """The columns of `frame` that the domain's events have, as its agent takes them; raises EventsRefused.

    Times without a zone are UTC, times may be ISO 8601 text; a column that is not there is null.
    """
    if "time" not in frame.columns:
        raise EventsRefused(f"no column 'time': expected {domain} events, as `secmesh convert` writes them")
    if not set(frame.columns) & set(ATTRIBUTES[domain]):
        raise EventsRefused(f"none of {domain}'s own columns: expected some of {', '.join(ATTRIBUTES[domain])}")
    events = pl.DataFrame([_column(frame, name, kind) for name, kind in schema(domain).items()])
    if missing := events["time"].null_count():
        raise EventsRefused(f"column 'time': expected a time in every row, found {missing:,} rows without")
    return events


def _column(frame: pd.DataFrame | pl.DataFrame, name: str, kind: pl.DataType) -> pl.Series:
    if name not in frame.columns:
        return pl.Series(name, [None], kind).new_from_index(0, len(frame))
    try:
        column = frame[name] if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame[name])
        return _cast(column.fill_nan(None) if column.dtype.is_float() else column, kind).alias(name)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise EventsRefused(f"column {name!r}: expected {kind}, found {frame[name].dtype}") from error


def _cast(column: pl.Series, kind: pl.DataType) -> pl.Series:
    if kind.is_temporal() and column.dtype == pl.String:
        return column.str.to_datetime(time_unit="us", time_zone="UTC")
    if kind.is_temporal() != column.dtype.is_temporal() and column.null_count() < len(column):
        raise TypeError(f"{column.dtype} cannot be {kind}")
    return column.cast(kind)


def flavour_of(domain: Domain, events: pl.DataFrame, rows: int = 5) -> Flavour:
    """How a notebook opens a model of `domain`, with the first of `events` to try it on, their free texts left out."""
    shown = [pl.lit(None, pl.String).alias(name) for name in _MAY_HOLD_SECRETS if name in schema(domain)]
    example = events.head(rows).select(schema(domain).names()).with_columns(shown)
    return Flavour(__name__, schema(domain), GIVES, NEEDS, example)


def _load_pyfunc(path: str) -> Watcher:
    """The model in the registered folder `path`; MLflow calls it by this name."""
    kept = bundle.read(Path(path) / BUNDLE)
    try:
        domain = Domain(kept.manifest.get("domain", ""))
    except ValueError as error:
        raise BundleRefused(f"{path}: expected the model of a domain ({', '.join(Domain)}); {error}") from error
    return Watcher(kept, domain)
