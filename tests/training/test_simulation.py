"""A simulated estate keeps its promises."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.events import ENTITIES, Domain, schema
from features.reading import read
from training.estate.campaigns import CampaignError
from training.estate.habits import live
from training.estate.inhabitants import found
from training.estate.records import CLASSES, column
from training.simulation import MONDAY, SimulationError, Summary, simulate, split_time

PACKAGED = Path(__file__).parents[2] / "training" / "campaigns"
EVERY_CAMPAIGN = sorted(path.stem for path in PACKAGED.glob("*.toml"))

Event = dict[str, Any]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """An estate in which every packaged campaign is played."""
    out = tmp_path_factory.mktemp("attacked")
    return simulate(out, seed=11, days=2, users=8, which=EVERY_CAMPAIGN)


def written(summary: Summary, domain: Domain) -> list[Event]:
    return [json.loads(line) for line in (summary.out / f"{domain}.jsonl").read_text().splitlines()]


def truth(summary: Summary) -> list[Event]:
    told: list[Event] = json.loads((summary.out / "truth.json").read_text())["campaigns"]
    return told


def paths(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(paths(inner, f"{prefix}.{key}".lstrip(".")) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(paths(inner, prefix) for inner in value))
    return {prefix.replace("resources.", "resource.").replace("answers.rdata", "answers")}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        simulate(tmp_path / name, seed=seed, days=1, users=4, play=2)
    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_every_domain_is_written_in_the_order_of_time(attacked: Summary) -> None:
    for domain in Domain:
        times = [event["time"] for event in written(attacked, domain)]
        assert len(times) == attacked.counts[domain] > 100
        assert times == sorted(times)
        assert attacked.begins.timestamp() * 1000 <= times[0] <= times[-1] < attacked.ends.timestamp() * 1000


def test_every_event_has_a_class_of_its_domain_and_known_columns_only(attacked: Summary) -> None:
    for domain in Domain:
        known = {*schema(domain), "version"}
        for event in written(attacked, domain):
            assert event["class_uid"] in CLASSES[domain].values()
            assert {column(path) for path in paths(event)} <= known


def test_uids_are_unique(attacked: Summary) -> None:
    uids = [event["metadata"]["uid"] for domain in Domain for event in written(attacked, domain)]
    assert len(uids) == len(set(uids)) == attacked.events


def test_the_events_of_every_step_are_in_the_files(attacked: Summary) -> None:
    events = {domain: {event["metadata"]["uid"]: event for event in written(attacked, domain)} for domain in Domain}
    told = truth(attacked)
    assert len(told) == len(EVERY_CAMPAIGN)
    for campaign in told:
        assert campaign["uids"] == [uid for step in campaign["steps"] for uid in step["uids"]]
        for step in campaign["steps"]:
            assert step["uids"]
            for uid in step["uids"]:
                event = events[Domain(step["domain"])][uid]
                assert (event["class_uid"], event["activity_name"]) == (step["class_uid"], step["activity"])


def test_the_summary_counts_what_the_truth_lists(attacked: Summary) -> None:
    assert attacked.campaigns == {campaign["name"]: len(campaign["uids"]) for campaign in truth(attacked)}


def test_campaigns_touch_three_domains_and_begin_after_half_the_time(attacked: Summary) -> None:
    for campaign in truth(attacked):
        assert len({step["domain"] for step in campaign["steps"]}) >= 3
        assert datetime.fromisoformat(campaign["start"]) >= MONDAY + timedelta(days=1)
        assert len(campaign["uids"]) >= 15


def test_no_event_betrays_the_campaigns(attacked: Summary) -> None:
    words = {"campaign", "malicious", "attacker", "stealth"}
    words |= {campaign[field].lower() for campaign in truth(attacked) for field in ("name", "file")}
    for domain in Domain:
        text = (attacked.out / f"{domain}.jsonl").read_text().lower()
        assert not [word for word in words if word in text]
        assert not re.findall(r"\{[a-z.]+\d*\}", text)


def test_hostile_events_have_the_fields_of_normal_ones(attacked: Summary) -> None:
    hostile = {uid for campaign in truth(attacked) for uid in campaign["uids"]}
    shapes: dict[bool, Counter[tuple[Any, ...]]] = {True: Counter(), False: Counter()}
    for domain in Domain:
        for event in written(attacked, domain):
            shape = (event["class_uid"], event["activity_name"], frozenset(paths(event)))
            shapes[event["metadata"]["uid"] in hostile][shape] += 1
    strange = {shape: count for shape, count in shapes[True].items() if shape not in shapes[False]}
    assert sum(strange.values()) < 0.03 * len(hostile), strange


def test_the_truth_names_who_took_part(attacked: Summary) -> None:
    for campaign in truth(attacked):
        named = {name for names in campaign["entities"].values() for name in names}
        assert all(name == name.lower() for name in named)
        assert {"attacker.ip"} <= set(campaign["cast"])
        assert named & set(campaign["cast"].values())


def test_the_door_admits_every_event_and_finds_every_entity(attacked: Summary) -> None:
    seen: dict[str, set[str]] = {}
    for chunk in read([attacked.out / f"{domain}.jsonl" for domain in Domain]):
        assert chunk.refused.is_empty()
        for domain, events in chunk.events.items():
            for kind, names in ENTITIES[domain].items():
                for name in names:
                    seen.setdefault(kind, set()).update(events[name].drop_nulls())
    for campaign in truth(attacked):
        assert all(set(names) <= seen[kind] for kind, names in campaign["entities"].items())
        assert set(campaign["cast"].values()) & set().union(*seen.values())


def test_a_demo_trains_on_what_came_before_the_first_attack(attacked: Summary, tmp_path: Path) -> None:
    assert (
        split_time(attacked)
        == attacked.attack_begins
        == min(datetime.fromisoformat(campaign["start"]) for campaign in truth(attacked))
    )
    calm = simulate(tmp_path, seed=1, days=1, users=2, play=0)
    assert calm.attack_begins is None
    assert truth(calm) == []
    assert split_time(calm) == MONDAY + timedelta(hours=12)


def test_weekends_are_quiet(tmp_path: Path) -> None:
    friday = datetime(2026, 3, 6, 15, tzinfo=UTC)
    summary = simulate(tmp_path, seed=5, days=2, users=8, start=friday, play=0)
    unlocks = Counter(event["time"] // 86_400_000 for event in written(summary, Domain.IDENTITY) if is_unlock(event))
    friday_count, saturday_count = (unlocks[int(summary.begins.timestamp()) // 86400 + day] for day in (0, 1))
    assert saturday_count < friday_count / 3


def is_unlock(event: Event) -> bool:
    return event.get("logon_type") == "Unlock"


def test_one_person_more_changes_nobody_elses_days() -> None:
    small, large = (found(9, days=2, users=users, start=MONDAY) for users in (3, 4))
    assert small.people == large.people[:3]
    for (_, one), (_, other) in zip(live(small, small.people[1]), live(large, large.people[1]), strict=True):
        assert one.equals(other)


def test_a_step_of_a_kind_nobody_did_before_is_played(tmp_path: Path) -> None:
    saturday = datetime(2026, 3, 7, tzinfo=UTC)
    simulate(tmp_path, seed=1, days=1, users=1, start=saturday, which=["kerberoasting_domain_admin"])
    (campaign,) = json.loads((tmp_path / "truth.json").read_text())["campaigns"]
    assert {3001, 3006} <= {step["class_uid"] for step in campaign["steps"]}


def test_progress_is_told_to_whoever_asks(tmp_path: Path) -> None:
    told: list[str] = []
    simulate(tmp_path, seed=1, days=1, users=2, which=["insider_exfiltration"], progress=told.append)
    assert "playing An insider leaves with the files" in told
    assert told[-1] == "writing cloud"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"days": 0}, "days is 0, expected at least 1"),
        ({"users": 0}, "users is 0"),
        ({"play": -1}, "play is -1"),
        ({"start": datetime(2026, 1, 1)}, "with its zone"),  # noqa: DTZ001  # the missing zone is the mistake
        ({"which": ["nonesuch"]}, "'nonesuch', expected one of credential_dump_lateral"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SimulationError, match=words):
        simulate(tmp_path, seed=1, **setting)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="expected a folder"):
        simulate(tmp_path, seed=1, campaigns=tmp_path / "nowhere")
