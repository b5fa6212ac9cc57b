"""A key opens what it was made for until its time is over, and nothing that is kept tells what it is."""

import os
import secrets
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.home import Home
from serving.access.keys import KeyAsked, Keyring, KeysRefused, add, keys_path, listed, revoke
from serving.access.policy import LOCAL, Principal, Role

NOW = datetime(2026, 11, 28, tzinfo=UTC)
DAY = timedelta(days=1)
HERE, WORLD = "127.0.0.1", "192.0.2.1"
laws = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return keys_path(Home.at(tmp_path))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file with one good key, and the key; do not write to it."""
    path = tmp_path_factory.mktemp("kept") / "keys.json"
    return path, made(path)


def made(path: Path, name: str = "soc", role: Role = Role.ANALYST, lifetime: timedelta | None = None) -> str:
    return add(path, name, role, NOW, secrets.token_bytes, lifetime=lifetime)


def opened(path: Path, text: str, now: datetime = NOW) -> Principal | None:
    return Keyring(path).who({"authorization": f"Bearer {text}"}, WORLD, now)


@settings(laws, max_examples=20)
@given(
    name=st.from_regex(r"[a-z0-9]{1,2}([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True),
    role=st.sampled_from(Role),
    tenant=st.sampled_from(["main", "north"]),
)
def test_a_key_is_for_its_principal(
    tmp_path_factory: pytest.TempPathFactory, name: str, role: Role, tenant: str
) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    text = add(path, name, role, NOW, secrets.token_bytes, tenant=tenant)
    assert opened(path, text) == Principal(name, role, tenant)


@settings(laws, max_examples=300)
@given(at=st.integers(0, 84), letter=st.characters(codec="latin-1"))
def test_one_other_letter_opens_nothing(kept: tuple[Path, str], at: int, letter: str) -> None:
    path, text = kept
    changed = text[:at] + letter + text[at + 1 :]
    assume(changed.strip() != text)
    assert opened(path, changed) is None


@pytest.mark.parametrize(
    "spoil",
    [
        str.upper,
        str.title,
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text[4:],
        lambda text: text[:21],
        lambda text: text[:20] + "_" + "0" * 64,
        lambda text: "smk_" + "0" * 16 + text[20:],
        lambda text: text + "\ud800",
        lambda text: f"{text} {text}",
    ],
)
def test_no_other_spelling_opens_anything(kept: tuple[Path, str], spoil: Callable[[str], str]) -> None:
    path, text = kept
    assert opened(path, text) is not None
    assert opened(path, spoil(text)) is None


@pytest.mark.parametrize("header", ["{}", "Basic {}", "bearer{}", "Token {}", " {}"])
def test_a_key_comes_as_a_bearer_or_not_at_all(kept: tuple[Path, str], header: str) -> None:
    path, text = kept
    assert Keyring(path).who({"authorization": header.format(text)}, WORLD, NOW) is None
    assert Keyring(path).who({"authorization": f"bearer {text}"}, WORLD, NOW) is not None


def test_a_key_opens_nothing_from_the_moment_it_expires(path: Path) -> None:
    text = made(path, lifetime=DAY)
    assert opened(path, text, NOW + DAY - timedelta(microseconds=1)) is not None
    assert opened(path, text, NOW + DAY) is None
    assert [key.is_good(NOW + DAY) for key in listed(path)] == [False]


def test_a_running_server_knows_of_each_change_at_once(path: Path) -> None:
    ring = Keyring(path)
    first = made(path)
    header = {"authorization": f"Bearer {first}"}
    assert ring.who(header, WORLD, NOW) == Principal("soc", Role.ANALYST)
    second = made(path, "sensor", Role.INGEST)
    assert ring.who({"authorization": f"Bearer {second}"}, WORLD, NOW) == Principal("sensor", Role.INGEST)
    revoke(path, "soc", NOW)
    assert ring.who(header, WORLD, NOW) is None
    assert ring.who({"authorization": f"Bearer {second}"}, WORLD, NOW) is not None


def test_a_name_may_hold_two_keys_while_one_replaces_the_other(path: Path) -> None:
    old, new = made(path), made(path)
    assert opened(path, old) == opened(path, new) == Principal("soc", Role.ANALYST)
    revoke(path, old.split("_")[1], NOW)
    assert (opened(path, old), opened(path, new)) == (None, Principal("soc", Role.ANALYST))


def test_a_name_is_for_one_role_and_tenant_at_a_time(path: Path) -> None:
    made(path)
    with pytest.raises(KeyAsked, match="'soc' has a key for the role analyst"):
        made(path, role=Role.ADMIN)
    with pytest.raises(KeyAsked, match="of main"):
        add(path, "soc", Role.ANALYST, NOW, secrets.token_bytes, tenant="north")
    assert revoke(path, "soc", NOW)
    assert opened(path, made(path, role=Role.ADMIN)) == Principal("soc", Role.ADMIN)


@pytest.mark.parametrize("name", ["", "SOC", "a b", "-a", "a/b", "é", "a" * 65, "a\n"])
def test_a_name_that_could_be_misread_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeyAsked, match="expected small letters"):
        made(path, name)
    assert not path.exists()


def test_a_key_that_would_be_over_at_once_is_refused(path: Path) -> None:
    with pytest.raises(KeyAsked, match="lifetime"):
        made(path, lifetime=timedelta(0))


@pytest.mark.parametrize("which", ["nobody", "soc"])
def test_only_a_key_that_is_left_can_be_revoked(path: Path, which: str) -> None:
    made(path)
    revoke(path, "soc", NOW)
    with pytest.raises(KeyAsked, match="no key with the id or name"):
        revoke(path, which, NOW)


def test_no_key_is_kept_or_shown_anywhere_once_it_was_given_out(path: Path) -> None:
    texts = [made(path, name) for name in ("soc", "noc")]
    revoke(path, "noc", NOW)
    shown = repr(listed(path)) + repr(Keyring(path)) + repr(Keyring(path).who({}, HERE, NOW))
    files = b"".join(file.read_bytes() for file in path.parent.rglob("*") if file.is_file())
    for secret in (text.split("_")[2] for text in texts):
        for part in (secret, secret[:16], bytes.fromhex(secret).hex().upper()):
            assert part not in shown
            assert part.encode() not in files
        assert bytes.fromhex(secret) not in files


def test_nobody_else_reads_the_file_whatever_the_mask_of_the_process(path: Path) -> None:
    before = os.umask(0)
    try:
        path.parent.mkdir(mode=0o755)
        made(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_chance_makes_the_same_key_and_other_chance_another(tmp_path: Path) -> None:
    def chance(byte: int) -> Callable[[int], bytes]:
        return lambda size: bytes([byte]) * size

    one, same, other = (
        add(tmp_path / f"{number}.json", "soc", Role.ANALYST, NOW, chance(byte))
        for number, byte in enumerate((1, 1, 2))
    )
    assert one == same != other


def test_a_key_of_another_installation_opens_nothing(path: Path, tmp_path: Path) -> None:
    def chance(size: int) -> bytes:
        return b"\1" * size

    theirs = add(tmp_path / "theirs.json", "soc", Role.ADMIN, NOW, chance)
    made(path)
    assert opened(path, theirs) is None


def test_the_same_key_has_another_hash_in_another_installation(tmp_path: Path) -> None:
    def install(path: Path, pepper: bytes) -> tuple[str, str]:
        chances = iter([pepper, b"i" * 8, b"s" * 32])
        return add(path, "soc", Role.ANALYST, NOW, lambda size: next(chances)), listed(path)[0].digest

    (one, digest), (same, other) = (install(tmp_path / f"{byte}.json", bytes([byte]) * 32) for byte in (1, 2))
    assert one == same
    assert digest != other


def test_of_many_keys_made_at_once_none_is_lost(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: made(path, f"sensor-{n}"), range(24)))
    assert [opened(path, text) for text in texts] == [Principal(f"sensor-{n}", Role.ANALYST) for n in range(24)]


def loosen(path: Path) -> None:
    path.chmod(0o640)


def open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def forget_pepper(path: Path) -> None:
    path.write_text('{"pepper": "", "keys": []}')


def add_field(path: Path) -> None:
    path.write_text(path.read_text().replace('"role"', '"is_root": true, "role"'))


def forget_zone(path: Path) -> None:
    path.write_text(path.read_text().replace("T00:00:00Z", "T00:00:00"))


def invent_role(path: Path) -> None:
    path.write_text(path.read_text().replace("analyst", "root"))


SPOILS = [loosen, open_folder, link, make_folder, cut, forget_pepper, add_field, forget_zone, invent_role]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_file_that_cannot_be_trusted_opens_nothing_and_is_named(path: Path, spoil: Callable[[Path], None]) -> None:
    text = made(path)
    ring = Keyring(path)
    header = {"authorization": f"Bearer {text}", "host": "localhost"}
    assert ring.who(header, HERE, NOW) is not None
    spoil(path)
    for reader in (Keyring(path), ring) if spoil is not open_folder else (Keyring(path),):
        with pytest.raises(KeysRefused, match=f"{path.parent}.*: "):
            reader.who(header, HERE, NOW)
    with pytest.raises(KeysRefused):
        made(path, "noc")


def test_without_keys_whoever_is_local_may_come_in_but_with_no_wrong_key(path: Path) -> None:
    ring = Keyring(path)
    assert ring.who({"host": "localhost"}, HERE, NOW) == LOCAL
    assert ring.who({"host": "localhost"}, WORLD, NOW) is None
    assert ring.who({"host": "localhost", "authorization": "Bearer smk_1_2"}, HERE, NOW) is None


def test_with_keys_nobody_is_local_and_that_stays_so_when_the_file_is_gone(path: Path) -> None:
    ring = Keyring(path)
    assert ring.who({"host": "localhost"}, HERE, NOW) == LOCAL
    text = made(path)
    assert ring.who({"host": "localhost"}, HERE, NOW) is None
    path.unlink()
    for headers in ({"host": "localhost"}, {"host": "localhost", "authorization": f"Bearer {text}"}):
        with pytest.raises(KeysRefused, match="the keys are gone"):
            ring.who(headers, HERE, NOW)


def test_without_keys_a_server_listens_on_this_machine_alone(path: Path) -> None:
    Keyring(path).check(HERE)
    with pytest.raises(KeysRefused, match="secmesh keys add"):
        Keyring(path).check(WORLD)
    made(path)
    Keyring(path).check(WORLD)
