"""The key that releases are signed with, and what a signature by it is worth."""

import hashlib
import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from features.mistakes import FoundWrong
from models.home import Home

#: Names the file of the private key, where it is not kept below `home.var`.
VARIABLE = "SECMESH_RELEASE_KEY"

_LARGEST = 2**14
#: What is signed begins with its purpose, so that no signature can be passed off as one of something else.
_PURPOSE = "secmesh {purpose}\n"
_NOBODY_ELSE_READS, _NOBODY_ELSE_WRITES = 0o077, 0o022


class KeyRefused(FoundWrong):
    """The key is missing, broken or open to others; the text names the file and the remedy."""


class SignatureRefused(FoundWrong):
    """What is signed was changed, or somebody else signed it."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose key signed, by its fingerprint, and the signature itself, both in hexadecimal."""

    key: str
    value: str


def key_path(home: Home) -> Path:
    """The file of the private key; the public one is beside it, and is all that serving needs."""
    return Path(os.environ.get(VARIABLE) or home.var / "keys" / "release.key")


def public_path(key: Path) -> Path:
    """The file of the public key that belongs to the private one at `key`.

    >>> public_path(Path("keys/release.key")).name
    'release.key.pub'
    """
    return key.with_name(f"{key.name}.pub")


def sign(content: bytes, purpose: str, key: Path) -> Signature:
    """Sign `content` for one `purpose` with the private key at `key`, which is made on first use."""
    private = _private(key)
    value = private.sign(_told(content, purpose))
    return Signature(_fingerprint(private.public_key()), value.hex())


def verify(content: bytes, purpose: str, signature: Signature, key: Path) -> None:
    """Raise SignatureRefused unless the key at `key` signed `content` for this `purpose`; KeyRefused without a key."""
    public = _public(key)
    ours = _fingerprint(public)
    if signature.key != ours:
        raise SignatureRefused(f"signed with key {signature.key[:16]!r}, not with ours, {ours} in {public_path(key)}")
    try:
        public.verify(bytes.fromhex(signature.value), _told(content, purpose))
    except (InvalidSignature, ValueError) as error:
        raise SignatureRefused("changed since it was signed") from error


def make_key(key: Path) -> None:
    """Make a key pair at `key`, readable by nobody else, unless there is one; whoever is first wins."""
    key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = Ed25519PrivateKey.generate()
    with TemporaryDirectory(dir=key.parent) as folder:
        _write(Path(folder) / "private", _private_text(private), 0o600)
        _write(Path(folder) / "public", _public_text(private.public_key()), 0o644)
        try:
            os.link(Path(folder) / "private", key)
        except FileExistsError:
            return
        os.replace(Path(folder) / "public", public_path(key))


def _private(key: Path) -> Ed25519PrivateKey:
    if not os.path.lexists(key):
        if os.path.lexists(public_path(key)) and not os.path.lexists(key):  # it is made before the public one
            raise KeyRefused(f"{key}: the private key is not here, only its public one: bring it back, or train there")
        make_key(key)
    if stat.S_IMODE(key.parent.stat().st_mode) & _NOBODY_ELSE_WRITES:
        raise KeyRefused(f"{key.parent}: others may write there and exchange the key: `chmod 700 {key.parent}`")
    try:
        private = serialization.load_pem_private_key(_content(key, _NOBODY_ELSE_READS, "600"), password=None)
    except (ValueError, TypeError) as error:
        raise KeyRefused(f"{key}: expected an Ed25519 private key as PEM: bring back a copy of it") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyRefused(f"{key}: expected an Ed25519 key, found another kind: bring back a copy of it")
    return private


def _public(key: Path) -> Ed25519PublicKey:
    path = public_path(key)
    if not os.path.lexists(path):
        if os.path.lexists(key):
            return _private(key).public_key()
        raise KeyRefused(f"{path}: no key to check releases with: copy it from where they are signed, or train here")
    try:
        public = serialization.load_pem_public_key(_content(path, _NOBODY_ELSE_WRITES, "644"))
    except ValueError as error:
        raise KeyRefused(f"{path}: expected an Ed25519 public key as PEM: bring back a copy of it") from error
    if not isinstance(public, Ed25519PublicKey):
        raise KeyRefused(f"{path}: expected an Ed25519 key, found another kind: bring back a copy of it")
    return public


def _content(path: Path, forbidden: int, wanted: str) -> bytes:
    """All bytes of a key's file, if it is one and nobody else has rights to it that are `forbidden`."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeyRefused(f"{path}: expected a regular file, not a link or folder")
            if status.st_uid not in (0, os.geteuid()):
                raise KeyRefused(f"{path}: belongs to another user: `chown` it to the one who runs secmesh")
            if stat.S_IMODE(status.st_mode) & forbidden:
                raise KeyRefused(f"{path}: permissions are too open: `chmod {wanted} {path}`")
            return file.read(_LARGEST)
    except OSError as error:
        raise KeyRefused(f"{path}: expected a regular file that can be read: {error.strerror}") from error


def _told(content: bytes, purpose: str) -> bytes:
    return _PURPOSE.format(purpose=purpose).encode() + content


def _fingerprint(public: Ed25519PublicKey) -> str:
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def _private_text(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_text(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write(path: Path, content: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
