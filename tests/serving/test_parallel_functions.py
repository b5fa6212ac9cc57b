"""Proposal, documentation and the shadow run beside detection: stopped they delay nothing, killed they come again."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from models.home import Home
from models.registry import Registry
from models.releases import find, promote
from serving.folding.companions import WRITERS
from tests.serving.posting import Served, served

BESIDE = {*WRITERS, "shadow"}


def at_work(home: Home) -> dict[str, int]:
    """The processes beside the detector of a home, by name."""
    found: dict[str, int] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text().split("\0")
            if str(home.var.parent) in words and (name := words[2].rpartition(".")[2]) in BESIDE:
                found[name] = int(path.parent.name)
    return found


@contextlib.contextmanager
def asleep(numbers: Iterable[int]) -> Iterator[None]:
    """While these processes do nothing at all."""
    for number in numbers:
        os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        for number in numbers:
            os.kill(number, signal.SIGCONT)


def wait_until(is_so: Callable[[], bool]) -> None:
    """With long pauses, for nothing here comes soon."""
    for _ in range(480):
        if is_so():
            return
        time.sleep(0.25)
    raise AssertionError("it never came to be")


def listed(service: Served) -> list[str]:
    """The ids of the threats that are listed."""
    return [threat["id"] for threat in service.ask("GET", "/v1/threats")[1]["threats"] if threat["listed"]]


def test_what_runs_beside_detection_delays_nothing_and_comes_again(
    twice: Registry, estate: Path, tmp_path: Path
) -> None:
    home, lines = Home.at(tmp_path / "home"), (estate / "network.jsonl").read_text().splitlines()
    with served(home) as service:
        service.ask("POST", "/v1/events", "\n".join(lines[:1500]))
        wait_until(lambda: at_work(home).keys() == BESIDE)
        wait_until(lambda: "shadow" in service.ask("GET", "/v1/release")[1])
        told = service.ask("GET", "/v1/release")[1]
        assert (told["shadow"]["champion"]["release"], told["shadow"]["challenger"]["release"]) == (1, 2)

        first = at_work(home)
        with asleep(first.values()):
            status, answer = service.ask("POST", "/v1/events?score=true", "\n".join(lines[1500:2000]))
            assert (status, len(answer["verdicts"])) == (200, 500)
            wait_until(service.is_ranked)
        wait_until(lambda: service.ask("GET", "/v1/release")[1]["shadow"]["events"] == 500)

        for name in WRITERS:
            os.kill(first[name], signal.SIGKILL)
        wait_until(
            lambda: at_work(home).keys() == BESIDE and not {*at_work(home).values()} & {first[w] for w in WRITERS}
        )
        reports = [home.var / "reports" / f"{id}.md" for id in listed(service)]
        assert reports
        wait_until(lambda: all(path.exists() for path in reports))

        promote(twice, find(twice, 2), reason="a test")
        wait_until(lambda: "shadow" not in at_work(home))
        assert "shadow" not in service.ask("GET", "/v1/release")[1]
    assert at_work(home) == {}
