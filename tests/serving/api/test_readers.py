"""Posts that wait together are read as each would be by itself, in turn, and nobody waits for what is gone."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from queue import Full
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from serving.api.posts import Post, Read, read, read_together
from serving.api.problems import Problem
from serving.api.readers import Readers, Shed
from serving.api.told import ARROW
from tests.serving.posting import event

laws = settings(max_examples=25, deadline=None, derandomize=True)
KIND = "application/x-ndjson"
LINES = st.sampled_from([event(1), event(2), event(3, class_uid=4003), "{", "", "{}", "hello", event(4, time=-1)])
BODIES = st.lists(
    st.tuples(st.lists(LINES, max_size=5), st.sampled_from(["", "\n", "\r\n"])).map(
        lambda pair: "\n".join([event(9), *pair[0]]) + pair[1]
    ),
    min_size=1,
    max_size=5,
)


def spooled(folder: Path, number: int, body: str) -> Post:
    path = folder / f"posted-{number}"
    path.write_text(body, newline="")
    return Post(path, sha256(body.encode()).digest(), len(body))


def same(one: Read, other: Read) -> None:
    assert one.events.keys() == other.events.keys()
    for domain in one.events:
        assert_frame_equal(one.events[domain], other.events[domain])
    assert_frame_equal(one.refused, other.refused)


@laws
@given(bodies=BODIES)
def test_posts_read_together_are_as_each_by_itself(bodies: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("posts")
    waiting = [spooled(folder, number, body) for number, body in enumerate(bodies)]
    together = read_together(waiting, "ocsf", KIND)
    for post, logs in zip(waiting, together, strict=True):
        assert not isinstance(logs, Problem)
        same(logs, read(post, "ocsf", KIND))
    assert sorted(path.name for path in folder.iterdir()) == sorted(post.path.name for post in waiting)


def test_what_does_not_stand_line_by_line_is_read_by_itself(tmp_path: Path) -> None:
    zeek = "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tquery\n1700000000.0\tC1\t10.0.0.1\ta.example\n"
    waiting = [spooled(tmp_path, 0, zeek), spooled(tmp_path, 1, zeek), spooled(tmp_path, 2, event(1))]
    for logs in read_together(waiting, "auto", KIND):
        assert not isinstance(logs, Problem)
        assert sum(frame.height for frame in logs.events.values()) == 1


def test_all_that_waits_is_read_and_what_cannot_be_is_told_to_whom_it_concerns(tmp_path: Path) -> None:
    async def run() -> list[Any]:
        many = Readers(1, 1 << 20, read_together)
        waiting = [spooled(tmp_path, n, event(n)) for n in range(12)]
        bad = spooled(tmp_path, 99, "no stream")
        asked = [many.read(f"p{n % 3}", post, "ocsf", KIND) for n, post in enumerate(waiting)]
        found = await asyncio.gather(*asked, many.read("p", bad, "auto", ARROW), return_exceptions=True)
        assert many.waiting == 0
        return found

    *good, problem = asyncio.run(run())
    assert [[uid for frame in logs.events.values() for uid in frame["uid"]] for logs in good] == [
        [f"e{n}"] for n in range(12)
    ]
    assert isinstance(problem, Problem)


def test_a_fault_reaches_whoever_waits_and_the_readers_go_on(tmp_path: Path) -> None:
    async def run() -> list[Any]:
        broken = spooled(tmp_path, 1, event(1))

        def read_or_break(bodies: Sequence[Post], format: str, kind: str) -> list[Read | Problem]:
            if broken in bodies:
                raise ZeroDivisionError
            return read_together(bodies, format, kind)

        many = Readers(1, 1 << 20, read_or_break)
        one = await asyncio.gather(many.read("p", broken, "ocsf", KIND), return_exceptions=True)
        return [*one, await many.read("p", spooled(tmp_path, 2, event(2)), "ocsf", KIND)]

    fault, logs = asyncio.run(run())
    assert isinstance(fault, ZeroDivisionError)
    assert pl.concat(logs.events.values())["uid"].to_list() == ["e2"]


def test_who_holds_most_makes_room_and_what_is_too_much_is_refused(tmp_path: Path) -> None:
    async def run() -> list[Any]:
        size = len(event(1))
        many = Readers(0, 3 * size, read_together)  # nobody reads
        greedy = [
            asyncio.ensure_future(many.read("greedy", spooled(tmp_path, n, event(n)), "ocsf", KIND)) for n in range(3)
        ]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(many.read("other", spooled(tmp_path, 4, event(4)), "ocsf", KIND))
        more = await asyncio.gather(
            many.read("greedy", spooled(tmp_path, 5, event(5)), "ocsf", KIND), return_exceptions=True
        )
        await asyncio.sleep(0)
        waiting = [one.done() for one in (*greedy, other)]
        for one in (*greedy, other):
            one.cancel()
        found = await asyncio.gather(*greedy, return_exceptions=True)
        assert many.waiting == 0
        return [waiting, *more, *found]

    waiting, more, *found = asyncio.run(run())
    assert waiting == [False, False, True, False]
    assert isinstance(more, Full)
    assert isinstance(found[2], Shed)
