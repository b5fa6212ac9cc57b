"""The book of answers: what analysts said of threats, a line each, to which one process at a time appends.

A line holds an answer and a seal: the SHA-256 of the seal before it and the answer. So nothing in the book can be
changed, left out or moved without the next line showing it.
"""

import fcntl
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from agents.consensus.answers import Answer
from features.mistakes import FoundWrong
from features.whole_files import sync, sync_folder


class DamagedAnswers(FoundWrong):
    """A line of the book is not as it was written; the text names it and what was expected."""


@dataclass(frozen=True)
class Answers:
    """The answers in a book, oldest first, in `size` bytes, the last seal, and how many bytes of a torn line follow.

    What is torn was never acknowledged: a crash or a full disk stopped it.
    """

    answers: tuple[Answer, ...] = ()
    size: int = 0
    torn: int = 0
    seal: str = ""

    def in_words(self) -> list[str]:
        """What a user should know: that an answer was cut short."""
        told = f"the last answer was cut short after {self.torn:,} bytes and does not count"
        return [f"{told}: see `secmesh answers` and answer again; that takes its place"] if self.torn else []


class AnswerBook:
    """The book at `var / "answers.jsonl"`; who comes while another reads or writes waits."""

    def __init__(self, var: Path) -> None:
        self.path = var / "answers.jsonl"

    def read(self) -> Answers:
        """All answers; none where there is no book. Raises DamagedAnswers."""
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                content = file.read()
        except FileNotFoundError:
            return Answers()
        return self._read(content)

    def append(self, answer: Answer) -> None:
        """Have an answer safely on disk, after all others and in the place of a torn line. Raises DamagedAnswers."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = self._read(file.read())
            file.truncate(before.size)
            file.write(_line(answer.record(), before.seal)[0])
            sync(file)
        sync_folder(self.path.parent)

    def _read(self, content: bytes) -> Answers:
        *lines, torn = content.split(b"\n")
        answers, seal = [], ""
        for number, line in enumerate(lines, start=1):
            answer, seal = self._answer(number, line + b"\n", seal)
            answers.append(answer)
        return Answers(tuple(answers), len(content) - len(torn), len(torn), seal)

    def _answer(self, number: int, line: bytes, seal: str) -> tuple[Answer, str]:
        """The answer in a line and its seal, if the line is what would be written of it after `seal`."""
        try:
            record = json.loads(line)["answer"]
            expected, next_seal = _line(record, seal)
            answer = Answer.read(record)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise self._damaged(number, "an answer and its seal as JSON") from error
        if expected != line:
            raise self._damaged(number, "the answer that its seal and the line before were made of")
        return answer, next_seal

    def _damaged(self, number: int, expected: str) -> DamagedAnswers:
        remedy = "put the file back from a copy, or remove that line and those after it"
        return DamagedAnswers(f"{self.path} line {number}: expected {expected}; {remedy}")


def _line(record: dict[str, Any], seal: str) -> tuple[bytes, str]:
    """The one way to write an answer after another of `seal`, and its own seal; all text is ASCII, safe to print."""
    plain = json.dumps(record, sort_keys=True, allow_nan=False)
    own = sha256(f"{seal}{plain}".encode()).hexdigest()
    return f'{{"answer": {plain}, "seal": "{own}"}}\n'.encode(), own
