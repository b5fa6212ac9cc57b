"""A process is kept at work: another one starts where one ended, and who sends to it never waits."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from models.home import Home
from serving.folding.messages import Ask, Said, ToDoor, Wake
from serving.folding.process import Attended
from tests.serving.folding.told_process import DIE, END, SLEEP
from tests.serving.posting import wait_until


class Kept:
    """A process that is kept at work, and what it and its keeper said."""

    def __init__(self, home: Path, patience: float = 20.0) -> None:
        self.born: list[int] = []
        self.heard: list[str] = []
        self.said: list[str] = []
        self.lost = 0
        module, say = "tests.serving.folding.told_process", lambda lines, kind: self.said.extend(lines)
        self.attended = Attended(module, "echo", Home.at(home), say, self._hear, lost=self._lose, patience=patience)

    def _hear(self, message: ToDoor) -> None:
        assert isinstance(message, Said)
        if message.kind == "born":
            self.born.append(int(message.lines[0]))
        else:
            self.heard += message.lines

    def _lose(self) -> None:
        self.lost += 1


@contextlib.contextmanager
def at_work(home: Path, patience: float = 20.0) -> Iterator[Kept]:
    kept = Kept(home, patience)
    kept.attended.start()
    try:
        wait_until(lambda: len(kept.born) == 1)
        yield kept
    finally:
        kept.attended.stop()
    for number in kept.born:
        assert not Path(f"/proc/{number}").exists()


def test_what_is_sent_is_heard_in_its_order_and_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with at_work(tmp_path) as kept:
        for n in range(1000):
            kept.attended.send(Ask(b"%d" % n))
        wait_until(lambda: len(kept.heard) == 1000)
        assert kept.heard == [repr(Ask(b"%d" % n)) for n in range(1000)]
    assert (len(kept.born), kept.lost, kept.said) == (1, 1, [])


def test_where_one_was_killed_another_one_starts(tmp_path: Path) -> None:
    with at_work(tmp_path) as kept:
        kept.attended.send(Ask(DIE))
        wait_until(lambda: len(kept.born) == 2)
        assert kept.born[0] != kept.born[1]
        assert kept.said == ["the echo ended (-9); another one starts in 1 s"]
        kept.attended.send(Wake())
        wait_until(lambda: kept.heard != [])


def test_where_one_ended_as_it_should_another_one_starts_without_a_word(tmp_path: Path) -> None:
    with at_work(tmp_path) as kept:
        kept.attended.send(Ask(END))
        wait_until(lambda: len(kept.born) == 2)
    assert kept.said == []


def test_who_sends_never_waits_for_one_that_does_not_listen(tmp_path: Path) -> None:
    with at_work(tmp_path) as kept:
        kept.attended.send(Ask(SLEEP))
        time.sleep(0.2)
        for n in range(5000):  # more than any line holds
            kept.attended.send(Ask(b"%d" % n))
            kept.attended.send(Wake())
        os.kill(kept.born[0], signal.SIGCONT)
        wait_until(lambda: repr(Ask(b"4999")) in kept.heard)
        asked = [one for one in kept.heard if "Wake" not in one and "sleep" not in one]
        assert asked == [repr(Ask(b"%d" % n)) for n in range(5000)]
        assert 1 <= len(kept.heard) - len(asked) < 5000


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with at_work(tmp_path, patience=0.3) as kept:
        kept.attended.send(Ask(SLEEP))
        wait_until(lambda: _state(kept.born[0]) == "T")


def test_one_that_was_stopped_before_it_began_never_begins(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.attended.stop()
    kept.attended.start()
    kept.attended.stop()
    assert kept.born == []


def _state(number: int) -> str:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
