"""How a release is measured by labels."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from features.events import Domain
from features.files import UnreadablePath
from features.logs import read_logs
from models.registry import NoRegistry, Registry
from training.evaluating import ALL, Evaluation, UnusableReport, evaluate, table
from training.labels import LabelsRefused


@pytest.fixture(scope="module")
def labels(told: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of half of the events, by line: those of one of four DNS clients, and no cloud event, are attacks."""
    events = read_logs(told.logs).events
    clients = events[Domain.DNS]["src_endpoint_ip"]
    dns = events[Domain.DNS].with_columns(label=(clients == clients.mode()[0]).cast(pl.Int8))
    cloud = events[Domain.CLOUD].with_columns(label=pl.lit(0, pl.Int8))
    both = pl.concat([frame.select("source", "line", "label") for frame in (dns, cloud)])
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    both.gather_every(2).write_csv(path)
    return path


@pytest.fixture(scope="module")
def measured(told: Any, labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    output = tmp_path_factory.mktemp("report") / "report.html"
    return evaluate(told.logs, labels, told.registry, output=output)


def test_each_domain_and_all_are_measured_where_both_sides_are_there(measured: Evaluation) -> None:
    whole, *domains = measured.rows
    assert [row.name for row in measured.rows] == [ALL, "dns", "cloud"]
    assert whole.events == sum(row.events for row in domains) == measured.verdicts.height
    assert whole.attacks == domains[0].attacks > 0
    assert whole.measured
    assert domains[0].measured
    assert domains[1].measured == {}


def test_events_without_a_label_are_scored_and_not_measured(told: Any, measured: Evaluation) -> None:
    every = sum(frame.height for frame in read_logs(told.logs).events.values())
    assert measured.unlabelled == every - measured.verdicts.height > 0


def test_it_is_a_run_with_data_measures_bounds_and_figures(told: Any, measured: Evaluation) -> None:
    client = told.registry._reader()
    run = client.get_run(measured.run_id)
    assert run.info.run_name == "evaluate"
    assert run.data.params["release"] == str(measured.release) == run.data.params["version dns"]
    value = measured.rows[1].measured["auc"]
    assert value.bounds
    assert run.data.metrics["dns.auc"] == value.value
    assert (run.data.metrics["dns.auc.low"], run.data.metrics["dns.auc.high"]) == value.bounds
    assert {used.dataset.name for used in run.inputs.dataset_inputs} == {"dns events", "cloud events"}
    assert {file.path for file in client.list_artifacts(measured.run_id)} == {"plots", "report.html"}
    plots = {file.path for file in client.list_artifacts(measured.run_id, "plots")}
    assert plots == {"plots/precision_recall.png", "plots/reliability.png"}


def test_the_report_is_one_page_with_the_figures_in_it(measured: Evaluation) -> None:
    assert measured.output
    page = measured.output.read_text()
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert measured.rows[0].measured["auc"].in_words() in page


def test_a_report_in_markdown_has_the_same_table(told: Any, labels: Path, tmp_path: Path) -> None:
    done = evaluate(told.logs, labels, told.registry, output=tmp_path / "report.md")
    page = (tmp_path / "report.md").read_text()
    assert f"| dns | {done.rows[1].events:,} | {done.rows[1].attacks:,} |" in page
    assert done.rows[0].measured["average_precision"].in_words() in page


def test_the_table_names_every_measure(measured: Evaluation) -> None:
    console = Console(width=160)
    with console.capture() as page:
        console.print(table(measured))
    for words in ("average precision", "AUC", "recall at 1% false positives", ALL, "dns", "cloud"):
        assert words in page.get()


def test_the_same_release_and_seed_give_the_same_numbers(told: Any, labels: Path, measured: Evaluation) -> None:
    again = evaluate(told.logs, labels, told.registry, release=measured.release)
    assert [row.measured for row in again.rows] == [row.measured for row in measured.rows]
    assert again.verdicts.equals(measured.verdicts)


def test_a_release_is_chosen_by_its_number_and_the_champion_stays(told: Any, labels: Path) -> None:
    assert evaluate(told.logs, labels, told.registry, release=1).release == 1
    assert told.registry.alias("secmesh-release", "champion") == 2


def test_labels_of_one_side_alone_are_refused(told: Any, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"source,line,label\n{told.logs[0]},0,0\n{told.logs[0]},1,0\n")
    with pytest.raises(LabelsRefused, match=r"labels\.csv: the 2 events that it labels are no attack"):
        evaluate(told.logs, path, told.registry)


@pytest.mark.parametrize("name", ["report.pdf", "gone/report.html", "folder.html"])
def test_a_report_that_could_not_be_written_is_refused_before_any_work(told: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UnusableReport, match=name):
        evaluate(told.logs, tmp_path / "no labels are read", told.registry, output=tmp_path / name)


def test_what_is_not_there_is_named(told: Any, labels: Path, registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UnreadablePath, match="nowhere"):
        evaluate([tmp_path / "nowhere"], labels, told.registry)
    with pytest.raises(NoRegistry, match="no secmesh-release version 9"):
        evaluate(told.logs, labels, told.registry, release=9)
    with pytest.raises(NoRegistry, match="no champion to evaluate"):
        evaluate(told.logs, labels, registry)
