"""A disk that takes no more loses nothing that was acknowledged: who posts hears so, and what waits is done later.

A file that may not grow stands for a full disk: whoever writes hears of it at the same calls.
"""

import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from features.logs import read_logs
from serving.api.told import ARROW
from serving.client.sending import streamed
from serving.stream.log_reader import LogReader, lake_of
from tests.reliability.service_process import Heard, ServiceProcess, lines, wait_until

Post = tuple[list[str], bytes, dict[str, str]]  # uids, body and headers


def plain(folder: Path) -> Post:
    uids, body = lines(300)
    return uids, body, {"content_type": "application/x-ndjson"}


def packed(folder: Path) -> Post:
    uids, body = lines(300)
    return uids, gzip.compress(body), {"content_encoding": "gzip"}


def arrow(folder: Path) -> Post:
    """So few events that they are larger as Parquet."""
    uids, body = lines(3)
    (folder / "lines").write_bytes(body)
    (frame,) = read_logs([folder / "lines"], "ocsf").events.values()
    return uids, streamed(frame), {"content_type": ARROW}


def posted(service: ServiceProcess, post: Post) -> Heard:
    uids, body, headers = post
    return service.ask("POST", "/v1/events?format=ocsf", body, idempotency_key=uids[0], **headers)


@pytest.mark.parametrize("made", [plain, packed, arrow])
def test_wherever_a_post_finds_the_disk_full_it_may_come_again_and_counts_once(
    service: ServiceProcess, tmp_path: Path, made: Callable[[Path], Post]
) -> None:
    """What is written in turn: the body as it comes, the same as Parquet, and the log."""
    for _ in range(5):
        assert posted(service, plain(tmp_path)).status == 200  # so that the log is longer than any body below
    heard, uids, size = dict[int, int](), list[str](), len(made(tmp_path)[1])
    for limit in (0, size // 2, size, size + 100, 20 * size):
        post = made(tmp_path)
        with service.no_file_beyond(limit):
            first = posted(service, post)
            assert first.status == 200 or first.is_refusal(), first
        again = posted(service, post)
        assert (again.status, again.told["repeated"]) == (200, first.status == 200)
        heard[limit] = first.status
        uids += post[0]
    assert heard[0] == heard[size] == 503
    assert [uid for uid in service.kept() if uid in set(uids)] == uids


def test_posts_read_together_on_a_full_disk_are_each_acknowledged_and_kept_or_neither(
    service: ServiceProcess, tmp_path: Path
) -> None:
    posts = [plain(tmp_path) for _ in range(40)]
    with service.no_file_beyond(len(posts[0][1]) + 1000), ThreadPoolExecutor(len(posts)) as pool:
        heard = list(pool.map(lambda post: posted(service, post), posts))
    assert all(one.status == 200 or one.is_refusal() for one in heard), heard
    kept = set(service.kept())
    for post, one in zip(posts, heard, strict=True):
        assert kept.issuperset(post[0]) if one.status == 200 else kept.isdisjoint(post[0])


def test_refusals_for_want_of_disk_are_counted(service: ServiceProcess, tmp_path: Path) -> None:
    def shed() -> int:
        return service.counts().sum("secmesh_requests_shed_total", reason="disk")

    before = shed()
    with service.no_file_beyond(0):
        assert posted(service, plain(tmp_path)).is_refusal()
    assert shed() == before + 1


def test_a_disk_that_takes_no_snapshot_and_no_lake_holds_up_neither_posts_nor_ranking(
    service: ServiceProcess, tmp_path: Path
) -> None:
    def is_said(words: str) -> bool:
        return service.detectors() != [detector] or any(words in line for line in service.said[heard:])

    def post() -> None:
        assert posted(service, plain(tmp_path)).status == 200
        wait_until(lambda: service.has_come("ranked"))

    def moved() -> int:
        return len(list(lake_of(service.log).rglob("*.parquet")))

    (detector,), heard, before = service.detectors(), len(service.said), moved()
    with service.no_file_beyond(0, detector):
        post()
        wait_until(lambda: is_said("snapshot"))
        post()
    with service.no_file_beyond(0):  # snapshots are kept again, and what is before them cannot be moved
        wait_until(lambda: is_said("events.db"))
    post()
    wait_until(lambda: moved() > before)
    assert service.detectors() == [detector]
    with closing(LogReader(service.log)) as log:
        assert log.verify().events == service.counts().sum("secmesh_events_accepted_total")
