"""API keys: who holds one, kept as hashes in a file that nobody else may read.

A key is `smk_`, its id and 256 bits of chance; it is shown once, when it is made. With that much chance in it, one
HMAC-SHA256 is as good as a slow hash. The secret of the HMAC is in the same file: it makes hashes of one installation
worthless in another.
"""

import fcntl
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Annotated

import msgspec

from features.mistakes import AskedWrong, FoundWrong
from features.whole_files import write_whole
from models.home import Home
from serving.access.policy import MAIN, Principal, Role, is_loopback, local

#: Bytes of chance: how many are wanted goes in, as `secrets.token_bytes` takes it.
Chance = Callable[[int], bytes]

_LARGEST = 2**24
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_NAMES = "small letters, digits and ._- between them, at most 64"
_OTHERS, _OTHERS_WRITE = 0o077, 0o002
_NOBODYS = "0" * 64

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class KeysRefused(FoundWrong):
    """The file of keys is broken, gone or open to others; the text names it and the remedy. No key is good then."""


class KeyAsked(AskedWrong):
    """No such key can be made or revoked; the text says why and what to do instead."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known of a key but itself: whose it is and what its hash is; times are UTC."""

    id: str
    name: str
    role: Role
    tenant: str
    made: _Time
    expires: _Time | None
    revoked: _Time | None
    digest: _Digest

    def is_good(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def check_name(field: str, value: str) -> None:
    """Raise KeyAsked unless a name of a principal or tenant can be one."""
    if not _NAME.fullmatch(value):
        raise KeyAsked(f"{field} {value!r}: expected {_NAMES}")


def keys_path(home: Home) -> Path:
    """The file of the keys."""
    return home.var / "keys.json"


def add(
    path: Path,
    name: str,
    role: Role,
    now: datetime,
    chance: Chance,
    *,
    tenant: str = MAIN,
    lifetime: timedelta | None = None,
) -> str:
    """Make a key and keep its hash; the key itself is in the answer and nowhere else.

    A name may hold several keys, as while one replaces another, but all for one role and tenant. Raises KeyAsked for
    a name or lifetime that cannot be, KeysRefused for a file that cannot be used.
    """
    check_name("name", name)
    check_name("tenant", tenant)
    _check_lifetime(lifetime)
    with _changing(path):
        ring = _read(path) or _Ring(chance(32).hex(), ())
        _check_same(ring, name, role, tenant, now)
        id, secret = chance(8).hex(), chance(32).hex()
        text = f"smk_{id}_{secret}"
        expires = None if lifetime is None else now + lifetime
        key = Key(id, name, role, tenant, now, expires, None, _digest(ring, text))
        _write(path, _Ring(ring.pepper, (*ring.keys, key)))
    return text


def revoke(path: Path, which: str, now: datetime) -> tuple[Key, ...]:
    """Make the key of that id, or all keys of that name, worthless from now on, and tell which they were.

    Raises KeyAsked where no key is left to revoke, KeysRefused for a file that cannot be used.
    """
    with _changing(path):
        ring = _read(path) or _Ring("", ())
        gone = {key.id for key in ring.keys if which in (key.id, key.name) and key.revoked is None}
        if not gone:
            raise KeyAsked(f"{path}: no key with the id or name {which!r} to revoke: `secmesh keys list` shows them")
        kept = tuple(msgspec.structs.replace(key, revoked=now) if key.id in gone else key for key in ring.keys)
        _write(path, _Ring(ring.pepper, kept))
    return tuple(key for key in kept if key.id in gone)


def listed(path: Path) -> tuple[Key, ...]:
    """Every key ever made, the oldest first. Raises KeysRefused for a file that cannot be used."""
    ring = _read(path)
    return ring.keys if ring else ()


class Keyring:
    """The keys as the file at `path` has them at the moment of each question: what is revoked is so at once.

    Without a file, whoever is local needs no key, and is of `tenant`. Once there was one keys stay needed: if it
    vanishes, nobody gets in.
    """

    def __init__(self, path: Path, tenant: str = MAIN) -> None:
        self._path, self._tenant = path, tenant
        self._stamp: tuple[int, int, int] | None = None
        self._ring: _Ring | None = None
        self._by_id: dict[str, Key] = {}

    def check(self, address: str) -> None:
        """Raise KeysRefused unless a server may listen on this IP address: beyond this machine it needs keys."""
        if self._now() is None and not is_loopback(address):
            raise KeysRefused(
                f"{self._path}: no keys, which {address} needs: `secmesh keys add NAME --role admin`, "
                "or listen on 127.0.0.1"
            )

    def who(self, headers: Mapping[str, str], address: str, now: datetime) -> Principal | None:
        """Who sent a request with these headers, names in small letters, to a server that listens on `address`.

        None is nobody we know: that a key is wrong, expired or revoked is told apart by nothing. Raises KeysRefused if
        the keys cannot be read.
        """
        ring = self._now()
        if "authorization" in headers:
            return self._holder(ring, _bearer(headers["authorization"]), now)
        return local(address, headers, self._tenant) if ring is None else None

    def _holder(self, ring: "_Ring | None", text: str, now: datetime) -> Principal | None:
        if ring is None:
            return None
        key = self._by_id.get(text[4:20])
        is_same = hmac.compare_digest(_digest(ring, text), key.digest if key else _NOBODYS)
        return Principal(key.name, key.role, key.tenant) if key and is_same and key.is_good(now) else None

    def _now(self) -> "_Ring | None":
        stamp = _stamp(self._path)
        if stamp is None or stamp != self._stamp:
            ring = _read(self._path)
            if ring is None and self._ring is not None:
                raise KeysRefused(f"{self._path}: the keys are gone: bring back a copy of the file")
            self._ring, self._by_id = ring, {key.id: key for key in ring.keys} if ring else {}
            self._stamp = stamp
        return self._ring


class _Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pepper: _Digest
    keys: tuple[Key, ...]


def _bearer(authorization: str) -> str:
    """The key in an Authorization header, empty if there is none."""
    scheme, _, text = authorization.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _digest(ring: _Ring, text: str) -> str:
    return hmac.new(bytes.fromhex(ring.pepper), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _check_lifetime(lifetime: timedelta | None) -> None:
    if lifetime is not None and lifetime <= timedelta(0):
        raise KeyAsked(f"lifetime {lifetime}: expected more than nothing")


def _check_same(ring: _Ring, name: str, role: Role, tenant: str, now: datetime) -> None:
    """A name is one principal: in a limit or an audit nothing else tells it apart."""
    for key in ring.keys:
        if key.name == name and key.is_good(now) and (key.role, key.tenant) != (role, tenant):
            raise KeyAsked(
                f"{name!r} has a key for the role {key.role} of {key.tenant}: "
                f"take another name, or `secmesh keys revoke {name}` first"
            )


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Nobody else changes the keys meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> _Ring | None:
    """What is in the file, or None if there is none."""
    content = _content(path)
    try:
        return None if content is None else msgspec.json.decode(content, type=_Ring)
    except msgspec.DecodeError as error:
        raise KeysRefused(f"{path}: {error}: bring back a copy of it, or remove it and make new keys") from error


def _content(path: Path) -> bytes | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            _check_ours(path, os.fstat(file.fileno()))
            return file.read(_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysRefused(f"{path}: expected a regular file that can be read: {error.strerror}") from error


def _check_ours(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeysRefused(f"{path}: expected a regular file, not a link or folder")
    if status.st_uid not in (0, os.geteuid()):
        raise KeysRefused(f"{path}: belongs to another user: `chown` it to the one who runs secmesh")
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        raise KeysRefused(f"{path}: permissions are too open: `chmod 600 {path}`")
    if stat.S_IMODE(path.parent.stat().st_mode) & _OTHERS_WRITE:
        raise KeysRefused(f"{path.parent}: others may write there and exchange the keys: `chmod o-w {path.parent}`")


def _write(path: Path, ring: _Ring) -> None:
    def write(file: IO[bytes]) -> None:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n")

    write_whole(path, write)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None if there is none."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_ctime_ns, status.st_size, status.st_ino
