"""What the registry holds, as rows of a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from features.mistakes import FoundWrong
from models import champions
from models.champions import Record
from models.registry import CHAMPION, Registered, Registry
from models.releases import CHALLENGER, NAME

#: The columns; a release's version is its serial number.
HEADINGS = ("name", "version", "aliases", "created (UTC)", "gate, and when it was champion (UTC)", "metrics")

_METRICS = 5
_ACTS = 3


@dataclass(frozen=True)
class Listing:
    """Cells as lines, row by row, and what their reader should know."""

    rows: list[tuple[list[str], ...]]
    warnings: list[str]


def listing(registry: Registry) -> Listing:
    """All models, the champion release first, then other releases; raises NoRegistry where there are none."""
    held = registry.models()
    held.sort(key=lambda model: (CHAMPION not in model.aliases or model.name != NAME, model.name != NAME))
    record, warnings = Record(), []
    try:
        record = champions.read(registry.home)
    except FoundWrong as error:
        warnings = [str(error)]
    return Listing([_row(model, record) for model in held], warnings)


def _row(model: Registered, record: Record) -> tuple[list[str], ...]:
    is_release = model.name == NAME
    aliases = [alias for alias in model.aliases if not (alias == CHALLENGER and CHAMPION in model.aliases)]
    metrics = sorted((name, value) for name, value in model.metrics.items() if not name.startswith("gate"))
    return (
        [model.name],
        [str(model.version)],
        [", ".join(aliases)],
        [f"{model.created:%Y-%m-%d}", f"{model.created:%H:%M:%S}"],
        list(_history(model.version, record)) if is_release else [],
        [f"{name} {value:.4g}" for name, value in metrics[:_METRICS]],
    )


def _history(number: int, record: Record) -> Iterator[str]:
    """What the gate said of a release, and the last times that it became champion."""
    if verdict := record.verdict(number):
        yield f"{_moment(verdict.at)} {'taken' if verdict.is_taken else 'refused'}: {verdict.reason}"
    for act in [act for act in record.acts if act.number == number][-_ACTS:]:
        why = f": {act.reason}" if act.reason else ""
        yield f"{_moment(act.at)} {'rolled back to' if act.is_rollback else 'promoted'} by {act.by}{why}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
