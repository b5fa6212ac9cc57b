"""Which version of each domain's model was judged together, and which of these sets is the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from features.events import Domain
from models import bundle
from models.bundle import Bundle, BundleRefused
from models.registry import CHAMPION, Registry, Run

NAME = "secmesh-release"


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One domain's part of a release: the registered version, and the sha256 of its bundle."""

    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """A set of models judged together; `number` is its version in the registry, `base` the champion it grew from."""

    number: int
    run_id: str
    base: int | None
    members: Mapping[Domain, Member]

    @property
    def versions(self) -> dict[Domain, int]:
        """The registered version of each domain's model."""
        return {domain: member.version for domain, member in self.members.items()}


def model_name(domain: Domain) -> str:
    """The name of a domain's model in the registry.

    >>> model_name(Domain.DNS)
    'secmesh-dns'
    """
    return f"secmesh-{domain}"


def publish(registry: Registry, run: Run, versions: Mapping[Domain, int]) -> Release:
    """Register the release of `versions`; it takes the domains not named from the champion.

    Nothing serves it before `promote`. BundleRefused if a named model cannot be read back.
    """
    if not versions:
        raise ValueError("a release names the version of at least one domain")
    base = champion(registry)
    inherited = base.members if base else {}
    members = dict(inherited) | {domain: _member(registry, domain, version) for domain, version in versions.items()}
    number = _register(registry, run, base.number if base else None, members)
    return find(registry, number)


def find(registry: Registry, number: int) -> Release:
    """The release of that number, as it was published."""
    manifest = _read(registry.fetch(NAME, number), NAME, number).manifest
    try:
        members = msgspec.convert(manifest.get("members"), dict[Domain, Member])
        run_id = msgspec.convert(manifest.get("run_id"), str)
        base = msgspec.convert(manifest.get("base"), int | None)
    except msgspec.ValidationError as error:
        raise BundleRefused(f"{NAME} version {number}: expected the manifest of a release; {error}") from error
    return Release(number, run_id, base, members)


def champion(registry: Registry) -> Release | None:
    """The release that serves now, or none before the first promotion; NoRegistry where nothing was ever trained."""
    number = registry.alias(NAME, CHAMPION)
    return None if number is None else find(registry, number)


def promote(registry: Registry, release: Release) -> None:
    """Make `release` the champion, newer or older than the one before.

    Readers see one release or the other: the alias of the release decides. The aliases of the domains' models
    follow it and are for people who look.
    """
    registry.promote(NAME, release.number, CHAMPION)
    for domain, version in release.versions.items():
        registry.promote(model_name(domain), version, CHAMPION)


def load(registry: Registry, release: Release) -> dict[Domain, Bundle]:
    """The models of `release`, byte for byte those that were judged, or BundleRefused with name and version."""
    return {domain: _load(registry, domain, member) for domain, member in release.members.items()}


def _load(registry: Registry, domain: Domain, member: Member) -> Bundle:
    name = model_name(domain)
    found = _read(registry.fetch(name, member.version), name, member.version)
    if found.sha256 != member.sha256:
        raise BundleRefused(f"{name} version {member.version}: expected sha256 {member.sha256}, found {found.sha256}")
    return found


def _member(registry: Registry, domain: Domain, version: int) -> Member:
    name = model_name(domain)
    return Member(version, _read(registry.fetch(name, version), name, version).sha256)


def _read(folder: Path, name: str, version: int) -> Bundle:
    try:
        return bundle.read(folder)
    except BundleRefused as error:
        raise BundleRefused(f"{name} version {version}: {error}") from error


def _register(registry: Registry, run: Run, base: int | None, members: Mapping[Domain, Member]) -> int:
    fields: dict[str, bundle.JSON] = {
        "kind": "release",
        "run_id": run.run_id,
        "base": base,
        "members": {domain: msgspec.to_builtins(member) for domain, member in members.items()},
    }
    with TemporaryDirectory() as folder:
        bundle.write(Path(folder), {}, fields)
        return registry.register(NAME, Path(folder), run)
