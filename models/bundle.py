"""A model on disk as plain data: a file of arrays, described by a sealed manifest."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load, save

from features.mistakes import FoundWrong

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"

FORMAT = 1
ARRAYS = "arrays.safetensors"
MANIFEST = "manifest.json"
#: Most bytes either file may have, so that a planted file cannot take all memory.
CAPS: Mapping[str, int] = MappingProxyType({ARRAYS: 2**30, MANIFEST: 2**24})
DTYPES = frozenset(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)) | frozenset(
    ("bool", "float16", "float32", "float64")
)
#: What `write` says itself; the caller's fields have other names.
RESERVED = frozenset(("format", "file", "arrays", "seal"))


class BundleRefused(FoundWrong):
    """A folder is not the bundle it claims to be; the text names the file and what was expected."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model's arrays and manifest as read; `sha256` is the manifest's, which in turn fixes the arrays."""

    arrays: Mapping[str, NDArray[Any]]
    manifest: Mapping[str, Any]
    sha256: str


def write(folder: Path, arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, JSON]) -> str:
    """Write a bundle into `folder`, which is new or empty, and return its sha256.

    The same arrays and fields give the same bytes. The manifest comes last, so a bundle cut short is refused.
    `manifest` must hold `kind`; an array or field that cannot come back unchanged raises ValueError.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = write(Path(folder), {"mean": np.zeros(3)}, {"kind": "scaler", "fitted": True})
    ...     bundle = read(Path(folder))
    >>> bundle.manifest["kind"], bundle.arrays["mean"].shape
    ('scaler', (3,))
    """
    plain = {name: _plain(name, arrays[name]) for name in sorted(arrays)}
    data = save(plain)
    text = _seal(_own_fields(manifest) | {"format": FORMAT, "file": _mark(data), "arrays": _shapes(plain)})
    for name, content in ((ARRAYS, data), (MANIFEST, text)):
        if len(content) > CAPS[name]:
            raise ValueError(f"{name} would have {len(content)} bytes; at most {CAPS[name]} are read back")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} already holds files; a bundle is written into an empty folder")
    _keep(folder / ARRAYS, data)
    _keep(folder / MANIFEST, text)
    return hashlib.sha256(text).hexdigest()


def read(folder: Path) -> Bundle:
    """The bundle in `folder`, or BundleRefused if one byte of it is not as it was written."""
    _only_two_files(folder)
    text = _content(folder / MANIFEST)
    manifest = _unsealed(folder / MANIFEST, text)
    data = _content(folder / ARRAYS)
    if _mark(data) != manifest["file"]:
        raise BundleRefused(f"{folder / ARRAYS}: expected the bytes and sha256 its manifest names")
    arrays = _loaded(folder / ARRAYS, data)
    _as_described(folder / ARRAYS, arrays, manifest["arrays"])
    return Bundle(MappingProxyType(arrays), MappingProxyType(manifest), hashlib.sha256(text).hexdigest())


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """`array` in C order and native byte order, as safetensors reads it from memory."""
    if array.dtype.name not in DTYPES:
        raise ValueError(f"array {name!r} is {array.dtype.name}; a bundle holds {', '.join(sorted(DTYPES))}")
    if not np.isfinite(array).all():
        raise ValueError(f"array {name!r} has values that are not finite")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _own_fields(manifest: Mapping[str, JSON]) -> dict[str, JSON]:
    if not isinstance(manifest.get("kind"), str):
        raise ValueError("manifest field 'kind' must be a text")
    if taken := RESERVED & manifest.keys():
        raise ValueError(f"manifest fields {sorted(taken)} are written by the bundle itself")
    return dict(manifest)


def _mark(data: bytes) -> dict[str, JSON]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _shapes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, JSON]:
    return {name: {"dtype": a.dtype.name, "shape": list(a.shape)} for name, a in arrays.items()}


def _seal(fields: Mapping[str, JSON]) -> bytes:
    """The one way to write `fields`, with a hash over them: any other spelling is not this manifest."""
    seal = hashlib.sha256(_encode(fields)).hexdigest()
    return _encode({**fields, "seal": seal})


def _encode(fields: Mapping[str, JSON]) -> bytes:
    return (json.dumps(fields, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _keep(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _only_two_files(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        raise BundleRefused(f"{folder}: expected a folder with {ARRAYS} and {MANIFEST}")
    with os.scandir(folder) as entries:
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    for name in sorted(found.keys() ^ CAPS.keys()):
        raise BundleRefused(f"{folder / name}: expected {ARRAYS} and {MANIFEST}, each once and nothing else")
    for name in sorted(name for name, regular in found.items() if not regular):
        raise BundleRefused(f"{folder / name}: expected a regular file, not a link or folder")


def _content(path: Path) -> bytes:
    """All bytes of `path`, never through a link, even one laid after the folder was listed."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            is_too_long = os.fstat(file.fileno()).st_size > CAPS[path.name]
            content = b"" if is_too_long else file.read(CAPS[path.name] + 1)
    except OSError as error:
        raise BundleRefused(f"{path}: expected a regular file that can be read") from error
    if is_too_long or len(content) > CAPS[path.name]:
        raise BundleRefused(f"{path}: expected at most {CAPS[path.name]} bytes")
    return content


def _unsealed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
        sealed = _seal({name: value for name, value in manifest.items() if name != "seal"})
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleRefused(f"{path}: expected a JSON object of finite values") from error
    if sealed != text:
        raise BundleRefused(f"{path}: expected the text its seal was made of")
    if manifest.get("format") != FORMAT:
        raise BundleRefused(f"{path}: expected format {FORMAT}, found {manifest.get('format')!r}")
    if missing := ({"kind"} | RESERVED) - manifest.keys():
        raise BundleRefused(f"{path}: expected fields {sorted(missing)}")
    return {name: value for name, value in manifest.items() if name != "seal"}


def _loaded(path: Path, data: bytes) -> dict[str, NDArray[Any]]:
    try:
        return dict(load(data))
    except (safetensors.SafetensorError, KeyError) as error:
        raise BundleRefused(f"{path}: expected arrays as safetensors") from error


def _as_described(path: Path, arrays: Mapping[str, NDArray[Any]], described: JSON) -> None:
    if _shapes(arrays) != described:
        raise BundleRefused(f"{path}: expected the names, dtypes and shapes of its manifest")
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES or not np.isfinite(array).all():
            raise BundleRefused(f"{path}: expected finite numbers in array {name!r}")
