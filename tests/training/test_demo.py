"""The demo from end to end, on a small estate and with somebody else's campaigns."""

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from agents.verdicts import VERDICTS
from features.events import Domain
from features.logs import read_logs
from models.home import Home
from models.registry import Registry
from models.releases import champion, load
from training.demo import Outcome, demo, truth_of
from training.estate.campaigns import PACKAGED
from training.lineage import lineage_of

FOREIGN = "Somebody else's idea"


@dataclass(frozen=True)
class Shown:
    """A demo that ran, and what it told on its way."""

    home: Home
    outcome: Outcome
    told: list[tuple[str, int, int | None]]

    @property
    def truth(self) -> list[dict[str, list[str]]]:
        page = json.loads((self.outcome.folder / "logs" / "truth.json").read_text())
        return list(page["campaigns"])

    @property
    def begins(self) -> datetime:
        page = json.loads((self.outcome.folder / "logs" / "truth.json").read_text())
        return datetime.fromisoformat(page["attack_begins"])


def show(home: Home, campaigns: Path) -> Shown:
    told: list[tuple[str, int, int | None]] = []
    outcome = demo(home, seed=2, days=2, users=6, campaigns=campaigns, epochs=2, told=lambda *step: told.append(step))
    return Shown(home, outcome, told)


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one campaign file that the code has never seen."""
    folder = tmp_path_factory.mktemp("campaigns")
    lines = (PACKAGED / "phishing_to_ransomware.toml").read_text().splitlines()
    lines = [f'title = "{FOREIGN}"' if line.startswith("title") else line for line in lines]
    (folder / "foreign.toml").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, template: Path, campaigns: Path) -> Shown:
    home = Home.at(tmp_path_factory.mktemp("home"))
    home.mlruns.mkdir(parents=True)
    shutil.copy(template, home.mlruns / "mlflow.db")
    return show(home, campaigns)


def test_somebody_elses_campaign_is_played_and_found(shown: Shown) -> None:
    assert list(shown.outcome.found) == [FOREIGN]
    assert shown.outcome.found[FOREIGN] is not None


def test_training_saw_only_what_came_before_the_first_attack(shown: Shown) -> None:
    paths = [shown.outcome.folder / "logs" / f"{domain}.jsonl" for domain in Domain]
    events = read_logs(paths).events
    uids = [uid for campaign in shown.truth for uid in campaign["uids"]]
    for domain, kept in load(Registry(shown.home), shown.outcome.release).items():
        before = events[domain].filter(pl.col("time") < shown.begins)
        assert kept.manifest["trained"]["digest"] == lineage_of(before).digest
        assert not before["uid"].is_in(uids).any()


def test_the_log_holds_no_word_of_the_truth(shown: Shown) -> None:
    for domain in Domain:
        text = (shown.outcome.folder / "logs" / f"{domain}.jsonl").read_text()
        assert FOREIGN not in text
        assert "campaign" not in text


def test_the_champion_that_scored_is_the_release_that_was_trained(shown: Shown) -> None:
    assert champion(Registry(shown.home)) == shown.outcome.release
    verdicts = pl.read_parquet(shown.outcome.folder / "verdicts.parquet")
    assert set(verdicts["release"]) == {shown.outcome.release.number}


def test_every_event_from_the_first_attack_on_has_a_verdict(shown: Shown) -> None:
    verdicts = pl.read_parquet(shown.outcome.folder / "verdicts.parquet")
    assert verdicts.schema == VERDICTS
    assert verdicts["time"].min() == shown.begins
    assert verdicts.height == shown.outcome.streamed
    assert {uid for campaign in shown.truth for uid in campaign["uids"]} <= set(verdicts["uid"])


def test_each_kept_threat_has_a_truth(shown: Shown) -> None:
    records = json.loads((shown.outcome.folder / "threats.json").read_text())
    assert [record["rank"] for record in records] == list(range(1, len(records) + 1))
    assert {record["truth"] for record in records} <= {FOREIGN, None}
    assert [record["truth"] for record in records] == list(shown.outcome.truths)


def test_every_phase_is_told_and_timed(shown: Shown) -> None:
    phases = ["simulating", "reading", "learning", "scoring", "reporting"]
    assert list(dict.fromkeys(step for step, _, _ in shown.told)) == phases == list(shown.outcome.seconds)
    last = {step: (done, whole) for step, done, whole in shown.told if whole}
    assert all(done == whole for done, whole in last.values())


def test_the_report_is_there(shown: Shown) -> None:
    assert "Somebody else&#39;s idea" in shown.outcome.report.read_text()


def test_a_second_demo_overwrites_the_first_with_the_same_findings(shown: Shown, campaigns: Path) -> None:
    def findings() -> pl.DataFrame:
        return pl.read_parquet(shown.outcome.folder / "verdicts.parquet").drop("release")

    first = findings()
    again = show(shown.home, campaigns).outcome
    assert again.release.number == shown.outcome.release.number + 1
    assert again.folder == shown.outcome.folder
    assert findings().equals(first)
    assert again.found == shown.outcome.found


STORM, FROST = {"name": "Storm", "uids": ["a", "b", "c"]}, {"name": "Frost", "uids": ["x", "y"]}


@pytest.mark.parametrize(
    ("uids", "truth"),
    [
        (["a", "b", "z"], "Storm"),
        (["a", "z"], "Storm"),
        (["a", "z", "w"], None),
        (["a", "x", "y"], "Frost"),
        (["z"], None),
        ([], None),
    ],
)
def test_a_threat_is_true_if_half_its_evidence_is(uids: list[str], truth: str | None) -> None:
    assert truth_of(uids, [STORM, FROST]) == truth


def test_without_campaigns_no_threat_is_true() -> None:
    assert truth_of(["a"], []) is None
