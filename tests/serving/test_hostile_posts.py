"""Whatever is posted, the answer says what is wrong, nothing is kept of it, and no fault is ours."""

import gzip
import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pytest
import zstandard
from starlette.applications import Starlette

from features.reading import sources
from serving.api import posts
from serving.api.door import Door
from serving.api.told import ARROW
from tests.serving.posting import Heard, call, event, gated, home_of, new

Case = tuple[str, str, dict[str, str], bytes]  # what it is, the query, headers, and the body

GOOD = event(1)
#: How many bodies are made by chance, beside those that are listed.
MANGLED = int(os.environ.get("SECMESH_HOSTILE_POSTS", "100"))


def with_time(text: str) -> str:
    return GOOD.replace("1700000000001", text)


#: Lines that are no event in any format.
LINES = {
    "nothing": b"",
    "empty lines": b"\n\n\r\n",
    "spaces": b" " * 1000,
    "one letter": b"x",
    "a null": b"null",
    "a number": b"12",
    "a list": b"[1,2]",
    "an object without fields": b"{}",
    "an object cut short": GOOD.encode()[:-10],
    "lists in lists": b"[" * 100_000,
    "objects in objects": b'{"a":' * 100_000,
    "a field so deep": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "not a number": with_time("NaN").encode(),
    "infinity": with_time("-Infinity").encode(),
    "a time of many digits": with_time("9" * 100_000).encode(),
    "a time far away": with_time("1e308").encode(),
    "a time that is an object": with_time('{"a":1}').encode(),
    "a time that is a truth": with_time("true").encode(),
    "no time": json.dumps({"class_uid": 4001}).encode(),
    "a class of no kind": GOOD.replace("4001", '"x"').encode(),
    "half a pair of surrogates": b'{"class_uid":4001,"time":"\\ud800"}',
    "bytes of no alphabet": b'{"class_uid":4001,"time":"\xff\xfe"}',
    "zeros": bytes(10_000),
    "a long line": b"a" * 2_000_000,
    "a document type": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>',
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
    "a form": b"--x\r\ncontent-disposition: form-data; name=file\r\n\r\nhello\r\n--x--",
    "Parquet that is none": b"PAR1" + bytes(100) + b"PAR1",
    "a Windows log that is none": b"ElfFile\0" + bytes(5000),
}


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log", GOOD)
    return packed.getvalue()


def bomb() -> bytes:
    return gzip.compress(bytes(posts.BODY_BYTES + 1), 9)


def stream_of(column: pa.Array, name: str = "uid") -> bytes:
    batch = pa.record_batch([column], names=[name])
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    return out.getvalue()


def broken(whole: bytes, seed: int) -> bytes:
    """Some bytes of it changed, or its end cut off."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    content = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content[: chance.randrange(len(content))] if seed % 3 == 0 else content)


def noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(3000)  # noqa: S311  # no secret


ARROWS = {
    "text": b"hello",
    "nothing": b"",
    "a length that is not there": struct.pack("<II", 0xFFFFFFFF, 0x7FFFFFF0),
    "a column of no domain": stream_of(pa.array(["a"]), "x"),
    "a column of lists": stream_of(pa.array([["a"]])),
    "a dictionary": stream_of(pa.array(["a", "a"]).dictionary_encode()),
    "a column of nothing": stream_of(pa.nulls(1_000)),
    "views": stream_of(pa.array(["a"], pa.string_view())),
}
PACKED = {
    "gzip that is none": ({"content-encoding": "gzip"}, GOOD.encode()),
    "gzip cut short": ({"content-encoding": "gzip"}, gzip.compress(GOOD.encode())[:-3]),
    "gzip with a tail": ({"content-encoding": "gzip"}, gzip.compress(GOOD.encode()) + b"tail"),
    "a bomb": ({"content-encoding": "gzip"}, bomb()),
    "zstd that is none": ({"content-encoding": "zstd"}, GOOD.encode()),
    "zstd cut short": ({"content-encoding": "zstd"}, zstandard.compress(GOOD.encode())[:-3]),
    "a bomb of zstd": ({"content-encoding": "zstd"}, zstandard.compress(bytes(posts.BODY_BYTES + 1))),
    "packed twice": ({"content-encoding": "gzip"}, gzip.compress(gzip.compress(GOOD.encode()))),
    "two encodings": ({"content-encoding": "gzip, zstd"}, GOOD.encode()),
    "an encoding nobody knows": ({"content-encoding": "\xff"}, GOOD.encode()),
    "gzip that does not say so": ({}, gzip.compress(GOOD.encode())),
    "an archive": ({}, zipped()),
    "too long a key": ({"idempotency-key": "x" * 10_000}, GOOD.encode()),
    "a size beyond all": ({"content-length": "9" * 18}, GOOD.encode()),
}
QUERIES = (
    "format=magic",
    "format=",
    "format=../ocsf",
    "format=ocsf%00",
    "score=1",
    "score=%ff",
    "format=" + "x" * 9000,
)


def corpus() -> Iterator[Case]:
    for format in ("auto", *sources()):
        for name, body in LINES.items():
            yield f"{name} as {format}", f"format={format}", {}, body
    for seed in range(MANGLED * 2 // 5):
        yield f"noise {seed}", "", {}, noise(seed)
    for name, body in ARROWS.items():
        yield f"Arrow: {name}", "", {"content-type": ARROW}, body
    for seed in range(MANGLED * 3 // 5):
        yield f"Arrow, broken {seed}", "", {"content-type": ARROW}, broken(ARROWS["a dictionary"], seed)
    for name, (headers, body) in PACKED.items():
        yield name, "", headers, body
    for query in QUERIES:
        yield query[:20], query, {}, GOOD.encode()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Starlette, Door]]:
    with gated(home_of(tmp_path_factory.mktemp("hostile") / "home")) as gate:
        yield gate


def post(routes: Starlette, query: str, headers: dict[str, str], body: bytes) -> Heard:
    return call(routes, "POST", f"/v1/events?{query}", headers, body)


def is_problem(heard: Heard) -> bool:
    told = msgspec.json.decode(heard.body)
    is_told = all(told[name] for name in ("title", "detail", "expected"))
    return heard.headers["content-type"] == "application/problem+json" and is_told and told["status"] == heard.status


def test_whatever_is_no_event_is_a_problem_and_nothing_of_it_is_kept(gate: tuple[Starlette, Door]) -> None:
    routes, door = gate
    before, wrong, cases = door.head(), [], list(corpus())
    for name, query, headers, body in cases:
        heard = post(routes, query, headers, body)
        if not (400 <= heard.status < 500 and is_problem(heard)) or door.head() != before:
            wrong.append((name, heard.status, heard.body[:200]))
            before = door.head()
    assert len(cases) >= 300
    assert wrong == []


@pytest.mark.parametrize("name", [name for name, body in LINES.items() if body.strip() and b"\n" not in body])
def test_a_bad_line_is_told_by_its_number_and_the_good_ones_are_kept(gate: tuple[Starlette, Door], name: str) -> None:
    routes, door = gate
    position, events = door.head()
    body = b"\n".join([new().strip().encode(), LINES[name], new().encode()])
    heard = post(routes, "format=ocsf", {}, body)
    told = msgspec.json.decode(heard.body)
    assert heard.status == 200
    assert (told["accepted"], told["refused_count"]) == (2, 1)
    assert told["refused"][0]["line"] == 1
    assert told["refused"][0]["reason"]
    assert door.head() == (position + 1, events + 2)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{" * 9000, b'{"is_true":true,"reason":1}', b'{"is_true":true,"reason":"x","role":"admin"}'],
)
def test_an_answer_to_no_threat_is_a_problem_whatever_it_says(gate: tuple[Starlette, Door], body: bytes) -> None:
    routes, door = gate
    before = door.head()
    for id in ("x", "%00", "'; drop table", "\u202e", "x" * 9000):
        heard = call(routes, "POST", f"/v1/threats/{id}/answers", {}, body)
        assert heard.status == 404
        assert is_problem(heard)
    assert door.head() == before
