"""Whatever is changed, cut or moved in the audit is found, and a crash at any moment leaves it whole."""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.mistakes import FoundWrong
from models.home import Home
from models.signing import KeyRefused
from serving.access.audit import Audit, AuditBusy, written_down
from serving.access.audit_lines import START, AuditRefused, Entry, Mark, audit_key, audit_path, mark_of
from serving.access.audit_reading import page, verify

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LINES = 12
SPOILS = int(os.environ.get("SECMESH_AUDIT_SPOILS", "60"))  # of each of five kinds
laws = settings(max_examples=SPOILS, deadline=None, derandomize=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@dataclass(frozen=True)
class Kept:
    """An audit as it was written, and a copy of it to spoil."""

    path: Path
    key: Path
    lines: list[bytes]
    head: bytes
    marks: list[Mark]

    def put(self, content: bytes, head: bytes | None = None) -> None:
        self.path.write_bytes(content)
        self.path.with_suffix(".head").write_bytes(self.head if head is None else head)


def entry(number: int = 0, **more: Any) -> Entry:
    plain: dict[str, Any] = {
        "at": NOW + timedelta(seconds=number),
        "principal": "ana",
        "role": "analyst",
        "tenant": "main",
        "action": "decisions:write",
        "target": f"threat-{number}",
        "outcome": "done",
        "reason": "known scanner",
        "idempotency_key": f"key-{number}",
    }
    return Entry(**(plain | more))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    home = Home.at(tmp_path_factory.mktemp("audit"))
    path, key = audit_path(home), audit_key(home)
    audit = Audit(path, key)
    marks = [audit.append(entry(number)) for number in range(LINES)]
    head = path.with_suffix(".head").read_bytes()
    return Kept(path, key, path.read_bytes().splitlines(keepends=True), head, marks)


def broken_line(kept: Kept, held: Mark = START) -> int:
    with pytest.raises(AuditRefused, match=f"{kept.path.with_suffix('')}.*, line ") as refused:
        verify(kept.path, kept.key, held)
    return refused.value.line


def told(kept: Kept) -> Mark | str:
    """What is said of an audit: how far it goes, or why it is refused."""
    try:
        return verify(kept.path, kept.key)
    except AuditRefused as refused:
        return str(refused)


def sealed(line: bytes, prev: str, **more: Any) -> bytes:
    """A forged line with the hashes that it should have."""
    told = json.loads(line) | {"prev": prev} | more
    del told["hash"]
    told["hash"] = sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"


# What was written


@settings(laws, max_examples=25)
@given(written=st.lists(st.tuples(texts, texts, st.none() | texts, st.integers(-12, 14)), max_size=4))
def test_what_was_written_is_so_for_any_text_and_zone(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, str, str | None, int]]
) -> None:
    path, key = (tmp_path_factory.mktemp("any") / name for name in ("audit.jsonl", "audit.key"))
    audit = Audit(path, key)
    for target, reason, idempotency_key, hours in written:
        at = NOW.astimezone(timezone(timedelta(hours=hours)))
        audit.append(entry(at=at, target=target, reason=reason, idempotency_key=idempotency_key))
    assert verify(path, key) == audit.mark()
    assert path.read_bytes().isascii()
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(line["target"], line["reason"], line["idempotency_key"]) for line in found] == [
        line[:3] for line in written
    ]
    assert {line["at"] for line in found} <= {"2026-11-28T00:00:00Z"}


def test_an_audit_goes_on_where_it_ended_and_knows_each_mark_on_the_way(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    marks = []
    for number in range(4):
        audit = Audit(path, key)
        marks.append(audit.append(entry(number)))
    assert [mark.lines for mark in marks] == [1, 2, 3, 4]
    assert {verify(path, key, held) for held in (START, *marks)} == {marks[-1]}


def test_the_same_entries_have_the_same_hashes_whoever_signs(kept: Kept, home: Home) -> None:
    audit = Audit(audit_path(home), audit_key(home))
    assert [audit.append(entry(number)) for number in range(LINES)] == kept.marks


def test_an_audit_that_was_never_begun_is_whole(home: Home) -> None:
    assert verify(audit_path(home), audit_key(home)) == START


def test_nobody_else_reads_it(home: Home) -> None:
    audit = Audit(audit_path(home), audit_key(home))
    audit.append(entry())
    modes = {file.name: file.stat().st_mode & 0o777 for file in home.var.iterdir() if file.is_file()}
    assert modes == {"audit.jsonl": 0o600, "audit.head": 0o600}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"reason": "x" * 2049}, r"\$\.reason"),
        ({"target": "\ud800"}, "surrogates"),
        ({"outcome": "maybe"}, r"\$\.outcome"),
        ({"idempotency_key": 7}, r"\$\.idempotency_key"),
    ],
    ids=str,
)
def test_what_is_no_entry_is_refused_and_the_audit_goes_on(home: Home, more: dict[str, Any], told: str) -> None:
    audit = Audit(audit_path(home), audit_key(home))
    with pytest.raises(ValueError, match=told):
        audit.append(entry(**more))
    assert audit.append(entry(1)).lines == 1
    assert verify(audit_path(home), audit_key(home)).lines == 1


# Who spoils it is found


@laws
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255))
def test_any_byte_changed_is_found_in_its_line(kept: Kept, at: int, bits: int) -> None:
    content = bytearray(b"".join(kept.lines))
    at %= len(content) - 1
    content[at] ^= bits
    kept.put(bytes(content))
    assert broken_line(kept) == 1 + b"".join(kept.lines)[:at].count(b"\n")


@laws
@given(order=st.lists(st.integers(0, LINES - 1), max_size=LINES + 2))
def test_lines_in_any_other_order_number_or_choice_are_found(kept: Kept, order: list[int]) -> None:
    first = next((n for n, line in enumerate(order) if line != n), len(order))
    assume(first < LINES - 1 or len(order) > LINES)
    kept.put(b"".join(kept.lines[line] for line in order))
    assert broken_line(kept) == first + 1


@laws
@given(at=st.integers(0, LINES - 1), swap=st.integers(0, LINES - 1))
def test_two_lines_exchanged_or_one_taken_out_are_found_at_the_first(kept: Kept, at: int, swap: int) -> None:
    assume(at != swap)
    lines = list(kept.lines)
    lines[at], lines[swap] = lines[swap], lines[at]
    kept.put(b"".join(lines))
    assert broken_line(kept) == min(at, swap) + 1
    if at < LINES - 1:
        kept.put(b"".join(kept.lines[:at] + kept.lines[at + 1 :]))
        assert broken_line(kept) == at + 1


@laws
@given(size=st.integers(0, 10**6))
def test_the_end_cut_off_anywhere_is_found_or_comes_back(kept: Kept, size: int) -> None:
    whole = b"".join(kept.lines)
    size %= len(whole)
    kept.put(whole[:size])
    if size < len(whole) - len(kept.lines[-1]):
        assert broken_line(kept) == 1 + whole[:size].count(b"\n")
        with pytest.raises(AuditRefused):
            Audit(kept.path, kept.key).mark()
    else:
        assert verify(kept.path, kept.key) == kept.marks[-2]
        audit = Audit(kept.path, kept.key)
        assert audit.mark() == kept.marks[-1]
        assert kept.path.read_bytes() == whole


@laws
@given(at=st.integers(0, LINES - 1), who=st.sampled_from(["eve", "Ana", ""]), is_rest=st.booleans())
def test_a_line_forged_with_its_hashes_is_found_however_much_is_forged_with_it(
    kept: Kept, at: int, who: str, is_rest: bool
) -> None:
    lines = list(kept.lines)
    prev = json.loads(lines[at])["prev"]
    for number in range(at, LINES if is_rest else at + 1):
        lines[number] = sealed(lines[number], prev, **({"principal": who} if number == at else {}))
        prev = json.loads(lines[number])["hash"]
    kept.put(b"".join(lines))
    assert broken_line(kept) == (LINES if is_rest else min(at + 2, LINES))


def test_a_line_forged_before_one_that_seems_cut_short_is_found(kept: Kept) -> None:
    forged = sealed(kept.lines[-2], json.loads(kept.lines[-2])["prev"], principal="eve")
    for last in (b"", kept.lines[-1][:9]):
        kept.put(b"".join(kept.lines[:-2]) + forged + last)
        assert broken_line(kept) == LINES
    kept.put(b"".join(kept.lines[:-1]) + b"{forged")
    assert broken_line(kept) == LINES


@settings(laws, max_examples=40)
@given(count=st.integers(0, 3), tail=st.sampled_from([b"", b"{", b"\n"]))
def test_lines_that_follow_well_but_were_never_signed_are_found(kept: Kept, count: int, tail: bytes) -> None:
    assume(count or tail)
    lines = list(kept.lines)
    for _ in range(count):
        lines.append(sealed(lines[-1], json.loads(lines[-1])["hash"]))
    kept.put(b"".join(lines) + tail)
    assert broken_line(kept) == LINES + 1 + (count if tail == b"\n" else 0)
    with pytest.raises(AuditRefused):
        Audit(kept.path, kept.key).mark()


@laws
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255))
def test_a_head_that_is_changed_is_refused_or_says_the_same(kept: Kept, at: int, bits: int) -> None:
    head = bytearray(kept.head)
    head[at % len(head)] ^= bits
    kept.put(b"".join(kept.lines), bytes(head))
    said = told(kept)
    assert said == kept.marks[-1] or "audit.head" in str(said)


def test_a_head_of_another_key_is_refused(kept: Kept, tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    audit = Audit(audit_path(home), audit_key(home))
    for number in range(LINES):
        audit.append(entry(number))
    kept.put(b"".join(kept.lines), audit_path(home).with_suffix(".head").read_bytes())
    with pytest.raises(AuditRefused, match="not with ours"):
        verify(kept.path, kept.key)


def test_without_its_head_an_audit_is_refused(kept: Kept) -> None:
    kept.put(b"".join(kept.lines))
    kept.path.with_suffix(".head").unlink()
    assert broken_line(kept) == 1
    with pytest.raises(AuditRefused, match="there is no head"):
        Audit(kept.path, kept.key).mark()


def test_without_its_lines_a_head_is_refused(kept: Kept) -> None:
    kept.put(b"")
    kept.path.unlink()
    assert broken_line(kept) == 1


def test_without_its_key_an_audit_is_refused(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    audit = Audit(path, key)
    audit.append(entry())
    shutil.rmtree(key.parent)
    with pytest.raises(KeyRefused):
        verify(path, key)
    with pytest.raises(KeyRefused):
        Audit(path, key).mark()


def test_who_can_sign_is_found_by_a_mark_that_somebody_else_holds(kept: Kept, home: Home) -> None:
    """The whole audit, key and all, is put back as it was, or written anew."""
    path, key = audit_path(home), audit_key(home)
    audit = Audit(path, key)
    for number in range(3):
        audit.append(entry(number))
    copies = {file: file.read_bytes() for file in (path, path.with_suffix(".head"))}
    held = audit.append(entry(3))
    for file, content in copies.items():
        file.write_bytes(content)
    assert verify(path, key).lines == 3
    with pytest.raises(AuditRefused, match="the mark of line 4 is held"):
        verify(path, key, held)
    audit = Audit(path, key)
    audit.append(entry(3, reason="another"))
    audit.append(entry(4))
    with pytest.raises(AuditRefused, match="line 4: not the line whose mark is held"):
        verify(path, key, held)


def test_a_line_without_end_is_refused(kept: Kept) -> None:
    kept.put(b"".join(kept.lines[:3]) + b"x" * 2**19)
    assert broken_line(kept) == 4


# Crashes


def test_a_crash_after_any_byte_loses_nothing_that_was_kept_and_the_next_entry_follows(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    audit = Audit(path, key)
    audit.append(entry(0))
    kept, head = path.read_bytes(), path.with_suffix(".head").read_bytes()
    audit.append(entry(1))
    whole, next_head = path.read_bytes(), path.with_suffix(".head").read_bytes()
    for size in (*range(len(kept), len(whole), 5), len(whole)):
        path.write_bytes(whole[:size])
        path.with_suffix(".head").write_bytes(next_head)
        assert verify(path, key).lines == (2 if size == len(whole) else 1)
        audit = Audit(path, key)
        assert audit.mark().lines == 2
        assert path.read_bytes() == whole
    path.write_bytes(kept)
    path.with_suffix(".head").write_bytes(head)
    audit = Audit(path, key)
    assert audit.append(entry(1)).lines == 2
    assert path.read_bytes() == whole


@pytest.mark.parametrize("spare", [0, 1, 100])
def test_a_full_disk_is_told_and_the_entry_it_cut_short_is_whole_once_there_is_room(home: Home, spare: int) -> None:
    path, key = audit_path(home), audit_key(home)
    audit = Audit(path, key)
    before = audit.append(entry())
    while path.stat().st_size < 4096:
        before = audit.append(entry())
    with no_file_beyond(path.stat().st_size + spare), pytest.raises(OSError, match="too large"):
        audit.append(entry(1))
    assert audit.append(entry(2)).lines == before.lines + 2
    assert verify(path, key).lines == before.lines + 2


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The system refuses to let a file of ours grow beyond a size, as where the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITER = """
import sys
from pathlib import Path
from serving.access.audit import Audit
from tests.serving.access.test_audit import entry
audit = Audit(Path(sys.argv[1]), Path(sys.argv[2]))
for number in range(int(sys.argv[3])):
    print(audit.append(entry(number)), flush=True)
"""


def writer(path: Path, key: Path, entries: int) -> subprocess.Popen[str]:
    """A process that appends so many entries, and tells the mark of each."""
    command = [sys.executable, "-c", WRITER, str(path), str(key), str(entries)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own text


def test_of_a_writer_that_is_killed_every_mark_it_gave_out_is_kept(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    held = START
    for kept_lines in (1, 7):
        with writer(path, key, 10_000) as process:
            assert process.stdout
            for line, _ in zip(process.stdout, range(kept_lines), strict=False):
                held = mark_of(line.strip())
            process.send_signal(signal.SIGKILL)
        assert verify(path, key, held).lines >= held.lines
    assert held.lines >= 8


# Many at once


def test_who_holds_the_audit_and_never_lets_go_is_told_of(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    Audit(path, key).append(entry())
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditBusy, match="another process holds it"):
            Audit(path, key, patience=0.05).append(entry(1))
    assert Audit(path, key, patience=0.05).append(entry(1)).lines == 2


def test_processes_append_in_turn_and_no_mark_that_one_gave_out_is_lost(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    with ExitStack() as running:
        writers = [running.enter_context(writer(path, key, 40)) for _ in range(2)]
        ours = [Audit(path, key).append(entry(number)) for number in range(40)]
        theirs = [mark_of(line.strip()) for one in writers for line in one.stdout or ()]
    marks = sorted([*ours, *theirs], key=lambda mark: mark.lines)
    assert [mark.lines for mark in marks] == list(range(1, 121))
    assert {verify(path, key, mark) for mark in marks[::10]} == {marks[-1]}


def test_threads_append_in_turn_and_whoever_reads_meanwhile_finds_it_whole(home: Home) -> None:
    path, key = audit_path(home), audit_key(home)
    audit = Audit(path, key)
    seen = [audit.append(entry())]

    def append_all(append: Callable[[Entry], Mark]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(append, [entry(number) for number in range(60)]))

    writer = Thread(target=append_all, args=(audit.append,))
    writer.start()
    while writer.is_alive():
        seen.append(verify(path, key, seen[-1]))
    writer.join()
    assert verify(path, key).lines == 61
    assert [mark.lines for mark in seen] == sorted(mark.lines for mark in seen)


# Pages


@laws
@given(after=st.integers(0, LINES + 2), most=st.integers(0, LINES + 2))
def test_pages_are_the_lines_that_were_written_and_name_the_mark_of_all(kept: Kept, after: int, most: int) -> None:
    kept.put(b"".join(kept.lines))
    found = page(kept.path, kept.key, after, most)
    assert (found.mark, found.after) == (kept.marks[-1], after)
    assert [line.hash for line in found.lines] == [mark.hash for mark in kept.marks[after : after + most]]


@laws
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), most=st.integers(1, LINES))
def test_what_is_changed_is_found_in_the_page_that_holds_it(kept: Kept, at: int, bits: int, most: int) -> None:
    content = bytearray(b"".join(kept.lines))
    at %= len(content) - 1
    line = content[:at].count(b"\n")
    content[at] ^= bits
    kept.put(bytes(content))
    with pytest.raises(AuditRefused) as refused:
        page(kept.path, kept.key, max(0, line + 1 - most), most)
    assert refused.value.line == line + 1


def test_what_is_cut_off_is_found_in_its_page_but_a_line_still_on_its_way_is_not_missed(kept: Kept) -> None:
    kept.put(b"".join(kept.lines[:-1]))
    assert len(page(kept.path, kept.key, 0, LINES).lines) == LINES - 1
    assert page(kept.path, kept.key, LINES - 1, 5).lines == []
    kept.put(b"".join(kept.lines[:-2]))
    for after in (0, LINES - 2, LINES - 1):
        with pytest.raises(AuditRefused, match="cut off from here on"):
            page(kept.path, kept.key, after, LINES)
    kept.put(b"".join(kept.lines[:-1]) + sealed(kept.lines[-1], kept.marks[-2].hash, principal="eve"))
    with pytest.raises(AuditRefused, match=f"line {LINES}: not the line that was signed"):
        page(kept.path, kept.key, 0, LINES)
    kept.path.unlink()
    with pytest.raises(AuditRefused, match="line 1: cut off"):
        page(kept.path, kept.key, 0, LINES)


def test_an_audit_that_was_never_begun_has_an_empty_page(home: Home) -> None:
    assert page(audit_path(home), audit_key(home), 0, 10).lines == []
    home.var.mkdir()
    audit_path(home).write_bytes(b"x")
    with pytest.raises(AuditRefused, match="there is no head"):
        page(audit_path(home), audit_key(home), 0, 10)


# Decisions


def outcomes(home: Home) -> list[tuple[str, str]]:
    return [(line.outcome, line.reason) for line in page(audit_path(home), audit_key(home), 0, 10).lines]


def test_what_is_done_is_begun_before_and_done_behind(home: Home) -> None:
    audit = Audit(audit_path(home), audit_key(home))
    with written_down(audit, entry(outcome="begun"), lambda: NOW) as tell:
        assert outcomes(home) == [("begun", "known scanner")]
        tell("position 7")
    assert outcomes(home)[1:] == [("done", "line 1: position 7")]


def test_what_fails_is_told_so_and_what_the_audit_cannot_take_is_not_begun(home: Home) -> None:
    audit = Audit(audit_path(home), audit_key(home))
    with pytest.raises(FoundWrong), written_down(audit, entry(outcome="begun"), lambda: NOW):
        raise FoundWrong("no such key")
    assert outcomes(home)[1:] == [("failed", "line 1: no such key")]
    audit_path(home).write_bytes(b"")
    with pytest.raises(AuditRefused), written_down(audit, entry(outcome="begun"), lambda: NOW):
        pytest.fail("was begun")


def test_a_link_in_its_place_is_not_followed(home: Home, tmp_path: Path) -> None:
    home.var.mkdir()
    os.symlink(tmp_path / "elsewhere", audit_path(home))
    with pytest.raises(OSError, match="symbolic"):
        Audit(audit_path(home), audit_key(home)).mark()
    assert not (tmp_path / "elsewhere").exists()
