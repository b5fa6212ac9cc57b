"""The laws of what is served together."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import msgspec
import numpy as np
import pytest

from features.events import Domain
from models import bundle, champions, releases
from models.bundle import BundleRefused
from models.home import Home
from models.registry import CHAMPION, NoRegistry, Registry
from models.releases import NeedsReason, Release, model_name, recipe_hash
from models.signing import key_path, sign

ALL = {domain: 1.0 for domain in Domain}
TEN = datetime(2026, 11, 24, 10, tzinfo=UTC)


def publish(registry: Registry, tmp_path: Path, values: Mapping[Domain, float]) -> Release:
    """A release of new models that hold `values`."""
    with registry.run("train", "nightly", {}, {}) as run:
        versions = {}
        for domain, value in values.items():
            folder = tmp_path / f"{domain}-{value}"
            bundle.write(folder, {"w": np.array([value])}, {"kind": "encoder", "domain": domain.value})
            versions[domain] = registry.register(model_name(domain), folder, run)
        return releases.publish(registry, run, versions)


def served(registry: Registry, release: Release) -> dict[Domain, float]:
    """The value that each domain's model of `release` holds."""
    return {domain: float(found.arrays["w"][0]) for domain, found in releases.load(registry, release).items()}


def minutes_past_ten(minutes: int) -> datetime:
    return TEN + timedelta(minutes=minutes)


def named(registry: Registry, tmp_path: Path, count: int) -> list[Release]:
    """So many releases, each promoted after the one before, at ten o'clock and a minute later each."""
    made = []
    for turn in range(count):
        made.append(publish(registry, tmp_path, {Domain.DNS: float(turn)}))
        releases.promote(registry, made[-1], reason=f"reason {turn}", by="ann", now=partial(minutes_past_ten, turn))
    return made


def registered(registry: Registry, tmp_path: Path, fields: Mapping[str, Any]) -> int:
    """The number of a planted release with this manifest."""
    bundle.write(tmp_path / "planted", {}, fields)
    with registry.run("train", "planted", {}, {}) as run:
        return registry.register(releases.NAME, tmp_path / "planted", run)


def test_a_release_comes_back_as_it_was_published(registry: Registry, tmp_path: Path) -> None:
    release = publish(registry, tmp_path, ALL)
    assert releases.find(registry, release.number) == release
    assert release.versions == {domain: 1 for domain in Domain}
    assert release.base is None
    assert served(registry, release) == ALL


def test_nothing_is_champion_before_it_is_promoted(registry: Registry, tmp_path: Path) -> None:
    assert releases.champion(registry) is None
    publish(registry, tmp_path, ALL)
    assert releases.champion(registry) is None


def test_where_nothing_was_trained_there_is_no_registry(tmp_path: Path) -> None:
    with pytest.raises(NoRegistry):
        releases.champion(Registry(Home.at(tmp_path)))


def test_promotion_moves_the_champion_of_the_mesh_and_of_each_domain(registry: Registry, tmp_path: Path) -> None:
    first = publish(registry, tmp_path, ALL)
    releases.promote(registry, first)
    second = publish(registry, tmp_path, dict.fromkeys(Domain, 2.0))
    assert releases.champion(registry) == first
    for release in (second, first):
        releases.promote(registry, release, reason="so I say")
        assert releases.champion(registry) == release
        assert {registry.alias(model_name(domain), CHAMPION) for domain in Domain} == {release.number}


def test_a_release_of_some_domains_takes_the_others_from_the_champion(registry: Registry, tmp_path: Path) -> None:
    first = publish(registry, tmp_path, ALL)
    releases.promote(registry, first)
    publish(registry, tmp_path, {Domain.WEB: 3.0})
    second = publish(registry, tmp_path, {Domain.DNS: 2.0})
    assert second.base == first.number
    assert second.versions == first.versions | {Domain.DNS: 2}
    assert served(registry, second) == ALL | {Domain.DNS: 2.0}


def test_a_first_release_may_be_of_one_domain(registry: Registry, tmp_path: Path) -> None:
    release = publish(registry, tmp_path, {Domain.DNS: 2.0})
    assert served(registry, release) == {Domain.DNS: 2.0}


def test_a_release_of_nothing_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one domain"):
        publish(registry, tmp_path, {})


def test_a_reader_sees_one_release_or_the_other(registry: Registry, tmp_path: Path) -> None:
    two = [publish(registry, tmp_path, {Domain.DNS: value}) for value in (1.0, 2.0)]
    releases.promote(registry, two[0])
    done = Event()

    def swap() -> None:
        for turn in range(10):
            releases.promote(registry, two[turn % 2], reason="a turn")
        done.set()

    writer = Thread(target=swap)
    writer.start()
    seen = [releases.champion(registry)]
    while not done.is_set():
        seen.append(releases.champion(registry))
    writer.join()
    assert all(release in two for release in seen)


def test_a_model_that_was_exchanged_for_another_sound_one_is_refused(registry: Registry, tmp_path: Path) -> None:
    release = publish(registry, tmp_path, ALL)
    planted = registry.fetch(model_name(Domain.WEB), 1)
    for path in planted.iterdir():
        path.unlink()
    bundle.write(planted, {"w": np.array([6.0])}, {"kind": "encoder"})
    with pytest.raises(BundleRefused, match="secmesh-web version 1: expected sha256"):
        releases.load(registry, release)


def test_nothing_is_unpickled_or_run_on_the_way_to_a_model(registry: Registry, tmp_path: Path) -> None:
    publish(registry, tmp_path, ALL)
    releases.promote(registry, releases.find(registry, 1))
    assert releases.champion(registry) is not None  # MLflow has imported by now all it needs
    watching, seen = [True], set[str]()
    sys.addaudithook(lambda event, _: seen.add(event) if watching else None)  # a hook stays for the whole session
    found = releases.champion(registry)
    assert found is not None
    assert served(registry, found) == ALL
    watching.clear()
    assert "open" in seen
    assert not seen & {"pickle.find_class", "exec", "import", "subprocess.Popen", "socket.connect"}


@pytest.mark.parametrize("name", [bundle.ARRAYS, bundle.MANIFEST])
def test_a_damaged_model_is_refused_by_name_and_version(registry: Registry, tmp_path: Path, name: str) -> None:
    release = publish(registry, tmp_path, ALL)
    path = registry.fetch(model_name(Domain.WEB), 1) / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleRefused, match=f"secmesh-web version 1: .*{name}"):
        releases.load(registry, release)


def test_a_model_whose_files_are_gone_is_refused(registry: Registry, tmp_path: Path) -> None:
    release = publish(registry, tmp_path, ALL)
    folder = registry.fetch(model_name(Domain.DNS), 1)
    folder.rename(tmp_path / "gone")
    with pytest.raises(BundleRefused, match="secmesh-dns version 1"):
        releases.load(registry, release)


def test_an_unsigned_release_is_refused_with_the_remedy(registry: Registry, tmp_path: Path) -> None:
    members = {"dns": {"version": 1, "sha256": ""}}
    number = registered(registry, tmp_path, {"kind": "release", "run_id": "r", "base": None, "members": members})
    registry.promote(releases.NAME, number, CHAMPION)
    with pytest.raises(BundleRefused, match=f"secmesh-release version {number}: .*not signed: .*`secmesh train`"):
        releases.champion(registry)


def test_training_mends_a_champion_that_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.promote(releases.NAME, registered(registry, tmp_path, {"kind": "release"}), CHAMPION)
    release = publish(registry, tmp_path, {Domain.DNS: 2.0})
    assert (release.number, release.base) == (2, None)
    releases.promote(registry, release)
    assert releases.champion(registry) == release


SOUND = {
    "number": 1,
    "run_id": "r",
    "base": None,
    "made": "2026-11-24T10:00:00Z",
    "members": {"dns": {"version": 1, "sha256": "", "recipe": ""}},
    "trust": None,
    "metrics": {},
}


@pytest.mark.parametrize(
    "fields",
    [
        {"members": {"mainframe": {"version": 1, "sha256": "", "recipe": ""}}},
        {"members": {"dns": {"version": "1", "sha256": "", "recipe": ""}}},
        {"members": {"dns": {"version": 1, "sha256": ""}}},
        {"members": {"dns": {"version": 1, "sha256": "", "recipe": "", "loader": "os"}}},
        {"base": "1"},
        {"run_id": 1},
        {"made": "yesterday"},
        {"metrics": {"ap": "high"}},
        {"loader_module": "os"},
        {"number": 2},
        {"kind": "agent"},
    ],
)
def test_a_manifest_that_we_signed_but_that_is_none_of_a_release_is_refused(
    registry: Registry, tmp_path: Path, fields: dict[str, Any]
) -> None:
    manifest: dict[str, Any] = {"kind": "release"} | SOUND | fields
    signature = sign(releases._canonical(manifest), "release", key_path(registry.home))
    number = registered(registry, tmp_path, manifest | {"signature": msgspec.to_builtins(signature)})
    with pytest.raises(BundleRefused, match=f"secmesh-release version {number}"):
        releases.find(registry, number)


def test_the_same_manifest_without_a_fault_is_taken(registry: Registry, tmp_path: Path) -> None:
    manifest: dict[str, Any] = {"kind": "release"} | SOUND
    signature = sign(releases._canonical(manifest), "release", key_path(registry.home))
    number = registered(registry, tmp_path, manifest | {"signature": msgspec.to_builtins(signature)})
    assert releases.find(registry, number).run_id == "r"


def test_a_release_tells_when_it_was_made_what_was_measured_and_which_recipes_it_fits(
    registry: Registry, tmp_path: Path
) -> None:
    bundle.write(tmp_path / "m", {}, {"kind": "agent", "words": ["a"], "trained": {"seed": 1}})
    with registry.run("train", "nightly", {}, {}) as run:
        version = registry.register(model_name(Domain.DNS), tmp_path / "m", run)
        release = releases.publish(registry, run, {Domain.DNS: version}, {"ap": 0.5}, lambda: TEN)
    found = releases.find(registry, release.number)
    assert (found.made, found.metrics, found.trust) == (TEN, {"ap": 0.5}, None)
    assert found.members[Domain.DNS].recipe == recipe_hash({"kind": "agent", "words": ["a"]})
    assert found.members[Domain.DNS].recipe != recipe_hash({"kind": "agent", "words": ["b"]})


def test_the_newest_release_is_the_challenger(registry: Registry, tmp_path: Path) -> None:
    first = publish(registry, tmp_path, ALL)
    assert releases.challenger(registry) == first
    second = publish(registry, tmp_path, {Domain.DNS: 2.0})
    assert releases.challenger(registry) == second
    assert releases.champion(registry) is None


def test_without_a_release_there_is_no_challenger(registry: Registry) -> None:
    with pytest.raises(NoRegistry, match="secmesh train"):
        releases.challenger(registry)


def test_a_model_of_another_domain_is_not_published(registry: Registry, tmp_path: Path) -> None:
    bundle.write(tmp_path / "m", {}, {"kind": "agent", "domain": "web"})
    with registry.run("train", "nightly", {}, {}) as run:
        version = registry.register(model_name(Domain.DNS), tmp_path / "m", run)
        with pytest.raises(BundleRefused, match="secmesh-dns version 1: expected a model of dns, found one of 'web'"):
            releases.publish(registry, run, {Domain.DNS: version})


def test_two_who_publish_at_once_get_two_numbers(registry: Registry, tmp_path: Path) -> None:
    publish(registry, tmp_path, {Domain.DNS: 1.0})
    registered(registry, tmp_path, {"kind": "release"})  # another's, which has no alias yet
    assert publish(registry, tmp_path, {Domain.DNS: 2.0}).number == 4
    assert releases.challenger(registry).number == 4


# Who was champion


def test_each_rollback_goes_one_champion_further_back(registry: Registry, tmp_path: Path) -> None:
    made = named(registry, tmp_path, 3)
    for expected in (made[1], made[0]):
        assert releases.rollback(registry) == expected
        assert releases.champion(registry) == expected
    with pytest.raises(NoRegistry, match="no release was champion before"):
        releases.rollback(registry)
    releases.promote(registry, made[2])
    assert releases.rollback(registry) == made[0]


def test_the_record_tells_when_through_whom_and_why(registry: Registry, tmp_path: Path) -> None:
    made = named(registry, tmp_path, 2)
    releases.rollback(registry, reason="too many alarms", by="bob", now=lambda: TEN + timedelta(hours=1))
    acts = champions.read(registry.home).acts
    assert [(act.number, act.by, act.reason, act.is_rollback) for act in acts] == [
        (1, "ann", "reason 0", False),
        (2, "ann", "reason 1", False),
        (1, "bob", "too many alarms", True),
    ]
    assert [act.at for act in acts] == [TEN, TEN + timedelta(minutes=1), TEN + timedelta(hours=1)]
    assert acts[0].sha256 == acts[2].sha256 == made[0].sha256


def test_a_user_without_a_name_is_recorded_by_number(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(releases, "getuser", nameless)
    releases.promote(registry, publish(registry, tmp_path, {Domain.DNS: 1.0}))
    (act,) = champions.read(registry.home).acts
    assert act.by == f"user {os.getuid()}"


def test_a_rollback_where_nothing_was_trained_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoRegistry):
        releases.rollback(Registry(Home.at(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_the_gates_word_on_a_release_is_kept(registry: Registry, tmp_path: Path) -> None:
    release = publish(registry, tmp_path, {Domain.DNS: 1.0})
    releases.note(registry, release, is_taken=False, reason="worse on dns", now=lambda: TEN)
    releases.note(registry, release, is_taken=True, reason="better on dns", now=lambda: TEN)
    verdict = champions.read(registry.home).verdict(release.number)
    assert verdict == champions.Verdict(release.number, True, "better on dns", TEN)
    assert champions.read(registry.home).verdict(99) is None


def test_what_the_gate_refused_needs_a_reason(registry: Registry, tmp_path: Path) -> None:
    named(registry, tmp_path, 1)
    release = publish(registry, tmp_path, {Domain.DNS: 9.0})
    releases.note(registry, release, is_taken=False, reason="it is worse in dns")
    with pytest.raises(NeedsReason, match=r"the gate refused release 2: it is worse in dns; .*--reason"):
        releases.promote(registry, release)
    assert releases.champion(registry) == releases.find(registry, 1)
    releases.promote(registry, release, reason="we know better")
    assert releases.champion(registry) == release


def test_what_is_older_needs_a_reason(registry: Registry, tmp_path: Path) -> None:
    made = named(registry, tmp_path, 2)
    with pytest.raises(NeedsReason, match="release 1 is older than release 2"):
        releases.promote(registry, made[0])
    assert releases.champion(registry) == made[1]


@pytest.mark.parametrize("turn", range(50))
def test_whatever_older_release_an_alias_is_moved_to_it_is_refused(
    promoted: tuple[Registry, list[Release]], turn: int
) -> None:
    registry, made = promoted
    older = made[turn % (len(made) - 1)]
    with closing(sqlite3.connect(registry.database)) as database, database:
        moved = "UPDATE registered_model_aliases SET version = ? WHERE name = ? AND alias = ?"
        database.execute(moved, (older.number, releases.NAME, CHAMPION))
    try:
        with pytest.raises(BundleRefused, match=f"version {older.number}: older than release {made[-1].number}"):
            releases.champion(registry)
        assert releases.find(registry, older.number) == older  # by name it may be asked for
    finally:
        registry.promote(releases.NAME, made[-1].number, CHAMPION)
    assert releases.champion(registry) == made[-1]


@pytest.fixture(scope="module")
def promoted(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, list[Release]]:
    folder = tmp_path_factory.mktemp("promoted")
    home = Home.at(folder / "home")
    home.mlruns.mkdir(parents=True)
    shutil.copy(template, home.mlruns / "mlflow.db")
    return Registry(home), named(Registry(home), folder, 5)


def test_after_a_rollback_only_the_release_that_was_rolled_back_to_serves(registry: Registry, tmp_path: Path) -> None:
    made = named(registry, tmp_path, 3)
    releases.rollback(registry)
    for release in (made[0], made[2]):
        registry.promote(releases.NAME, release.number, CHAMPION)
        with pytest.raises(BundleRefused, match=f"version {release.number}"):
            releases.champion(registry)


def test_a_newer_release_that_nobody_promoted_is_refused(registry: Registry, tmp_path: Path) -> None:
    named(registry, tmp_path, 1)
    newer = publish(registry, tmp_path, {Domain.DNS: 9.0})
    registry.promote(releases.NAME, newer.number, CHAMPION)
    with pytest.raises(BundleRefused, match=r"never promoted here.*`secmesh promote 2`"):
        releases.champion(registry)


def test_a_champion_without_a_record_is_refused(registry: Registry, tmp_path: Path) -> None:
    (release,) = named(registry, tmp_path, 1)
    champions.record_path(registry.home).unlink()
    with pytest.raises(BundleRefused, match="never promoted here"):
        releases.champion(registry)
    releases.promote(registry, release)
    assert releases.champion(registry) == release


def test_a_record_that_was_edited_is_refused(registry: Registry, tmp_path: Path) -> None:
    named(registry, tmp_path, 2)
    path = champions.record_path(registry.home)
    path.write_text(path.read_text().replace('"ann"', '"eve"'))
    with pytest.raises(BundleRefused, match=r"champions\.json: changed since it was signed"):
        releases.champion(registry)
    for content in (b"", b"{}", b"\x80\x04N.", path.read_bytes() + path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(BundleRefused, match=r"champions\.json"):
            releases.champion(registry)


@pytest.mark.parametrize("stop", ["before", "after"])
def test_a_promotion_that_is_killed_leaves_one_of_the_two_serving(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    made = named(registry, tmp_path, 2)
    move = Registry.promote

    def killed(self: Registry, name: str, version: int, alias: str) -> None:
        if stop == "after":
            move(self, name, version, alias)
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "promote", killed)
    with pytest.raises(KeyboardInterrupt):
        releases.promote(registry, made[0], reason="so I say")
    monkeypatch.undo()
    expected = {"before": made[1], "after": made[0]}[stop]
    assert releases.champion(registry) == expected
    releases.promote(registry, publish(registry, tmp_path, {Domain.DNS: 7.0}))
    assert releases.rollback(registry) == expected


def test_a_release_that_cannot_be_read_back_is_not_promoted(registry: Registry, tmp_path: Path) -> None:
    (first,) = named(registry, tmp_path, 1)
    second = publish(registry, tmp_path, {Domain.DNS: 9.0})
    (registry.fetch(model_name(Domain.DNS), second.members[Domain.DNS].version) / bundle.ARRAYS).write_bytes(b"")
    with pytest.raises(BundleRefused, match="secmesh-dns version 2"):
        releases.promote(registry, second)
    assert releases.champion(registry) == first
    assert champions.read(registry.home).coming is None
