"""Which version of each domain's model was judged together, and which of these sets is the champion."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import msgspec

from features.events import Domain
from features.mistakes import AskedWrong
from models import bundle, champions
from models.bundle import Bundle, BundleRefused
from models.champions import Act, Record, RecordRefused, Verdict
from models.registry import CHAMPION, NoRegistry, Registry, Run
from models.signing import KeyRefused, Signature, SignatureRefused, key_path, sign, verify

NAME = "secmesh-release"
#: The alias of the newest release, which waits for the gate.
CHALLENGER = "challenger"

_PURPOSE = "release"
#: Fields of a model's manifest that say nothing of the recipe that reads it.
_OWN = bundle.RESERVED | {"trained"}
_TRIES = 3

Now = Callable[[], datetime]


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a release: the registered version, and the sha256 of its bundle and of the recipe that reads it."""

    version: int
    sha256: str
    recipe: str


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release's manifest, but for the signature over it."""

    kind: str
    number: int
    run_id: str
    base: int | None
    made: datetime
    members: dict[Domain, Member]
    trust: Member | None
    metrics: dict[str, float]


class NeedsReason(AskedWrong):
    """A release that should not be champion is only made it for a reason that somebody gives."""


@dataclass(frozen=True, slots=True)
class Release:
    """A set of models judged together, and signed.

    `number` is its version in the registry and counts up, `base` the champion it grew from, `metrics` what was measured
    when it was made, `trust` the member that holds how far agents are trusted, `sha256` that of its manifest.
    """

    number: int
    run_id: str
    base: int | None
    made: datetime
    members: Mapping[Domain, Member]
    trust: Member | None
    metrics: Mapping[str, float]
    sha256: str

    @property
    def versions(self) -> dict[Domain, int]:
        """The registered version of each domain's model."""
        return {domain: member.version for domain, member in self.members.items()}


def now_utc() -> datetime:
    """The moment it is."""
    return datetime.now(UTC)


def model_name(domain: Domain) -> str:
    """The name of a domain's model in the registry.

    >>> model_name(Domain.DNS)
    'secmesh-dns'
    """
    return f"secmesh-{domain}"


def recipe_hash(manifest: Mapping[str, bundle.JSON]) -> str:
    """A short hash of all that a model's manifest says of the recipe that reads it.

    >>> recipe_hash({"kind": "agent", "trained": {"seed": 1}}) == recipe_hash({"kind": "agent"})
    True
    """
    told = {name: value for name, value in manifest.items() if name not in _OWN}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def publish(
    registry: Registry,
    run: Run,
    versions: Mapping[Domain, int],
    metrics: Mapping[str, float] = MappingProxyType({}),
    now: Now = now_utc,
) -> Release:
    """Sign and register the release of `versions` as the challenger; domains not named are the champion's.

    Nothing serves it before `promote`. A champion that is refused hands nothing on, so that training mends it.
    BundleRefused if a named model cannot be read back, KeyRefused if there is no key to sign with.
    """
    if not versions:
        raise ValueError("a release names the version of at least one domain")
    base = _base(registry)
    members = dict(base.members) if base else {}
    members |= {domain: _member(registry, domain, version) for domain, version in versions.items()}
    number, trust = (base.number, base.trust) if base else (None, None)
    told = _Told("release", 0, run.run_id, number, now(), members, trust, dict(metrics))
    release = find(registry, _register(registry, run, told))
    registry.promote(NAME, release.number, CHALLENGER)
    return release


def find(registry: Registry, number: int) -> Release:
    """The release of that number, as it was published and signed; this is to ask for it by name, however old."""
    found = _read(registry.fetch(NAME, number), NAME, number)
    try:
        return _verified(registry, number, found)
    except (msgspec.ValidationError, SignatureRefused) as error:
        raise BundleRefused(f"{NAME} version {number}: expected the manifest of a release; {error}") from error


def champion(registry: Registry) -> Release | None:
    """The release that serves now, or none before the first promotion.

    Raises NoRegistry where nothing was ever trained, and BundleRefused where the alias points at another release than
    was promoted, however well that is signed: the signed record of champions decides, not who can write to MLflow.
    """
    number = registry.alias(NAME, CHAMPION)
    for _ in range(_TRIES):
        if number is None:
            return None
        try:
            return _allowed(registry, find(registry, number))
        except BundleRefused:
            was, number = number, registry.alias(NAME, CHAMPION)
            if was == number:
                raise
    raise BundleRefused(f"{NAME}: the champion changes faster than it can be read: who moves its alias?")


def challenger(registry: Registry) -> Release:
    """The newest release; NoRegistry if there is none."""
    number = registry.alias(NAME, CHALLENGER)
    if number is None:
        raise NoRegistry("no challenger: train one with `secmesh train`, or promote a release by its number")
    return find(registry, number)


def note(registry: Registry, release: Release, *, is_taken: bool, reason: str, now: Now = now_utc) -> None:
    """Keep what the gate said of a release: signed in the record, and as a tag for who looks at MLflow."""
    with champions.changing(registry.home):
        record = champions.read(registry.home)
        champions.write(registry.home, record.judged(Verdict(release.number, is_taken, reason, now())))
    registry.tag(NAME, release.number, {"gate": f"{'taken' if is_taken else 'refused'}: {reason}"})


def promote(
    registry: Registry, release: Release, *, reason: str = "", by: str | None = None, now: Now = now_utc
) -> None:
    """Make `release` the champion, newer or older than the one before, and record when, through whom and why.

    Readers see one release or the other: the alias of the release decides, among what the record allows. The aliases
    of the domains' models follow it and are for people who look. Raises, and changes nothing, BundleRefused if a
    member cannot be read back, and NeedsReason without a `reason` for what the gate refused or what is older than a
    champion.
    """
    with champions.changing(registry.home):
        record = _record(registry)
        if not reason:
            _check_needs_none(record, release.number)
        _crown(registry, release, record, reason, by, now, is_rollback=False)


def rollback(registry: Registry, *, reason: str = "", by: str | None = None, now: Now = now_utc) -> Release:
    """Move the champion back to the release that was it before; twice goes back two, and so on."""
    registry.alias(NAME, CHAMPION)  # where there is no registry, this says so before anything is made
    with champions.changing(registry.home):
        record = _record(registry)
        if record.before is None:
            raise NoRegistry("no release was champion before this one: `secmesh models` lists what there is to promote")
        release = find(registry, record.before.number)
        if release.sha256 != record.before.sha256:
            raise BundleRefused(f"{NAME} version {release.number}: other content than when it was champion")
        _crown(registry, release, record, reason, by, now, is_rollback=True)
    return release


def load(registry: Registry, release: Release) -> dict[Domain, Bundle]:
    """The models of `release`, byte for byte those that were judged, or BundleRefused with name and version."""
    return {domain: _load(registry, domain, member) for domain, member in release.members.items()}


def _base(registry: Registry) -> Release | None:
    with suppress(BundleRefused, KeyRefused):
        return champion(registry)
    return None


def _record(registry: Registry) -> Record:
    """The record, an act that was stopped half-way settled by where the alias is."""
    return champions.read(registry.home).settled(registry.alias(NAME, CHAMPION))


def _check_needs_none(record: Record, number: int) -> None:
    verdict = record.verdict(number)
    if verdict and not verdict.is_taken:
        raise NeedsReason(
            f"the gate refused release {number}: {verdict.reason}; to promote it all the same, say --reason"
        )
    if number < record.highest:
        raise NeedsReason(
            f"release {number} is older than release {record.highest}, which was champion: say --reason to go back to "
            f"it, or `secmesh rollback`"
        )


def _crown(
    registry: Registry, release: Release, record: Record, reason: str, by: str | None, now: Now, *, is_rollback: bool
) -> None:
    """Move the alias: the record allows both releases while it moves, so whatever stops this, one of them serves."""
    load(registry, release)
    act = Act(release.number, release.sha256, now(), by or _person(), reason, is_rollback)
    champions.write(registry.home, record.preparing(act))
    registry.promote(NAME, release.number, CHAMPION)
    champions.write(registry.home, record.done(act))
    for domain, version in release.versions.items():
        registry.promote(model_name(domain), version, CHAMPION)
    registry.tag(NAME, release.number, {"champion": f"since {act.at:%Y-%m-%d %H:%M:%S %Z} by {act.by}: {reason}"})


def _person() -> str:
    """Who runs this; in some containers a user has a number alone."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _allowed(registry: Registry, release: Release) -> Release:
    try:
        champions.read(registry.home).check(release.number, release.sha256)
    except RecordRefused as error:
        raise BundleRefused(f"{NAME} version {release.number}: {error}") from error
    return release


def _verified(registry: Registry, number: int, found: Bundle) -> Release:
    """The release that a bundle holds, if we signed it under this number."""
    fields = {name: value for name, value in found.manifest.items() if name not in bundle.RESERVED}
    if fields.get("kind") != "release" or found.arrays:
        raise SignatureRefused(f"found the kind {fields.get('kind')!r} with {len(found.arrays)} arrays")
    if "signature" not in fields:
        raise SignatureRefused("it is not signed: train it anew with `secmesh train`")
    signature = msgspec.convert(fields.pop("signature"), Signature)
    verify(_canonical(fields), _PURPOSE, signature, key_path(registry.home))
    told = msgspec.convert(fields, _Told)
    if told.number != number:
        raise SignatureRefused(f"it was published as version {told.number}")
    return Release(
        number, told.run_id, told.base, told.made, told.members, told.trust, told.metrics, sha256=found.sha256
    )


def _load(registry: Registry, domain: Domain, member: Member) -> Bundle:
    name = model_name(domain)
    found = _read(registry.fetch(name, member.version), name, member.version)
    if found.sha256 != member.sha256:
        raise BundleRefused(f"{name} version {member.version}: expected sha256 {member.sha256}, found {found.sha256}")
    return _of_domain(domain, name, member.version, found)


def _member(registry: Registry, domain: Domain, version: int) -> Member:
    name = model_name(domain)
    found = _of_domain(domain, name, version, _read(registry.fetch(name, version), name, version))
    return Member(version, found.sha256, recipe_hash(found.manifest))


def _of_domain(domain: Domain, name: str, version: int, found: Bundle) -> Bundle:
    """A bundle that does not say it is of another domain."""
    if (other := found.manifest.get("domain", domain.value)) != domain.value:
        raise BundleRefused(f"{name} version {version}: expected a model of {domain}, found one of {other!r}")
    return found


def _read(folder: Path, name: str, version: int) -> Bundle:
    try:
        return bundle.read(folder)
    except BundleRefused as error:
        raise BundleRefused(f"{name} version {version}: {error}") from error


def _register(registry: Registry, run: Run, told: _Told) -> int:
    """The number of the registered release; it is signed with that number, so another try follows where two met."""
    number = _next(registry)
    for _ in range(_TRIES):
        got = _signed_as(registry, run, msgspec.structs.replace(told, number=number))
        if got == number:
            return number
        number = got + 1
    raise NoRegistry(f"{NAME}: others publish at this moment: try again")


def _signed_as(registry: Registry, run: Run, told: _Told) -> int:
    fields: dict[str, bundle.JSON] = msgspec.to_builtins(told)
    signature = sign(_canonical(fields), _PURPOSE, key_path(registry.home))
    with TemporaryDirectory() as folder:
        bundle.write(Path(folder), {}, fields | {"signature": msgspec.to_builtins(signature)})
        return registry.register(NAME, Path(folder), run)


def _next(registry: Registry) -> int:
    """The number that the next release will have, most likely."""
    newest: Iterable[int] = filter(None, (registry.alias(NAME, alias) for alias in (CHALLENGER, CHAMPION)))
    return max(newest, default=0) + 1


def _canonical(fields: Mapping[str, bundle.JSON]) -> bytes:
    """The one spelling of a manifest's fields that is signed."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
