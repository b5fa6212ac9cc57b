"""What is packed comes out whole, however it is cut, and never more of it at once than was asked for."""

import gzip
import zlib
from collections.abc import Callable, Mapping

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.api.encodings import BadEncoding, Unpacker

MB = 1 << 20
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress, "identity": bytes}
LAWFUL = settings(max_examples=60, deadline=None, derandomize=True)
packed_ones = st.sampled_from(["gzip", "zstd"])


def unpacked(encoding: str, blocks: list[bytes]) -> bytes:
    body = Unpacker(encoding)
    content = b"".join(piece for block in blocks for piece in body.unpack(block))
    body.end()
    return content


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@LAWFUL
@given(st.sampled_from(list(PACKERS)), st.lists(st.binary(max_size=900), max_size=4), st.integers(1, 700))
def test_parts_one_after_another_come_out_as_they_were_however_the_body_is_cut(
    encoding: str, parts: list[bytes], size: int
) -> None:
    body = b"".join(PACKERS[encoding](part) for part in parts)
    assert unpacked(encoding, cut(body, size)) == b"".join(parts)


@LAWFUL
@given(packed_ones, st.binary(max_size=900), st.data())
def test_what_ends_early_is_no_whole_body(encoding: str, content: bytes, data: st.DataObject) -> None:
    body = PACKERS[encoding](content)
    kept = data.draw(st.integers(1, len(body) - 1))
    with pytest.raises(BadEncoding):
        unpacked(encoding, [body[:kept]])


@LAWFUL
@given(packed_ones, st.binary(min_size=9, max_size=900))
def test_what_is_no_packed_data_is_refused(encoding: str, content: bytes) -> None:
    with pytest.raises(BadEncoding):
        unpacked(encoding, [b"no" + content])


@pytest.mark.parametrize("size", [(1 << 18) - 1, 1 << 18, (1 << 18) + 1, 5 * (1 << 18)])
@pytest.mark.parametrize("encoding", list(PACKERS))
def test_a_body_around_the_size_of_a_piece_is_whole(encoding: str, size: int) -> None:
    assert unpacked(encoding, [PACKERS[encoding](b"x" * size)]) == b"x" * size


def bomb(encoding: str, size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31) if encoding == "gzip" else zstandard.ZstdCompressor(19).compressobj()
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_comes_in_small_pieces(encoding: str) -> None:
    body, made = bomb(encoding, 64 * MB), 0
    assert len(body) < 64 * MB / 900
    for piece in Unpacker(encoding).unpack(body):
        assert len(piece) <= 8 * MB
        made += len(piece)
    assert made == 64 * MB


def test_a_window_that_needs_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    body = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = body.compress(bytes(MB)) + body.flush()
    with pytest.raises(BadEncoding):
        unpacked("zstd", [content])
