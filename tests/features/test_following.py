"""Whatever happens to a log that is followed, each of its lines is given once, in order."""

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import following, grown_lines
from features.following import QUIET_LOOKS, Appended, Follower
from features.lines import lines_of
from features.positions import DamagedPositions, Positions
from features.sights import HEAD_BYTES

LONG = "".join(f"{number:05} something happened\n" for number in range(100))


class Reader:
    """A consumer that takes lines at once, and starts again as a process does: from what is on disk."""

    def __init__(self, folder: Path, *paths: Path) -> None:
        self.paths, self.kept = paths, folder / "positions.json"
        self.given: list[Appended] = []
        self.restart()

    def look(self, looks: int = 1) -> list[str]:
        """The lines of some looks; they are taken."""
        seen = [appended for _ in range(looks) for appended in self.follower.poll()]
        self.given += seen
        self.take()
        return [text for appended in seen for text in appended.lines["text"]]

    def take(self) -> None:
        self.follower.taken()
        self.positions.save()

    def restart(self) -> None:
        self.positions = Positions.load(self.kept)
        self.follower = Follower(self.paths, self.positions)

    def numbers(self) -> list[int]:
        """The numbers of all lines given."""
        return [line for appended in self.given for line in appended.lines["line"]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "app.log"


@pytest.fixture
def reader(tmp_path: Path, log: Path) -> Iterator[Reader]:
    """Follows `log` alone."""
    log.parent.mkdir()
    reader = Reader(tmp_path, log)
    yield reader
    reader.follower.close()


@pytest.fixture
def folder_reader(tmp_path: Path, log: Path) -> Iterator[Reader]:
    """Follows the folder of `log`."""
    log.parent.mkdir()
    reader = Reader(tmp_path, log.parent)
    yield reader
    reader.follower.close()


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def moved(path: Path, suffix: str) -> Path:
    return path.rename(path.with_name(path.name + suffix))


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def compress(path: Path) -> Path:
    """As gzip does it: a new file, and the old one goes."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, packed)
    path.unlink()
    return packed


# Growing


def test_what_is_there_is_given_and_then_what_is_appended(log: Path, reader: Reader) -> None:
    append(log, "a\nb\n")
    assert reader.look() == ["a", "b"]
    assert reader.look() == []
    append(log, "\nc\n")
    assert reader.look() == ["", "c"]
    assert reader.numbers() == [0, 1, 2, 3]


def test_an_empty_log_stays_the_same_log(log: Path, reader: Reader) -> None:
    append(log, "")
    reader.look(3)
    append(log, "a\n")
    reader.look()
    assert reader.given[0].log == (0, None)


def test_a_half_written_line_waits_for_its_end(log: Path, reader: Reader) -> None:
    append(log, "a\nhal")
    assert reader.look() == ["a"]
    append(log, "f")
    assert reader.look() == []
    append(log, " line\nc")
    assert reader.look() == ["half line"]


def test_a_letter_cut_in_two_comes_whole(log: Path, reader: Reader) -> None:
    whole = "\N{BYTE ORDER MARK}é\n".encode()
    append(log, whole[:4])
    assert reader.look() == []
    append(log, whole[4:])
    assert reader.look() == ["é"]


def test_an_endless_line_is_given_by_its_beginning_and_counts_as_one(
    log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grown_lines, "LINE_BYTES", 8)
    monkeypatch.setattr(grown_lines, "CHUNK_BYTES", 16)
    append(log, "x" * 40)
    assert reader.look() == ["x" * 9]
    append(log, "y" * 40)
    reader.restart()
    assert reader.look() == []
    append(log, "z\nnext\n")
    assert reader.look() == ["next"]
    assert reader.numbers() == [0, 1]


def test_a_large_log_comes_in_pieces(log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grown_lines, "LINE_BYTES", 100)
    monkeypatch.setattr(grown_lines, "CHUNK_BYTES", 200)
    append(log, LONG)
    assert reader.look() == LONG.splitlines()
    assert max(appended.lines["text"].str.len_bytes().sum() for appended in reader.given) <= 200
    assert reader.numbers() == list(range(100))


def test_a_log_that_is_not_there_yet_is_waited_for(log: Path, reader: Reader) -> None:
    assert reader.look() == []
    append(log, "a\n")
    assert reader.look() == ["a"]


def test_new_files_in_a_folder_and_of_a_glob_are_found_and_what_is_kept_apart_is_not(tmp_path: Path) -> None:
    logs, kept = tmp_path / "logs", Positions(tmp_path / "logs" / "positions.json")
    (logs / "deep").mkdir(parents=True)
    followers = [Follower([logs], kept, apart=[logs / "own.log"]), Follower([f"{logs}/**/*.log"], kept)]
    for follower in followers:
        list(follower.poll())
    append(logs / "a.log", "a\n")
    append(logs / "deep" / "b.log", "b\n")
    append(logs / "c.txt", "c\n")
    kept.save()
    append(logs / "own.log", "own\n")
    found = [sorted(text for appended in follower.poll() for text in appended.lines["text"]) for follower in followers]
    assert found == [["a", "b", "c"], ["a", "b", "own"]]
    for follower in followers:
        follower.close()


def test_a_file_with_two_names_is_read_once(log: Path, folder_reader: Reader) -> None:
    append(log, "a\n")
    log.with_name("link.log").symlink_to(log)
    os.link(log, log.with_name("hard.log"))
    assert folder_reader.look() == ["a"]


def test_a_log_that_cannot_be_read_is_told_once_and_tried_again(
    log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(sight: object) -> io.FileIO:
        raise PermissionError(13, "Permission denied")

    append(log, "a\n")
    with monkeypatch.context() as patched:
        patched.setattr(following, "opened", refuse)
        assert reader.look(3) == []
    assert [appended.damage for appended in reader.given] == [
        "cannot be read (Permission denied); make it readable for this user"
    ]
    assert reader.look() == ["a"]


# Rotation


def test_a_renamed_log_is_read_to_its_end_before_the_new_one(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    assert reader.look() == ["a"]
    old = moved(log, ".1")
    append(old, "b\n")
    append(log, "new\n")
    append(old, "c\nno end")
    assert reader.look() == ["b", "c", "new"]
    append(old, "ing\n")
    append(log, "er\n")
    assert reader.look() == ["no ending", "er"]
    assert [(appended.log[0], appended.source) for appended in reader.given] == [
        (number, str(log)) for number in (0, 0, 1, 0, 1)
    ]


def test_a_rotated_log_that_is_long_quiet_gives_its_last_line_and_is_let_go(log: Path, reader: Reader) -> None:
    append(log, "a\nno end")
    reader.look()
    old = moved(log, ".1")
    assert reader.look(QUIET_LOOKS) == []
    assert reader.follower.followed() == {0}
    assert reader.look(3) == ["no end"]
    assert reader.follower.followed() == set()
    append(old, "too late\n")
    assert reader.look(9) == []


def test_a_log_that_was_deleted_or_taken_elsewhere_is_read_to_its_end(
    tmp_path: Path, log: Path, reader: Reader
) -> None:
    append(log, "a\n")
    reader.look()
    append(log, "b\n")
    log.unlink()
    append(log, "c\n")
    assert reader.look() == ["b", "c"]
    append(log, "d\n")
    log.rename(tmp_path / "elsewhere")
    append(log, "e\n")
    assert reader.look() == ["d", "e"]


def test_a_log_that_vanishes_and_comes_back_goes_on(tmp_path: Path, log: Path, reader: Reader) -> None:
    append(log, LONG)
    reader.look()
    log.rename(tmp_path / "away")
    assert reader.look(QUIET_LOOKS + 5) == []
    append(tmp_path / "away", "b\n")
    (tmp_path / "away").rename(log)
    assert reader.look() == ["b"]


def test_a_log_that_is_emptied_starts_over(log: Path, reader: Reader) -> None:
    append(log, "a\nb\n")
    reader.look()
    truncate(log)
    assert reader.look() == []
    append(log, "c\n")
    assert reader.look() == ["c"]
    assert reader.numbers() == [0, 1, 0]


def test_a_log_that_is_emptied_and_filled_again_between_two_looks_starts_over(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    reader.look()
    for text in ("b\n", "c\nd\ne\n"):
        truncate(log)
        append(log, text)
        assert reader.look() == text.split()


def test_a_log_that_is_overwritten_while_it_is_read_starts_over(
    log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(chunk: bytes, first_line: int) -> pl.DataFrame:
        truncate(log)
        append(log, "over\nwritten\n")
        return lines_of(chunk, first_line)

    append(log, "a\n")
    reader.look()
    append(log, "b\nc\n")
    shutil.copy(log, log.with_name("app.log.1"))
    with monkeypatch.context() as patched:
        patched.setattr(grown_lines, "lines_of", split)
        assert reader.look() == []
    assert reader.look() == ["b", "c", "over", "written"]


def test_a_log_overwritten_below_an_equal_head_starts_over(log: Path, reader: Reader) -> None:
    header = "#" * HEAD_BYTES + "\n"
    append(log, header + "a\n")
    reader.look()
    truncate(log)
    append(log, header + "b\nc\n")
    assert reader.look() == [header.strip(), "b", "c"]


def test_a_log_overwritten_by_a_repetition_of_itself_cannot_be_told_from_one_that_grew(
    log: Path, reader: Reader
) -> None:
    append(log, "a\n")
    reader.look()
    truncate(log)
    append(log, "a\nb\n")
    assert reader.look() == ["b"]


@pytest.mark.parametrize("text", ["a\n", LONG], ids=["short", "long"])
def test_what_a_copy_holds_of_an_emptied_log_is_read_first(log: Path, reader: Reader, text: str) -> None:
    append(log, text)
    reader.look()
    append(log, "b\n")
    shutil.copy(log, log.with_name("app.log.1"))
    truncate(log)
    append(log, "c\n")
    assert reader.look() == ["b", "c"]


@pytest.mark.parametrize("text", ["a\n", LONG], ids=["short", "long"])
def test_a_copy_in_a_followed_folder_gives_only_what_was_not_read(log: Path, folder_reader: Reader, text: str) -> None:
    append(log, text)
    folder_reader.look()
    append(log, "b\n")
    shutil.copy(log, log.with_name("app.log.1"))
    truncate(log)
    append(log, "c\n")
    assert folder_reader.look(3) == ["b", "c"]


def test_a_long_log_rewritten_by_an_editor_goes_on_and_a_short_one_starts_over(log: Path, reader: Reader) -> None:
    for text, after in (("a\n", ["a", "b"]), (LONG, ["b"])):
        log.write_text(text)
        reader.look()
        log.with_name("swap").write_text(text + "b\n")
        log.with_name("swap").replace(log)
        assert reader.look() == after


def test_a_log_of_which_nothing_was_read_waits_for_those_that_are_older(log: Path, folder_reader: Reader) -> None:
    append(log, "no end")
    folder_reader.look()
    shutil.copy(log, log.with_name("app.log.1"))
    append(log.with_name("app.log.1"), "\n")
    os.utime(log.with_name("app.log.1"), (1, 1))
    truncate(log)
    append(log, "new\n")
    assert folder_reader.look() == ["no end", "new"]


def test_a_short_log_that_was_deleted_and_begins_again_as_before_is_a_new_one(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    reader.look()
    log.unlink()
    reader.look()
    append(log, "a\nb\n")  # many file systems give it the same inode
    assert reader.look() == ["a", "b"]


def test_two_logs_of_the_same_content_are_both_read(log: Path, folder_reader: Reader) -> None:
    append(log, LONG)
    folder_reader.look()
    append(log.with_name("app.copy"), LONG)
    assert folder_reader.look() == LONG.splitlines()


# Packed


def test_the_packed_copy_of_a_log_is_not_read_again(log: Path, folder_reader: Reader) -> None:
    append(log, "a\n")
    folder_reader.look()
    old = moved(log, ".1")
    append(log, "b\n")
    assert folder_reader.look() == ["b"]
    compress(old)
    assert folder_reader.look(5) == []
    folder_reader.restart()
    assert folder_reader.look(5) == []


def test_a_packed_log_that_only_begins_like_one_that_is_gone_is_read_whole(log: Path, folder_reader: Reader) -> None:
    append(log, LONG)
    folder_reader.look()
    log.unlink()
    other = LONG[: HEAD_BYTES * 2] + "other\n" * 500
    append(log.with_name("app.log.1.gz"), gzip.compress(other.encode()))
    assert folder_reader.look(3) == other.splitlines()


def test_what_was_not_read_of_a_log_is_read_from_its_packed_copy(log: Path, reader: Reader) -> None:
    append(log, LONG)
    reader.look()
    append(log, "b\n")
    compress(moved(log, ".1"))
    append(log, "c\n")
    reader.restart()
    assert sorted(reader.look(5)) == ["b", "c"]


def test_a_packed_log_is_read_once_when_it_is_complete(log: Path, folder_reader: Reader) -> None:
    packed = gzip.compress(b"a\nb")
    append(log, packed[:12])
    assert folder_reader.look() == []
    append(log, packed[12:])
    assert folder_reader.look() == []
    assert folder_reader.look() == ["a", "b"]
    assert [appended.damage for appended in folder_reader.given] == [None]
    folder_reader.restart()
    assert folder_reader.look(3) == []
    moved(log, ".2")
    assert folder_reader.look(3) == []


def test_a_packed_log_that_grows_gives_what_is_new(log: Path, folder_reader: Reader) -> None:
    append(log, gzip.compress(b"a\n"))
    assert folder_reader.look(2) == ["a"]
    append(log, gzip.compress(b"b\n"))
    assert folder_reader.look(2) == ["b"]
    assert folder_reader.numbers() == [0, 1]


def test_a_log_in_utf_16_and_a_json_document_are_read_whole(log: Path, folder_reader: Reader) -> None:
    append(log, "a\nb\n".encode("utf-16"))
    append(log.with_name("b.json"), '[{"x":\n1}, {"x": 2}]')
    assert sorted(folder_reader.look(2)) == ["a", "b", '{"x": 1}', '{"x": 2}']
    append(log, "c\n".encode("utf-16-le"))
    assert folder_reader.look(2) == ["c"]


def test_each_member_of_an_archive_is_a_log_of_its_own_and_damage_is_told(log: Path, folder_reader: Reader) -> None:
    with tarfile.open(log, "w") as archive:
        for name in ("x/a.log", "b.log"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"a\n"))
    append(log.with_name("cut.gz"), gzip.compress(LONG.encode())[:-9])
    folder_reader.look(2)
    told = [(one.source, one.member, one.name, one.lines.height, one.damage) for one in folder_reader.given]
    assert told[:2] == [(str(log), "x/a.log", "a.log", 1, None), (str(log), "b.log", "b.log", 1, None)]
    assert told[-1] == (
        str(log.with_name("cut.gz")),
        None,
        "cut.gz",
        0,
        "the gzip data ends early; copy the file again",
    )
    assert len({appended.log for appended in folder_reader.given}) == 3


# Starting again


def test_a_new_run_goes_on_where_the_last_one_stopped(log: Path, reader: Reader) -> None:
    append(log, "a\nb")
    assert reader.look() == ["a"]
    reader.restart()
    append(log, "\nc\n")
    assert reader.look() == ["b", "c"]
    assert reader.numbers() == [0, 1, 2]


def test_what_was_not_taken_is_given_again(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    assert reader.look() == ["a"]
    append(log, "b\nc\n")
    list(reader.follower.poll())
    reader.restart()
    assert reader.look() == ["b", "c"]


def test_what_was_taken_in_the_middle_of_a_look_is_not_given_again(tmp_path: Path) -> None:
    for name in "abc":
        append(tmp_path / f"{name}.log", f"{name}\n")
    kept = Positions(tmp_path / "positions.json")
    with closing(Follower([f"{tmp_path}/*.log"], kept)) as follower:
        first = next(follower.poll())
        follower.taken()
    with closing(Follower([f"{tmp_path}/*.log"], kept)) as follower:
        again = [appended.lines["text"][0] for appended in follower.poll()]
    assert sorted([first.lines["text"][0], *again]) == ["a", "b", "c"]


def test_a_log_rotated_while_nobody_looked_is_read_to_its_end(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    reader.look()
    append(log, "b\n")
    moved(log, ".1")
    append(log, "c\n")
    reader.restart()
    assert reader.look() == ["b", "c"]
    reader.restart()
    assert reader.look() == []


def test_a_half_written_line_is_found_though_its_log_was_rotated_while_nobody_looked(log: Path, reader: Reader) -> None:
    append(log, "ha")
    reader.look()
    append(moved(log, ".1"), "lf\n")
    append(log, "b\n")
    reader.restart()
    assert reader.look() == ["half", "b"]


def test_a_log_emptied_while_nobody_looked_starts_over(log: Path, reader: Reader) -> None:
    append(log, "a\nb\n")
    reader.look()
    truncate(log)
    append(log, "c\n")
    reader.restart()
    assert reader.look() == ["c"]


def test_a_log_is_known_again_on_a_device_of_another_number(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    reader.look()
    kept = json.loads(reader.kept.read_text())
    reader.kept.write_text(json.dumps({"logs": [position | {"device": 0} for position in kept["logs"]]}))
    reader.restart()
    append(log, "b\n")
    assert reader.look() == ["b"]


def test_positions_are_replaced_whole_and_damaged_ones_are_refused(
    tmp_path: Path, log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, "a\n")
    reader.look()
    before = reader.kept.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no room"):
            reader.positions.save()
    assert reader.kept.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["positions.json"]
    reader.kept.write_bytes(before[:-9])
    with pytest.raises(DamagedPositions, match=r"positions\.json: holds no positions of logs .*; remove it"):
        Positions.load(reader.kept)


def test_few_files_are_held_open_and_few_gone_logs_remembered(
    log: Path, folder_reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "OPEN_LOGS", 3)
    monkeypatch.setattr(following, "GONE_LOGS", 4)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        append(log.with_name(f"{number}.log"), f"{number}\n")
    assert len(folder_reader.look()) == 20
    assert len(os.listdir("/proc/self/fd")) - before == 3
    append(log.with_name("7.log"), "more\n")
    assert folder_reader.look() == ["more"]
    for number in range(20):
        log.with_name(f"{number}.log").unlink()
    assert folder_reader.look(2) == []
    assert len(json.loads(folder_reader.kept.read_text())["logs"]) == 4


# What its consumer must know


def test_a_note_comes_back_with_what_follows_it(log: Path, reader: Reader) -> None:
    append(log, "a\n")
    reader.look()
    reader.follower.taken({reader.given[0].log: {"lines": 1}})
    reader.positions.save()
    reader.restart()
    append(moved(log, ".1"), "b\n")
    append(log, "c\n")
    reader.look()
    assert [appended.note for appended in reader.given] == [None, {"lines": 1}, None]


def test_before_gives_the_lines_above_of_packed_logs_too(log: Path, folder_reader: Reader) -> None:
    append(log, gzip.compress(b"a\nb\n"))
    folder_reader.look(2)
    append(log, gzip.compress(b"c\n"))
    list(folder_reader.follower.poll())
    (appended,) = folder_reader.follower.poll()
    above = [text for frame in folder_reader.follower.before(appended) for text in frame["text"]]
    assert (above, appended.lines["text"].to_list()) == (["a", "b"], ["c"])


# The law


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 900)),
        st.sampled_from([(act, 0) for act in ("look", "take", "restart", "rename", "copy", "compress", "remove")]),
    ),
    max_size=40,
)


class Writer:
    """Writes numbered lines, as no two lines of a log with times are the same, cut anywhere; rotates between lines."""

    def __init__(self, log: Path) -> None:
        self.log, self.lines, self.rotations, self.seconds = log, 0, 0, 0
        self.left = b""
        self.write(0)

    def write(self, size: int) -> None:
        while len(self.left) < size:
            self.left += f"{self.lines:04} {'x' * (self.lines * 7 % 300)}\n".encode()
            self.lines += 1
        append(self.log, self.left[:size])
        self.left = self.left[size:]
        self.tick(self.log)

    def end(self) -> None:
        self.write(len(self.left))

    def rename(self) -> None:
        self.log.rename(self.rotated())
        self.write(0)

    def copy(self) -> None:
        self.tick(Path(shutil.copy(self.log, self.rotated())))
        truncate(self.log)
        self.tick(self.log)

    def compress(self) -> None:
        for path in sorted(self.log.parent.glob("app.log.???"))[:1]:
            compress(path)

    def remove(self) -> None:
        for path in sorted(self.log.parent.glob("app.log.*"))[:1]:
            path.unlink()

    def rotated(self) -> Path:
        self.rotations += 1
        return self.log.with_name(f"app.log.{self.rotations:03}")

    def tick(self, path: Path) -> None:
        """Files change a second apart: those that were never seen are read in the order of their time."""
        self.seconds += 1
        os.utime(path, (self.seconds, self.seconds))


class Books:
    """A consumer that may fall over: what it did not take is lost with it."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.reader = Reader(folder, path)
        self.safe: list[Appended] = []
        self.pending: list[Appended] = []

    def look(self) -> None:
        self.pending += self.reader.follower.poll()

    def take(self) -> None:
        self.reader.take()
        self.safe += self.pending
        self.pending = []

    def restart(self) -> None:
        self.pending = []
        self.reader.follower.close()
        self.reader.restart()

    def settle(self) -> None:
        """Look until even packed logs were read."""
        for _ in range(3):
            self.look()
        self.take()


def play(acts: list[tuple[str, int]], folder: Path, scope: str) -> tuple[list[Appended], int]:
    """What is safe after all acts, and how many lines were written.

    One log alone must be looked at between two rotations, and what is removed must have been read before.
    """
    log = folder / "logs" / "app.log"
    log.parent.mkdir()
    writer, books = Writer(log), Books(folder, log.parent / scope)
    for act, size in acts:
        if act == "write":
            writer.write(size)
        elif act in ("look", "take", "restart"):
            getattr(books, act)()
        else:
            writer.end()
            if act == "remove" or scope == "app.log":
                books.settle()
            getattr(writer, act)()
    writer.end()
    books.settle()
    books.reader.follower.close()
    return books.safe, writer.lines


def numbers_of(parts: list[Appended]) -> list[int]:
    return [int(text[:4]) for appended in parts for text in appended.lines["text"]]


@settings(max_examples=200, deadline=None)
@given(ACTS, st.sampled_from(["app.log", "app.log*", ""]))
def test_whatever_happens_each_line_is_given_once_and_in_order(acts: list[tuple[str, int]], scope: str) -> None:
    with TemporaryDirectory() as folder:
        given, written = play(acts, Path(folder), scope)
    numbers = numbers_of(given)
    assert sorted(numbers) == list(range(written))
    assert all(appended.damage is None for appended in given)
    if ("compress", 0) not in acts:  # a packed log is read two looks later, when it has proved to be complete
        assert numbers == sorted(numbers)
        lines = [(appended.source, line) for appended in given for line in appended.lines["line"]]
        assert all(later in (line + 1, 0) or other != source for (source, line), (other, later) in pairwise(lines))
