"""What analysts said stays as they said it, in order, or the line that was changed is named."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.answers import Answer
from serving.threats.answer_book import AnswerBook, DamagedAnswers

AT = datetime(2026, 3, 2, 8, 30, 0, 5, tzinfo=UTC)
ANSWER = Answer("0123456789", True, "ann", AT, "", {"dns": 1.0}, (("dns", "query", None, 4.5), ("dns", None, "x", 3.0)))

texts = st.text(max_size=8)
answers = st.builds(
    replace,
    st.just(ANSWER),
    threat=texts,
    is_true=st.sampled_from([True, False, None]),
    analyst=texts,
    reason=texts,
    time=st.integers(0, 9).map(lambda day: AT + timedelta(days=day)),
)


def book_of(*said: Answer, var: Path) -> AnswerBook:
    book = AnswerBook(var)
    for answer in said:
        book.append(answer)
    return book


def test_where_nobody_answered_there_are_no_answers(tmp_path: Path) -> None:
    assert AnswerBook(tmp_path / "none").read().answers == ()
    assert not (tmp_path / "none").exists()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(said=st.lists(answers, max_size=5))
def test_answers_come_back_in_order_and_nothing_is_rewritten(
    said: list[Answer], tmp_path_factory: pytest.TempPathFactory
) -> None:
    var, before = tmp_path_factory.mktemp("var") / "home", b""
    for answer in said:
        book = book_of(answer, var=var)
        content = book.path.read_bytes()
        assert content.startswith(before)
        assert content.isascii()
        before = content
    read = AnswerBook(var).read()
    assert (read.answers, read.size, read.torn, read.in_words()) == (tuple(said), len(before), 0, [])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(left=st.integers(1, 400))
def test_a_torn_last_line_is_told_of_and_cut_off(left: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    var = tmp_path_factory.mktemp("var")
    book = book_of(ANSWER, ANSWER, var=var)
    content = book.path.read_bytes()
    first = content.index(b"\n") + 1
    torn = content[: min(first + left, len(content) - 1)]
    book.path.write_bytes(torn)
    read = book.read()
    assert (read.answers, read.torn) == ((ANSWER,), len(torn) - first)
    assert read.in_words()[0].startswith(f"the last answer was cut short after {len(torn) - first} bytes")
    assert book.path.read_bytes() == torn  # who looks changes nothing
    other = replace(ANSWER, reason="again")
    book.append(other)
    assert book.read().answers == (ANSWER, other)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_line_is_named_and_nothing_is_appended_after_it(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    book = book_of(ANSWER, replace(ANSWER, analyst="bob"), ANSWER, var=tmp_path_factory.mktemp("var"))
    content = book.path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 2))  # without the last line's end it is torn
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    damaged = content[:at] + bytes([other]) + content[at + 1 :]
    book.path.write_bytes(damaged)
    number = content[:at].count(b"\n") + 1
    for act in (book.read, lambda: book.append(ANSWER)):
        with pytest.raises(DamagedAnswers, match=rf"answers.jsonl line {number}: expected "):
            act()
    assert book.path.read_bytes() == damaged


@pytest.mark.parametrize("order", [[1, 2], [0, 2], [1, 0, 2], [0, 1, 1, 2], [2]])
def test_a_line_that_was_left_out_moved_or_doubled_is_found(order: list[int], tmp_path: Path) -> None:
    book = book_of(ANSWER, replace(ANSWER, analyst="bob"), replace(ANSWER, analyst="eve"), var=tmp_path)
    lines = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(b"".join(lines[n] for n in order))
    first_wrong = next(place for place, n in enumerate(order, start=1) if n != place - 1)
    with pytest.raises(DamagedAnswers, match=f"line {first_wrong}: expected the answer that its seal"):
        book.read()


@pytest.mark.parametrize(
    "line", ["", "[]", "7", '{"answer": 7}', '{"answer": {"sorts": 7}}', "[" * 100_000, "\x00" * 9]
)
def test_a_line_that_is_no_answer_is_named(line: str, tmp_path: Path) -> None:
    book = book_of(ANSWER, var=tmp_path)
    with book.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DamagedAnswers, match="line 2: expected an answer and its seal as JSON; put the file back"):
        book.read()


def test_several_at_once_wait_for_each_other(tmp_path: Path) -> None:
    said = [replace(ANSWER, analyst=f"analyst {n}") for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda answer: AnswerBook(tmp_path).append(answer), said))
    read = AnswerBook(tmp_path).read()
    assert sorted(one.analyst for one in read.answers) == sorted(one.analyst for one in said)


def test_a_line_is_what_people_can_read(tmp_path: Path) -> None:
    line = json.loads(book_of(ANSWER, var=tmp_path).path.read_text())
    assert line["answer"] == ANSWER.record()
    assert len(line["seal"]) == 64
