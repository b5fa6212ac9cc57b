"""The laws of what is served together."""

import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from features.events import Domain
from models import bundle, releases
from models.bundle import BundleRefused
from models.home import Home
from models.registry import CHAMPION, NoRegistry, Registry
from models.releases import Release, model_name

ALL = {domain: 1.0 for domain in Domain}


def publish(registry: Registry, tmp_path: Path, values: Mapping[Domain, float]) -> Release:
    """A release of new models that hold `values`."""
    with registry.run("train", "nightly", {}, {}) as run:
        versions = {}
        for domain, value in values.items():
            folder = tmp_path / f"{domain}-{value}"
            bundle.write(folder, {"w": np.array([value])}, {"kind": "encoder"})
            versions[domain] = registry.register(model_name(domain), folder, run)
        return releases.publish(registry, run, versions)


def served(registry: Registry, release: Release) -> dict[Domain, float]:
    """The value that each domain's model of `release` holds."""
    return {domain: float(found.arrays["w"][0]) for domain, found in releases.load(registry, release).items()}


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
        releases.promote(registry, release)
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
        for turn in range(20):
            registry.promote(releases.NAME, two[turn % 2].number, CHAMPION)
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


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"run_id": "r", "base": None, "members": {"mainframe": {"version": 1, "sha256": ""}}},
        {"run_id": "r", "base": None, "members": {"dns": {"version": "1", "sha256": ""}}},
        {"run_id": "r", "base": "1", "members": {}},
        {"run_id": 1, "base": None, "members": {}},
    ],
)
def test_a_planted_manifest_is_refused(registry: Registry, tmp_path: Path, fields: dict[str, Any]) -> None:
    number = registered(registry, tmp_path, {"kind": "release"} | fields)
    with pytest.raises(BundleRefused, match=f"secmesh-release version {number}"):
        releases.find(registry, number)
