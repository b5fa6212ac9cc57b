"""Hostile artifacts, made here: each is refused with a reason, runs nothing, and leaves the champion as it was."""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save

from features.events import Domain
from features.mistakes import FoundWrong
from models import bundle, champions, releases, signing
from models.bundle import ARRAYS, MANIFEST
from models.home import Home
from models.registry import CHAMPION, Registry
from models.releases import model_name
from models.signing import key_path, public_path, sign

LEAST = 60
VALUES = {Domain.DNS: 1.0, Domain.WEB: 2.0}


@dataclass(frozen=True)
class Scene:
    """A home with champion 2 (grown from 1), and the candidate 3, whose files an attacker can write to.

    `model` is the candidate's dns bundle, `release` its manifest's; `canary` is what a payload would make.
    """

    registry: Registry
    model: Path
    release: Path
    canary: Path

    @property
    def payload(self) -> bytes:
        """A pickle that makes the canary."""
        return f"cposix\nsystem\n(S'touch {self.canary}'\ntR.".encode()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the candidate's manifest, its signature among them."""
        manifest = json.loads((self.release / MANIFEST).read_bytes())
        return {name: value for name, value in manifest.items() if name not in bundle.RESERVED}

    def rewrite(self, folder: Path, data: bytes, described: Any = None, **fields: Any) -> None:
        """A bundle as an attacker would make it: well sealed, whatever it holds."""
        mark = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest = {"kind": "agent", "domain": "dns", "format": 1, "file": mark, "arrays": described or {}} | fields
        seal = hashlib.sha256(spelled(manifest)).hexdigest()
        (folder / ARRAYS).write_bytes(data)
        (folder / MANIFEST).write_bytes(spelled(manifest | {"seal": seal}))

    def arrays(self, data: bytes, described: Any = None) -> None:
        """The candidate's dns model with other arrays, well sealed."""
        self.rewrite(self.model, data, described)

    def tell(self, **fields: Any) -> None:
        """The candidate's manifest with other fields, well sealed, its signature as it was unless it is given."""
        told = {name: value for name, value in (self.fields | fields).items() if value is not ...}
        self.rewrite(self.release, save({}), **({"domain": ...} | told))

    def resign(self, key: Path, **fields: Any) -> None:
        """The candidate's manifest with other fields, signed with `key`."""
        told = self.fields | fields
        told.pop("signature")
        self.tell(**fields, signature=msgspec.to_builtins(sign(releases._canonical(told), "release", key)))

    def execute(self, statement: str, *values: object) -> None:
        """Change MLflow's database."""
        with closing(sqlite3.connect(self.registry.database)) as database, database:
            assert database.execute(statement, values).rowcount == 1


def spelled(fields: Mapping[str, Any]) -> bytes:
    """Fields as a manifest spells them."""
    known = {name: value for name, value in fields.items() if value is not ...}
    return (json.dumps(known, sort_keys=True, indent=1) + "\n").encode()


def tensors(header: Any, body: bytes = b"", size: int | None = None) -> bytes:
    """A safetensors file of any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + body


def zipped(**members: bytes) -> bytes:
    """A ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


def described(dtype: str, *shape: int) -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": list(shape)}}


Attack = Callable[[Scene], None]
ATTACKS: dict[str, tuple[Attack, str]] = {}


def attack(told: str) -> Callable[[Attack], Attack]:
    """Add an attack, and what its refusal must say."""

    def add(spoil: Attack) -> Attack:
        ATTACKS[spoil.__name__] = (spoil, told)
        return spoil

    return add


def many(prefix: str, told: str, spoils: Mapping[str, Attack]) -> None:
    """Add attacks of one kind."""
    ATTACKS.update({f"{prefix}_{name}": (spoil, told) for name, spoil in spoils.items()})


HELD = {"w": np.array([9.0])}
SOUND = save(HELD)

# Pickles in disguise

many(
    "pickle_as_arrays",
    "secmesh-dns version 3: .*arrays as safetensors",
    {
        "plain": lambda s: s.arrays(s.payload),
        "gzip": lambda s: s.arrays(gzip.compress(s.payload)),
        "zlib": lambda s: s.arrays(zlib.compress(s.payload)),
        "torch": lambda s: s.arrays(zipped(archive__data_pkl=s.payload, archive__version=b"3")),
        "torch_of_old": lambda s: s.arrays(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + s.payload),
        "numpy": lambda s: s.arrays(
            b"\x93NUMPY\x01\x00"
            + b"v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(120)
            + s.payload
        ),
        "numpy_archive": lambda s: s.arrays(zipped(w_npy=s.payload)),
        "protocol_five": lambda s: s.arrays(b"\x80\x05" + s.payload),
        "behind_arrays": lambda s: s.arrays(SOUND + s.payload, described("float64", 1)),
        "before_arrays": lambda s: s.arrays(s.payload + SOUND, described("float64", 1)),
        "base64": lambda s: s.arrays(base64.b64encode(s.payload)),
        "skops": lambda s: s.arrays(
            zipped(schema_json=json.dumps({"__loader__": "FunctionNode", "content": "os.system"}).encode())
        ),
    },
)


@attack("secmesh-dns version 3: .*manifest.json: expected a JSON object")
def pickle_as_manifest(scene: Scene) -> None:
    (scene.model / MANIFEST).write_bytes(scene.payload)


@attack("secmesh-dns version 3: expected sha256 ")
def pickle_as_bytes_of_an_array(scene: Scene) -> None:
    held = {"w": np.frombuffer(scene.payload, np.uint8)}
    scene.arrays(save(held), described("uint8", len(scene.payload)))


@attack("secmesh-dns version 3: expected sha256 ")
def pickle_in_the_metadata_of_arrays(scene: Scene) -> None:
    told = save(HELD, metadata={"__reduce__": base64.b64encode(scene.payload).decode()})
    scene.arrays(told, described("float64", 1))


def beside(name: str) -> Attack:
    """A file laid beside the two of a bundle."""

    def lay(scene: Scene) -> None:
        path = scene.model / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(scene.payload)

    return lay


# Files that do not belong, or are not there

many(
    "extra",
    "secmesh-dns version 3: .*each once and nothing else",
    {
        "model_pkl": beside("model.pkl"),
        "code": beside("code/loader.py"),
        "hidden": beside(".arrays.safetensors"),
        "sitecustomize": beside("sitecustomize.py"),
        "other_case": beside("Manifest.json"),
        "trailing_space": beside("manifest.json "),
        "homoglyph": beside("mаnifest.json"),
    },
)


@attack("secmesh-dns version 3: .*MLmodel: .*nothing else")
def an_mlmodel_with_a_loader(scene: Scene) -> None:
    loader = f"flavors:\n  python_function:\n    loader_module: os\n    data: ; touch {scene.canary}\n"
    (scene.model / "MLmodel").write_text(loader)


@attack("secmesh-release version 3: .*MLmodel: .*nothing else")
def an_mlmodel_in_the_release(scene: Scene) -> None:
    (scene.release / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: evil\n")


@attack("secmesh-dns version 3: .*manifest.json")
def no_manifest(scene: Scene) -> None:
    (scene.model / MANIFEST).unlink()


@attack("secmesh-dns version 3: .*arrays")
def renamed_arrays(scene: Scene) -> None:
    (scene.model / ARRAYS).rename(scene.model / "arrays.bin")


@attack("secmesh-dns version 3: .*expected arrays.safetensors and manifest.json")
def no_folder(scene: Scene) -> None:
    shutil.rmtree(scene.model)


@attack("secmesh-dns version 3: .*arrays.safetensors: expected a regular file")
def a_symlink_to_the_champions_arrays(scene: Scene) -> None:
    (scene.model / ARRAYS).unlink()
    (scene.model / ARRAYS).symlink_to(scene.registry.fetch(model_name(Domain.DNS), 2) / ARRAYS)


@attack("secmesh-dns version 3: .*manifest.json: expected a regular file")
def a_symlink_to_a_file_of_the_system(scene: Scene) -> None:
    (scene.model / MANIFEST).unlink()
    (scene.model / MANIFEST).symlink_to("/etc/passwd")


@attack("secmesh-dns version 3: .*expected a folder")
def a_symlink_to_another_folder(scene: Scene) -> None:
    shutil.rmtree(scene.model)
    scene.model.symlink_to(scene.registry.fetch(model_name(Domain.DNS), 2))


@attack("secmesh-dns version 3: .*bytes and sha256 its manifest names")
def a_hard_link_to_a_file_elsewhere(scene: Scene) -> None:
    elsewhere = scene.canary.with_name("elsewhere")
    elsewhere.write_bytes(scene.payload)
    (scene.model / ARRAYS).unlink()
    os.link(elsewhere, scene.model / ARRAYS)


@attack("secmesh-dns version 3: .*arrays.safetensors: expected a regular file")
def a_pipe_that_never_answers(scene: Scene) -> None:
    (scene.model / ARRAYS).unlink()
    os.mkfifo(scene.model / ARRAYS)


@attack("secmesh-dns version 3: .*arrays.safetensors: expected a regular file")
def a_folder_as_arrays(scene: Scene) -> None:
    (scene.model / ARRAYS).unlink()
    (scene.model / ARRAYS).mkdir()


@attack("secmesh-dns version 3: .*at most 1073741824 bytes")
def arrays_larger_than_memory(scene: Scene) -> None:
    os.truncate(scene.model / ARRAYS, 2**40)


@attack("secmesh-dns version 3: .*at most 16777216 bytes")
def a_manifest_larger_than_its_cap(scene: Scene) -> None:
    os.truncate(scene.model / MANIFEST, 2**24 + 1)


# Arrays that are none

many(
    "header",
    "secmesh-dns version 3: .*arrays as safetensors",
    {
        "giant": lambda s: s.arrays(tensors(b"{}", size=2**63 - 1)),
        "longer_than_the_file": lambda s: s.arrays(tensors(b"{}", size=2**20)),
        "of_a_hundred_megabytes": lambda s: s.arrays(tensors(b"{" + b" " * 101_000_000 + b"}")),
        "no_json": lambda s: s.arrays(tensors(b"\x80\x04N.")),
        "nested": lambda s: s.arrays(tensors(b'{"a":' * 5000 + b"1" + b"}" * 5000)),
        "overlapping": lambda s: s.arrays(
            tensors(
                {
                    "w": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
                    "v": {"dtype": "F64", "shape": [2], "data_offsets": [8, 24]},
                },
                bytes(24),
            )
        ),
        "beyond_the_end": lambda s: s.arrays(
            tensors({"w": {"dtype": "F64", "shape": [4], "data_offsets": [0, 32]}}, bytes(8))
        ),
        "with_a_hole": lambda s: s.arrays(
            tensors({"w": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]}}, bytes(16))
        ),
        "backwards": lambda s: s.arrays(
            tensors({"w": {"dtype": "F64", "shape": [1], "data_offsets": [8, 0]}}, bytes(8))
        ),
        "huge_shape": lambda s: s.arrays(
            tensors({"w": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, bytes(8))
        ),
        "negative_shape": lambda s: s.arrays(
            tensors({"w": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}}, bytes(8))
        ),
        "unknown_type": lambda s: s.arrays(
            tensors({"w": {"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 8]}}, bytes(8))
        ),
        "truncated": lambda s: s.arrays(SOUND[:-3]),
        "empty": lambda s: s.arrays(b""),
    },
)
many(
    "numbers",
    "secmesh-dns version 3: .*expected finite numbers in array 'w'",
    {
        "nan": lambda s: s.arrays(save({"w": np.array([np.nan])}), described("float64", 1)),
        "infinite": lambda s: s.arrays(save({"w": np.array([-np.inf])}), described("float64", 1)),
        "complex": lambda s: s.arrays(save({"w": np.zeros(1, np.complex64)}), described("complex64", 1)),
    },
)
many(
    "not_as_described",
    "secmesh-dns version 3: .*names, dtypes and shapes of its manifest",
    {
        "dtype": lambda s: s.arrays(SOUND, described("float32", 1)),
        "shape": lambda s: s.arrays(SOUND, described("float64", 1, 1)),
        "path_as_name": lambda s: s.arrays(save({"../../w": np.zeros(1)}), described("float64", 1)),
        "one_more": lambda s: s.arrays(save({"w": np.zeros(1), "v": np.zeros(1)}), described("float64", 1)),
    },
)
many(
    "sound_but_not_what_was_signed",
    "secmesh-dns version 3: expected sha256 ",
    {
        "negative_counts": lambda s: s.arrays(save({"w": np.array([-1.0])}), described("float64", 1)),
        "wrong_dtype": lambda s: s.arrays(save({"w": np.zeros(1, np.float32)}), described("float32", 1)),
        "wrong_shape": lambda s: s.arrays(save({"w": np.zeros((3, 3))}), described("float64", 3, 3)),
        "other_recipe": lambda s: s.rewrite(s.model, SOUND, described("float64", 1), words=["evil"]),
        "the_champions_model": lambda s: exchanged(s.model, s.registry.fetch(model_name(Domain.DNS), 2)),
        "another_domains_model": lambda s: exchanged(s.model, s.registry.fetch(model_name(Domain.WEB), 1)),
    },
)


def exchanged(folder: Path, other: Path) -> None:
    """`folder` with the content of another."""
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


# Manifests that are none


def manifest(content: bytes | Callable[[bytes], bytes]) -> Attack:
    """The candidate's dns manifest with another content."""

    def write(scene: Scene) -> None:
        path = scene.model / MANIFEST
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)

    return write


many(
    "manifest",
    "secmesh-dns version 3: .*manifest.json: expected",
    {
        "empty": manifest(b""),
        "deep": manifest(b"[" * 200_000),
        "long_number": manifest(b'{"a": ' + b"9" * 10_000 + b"}"),
        "nan": manifest(b'{"kind": NaN}'),
        "repeated_key": manifest(lambda text: text.replace(b"{", b'{"kind": "agent",', 1)),
        "byte_order_mark": manifest(lambda text: b"\xef\xbb\xbf" + text),
        "edited": manifest(lambda text: text.replace(b'"dns"', b'"web"')),
        "later_format": lambda s: s.rewrite(s.model, SOUND, described("float64", 1), format=2),
        "cut_short": manifest(lambda text: text[: len(text) // 2]),
        "yaml_tag": manifest(b'!!python/object/apply:os.system ["true"]'),
    },
)

# Releases

many(
    "release_told_otherwise",
    "secmesh-release version 3: .*changed since it was signed",
    {
        "metrics": lambda s: s.tell(metrics={"ap": 1.0}),
        "number": lambda s: s.tell(number=9),
        "base": lambda s: s.tell(base=None),
        "moment": lambda s: s.tell(made="2030-01-01T00:00:00Z"),
        "one_member_less": lambda s: s.tell(members={"dns": s.fields["members"]["dns"]}),
        "members_exchanged": lambda s: s.tell(
            members={"dns": s.fields["members"]["web"], "web": s.fields["members"]["dns"]}
        ),
        "member_of_another_release": lambda s: s.tell(members=older(s, 1)["members"]),
        "trust": lambda s: s.tell(trust=s.fields["members"]["dns"]),
        "loader": lambda s: s.tell(loader_module="os"),
        "signature_of_another": lambda s: s.tell(signature=older(s, 2)["signature"]),
        "signature_cut": lambda s: s.tell(signature=s.fields["signature"] | {"value": "00"}),
        "signature_no_hexadecimal": lambda s: s.tell(signature=s.fields["signature"] | {"value": "../../x"}),
    },
)
many(
    "release_signed_by_us_but_wrong",
    "secmesh-release version 3: expected the manifest of a release",
    {
        "unknown_domain": lambda s: s.resign(ours(s), members={"../dns": s.fields["members"]["dns"]}),
        "version_as_path": lambda s: s.resign(
            ours(s), members={"dns": s.fields["members"]["dns"] | {"version": "../1"}}
        ),
        "members_as_list": lambda s: s.resign(ours(s), members=[]),
        "another_kind": lambda s: s.resign(ours(s), kind="agent"),
        "unknown_field": lambda s: s.resign(ours(s), loader_module="os"),
    },
)


def ours(scene: Scene) -> Path:
    return key_path(scene.registry.home)


def older(scene: Scene, number: int) -> dict[str, Any]:
    """The manifest of an older release."""
    return dict(json.loads((scene.registry.fetch(releases.NAME, number) / MANIFEST).read_bytes()))


@attack("secmesh-release version 3: .*not signed: train it anew with `secmesh train`")
def unsigned(scene: Scene) -> None:
    scene.tell(signature=...)


@attack("secmesh-release version 3: .*expected")
def signature_of_another_shape(scene: Scene) -> None:
    scene.tell(signature=["key", "value"])


@attack("secmesh-release version 3: .*signed with key '[0-9a-f]{16}', not with ours")
def signed_with_another_key(scene: Scene) -> None:
    scene.resign(scene.canary.with_name("evil.key"))


@attack("secmesh-release version 3: .*changed since it was signed")
def signed_with_another_key_under_our_name(scene: Scene) -> None:
    before = scene.fields["signature"]["key"]
    scene.resign(scene.canary.with_name("evil.key"))
    scene.tell(signature=scene.fields["signature"] | {"key": before})


@attack("secmesh-release version 3: .*published as version 1")
def an_older_release_in_its_place(scene: Scene) -> None:
    exchanged(scene.release, scene.registry.fetch(releases.NAME, 1))


@attack("secmesh-release version 3: .*with 1 arrays")
def a_release_that_holds_arrays(scene: Scene) -> None:
    scene.rewrite(scene.release, SOUND, described("float64", 1), **scene.fields, domain=...)


@attack("secmesh-release version 3: .*published as version 1")
def a_database_that_points_at_an_older_folder(scene: Scene) -> None:
    query = "UPDATE model_versions SET source = (SELECT source FROM model_versions WHERE name = ? AND version = 1)"
    scene.execute(f"{query} WHERE name = ? AND version = 3", releases.NAME, releases.NAME)


@attack("secmesh-release version 3: .*not signed")
def a_database_that_points_out_of_the_catalogue(scene: Scene) -> None:
    bundle.write(scene.registry.home.mlruns / "evil" / "bundle", {}, {"kind": "release"})
    query = "UPDATE model_versions SET source = ? WHERE name = ? AND version = 3"
    scene.execute(query, "./../evil", releases.NAME)


@attack("too open: `chmod 644")
def a_public_key_that_anybody_may_write(scene: Scene) -> None:
    public_path(ours(scene)).chmod(0o666)


@attack("expected a regular file")
def a_public_key_that_is_a_link(scene: Scene) -> None:
    public_path(ours(scene)).rename(scene.canary.with_name("elsewhere"))
    public_path(ours(scene)).symlink_to(scene.canary.with_name("elsewhere"))


# The stage

SEEN: set[str] = set()
RUNS = frozenset(("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect"))
_is_watching = [False]


def _hear(event: str, _: object) -> None:
    if _is_watching[0]:
        SEEN.add(event)


@pytest.fixture(scope="module", autouse=True)
def _watched() -> None:
    sys.addaudithook(_hear)  # stays for the whole session, silent


@pytest.fixture(scope="module")
def home(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three releases of two domains; 1 and then 2 were promoted."""
    root = tmp_path_factory.mktemp("scene")
    home = Home.at(root / "home")
    home.mlruns.mkdir(parents=True)
    shutil.copy(template, home.mlruns / "mlflow.db")
    registry = Registry(home)
    for number in (1, 2, 3):
        with registry.run("train", "nightly", {}, {}) as run:
            versions = {d: registered(registry, run, root / f"{d}-{number}", d, v + number) for d, v in VALUES.items()}
            release = releases.publish(registry, run, versions)
        if number < 3:
            releases.promote(registry, release)
    return home.mlruns.parent


def registered(registry: Registry, run: Any, folder: Path, domain: Domain, value: float) -> int:
    bundle.write(folder, {"w": np.array([value])}, {"kind": "agent", "domain": domain.value})
    return registry.register(model_name(domain), folder, run)


@pytest.fixture
def scene(home: Path, tmp_path: Path) -> Iterator[Scene]:
    """The scene, and afterwards all as it was: the same place for all, as MLflow takes a second for each database."""
    shutil.copytree(home, tmp_path / "before")
    registry = Registry(Home.at(home))
    model, release = registry.fetch(model_name(Domain.DNS), 3), registry.fetch(releases.NAME, 3)
    yield Scene(registry, model, release, tmp_path / "canary")
    shutil.rmtree(home / "mlruns" / "evil", ignore_errors=True)
    for kept in ("mlruns/artifacts", "var"):
        shutil.rmtree(home / kept)
        shutil.copytree(tmp_path / "before" / kept, home / kept)
    kept_database = tmp_path / "before" / "mlruns" / "mlflow.db"
    with closing(sqlite3.connect(kept_database)) as before, closing(sqlite3.connect(registry.database)) as database:
        before.backup(database)


@pytest.fixture
def watch() -> Iterator[set[str]]:
    """What the interpreter did meanwhile."""
    SEEN.clear()
    _is_watching[0] = True
    yield SEEN
    _is_watching[0] = False


def served(registry: Registry) -> dict[Domain, float]:
    """What the champion's models hold."""
    release = releases.champion(registry)
    assert release is not None
    return {domain: float(found.arrays["w"][0]) for domain, found in releases.load(registry, release).items()}


def take(registry: Registry) -> None:
    """What a person would do with the candidate, through the door that serving uses, too."""
    releases.promote(registry, releases.find(registry, 3), reason="it looks good")


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_artifact_is_refused_by_name_runs_nothing_and_changes_no_champion(
    scene: Scene, watch: set[str], name: str
) -> None:
    spoil, told = ATTACKS[name]
    public = public_path(key_path(scene.registry.home)).read_bytes()
    spoil(scene)
    with pytest.raises(FoundWrong) as refused:
        take(scene.registry)
    assert re.search(told, str(refused.value)), str(refused.value)
    assert "\n" not in str(refused.value)
    assert not scene.canary.exists()
    assert not watch & RUNS
    assert "open" in watch
    path = public_path(key_path(scene.registry.home))
    path.unlink()
    path.write_bytes(public)
    assert served(scene.registry) == {domain: value + 2 for domain, value in VALUES.items()}


def test_there_are_enough_attacks_and_pickles_among_them() -> None:
    assert len(ATTACKS) >= LEAST
    assert sum(name.startswith("pickle") for name in ATTACKS) >= 10


def test_a_sound_candidate_is_taken(scene: Scene) -> None:
    take(scene.registry)
    assert served(scene.registry) == {domain: value + 3 for domain, value in VALUES.items()}


def test_a_candidate_that_is_rewritten_with_all_care_is_taken(scene: Scene) -> None:
    scene.resign(key_path(scene.registry.home))
    take(scene.registry)
    assert served(scene.registry) == {domain: value + 3 for domain, value in VALUES.items()}


def test_a_payload_that_is_unpickled_makes_the_canary(scene: Scene) -> None:
    (scene.model / "payload").write_bytes(scene.payload)
    code = f"import pickle; pickle.load(open({str(scene.model / 'payload')!r}, 'rb'))"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our own code
    assert scene.canary.exists()


# Between looking and using


def test_arrays_swapped_after_their_manifest_was_read_are_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bundle._content

    def swapping(path: Path) -> bytes:
        found = content(path)
        if path == scene.model / MANIFEST:
            (scene.model / ARRAYS).write_bytes(SOUND)
        return found

    monkeypatch.setattr(bundle, "_content", swapping)
    with pytest.raises(FoundWrong, match=r"secmesh-dns version 3: .*sha256"):
        take(scene.registry)


def test_a_link_laid_after_the_folder_was_listed_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = bundle._only_two_files

    def swapping(folder: Path) -> None:
        listed(folder)
        if folder == scene.model:
            (folder / ARRAYS).rename(scene.canary.with_name("elsewhere"))
            (folder / ARRAYS).symlink_to(scene.canary.with_name("elsewhere"))

    monkeypatch.setattr(bundle, "_only_two_files", swapping)
    with pytest.raises(FoundWrong, match=r"arrays\.safetensors: expected a regular file"):
        take(scene.registry)


def test_a_model_swapped_between_finding_a_release_and_loading_it_is_refused(scene: Scene) -> None:
    release = releases.find(scene.registry, 3)
    exchanged(scene.model, scene.registry.fetch(model_name(Domain.DNS), 1))
    with pytest.raises(FoundWrong, match="secmesh-dns version 3: expected sha256"):
        releases.load(scene.registry, release)


def test_what_was_loaded_does_not_change_with_its_files(scene: Scene) -> None:
    loaded = releases.load(scene.registry, releases.find(scene.registry, 3))
    for name in (ARRAYS, MANIFEST):
        with (scene.model / name).open("r+b") as file:
            file.write(b"\xff" * 64)
    assert loaded[Domain.DNS].arrays["w"].tolist() == [VALUES[Domain.DNS] + 3]


# The champion itself


def test_an_alias_moved_in_the_database_to_an_older_release_is_refused(scene: Scene) -> None:
    moved = "UPDATE registered_model_aliases SET version = ? WHERE name = ? AND alias = ?"
    scene.execute(moved, 1, releases.NAME, CHAMPION)
    with pytest.raises(FoundWrong, match="secmesh-release version 1: older than release 2"):
        releases.champion(scene.registry)


def test_an_alias_moved_to_a_release_that_nobody_promoted_is_refused(scene: Scene) -> None:
    scene.registry.promote(releases.NAME, 3, CHAMPION)
    with pytest.raises(FoundWrong, match="secmesh-release version 3: was never promoted here"):
        releases.champion(scene.registry)


def test_a_champion_exchanged_for_another_that_we_signed_under_its_number_is_refused(scene: Scene) -> None:
    """Such as the second release of another home that signs with the same key."""
    folder = scene.registry.fetch(releases.NAME, 2)
    other = Scene(scene.registry, scene.model, folder, scene.canary)
    other.resign(key_path(scene.registry.home), run_id="of another home")
    with pytest.raises(FoundWrong, match="secmesh-release version 2: other content than was promoted"):
        releases.champion(scene.registry)


def test_a_record_of_champions_that_somebody_else_signed_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = champions.Act(1, releases.find(scene.registry, 1).sha256, releases.now_utc(), "eve", "")
    monkeypatch.setenv(signing.VARIABLE, str(scene.canary.with_name("evil.key")))
    champions.write(scene.registry.home, champions.Record((act,)))
    monkeypatch.delenv(signing.VARIABLE)
    scene.registry.promote(releases.NAME, 1, CHAMPION)
    with pytest.raises(FoundWrong, match=r"champions\.json: signed with key"):
        releases.champion(scene.registry)


def test_a_signature_of_a_release_is_none_of_a_record(scene: Scene) -> None:
    path = champions.record_path(scene.registry.home)
    told = json.loads(path.read_bytes()) | {"signature": scene.fields["signature"]}
    path.write_text(json.dumps(told))
    with pytest.raises(FoundWrong, match=r"champions\.json: changed since it was signed"):
        releases.champion(scene.registry)
