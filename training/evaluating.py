"""How well a release tells labelled attacks from all the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from agents.keeping import mesh_from
from agents.mesh import Mesh
from agents.terminal import Told
from features.events import Domain
from features.files import check_paths
from features.logs import Events, cut, read_logs
from features.mistakes import AskedWrong
from features.whole_files import write_whole
from models.registry import NoRegistry, Registry, Run
from models.releases import Release, champion, find, load
from training.labels import KEYS, LabelsRefused, labelled, read_labels
from training.lineage import lineage_of
from training.measuring import FEWEST, MEASURES, Measured, Ranking, measure, ranking
from training.progress import adding, unheard
from training.story import EXPERIMENT, origin

#: The row that holds the events of all domains.
ALL = "all domains"

_BATCH = 8192
_KEPT = (*KEYS, "time", "domain", "score", "p", "evidence")
_REPORTS = (".html", ".md")


class UnusableReport(AskedWrong):
    """The caller named a report that cannot be written."""


@dataclass(frozen=True)
class Row:
    """How it went in one domain, or in all: how many labelled events, how many attacks, and what was measured.

    Nothing is measured where there is no attack, or nothing else.
    """

    name: str
    events: int
    attacks: int
    measured: Mapping[str, Measured]
    ranks: Ranking


@dataclass(frozen=True)
class Evaluation:
    """What was measured, by which release and in which run; `verdicts` are those on labelled events.

    `unlabelled` counts the events that have no label: they were scored, and are in no measure.
    """

    release: int
    run_id: str
    labels: Path
    rows: tuple[Row, ...]
    verdicts: pl.DataFrame
    unlabelled: int
    output: Path | None


def evaluate(
    paths: Sequence[str | Path],
    labels: Path,
    registry: Registry,
    *,
    release: int | None = None,
    format: str = "auto",
    seed: int = 0,
    output: Path | None = None,
    told: Told = unheard,
) -> Evaluation:
    """Score the logs at `paths` as the release of that number, or the champion, would, and measure it by `labels`.

    It is a run of the registry, with figures; `output` is a report to write, .html or .md. No label reaches a model.
    Raises LabelsRefused, UnusableReport, UnreadablePath, UnknownFormat, NoRegistry and BundleRefused.
    """
    check_paths(paths)
    _check_report(output)
    answers = read_labels(labels)
    chosen = _release(registry, release)
    mesh = mesh_from(load(registry, chosen), chosen.number)
    read = adding(told, "reading")
    events = read_logs(paths, format, lambda chunk: read(chunk.records)).events
    verdicts = _judge(mesh, events, told)
    marked = labelled(verdicts, answers, labels)
    rows = _rows(marked, np.random.default_rng(seed), labels)
    settings = {"release": chosen.number, "logs": " ".join(map(str, paths)), "labels": labels, "seed": seed}
    with registry.run(EXPERIMENT, "evaluate", settings | _versions(chosen), origin("secmesh evaluate")) as run:
        missing = verdicts.height - marked.height
        evaluation = Evaluation(chosen.number, run.run_id, labels, rows, marked, missing, output)
        figures = _figures(evaluation)
        _tell(evaluation, figures, run)
    if output:
        write_whole(output, lambda file: file.write(_report(evaluation, figures, output.suffix).encode()))
    return evaluation


def table(evaluation: Evaluation) -> Table:
    """The measures for a terminal, a row for each domain, with the bounds that hold 95 of 100 repetitions."""
    page = Table("", "events", "attacks", *MEASURES.values())
    for column in page.columns[1:]:
        column.justify = "right"
    for row in evaluation.rows:
        page.add_row(*map(Text, (row.name, f"{row.events:,}", f"{row.attacks:,}", *_cells(row))))
    return page


def _check_report(output: Path | None) -> None:
    """Refuse, before any work is done, a report that could not be written."""
    if output is None:
        return
    if output.suffix not in _REPORTS:
        raise UnusableReport(f"{output}: expected a name that ends in {' or '.join(_REPORTS)} as --output")
    if output.is_dir() or not output.parent.is_dir():
        raise UnusableReport(f"{output}: expected a file in a folder that is there as --output")


def _release(registry: Registry, number: int | None) -> Release:
    chosen = champion(registry) if number is None else find(registry, number)
    if chosen is None:
        raise NoRegistry("no champion to evaluate: promote a release, or name one by its number with --release")
    return chosen


def _judge(mesh: Mesh, events: Events, told: Told) -> pl.DataFrame:
    """What the mesh says of every event, as much of it as is measured."""
    whole = sum(frame.height for frame in events.values())
    step, parts = adding(told, "scoring", whole), []
    for batch in cut(events, _BATCH):
        parts.append(mesh.observe(batch).select(_KEPT))
        step(parts[-1].height)
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(_KEPT, pl.String))


def _rows(marked: pl.DataFrame, chance: np.random.Generator, labels: Path) -> tuple[Row, ...]:
    """A row for each domain, ordered by its score, and first one for all, ordered by evidence, which they share."""
    present = [domain.value for domain in Domain if domain in marked["domain"]]
    parts = [_row(name, marked.filter(pl.col("domain") == name), "score", chance) for name in present]
    whole = _row(ALL, marked, "evidence", chance)
    if not whole.measured:
        only = "attacks" if whole.attacks else "no attack"
        raise LabelsRefused(f"{labels}: the {whole.events:,} events that it labels are {only}: both sides are needed")
    return (whole, *parts)


def _row(name: str, marked: pl.DataFrame, column: str, chance: np.random.Generator) -> Row:
    is_attack_B = marked["is_attack"].to_numpy()
    ranks = ranking(is_attack_B, marked[column].to_numpy())
    return Row(name, marked.height, int(is_attack_B.sum()), measure(ranks, chance), ranks)


def _versions(release: Release) -> dict[str, int]:
    return {f"version {domain}": version for domain, version in release.versions.items()}


def _tell(evaluation: Evaluation, figures: Mapping[str, Any], run: Run) -> None:
    """The data, the measures and the figures, to MLflow."""
    for (domain,), part in evaluation.verdicts.group_by("domain", maintain_order=True):
        lineage = lineage_of(part)
        run.log_input(f"{domain} events", lineage.digest, lineage.rows, (lineage.since, lineage.until), "evaluation")
    for row in evaluation.rows:
        prefix = "" if row.name == ALL else f"{row.name}."
        run.log_metrics({f"{prefix}events": row.events, f"{prefix}attacks": row.attacks})
        for name, measured in row.measured.items():
            bounds = dict(zip((".low", ".high"), measured.bounds or (), strict=False))
            run.log_metrics({f"{prefix}{name}{end}": value for end, value in ({"": measured.value} | bounds).items()})
    for name, figure in figures.items():
        run.log_figure(figure, f"plots/{name}.png")
    run.log_text(_report(evaluation, figures, ".html"), "report.html")


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    from training import plots  # matplotlib takes half a second that only a figure has to spend

    others = evaluation.verdicts.filter(~pl.col("is_attack"))
    rankings = {row.name: row.ranks for row in evaluation.rows if row.measured}
    return {"precision_recall": plots.precision_recall(rankings), "reliability": plots.reliability(others)}


def _report(evaluation: Evaluation, figures: Mapping[str, Any], suffix: str) -> str:
    """The report's page; every text that comes from outside is escaped."""
    from training import plots

    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Markup: matplotlib writes the SVG and escapes the texts in it.
    drawn = {name: Markup(plots.as_svg(figure)) for name, figure in figures.items()}  # noqa: S704
    rows = [(row, _cells(row)) for row in evaluation.rows]
    page = pages.get_template(f"evaluation{suffix}")
    return page.render(told=evaluation, rows=rows, names=MEASURES, fewest=FEWEST, plots=drawn)


def _cells(row: Row) -> list[str]:
    """The measures of a row, with their bounds."""
    return [row.measured[name].in_words() if row.measured else "-" for name in MEASURES]
