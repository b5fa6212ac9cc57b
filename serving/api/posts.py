"""Posts: the body of a request as the events in it, whatever format they are in and however they are packed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import polars as pl
from starlette.requests import Request

from features import parquet
from features.events import Domain, schema
from features.logs import Events, read_logs, renamed
from features.reading import refused_whole
from serving.api import arrow_stream
from serving.api.encodings import ENCODINGS, BadEncoding, Unpacker
from serving.api.problems import Problem
from serving.api.told import ARROW, Refusal

#: Most bytes of one request's body, as it is sent and as it is unpacked.
BODY_BYTES = 64 << 20
#: What a body should be.
EVENTS = "lines of a known log format, each with a time"
#: Most refused records that one answer lists; it counts all of them.
REFUSED_SHOWN = 1000
#: What the source of posted events is called.
POSTED = "http"

_ALONE = ("ocsf", "suricata", "wazuh")  # formats of which each line can be read by itself
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstandard", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_TAR_MARK, _TAR_AT = b"ustar", 257


@dataclass(frozen=True)
class Read:
    """What a body holds: events in the order of time, and what was refused of it."""

    events: Events
    refused: pl.DataFrame


@dataclass(frozen=True)
class Post:
    """A body unpacked, in a file, the SHA-256 of it, and how many bytes of it were sent."""

    path: Path
    digest: bytes
    size: int


@contextmanager
def spooled(folder: Path) -> Iterator[IO[bytes]]:
    """A file for a body until it is in the log. Raises Problem where the disk does not take it."""
    try:
        with NamedTemporaryFile(dir=folder) as spool:
            yield spool
    except OSError as error:
        raise Problem(503, "Not kept", "the disk did not take the body", "try again later", retry=5) from error


async def receive(request: Request, spool: IO[bytes], heard: Callable[[int], None]) -> Post:
    """Keep the body in `spool`, unpacked as its Content-Encoding says; `heard` hears how much came. Raises Problem."""
    body, seen, sent, unpacked = _unpacker(request.headers), sha256(), 0, 0
    try:
        async for block in request.stream():
            sent += len(block)
            heard(sent)
            _check(sent, "sent")
            for piece in body.unpack(block):
                unpacked += len(piece)
                _check(unpacked, "unpacked")
                seen.update(piece)
                spool.write(piece)
        body.end()
    except BadEncoding as error:
        raise Problem(
            400, "Bad encoding", f"the body cannot be unpacked: {error}", "data as content-encoding says"
        ) from error
    _check_plain(spool)
    spool.flush()
    return Post(Path(spool.name), seen.digest(), sent)


def announced(headers: Mapping[str, str]) -> int:
    """How many bytes a request says that its body has, 0 if it says none. Raises Problem if they are too many."""
    length = headers.get("content-length", "0")
    size = int(length) if length.isdecimal() and len(length) < 20 else 0
    _check(size, "sent")
    return size


def read(post: Post, format: str, kind: str) -> Read:
    """The events of a body of that media type. Raises Problem for an Arrow stream that is none."""
    (found,) = read_together([post], format, kind)
    if isinstance(found, Problem):
        raise found
    return found


def read_together(bodies: Sequence[Post], format: str, kind: str) -> list[Read | Problem]:
    """What `read` makes of each body, or why it cannot be read; what can be read at once is."""
    if kind == ARROW:
        return _streams(bodies)
    if len(bodies) > 1 and format in _ALONE and all(_is_lines(post.path) for post in bodies):
        return list(_lines(bodies, format))
    return [_alone(post, format) for post in bodies]


def _alone(post: Post, format: str) -> Read:
    logs = renamed(read_logs([post.path], format), {str(post.path): POSTED})
    return Read(logs.events, logs.refused)


def _is_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"{"


def _lines(bodies: Sequence[Post], format: str) -> Iterator[Read]:
    """Bodies of lines that stand alone, read as one."""
    ends, whole = [0], bodies[0].path.with_name(f"{bodies[0].path.name}-together")
    try:
        with whole.open("wb") as file:
            for post in bodies:
                content = post.path.read_bytes()
                content += b"" if content.endswith(b"\n") else b"\n"
                ends.append(ends[-1] + content.count(b"\n"))
                file.write(content)
        logs = renamed(read_logs([whole], format), {str(whole): POSTED})
    finally:
        whole.unlink(missing_ok=True)
    for start, end in pairwise(ends):
        mine, line = pl.col("line").is_between(start, end, closed="left"), pl.col("line") - start
        events = {domain: frame.filter(mine).with_columns(line) for domain, frame in logs.events.items()}
        yield Read(_some(events), logs.refused.filter(mine).with_columns(line))


def _streams(bodies: Sequence[Post]) -> list[Read | Problem]:
    """Arrow streams, those of one domain read as one."""
    found: dict[int, Read | Problem] = {}
    tables: dict[Domain, list[tuple[int, pl.DataFrame]]] = {}
    for number, post in enumerate(bodies):
        try:
            domain, frame = _stream(post)
            tables.setdefault(domain, []).append((number, frame))
        except arrow_stream.NoStream as error:
            expected = "an Arrow stream with the columns of a domain's events"
            found[number] = Problem(400, "No Arrow stream", f"the body {error}", expected)
        except parquet.NotEvents as wrong:
            found[number] = Read({}, refused_whole(POSTED, None, "file", None, str(wrong)).refused)
    for domain, frames in tables.items():
        found |= _rows(domain, frames)
    return [found[number] for number in range(len(bodies))]


def _stream(post: Post) -> tuple[Domain, pl.DataFrame]:
    table = arrow_stream.read(post.path)
    domain = parquet.domain_by(table.schema)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101  # what a table gives; the signature says either
    return domain, frame.select(pl.col(name).cast(kind) for name, kind in schema(domain).items())


def _rows(domain: Domain, frames: Sequence[tuple[int, pl.DataFrame]]) -> Iterator[tuple[int, Read]]:
    """What is in numbered frames of one domain."""
    passed = parquet.passed(pl.concat((frame for _, frame in frames), rechunk=True), domain, POSTED)
    start = 0
    for number, frame in frames:
        end = start + frame.height
        events = passed.events.filter(passed.place.is_between(start, end, closed="left"))
        refused = passed.refused.filter(pl.col("line").is_between(start, end, closed="left"))
        yield (
            number,
            Read(
                _some({domain: events.sort("time", maintain_order=True)}), refused.with_columns(pl.col("line") - start)
            ),
        )
        start = end


def _some(events: Events) -> Events:
    return {domain: frame for domain, frame in events.items() if frame.height}


def _unpacker(headers: Mapping[str, str]) -> Unpacker:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise Problem(
            415, "Unknown encoding", f"content-encoding is {encoding[:40]!r}", f"one of {', '.join(ENCODINGS)}"
        )
    return Unpacker(encoding)


def _check(size: int, how: str) -> None:
    if size > BODY_BYTES:
        raise Problem(
            413, "Too large", f"the body is too large as it is {how}", f"at most {BODY_BYTES} bytes; post it in parts"
        )


def _check_plain(spool: IO[bytes]) -> None:
    """Refuse an archive, which a reader would unpack beyond any limit of ours."""
    spool.seek(0)
    start = spool.read(512)
    kinds = [kind for mark, kind in _PACKED.items() if start.startswith(mark)]
    kinds += ["tar"] if start.startswith(_TAR_MARK, _TAR_AT) else []
    if kinds:
        expected = "lines of text; name gzip or zstd as Content-Encoding, unpack an archive first"
        raise Problem(415, "Packed body", f"the body is {kinds[0]} data", expected)


def refusals(refused: pl.DataFrame) -> list[Refusal]:
    """Refused records as values for JSON."""
    rows = refused.select("line", "field", "value", "reason").head(REFUSED_SHOWN).rows()
    return [Refusal(*row) for row in rows]
