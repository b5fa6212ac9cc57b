"""The laws of the key and of what it signs."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from models import signing
from models.home import Home
from models.signing import KeyRefused, Signature, SignatureRefused, key_path, public_path, sign, verify


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "release.key"
    sign(b"", "test", path)
    return path


def other_kind(path: Path) -> None:
    private = Ed448PrivateKey.generate()
    plain = serialization.NoEncryption()
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    public_path(path).write_bytes(
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@given(content=st.binary(max_size=64), purpose=st.sampled_from(["release", "champions"]))
def test_what_was_signed_is_known_again(key: Path, content: bytes, purpose: str) -> None:
    verify(content, purpose, sign(content, purpose, key), key)


@given(content=st.binary(min_size=1, max_size=32), at=st.integers(0, 31), bit=st.integers(0, 7))
def test_one_bit_changed_is_refused(key: Path, content: bytes, at: int, bit: int) -> None:
    signature = sign(content, "release", key)
    changed = bytearray(content)
    changed[at % len(content)] ^= 1 << bit
    with pytest.raises(SignatureRefused, match="changed since"):
        verify(bytes(changed), "release", signature, key)


@given(at=st.integers(0, 127), letter=st.sampled_from("0123456789abcdefg"))
def test_a_changed_signature_is_refused(key: Path, at: int, letter: str) -> None:
    good = sign(b"content", "release", key)
    value = good.value[:at] + letter + good.value[at + 1 :]
    if value == good.value:
        return
    with pytest.raises(SignatureRefused, match="changed since"):
        verify(b"content", "release", Signature(good.key, value), key)


def test_a_signature_for_one_purpose_is_none_for_another(key: Path) -> None:
    with pytest.raises(SignatureRefused, match="changed since"):
        verify(b"content", "champions", sign(b"content", "release", key), key)


def test_another_key_is_named(key: Path, tmp_path: Path) -> None:
    foreign = sign(b"content", "release", tmp_path / "other.key")
    with pytest.raises(SignatureRefused, match=f"signed with key '{foreign.key}', not with ours"):
        verify(b"content", "release", foreign, key)
    ours = sign(b"content", "release", key)
    with pytest.raises(SignatureRefused, match="changed since"):
        verify(b"content", "release", Signature(ours.key, foreign.value), key)


def test_the_first_signature_makes_a_key_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "release.key"
    sign(b"", "release", path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {file.name for file in path.parent.iterdir()} == {"release.key", "release.key.pub"}


def test_of_many_who_make_the_key_at_once_one_wins_and_all_use_it(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    signatures: list[Signature] = []
    threads = [Thread(target=lambda: signatures.append(sign(b"", "release", path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signatures) == 8
    for signature in signatures:
        verify(b"", "release", signature, path)


def test_the_public_key_is_enough_to_check_but_not_to_sign(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    signature = sign(b"content", "release", path)
    path.unlink()
    verify(b"content", "release", signature, path)
    with pytest.raises(KeyRefused, match="the private key is not here"):
        sign(b"content", "release", path)


def test_the_private_key_is_enough_to_check(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    signature = sign(b"content", "release", path)
    public_path(path).unlink()
    verify(b"content", "release", signature, path)


def test_without_any_key_nothing_is_checked_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="copy it from where they are signed"):
        verify(b"", "release", Signature("", ""), tmp_path / "keys" / "release.key")
    assert not list(tmp_path.iterdir())


def test_the_key_is_below_var_unless_the_environment_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(signing.VARIABLE, raising=False)
    home = Home.at(tmp_path)
    assert key_path(home) == tmp_path / "var" / "keys" / "release.key"
    monkeypatch.setenv(signing.VARIABLE, "/etc/secmesh/release.key")
    assert key_path(home) == Path("/etc/secmesh/release.key")


def open_private(key: Path) -> None:
    key.chmod(0o640)


def broken_private(key: Path) -> None:
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n")


def linked_private(key: Path) -> None:
    key.rename(key.parent / "elsewhere")
    key.symlink_to(key.parent / "elsewhere")


def folder_private(key: Path) -> None:
    key.unlink()
    key.mkdir()


def open_folder(key: Path) -> None:
    key.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (open_private, "too open: `chmod 600"),
        (broken_private, "expected an Ed25519 private key as PEM"),
        (linked_private, "expected a regular file"),
        (folder_private, "regular file"),
        (open_folder, "others may write there"),
        (other_kind, "found another kind"),
    ],
)
def test_a_private_key_that_cannot_be_trusted_signs_nothing(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    path = tmp_path / "keys" / "release.key"
    sign(b"", "release", path)
    spoil(path)
    with pytest.raises(KeyRefused, match=told) as refused:
        sign(b"", "release", path)
    assert str(path.parent) in str(refused.value)


def writable_public(key: Path) -> None:
    public_path(key).chmod(0o666)


def broken_public(key: Path) -> None:
    public_path(key).write_bytes(b"ssh-ed25519 AAAA")


def pipe_public(key: Path) -> None:
    public_path(key).unlink()
    os.mkfifo(public_path(key), 0o600)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (writable_public, "too open: `chmod 644"),
        (broken_public, "expected an Ed25519 public key as PEM"),
        (pipe_public, "expected a regular file"),
        (other_kind, "found another kind"),
    ],
)
def test_a_public_key_that_cannot_be_trusted_checks_nothing(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    path = tmp_path / "keys" / "release.key"
    signature = sign(b"", "release", path)
    spoil(path)
    with pytest.raises(KeyRefused, match=told) as refused:
        verify(b"", "release", signature, path)
    assert str(public_path(path)) in str(refused.value)
