"""Whatever way logs are packed, their lines come out in order, up to the first damage."""

import gzip
import io
import itertools
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from features import files
from features.files import Member, UnreadablePath, check_paths, members
from features.unpacking import Damaged

TEXT = b"one\ntwo\nthree\n"


def texts(member: Member) -> list[str]:
    return [text for frame in member.lines() for text in frame["text"]]


def until_damage(member: Member) -> tuple[list[str], str]:
    """The lines before damage, and its reason; no reason if there was none."""
    seen: list[str] = []
    try:
        for frame in member.lines():
            seen += frame["text"].to_list()
    except Damaged as damage:
        return seen, str(damage)
    return seen, ""


def tar_gz(entries: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        folder = tarfile.TarInfo("logs")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zipped(entries: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed.getvalue()


def noise(lines: int) -> bytes:
    """Text that compresses badly, so that cutting a file cuts content."""
    return b"".join(b"%d %d\n" % (number, pow(7, number, 1_000_003) * 7919) for number in range(lines))


@pytest.mark.parametrize(
    "content",
    [TEXT, gzip.compress(TEXT), zstandard.compress(TEXT), gzip.compress(zstandard.compress(TEXT)), TEXT.rstrip()],
    ids=["plain", "gzip", "zstandard", "nested", "no last newline"],
)
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "anything.xyz"
    path.write_bytes(content)
    (member,) = members([path])
    assert (member.source, member.member, texts(member)) == (str(path), None, ["one", "two", "three"])


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_an_archive_gives_each_member_by_name_and_unpacks_gzip_inside(
    tmp_path: Path, pack: Callable[..., bytes]
) -> None:
    path = tmp_path / "logs"
    path.write_bytes(pack({"a/conn.log": TEXT, "b.gz": gzip.compress(b"x\n")}))
    found = [(member.member, member.name, texts(member)) for member in members([path])]
    assert found == [("a/conn.log", "conn.log", ["one", "two", "three"]), ("b.gz", "b.gz", ["x"])]


def test_several_gzip_streams_in_a_row_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rotated"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert texts(next(members([path]))) == ["a", "b"]


def test_a_folder_is_read_in_order_of_name_with_paths_one_can_open(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b", "a", "sub/c"):
        (tmp_path / name).write_bytes(name.encode())
    sources = [member.source for member in members([tmp_path])]
    assert [str(Path(source).relative_to(tmp_path)) for source in sources] == ["a", "b", "sub/c"]
    assert [Path(source).read_text() for source in sources] == ["a", "b", "sub/c"]


def test_a_path_that_does_not_exist_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePath, match="no such file"):
        check_paths([tmp_path, tmp_path / "nothing"])


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    member = next(members([tmp_path / "gone"]))
    assert until_damage(member) == ([], "cannot be read (No such file or directory); make it readable for this user")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, lambda text: tar_gz({"a": text})])
def test_a_file_cut_short_gives_its_whole_lines_and_one_reason(tmp_path: Path, pack: Callable[..., bytes]) -> None:
    text = noise(120_000)
    packed = pack(text)
    path = tmp_path / "cut"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    seen, reason = until_damage(next(members([path])))
    assert len(seen) > 40_000
    assert seen == text.decode().split("\n")[: len(seen)]
    assert "copy the file again" in reason


def test_a_zip_cut_short_is_read_from_header_to_header(tmp_path: Path) -> None:
    packed = zipped({"a": TEXT, "b": noise(20_000)})
    path = tmp_path / "cut.zip"
    path.write_bytes(packed[: len(packed) // 2])
    first, second, rest = ((member.member, *until_damage(member)) for member in members([path]))
    assert first == ("a", ["one", "two", "three"], "")
    assert (second[0], len(second[1]) > 1000, second[2]) == ("b", True, "the zip data ends early; copy the file again")
    assert rest == (None, [], "the zip archive is cut short or garbled; copy the file again")


def test_a_zip_written_to_a_pipe_is_read_from_header_to_header_too(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError("a pipe cannot tell")

    packed = Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", TEXT)
        archive.writestr("b", TEXT)
    path = tmp_path / "cut.zip"
    path.write_bytes(packed.getvalue()[:-60])
    assert packed.getvalue()[18:22] == bytes(4)
    assert [(member.member, until_damage(member)[0]) for member in members([path])][:2] == [
        ("a", ["one", "two", "three"]),
        ("b", ["one", "two", "three"]),
    ]


def test_garbled_content_is_damage_and_its_neighbours_come_through(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a": noise(5_000), "b": TEXT}))
    packed[200:260] = bytes(60)
    path = tmp_path / "garbled.zip"
    path.write_bytes(packed)
    (_, reason), good = (until_damage(member) for member in members([path]))
    assert "unpack" in reason
    assert good == (["one", "two", "three"], "")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_garbled_compression_is_damage(tmp_path: Path, pack: Callable[..., bytes]) -> None:
    packed = bytearray(pack(noise(120_000)))
    packed[len(packed) // 2 : len(packed) // 2 + 900] = b"\xff" * 900
    path = tmp_path / "garbled"
    path.write_bytes(packed)
    seen, reason = until_damage(next(members([path])))
    assert len(seen) > 1000
    assert "garbled" in reason


def test_a_zip_cut_short_that_was_not_compressed_is_only_told_of(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a", TEXT)
    path = tmp_path / "cut.zip"
    path.write_bytes(packed.getvalue()[:-60])
    assert [(member.member, until_damage(member)[0]) for member in members([path])] == [(None, [])]


def test_a_garbled_zip_without_table_of_contents_ends_in_damage(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a": noise(5_000)})[:-80])
    packed[100:160] = bytes(60)
    path = tmp_path / "garbled.zip"
    path.write_bytes(packed)
    assert all(until_damage(member)[1] for member in members([path]))


@pytest.mark.parametrize("content", [zipped({}), gzip.compress(TEXT, mtime=0)[:12] + b"\xff" * 40, b"\x1f\x8b"])
def test_an_archive_with_nothing_readable_gives_one_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    ((seen, reason),) = (until_damage(member) for member in members([path]))
    assert (seen, reason != "") == ([], True)


def test_garbage_between_tar_members_is_one_reason(tmp_path: Path) -> None:
    packed = bytearray(gzip.decompress(tar_gz({"a": TEXT, "b": TEXT})))
    packed[1536 : 1536 + 512] = b"\xff" * 512
    path = tmp_path / "bad.tar"
    path.write_bytes(packed)
    found = [(member.member, *until_damage(member)) for member in members([path])]
    assert found[0] == ("a", ["one", "two", "three"], "")
    assert len(found) == 2
    assert "tar archive" in found[1][2]


def test_utf16_and_byte_order_marks_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "powershell.txt"
    for encoding in ("utf-16", "utf-8-sig"):
        path.write_bytes("größe\r\nzwei\n".encode(encoding))
        assert texts(next(members([path]))) == ["größe", "zwei"]


def test_bytes_that_are_no_utf8_are_shown_and_not_lost() -> None:
    assert texts(Member("x", None, iter([b"a\xffb\nc\n"]))) == ["a\ufffdb", "c"]


DATA = st.binary(max_size=200).map(lambda data: data.replace(b"\r", b"")) | st.text("a\n", max_size=99).map(str.encode)


@settings(deadline=None)
@given(DATA, st.lists(st.integers(0, 200), max_size=8))
def test_any_cut_into_blocks_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    blocks = [data[start:end] for start, end in itertools.pairwise(edges)]
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK_BYTES", 16)
        frames = list(Member("x", None, iter(blocks)).lines())
    lines = [row for frame in frames for row in frame.select("line", "text").rows()]
    assert [line for line, _ in lines] == list(range(len(lines)))
    assert [found for _, found in lines] == text.removesuffix("\n").split("\n") * (text != "")


def test_an_endless_line_stays_small_and_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(files, "LINE_BYTES", 100)
    blocks: Iterable[bytes] = [b"good\n", *[b"x" * 500] * 50, b"\nlast\n"]
    frames = pl.concat(Member("x", None, iter(blocks)).lines())
    sizes = frames["text"].str.len_bytes().to_list()
    assert sizes[0] == 4
    assert 100 < sizes[1] < 1200
    assert frames["text"][2] == "last"


@pytest.mark.parametrize("magic", [b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"x\x9c", b"x\xda", b"x\x01"])
def test_text_that_begins_like_packed_data_is_text(magic: bytes) -> None:
    assert texts(Member("x", None, iter([magic + b"a\nb"]))) == [(magic + b"a").decode("utf-8", "replace"), "b"]


def lined_up(text: str, blocks_of: int = 1 << 18) -> list[str]:
    """The lines of a log that comes in blocks of some bytes."""
    data = text.encode()
    blocks = (data[at : at + blocks_of] for at in range(0, len(data), blocks_of))
    return texts(Member("log", None, blocks))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a ,"\\[]{}\n\t\r:é', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('k"[,\\', max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(
    records=st.lists(st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3), min_size=1, max_size=4),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    is_wrapped=st.booleans(),
    blocks_of=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_a_json_document_has_a_line_for_each_record_however_written_and_cut(
    records: list[dict[str, object]], indent: int | str | None, line_end: str, is_wrapped: bool, blocks_of: int
) -> None:
    document: object = {"Records": records} if is_wrapped else records
    text = json.dumps(document, indent=indent).replace("\n", line_end)
    assert [json.loads(line) for line in lined_up(text, blocks_of)] == records


def test_documents_one_after_the_other_are_one_log() -> None:
    assert lined_up('{"Records":[{"a":1},{"b":2}]}\n{"Records":[]}\n{"Records":[{"c":3}]}\n') == [
        '{"a":1}',
        '{"b":2}',
        "",
        '{"c":3}',
    ]


@pytest.mark.parametrize(
    "broken",
    ['{"a": "never closed\n}', '{"a": 1}}', '{"a": [1]]}}', "nonsense", '{"a": \\}', '{"a": [1}]', '{"a": "\\\n}'],
)
def test_a_broken_record_of_a_document_leaves_its_neighbours_whole(broken: str) -> None:
    first, *between, last = lined_up(f'[{{"first": 1}},\n{broken},\n{{"last": 2}}]')
    assert (first, last) == ('{"first": 1}', '{"last": 2}')
    for line in between:
        with pytest.raises(ValueError, match=r"line 1 column"):
            json.loads(line)


def test_a_document_cut_short_ends_with_a_broken_line() -> None:
    assert lined_up('[{"a":1},{"b":') == ['{"a":1}', '{"b":']


@pytest.mark.parametrize("text", ["[2024-01-01] one, two", '{"a": [1, 2]}', "[1, 2]", '{"Records": 3}, {}'])
def test_other_text_keeps_its_lines(text: str) -> None:
    assert lined_up(text) == [text]
