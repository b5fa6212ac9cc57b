"""The laws of a model on disk."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors.numpy import save

from models import bundle
from models.bundle import ARRAYS, MANIFEST, Bundle, BundleRefused

NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
NUMBERS = st.sampled_from(sorted(bundle.DTYPES)).flatmap(
    lambda dtype: hnp.arrays(
        dtype, SHAPES, elements={"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else None
    )
)
FIELDS = st.dictionaries(
    NAMES.filter(lambda name: name not in bundle.RESERVED),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
SMALL: Mapping[str, NDArray[Any]] = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "counts": np.array([1, 2**40], np.int64),
}


def written(folder: Path) -> Path:
    """A small sound bundle."""
    bundle.write(folder, SMALL, {"kind": "encoder", "epochs": 3})
    return folder


def forge(folder: Path, data: bytes, **fields: Any) -> Path:
    """A bundle as an attacker would make it: well sealed, whatever it holds."""
    folder.mkdir()
    (folder / ARRAYS).write_bytes(data)
    file = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return sealed(folder, {"format": 1, "kind": "encoder", "file": file, "arrays": {}} | fields)


def sealed(folder: Path, fields: Any) -> Path:
    """`folder` with a manifest of `fields` and the right seal."""
    seal = hashlib.sha256(spelled(fields)).hexdigest()
    (folder / MANIFEST).write_bytes(spelled(fields | {"seal": seal}))
    return folder


def spelled(fields: Any) -> bytes:
    """`fields` as a manifest writes them."""
    return (json.dumps(fields, sort_keys=True, indent=1) + "\n").encode()


def is_refused(folder: Path) -> bool:
    """Whether `folder` is no bundle."""
    try:
        bundle.read(folder)
    except BundleRefused:
        return True
    return False


def round_trip(arrays: Mapping[str, NDArray[Any]], fields: Mapping[str, Any]) -> Bundle:
    """What comes back of what was written."""
    with TemporaryDirectory() as folder:
        sha256 = bundle.write(Path(folder), arrays, fields)
        found = bundle.read(Path(folder))
    assert found.sha256 == sha256
    return found


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(NAMES, NUMBERS, max_size=4), FIELDS)
def test_what_is_written_comes_back_bit_for_bit(arrays: dict[str, NDArray[Any]], fields: dict[str, Any]) -> None:
    found = round_trip(arrays, fields | {"kind": "encoder"})
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()
    assert {name: found.manifest[name] for name in fields} == fields | ({"kind": "encoder"} if "kind" in fields else {})


def test_the_same_arrays_give_the_same_bytes_in_any_order_and_layout(tmp_path: Path) -> None:
    turned = {"counts": SMALL["counts"].astype(">i8"), "weights": np.asfortranarray(SMALL["weights"])}
    bundle.write(tmp_path / "a", SMALL, {"kind": "k", "x": 1, "y": 2})
    bundle.write(tmp_path / "b", turned, {"y": 2, "x": 1, "kind": "k"})
    for name in (ARRAYS, MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("name", [ARRAYS, MANIFEST])
def test_a_change_of_any_byte_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "m") / name
    sound = path.read_bytes()
    for position in range(len(sound)):
        for flip in (1, 0x20):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ flip]) + sound[position + 1 :])
            assert is_refused(tmp_path / "m"), (position, flip)


@pytest.mark.parametrize("name", [ARRAYS, MANIFEST])
def test_a_file_cut_short_or_grown_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "m") / name
    sound = path.read_bytes()
    for content in (*(sound[:end] for end in range(0, len(sound), 7)), sound + b"\n", sound + sound):
        path.write_bytes(content)
        assert is_refused(tmp_path / "m"), len(content)


def extra_file(folder: Path) -> None:
    (folder / "code.py").write_text("print()")


def extra_folder(folder: Path) -> None:
    (folder / "inside").mkdir()


def no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def linked_arrays(folder: Path) -> None:
    (folder / ARRAYS).rename(folder.parent / "elsewhere")
    (folder / ARRAYS).symlink_to(folder.parent / "elsewhere")


def folder_as_arrays(folder: Path) -> None:
    (folder / ARRAYS).unlink()
    (folder / ARRAYS).mkdir()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (extra_file, "code.py"),
        (extra_folder, "inside"),
        (no_manifest, MANIFEST),
        (linked_arrays, ARRAYS),
        (folder_as_arrays, ARRAYS),
    ],
)
def test_exactly_two_regular_files_are_a_bundle(tmp_path: Path, spoil: Callable[[Path], None], named: str) -> None:
    spoil(written(tmp_path / "m"))
    with pytest.raises(BundleRefused, match=named):
        bundle.read(tmp_path / "m")


def test_a_linked_or_missing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path / "m"))
    assert is_refused(tmp_path / "link")
    assert is_refused(tmp_path / "nothing")


def test_a_link_laid_after_the_folder_was_listed_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked_arrays(written(tmp_path / "m"))
    monkeypatch.setattr(bundle, "_only_two_files", lambda folder: None)
    with pytest.raises(BundleRefused, match=f"{ARRAYS}: expected a regular file"):
        bundle.read(tmp_path / "m")


@pytest.mark.parametrize("name", [ARRAYS, MANIFEST])
def test_a_file_above_its_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written(tmp_path / "m")
    monkeypatch.setattr(bundle, "CAPS", {**bundle.CAPS, name: 100})
    with pytest.raises(BundleRefused, match=f"{name}: expected at most 100 bytes"):
        bundle.read(tmp_path / "m")
    with pytest.raises(ValueError, match="at most 100"):
        written(tmp_path / "n")
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_neither_written_nor_read(tmp_path: Path, value: float) -> None:
    odd = {"w": np.array([0.0, value])}
    with pytest.raises(ValueError, match="array 'w'"):
        bundle.write(tmp_path / "m", odd, {"kind": "encoder"})
    forged = forge(tmp_path / "f", save(odd), arrays={"w": {"dtype": "float64", "shape": [2]}})
    with pytest.raises(BundleRefused, match="finite numbers in array 'w'"):
        bundle.read(forged)


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"w": {"dtype": "float64", "shape": [3, 2]}},
        {"w": {"dtype": "float32", "shape": [2, 3]}},
        {"v": {"dtype": "float64", "shape": [2, 3]}},
        {"w": {"dtype": "float64", "shape": [2, 3]}, "v": {"dtype": "bool", "shape": []}},
        None,
    ],
)
def test_other_names_dtypes_or_shapes_than_the_manifest_says_are_refused(tmp_path: Path, described: Any) -> None:
    forged = forge(tmp_path / "f", save({"w": np.zeros((2, 3))}), arrays=described)
    with pytest.raises(BundleRefused, match="names, dtypes and shapes"):
        bundle.read(forged)


def test_a_forger_who_keeps_all_rules_is_read(tmp_path: Path) -> None:
    forged = forge(tmp_path / "f", save({"w": np.zeros(2)}), arrays={"w": {"dtype": "float64", "shape": [2]}})
    assert bundle.read(forged).arrays["w"].tolist() == [0, 0]


@pytest.mark.parametrize("data", [b"", b"\x80\x04N.", b"\x02\0\0\0\0\0\0\0{}x", b"\xff" * 64])
def test_bytes_that_are_no_safetensors_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleRefused, match="safetensors"):
        bundle.read(forge(tmp_path / "f", data))


def test_numbers_that_have_no_place_here_are_refused(tmp_path: Path) -> None:
    complex64 = {"w": np.zeros(2, np.complex64)}
    with pytest.raises(ValueError, match="complex64"):
        bundle.write(tmp_path / "m", complex64, {"kind": "encoder"})
    forged = forge(tmp_path / "f", save(complex64), arrays={"w": {"dtype": "complex64", "shape": [2]}})
    assert is_refused(forged)


@pytest.mark.parametrize("missing", ["kind", "file", "arrays", "format"])
def test_a_manifest_without_its_own_fields_is_refused(tmp_path: Path, missing: str) -> None:
    manifest = json.loads((written(tmp_path / "m") / MANIFEST).read_bytes())
    sealed(tmp_path / "m", {name: value for name, value in manifest.items() if name not in (missing, "seal")})
    with pytest.raises(BundleRefused, match=missing):
        bundle.read(tmp_path / "m")


def test_a_later_format_is_refused_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="expected format 1, found 2"):
        bundle.read(forge(tmp_path / "f", save({}), format=2))


@pytest.mark.parametrize("text", [b"[]", b"\xff", b'{"a": NaN}', b'{"a": 1e999}', b'{"a":1,"a":2}', b"[" * 100_000])
def test_a_manifest_that_is_no_plain_object_is_refused(tmp_path: Path, text: bytes) -> None:
    (written(tmp_path / "m") / MANIFEST).write_bytes(text)
    with pytest.raises(BundleRefused, match=MANIFEST):
        bundle.read(tmp_path / "m")


def test_a_manifest_spelled_otherwise_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m") / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    with pytest.raises(BundleRefused, match="seal"):
        bundle.read(tmp_path / "m")


@pytest.mark.parametrize(
    ("fields", "named"), [({}, "kind"), ({"kind": 3}, "kind"), ({"kind": "k", "seal": ""}, "seal")]
)
def test_a_wrong_field_is_named_to_who_writes(tmp_path: Path, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        bundle.write(tmp_path / "m", {}, fields)


def test_a_bundle_is_never_written_over_another(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="empty folder"):
        written(written(tmp_path / "m"))


def test_a_bundle_cut_short_while_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = bundle._keep

    def full_disk(path: Path, content: bytes) -> None:
        if path.name == MANIFEST:
            raise OSError("no space left")
        keep(path, content)

    monkeypatch.setattr(bundle, "_keep", full_disk)
    with pytest.raises(OSError, match="no space"):
        written(tmp_path / "m")
    assert is_refused(tmp_path / "m")
