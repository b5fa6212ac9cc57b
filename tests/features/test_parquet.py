"""Events that went through Parquet are the same events, and no file that is none of ours comes through."""

import gzip
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from features import parquet
from features.admission import admit
from features.events import ENTITIES, REQUIRED, Domain, schema
from features.files import LINE_BYTES
from features.reading import Chunk, read
from features.source import Drafts

START = datetime(2024, 5, 1, tzinfo=UTC)


def events(domain: Domain, count: int = 3, **more: object) -> pl.DataFrame:
    """Events as the door lets them through."""
    who = next(iter(ENTITIES[domain].values()))[0]
    rows = [{"line": n, "text": f"{n}", "time": START + n * timedelta(seconds=1), who: f"u{n}"} for n in range(count)]
    more |= {"api_operation": "List"} if domain is Domain.CLOUD else {}
    draft = pl.DataFrame(rows).with_columns(pl.lit(value).alias(name) for name, value in more.items())
    return admit(Drafts({domain: draft}), "logs/a.log", "inner").events[domain]


def kept(path: Path, *frames: pl.DataFrame, domain: Domain = Domain.NETWORK) -> Path:
    with path.open("wb") as file, parquet.Writer(file, domain) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def refusals(*paths: Path) -> list[tuple[Any, ...]]:
    chunks = list(read(paths))
    return [row for chunk in chunks for row in chunk.refused.select("line", "field", "reason").rows()]


def came_through(chunks: list[Chunk], domain: Domain) -> pl.DataFrame:
    frames = [chunk.events[domain] for chunk in chunks if chunk.events]
    return pl.concat([pl.DataFrame(schema=schema(domain)), *frames])


US = timedelta(microseconds=1)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MOMENTS = st.integers(0, 4_000_000_000_000_000).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + us * US)
VALUES = {
    pl.String(): TEXTS,
    pl.Int64(): st.none() | st.integers(0, 65_535),
    pl.Int32(): st.none() | st.integers(0, 2**31 - 1),
    pl.Float64(): st.none() | st.floats(0, 2**53),
}


@st.composite
def admitted(draw: st.DrawFn) -> tuple[Domain, list[pl.DataFrame]]:
    """Frames of one domain, each of a log of its own, that came through the door."""
    domain = draw(st.sampled_from(list(Domain)))
    columns = {name: VALUES[kind] for name, kind in schema(domain).items() if name in draw_columns(draw, domain)}
    frames = []
    for source in draw(st.lists(st.sampled_from(["a.log", "b c.log", "ü"]), max_size=3)):
        rows = draw(st.lists(st.fixed_dictionaries(columns | {"time": MOMENTS}), max_size=5))
        kinds = {name: kind for name, kind in schema(domain).items() if name in columns or name == "time"}
        draft = pl.DataFrame(rows, schema=kinds).with_row_index("line").with_columns(text=pl.lit("x"))
        member = draw(st.none() | st.just("inner.log"))
        found = admit(Drafts({domain: draft.cast({"line": pl.Int64})}), source, member).events
        frames += [frame.filter(~is_nobody(domain)) for frame in found.values()]
    return domain, frames


def is_nobody(domain: Domain) -> pl.Expr:
    """An event whose only names say nothing, such as a dash: the door lets it through once, and then takes them out."""
    return pl.any_horizontal(pl.all_horizontal(pl.col(name).is_null() for name in group) for group in REQUIRED[domain])


def draw_columns(draw: st.DrawFn, domain: Domain) -> set[str]:
    names = [name for name in schema(domain) if name not in ("source", "member", "line", "time")]
    return set(draw(st.lists(st.sampled_from(names), unique=True)))


@settings(deadline=None, max_examples=150)
@given(admitted(), st.integers(1, 7))
def test_events_that_were_written_are_read_again_as_they_were(
    given: tuple[Domain, list[pl.DataFrame]], batch: int
) -> None:
    domain, frames = given
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(parquet, "BATCH_ROWS", batch)
        path = kept(Path(folder) / "x", *frames, domain=domain)
        whole = pl.concat([pl.DataFrame(schema=schema(domain)), *frames])
        assert pl.concat([whole.clear(), *parquet.frames(path)]).equals(whole)
        chunks = list(read([path]))
    assert all(chunk.refused.is_empty() for chunk in chunks)
    assert sum(chunk.records for chunk in chunks) == whole.height
    order = pl.col("source"), pl.col("member")
    found = came_through(chunks, domain)
    assert found.sort(*order, maintain_order=True).equals(whole.sort(*order, maintain_order=True))
    for chunk in chunks:
        for frame in chunk.events.values():
            assert frame.select("source", "member").unique().height == 1


ODD: dict[str, st.SearchStrategy[Any]] = {
    "time": st.none() | MOMENTS,
    "uid": st.none() | st.just("u"),
    "source": st.none() | st.just("a.log"),
    "line": st.none() | st.integers(-1, 3),
    "src_endpoint_ip": st.sampled_from([None, "10.0.0.1", "::FFFF:10.0.0.1", "-", " 10.0.0.1"]),
    "dst_endpoint_port": st.none() | st.integers(-1, 70_000),
    "device_hostname": st.sampled_from([None, "h1", "H1.example", ""]),
    "activity_name": st.sampled_from([None, "open", "Open"]),
}


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.fixed_dictionaries(ODD), min_size=1, max_size=3), st.booleans())
def test_what_needs_no_change_is_what_the_long_way_round_makes_of_it(
    rows: list[dict[str, Any]], is_plain: bool
) -> None:
    domain = Domain.NETWORK
    plain = events(domain, len(rows))
    frame = plain.with_columns(
        pl.Series(name, [row[name] for row in rows]).cast(schema(domain)[name]) for name in ([] if is_plain else ODD)
    )
    quick = parquet.passed(frame, domain, "x", 7)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parquet, "passes_as_is", lambda frame, domain: False)
        long = parquet.passed(frame, domain, "x", 7)
    for name in ("events", "refused", "spellings"):
        assert_frame_equal(getattr(quick, name), getattr(long, name))
    assert quick.place.to_list() == long.place.to_list()
    assert not is_plain or (quick.events is frame and long.events is not frame)


@pytest.mark.parametrize("domain", Domain)
def test_a_file_that_polars_wrote_is_as_good(tmp_path: Path, domain: Domain) -> None:
    frame = events(domain)
    frame.write_parquet(tmp_path / "x")
    assert came_through(list(read([tmp_path / "x"])), domain).equals(frame)
    assert parquet.domain_of(tmp_path / "x") is domain


def test_a_folder_of_them_and_a_log_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    kept(tmp_path / "f" / "dns.parquet", events(Domain.DNS), domain=Domain.DNS)
    kept(tmp_path / "f" / "network.parquet", events(Domain.NETWORK))
    chunks = list(read([tmp_path / "f"]))
    assert [(chunk.records, chunk.format) for chunk in chunks if chunk.events] == [
        (3, "secmesh events of dns"),
        (3, "secmesh events of network"),
    ]
    assert refusals(tmp_path) == []


def test_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (kept(tmp_path / name, events(Domain.NETWORK)).read_bytes() for name in "ab")
    assert one == other


# The door


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("time", pl.lit(None, pl.Datetime("us", "UTC")), "the time is missing"),
        ("time", pl.lit(datetime(1969, 1, 1, tzinfo=UTC)), "the time is missing or no time between 1970 and 2100"),
        ("src_endpoint_port", pl.lit(65_536, pl.Int64), "expected a whole number from 0 to 65535"),
        ("dst_endpoint_port", pl.lit(-1, pl.Int64), "expected a whole number from 0 to 65535"),
        ("duration", pl.lit(float("nan")), "expected a finite number"),
        ("class_uid", pl.lit(-5, pl.Int32), "expected a whole number"),
        ("source", pl.lit(None, pl.String), "expected the name of the log"),
        ("line", pl.lit(None, pl.Int64), "expected the number of the line"),
        ("line", pl.lit(-1, pl.Int64), "expected the number of the line"),
        ("uid", pl.lit(None, pl.String), "expected the name of this event"),
        ("actor_user_name", pl.lit(None, pl.String), "expected at least one of"),
        ("app_name", pl.lit("x" * (LINE_BYTES + 1)), f"expected at most {LINE_BYTES} bytes in a row"),
    ],
)
def test_a_row_that_no_log_could_hold_is_refused_by_its_number(
    tmp_path: Path, column: str, value: pl.Expr, reason: str
) -> None:
    good = events(Domain.NETWORK)
    bad = good.with_columns(pl.when(pl.col("line") == 1).then(value).otherwise(pl.col(column)).alias(column))
    path = kept(tmp_path / "x", good, bad)
    ((line, _, why),) = refusals(path)
    assert (line, why[: len(reason)]) == (4, reason)
    assert came_through(list(read([path])), Domain.NETWORK).equals(pl.concat([good, good.filter(pl.col("line") != 1)]))


def test_names_are_normalised_at_the_door(tmp_path: Path) -> None:
    odd = events(Domain.NETWORK).with_columns(
        actor_user_name=pl.lit(" CORP\\Alice "), src_endpoint_ip=pl.lit("010.1.1.1")
    )
    straight = events(Domain.NETWORK, actor_user_name=" CORP\\Alice ", src_endpoint_ip="010.1.1.1")
    names = ["actor_user_name", "src_endpoint_ip"]
    found = came_through(list(read([kept(tmp_path / "x", odd)])), Domain.NETWORK)
    assert found.select(names).equals(straight.select(names))


# Files that are none of ours


def written(path: Path, frame: pl.DataFrame) -> Path:
    frame.write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop("duration"), "column 'duration' is missing"),
        (lambda frame: frame.with_columns(x=pl.lit(1)), "column 'x' is none of theirs"),
        (lambda frame: frame.cast({"line": pl.Int32}), "column 'line' has the type int32, not int64"),
        (lambda frame: frame.cast({"uid": pl.Binary}), "column 'uid' has the type"),
        (
            lambda frame: frame.cast({"time": pl.Datetime("ms", "UTC")}),
            "column 'time' has the type timestamp[ms, tz=UTC]",
        ),
        (lambda frame: frame.cast({"time": pl.Datetime("us")}), "column 'time' has the type timestamp[us]"),
        (lambda frame: frame.with_columns(uid=pl.concat_list("uid")), "column 'uid' has the type"),
        (lambda frame: frame.select(pl.lit(1).alias("a")), "is missing"),
    ],
)
def test_a_file_with_other_columns_is_refused_and_the_first_wrong_one_named(
    tmp_path: Path, change: Any, words: str
) -> None:
    ((line, field, reason),) = refusals(written(tmp_path / "x", change(events(Domain.NETWORK))))
    assert (line, field) == (None, "file")
    assert words in reason
    assert reason.startswith("expected the columns of secmesh events")


def test_columns_with_the_same_name_are_refused(tmp_path: Path) -> None:
    table = events(Domain.DNS).to_arrow()
    pq.write_table(table.append_column("uid", table["uid"]), tmp_path / "x")
    ((_, _, reason),) = refusals(tmp_path / "x")
    assert "a column is there twice" in reason or "is none of theirs" in reason or "no whole Parquet" in reason


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    table = events(Domain.DNS).to_arrow(compat_level=pl.CompatLevel.oldest())
    evil = pa.array([b"\xff\xfe", b"a", b"b"], pa.large_binary()).view(pa.large_string())
    at = table.schema.get_field_index("rcode")
    pq.write_table(table.set_column(at, "rcode", evil), tmp_path / "x")
    ((_, _, reason),) = refusals(tmp_path / "x")
    assert reason.startswith("row group 0 cannot be read")


def test_a_row_group_above_the_most_is_refused_and_those_before_it_come_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(tmp_path / "x", events(Domain.DNS, 3), events(Domain.DNS, 5), domain=Domain.DNS)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    ((_, _, reason),) = refusals(path)
    assert reason.startswith("row group 1 has 5 rows and")
    assert came_through(list(read([path])), Domain.DNS).height == 3
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    ((_, _, reason),) = refusals(path)
    assert reason.startswith("row group 0 has 3 rows and")


def test_an_encoding_that_makes_much_of_little_is_refused(tmp_path: Path) -> None:
    pq.write_table(
        events(Domain.DNS).to_arrow(compat_level=pl.CompatLevel.oldest()),
        tmp_path / "x",
        use_dictionary=False,
        column_encoding={"rcode": "DELTA_BYTE_ARRAY"},
    )
    ((_, _, reason),) = refusals(tmp_path / "x")
    assert reason.startswith("row group 0 cannot be read (Not yet implemented: ")


def test_a_small_file_that_holds_far_too_much_is_refused_before_it_is_unfolded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "FREE_BYTES", 0)
    monkeypatch.setattr(parquet, "MOST_RATIO", 10)
    path = kept(tmp_path / "x", events(Domain.DNS, 2000, rcode="x" * 1000), domain=Domain.DNS)
    ((_, _, reason),) = refusals(path)
    assert reason.startswith("holds more than 10 times its size")


def test_parquet_inside_an_archive_is_refused_with_what_helps(tmp_path: Path) -> None:
    path = kept(tmp_path / "x", events(Domain.DNS), domain=Domain.DNS)
    (tmp_path / "x.gz").write_bytes(gzip.compress(path.read_bytes()))
    ((_, _, reason),) = refusals(tmp_path / "x.gz")
    assert reason.startswith("Parquet is read as a whole file of its own, neither out of an archive")


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_is_cut_off_or_changed_ends_in_a_refusal_or_in_events(data: st.DataObject) -> None:
    file = io.BytesIO()
    with parquet.Writer(file, Domain.WEB) as writer:
        writer.write(events(Domain.WEB, 40))
        writer.write(events(Domain.WEB, 7))
    content = bytearray(file.getvalue())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(8, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        chunks = list(read([path]))
    found = [frame for chunk in chunks for frame in chunk.events.values()]
    if any(chunk.refused.height for chunk in chunks):
        assert sum(frame.height for frame in found) <= 47
    else:
        assert sum(frame.height for frame in found) == 47
