"""Names that look alike are written alike, and other names stay themselves."""

import tomllib
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import lookalikes
from features.lookalikes import MARKS, plain

TABLE = tomllib.loads(Path(lookalikes.__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def written(text: str | None) -> str | None:
    found: str | None = pl.select(plain(pl.lit(text, pl.String))).item()
    return found


ROWS = [(chars, letter) for kind in ("alone", "beside") for letter, chars in TABLE[kind].items() if letter.isalpha()]


@settings(deadline=None)
@given(st.data(), st.from_regex("[a-z]{1,8}", fullmatch=True), st.from_regex("[a-z]{1,8}", fullmatch=True))
def test_a_word_with_one_false_letter_is_the_word(data: st.DataObject, before: str, after: str) -> None:
    chars, letter = data.draw(st.sampled_from(ROWS))
    assert written(before + data.draw(st.sampled_from(chars)) + after) == before + letter + after


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=20))
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert written(written(text)) == written(text)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_is_plain(text: str) -> None:
    assert written(text) == text


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(categories=["Cc", "Cf"]), max_size=5), st.from_regex("[a-z]{2,8}", fullmatch=True))
def test_what_cannot_be_seen_is_left_out(unseen: str, name: str) -> None:
    assert written(unseen.join(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "\u0430dmin",
        "\u0410DMIN\u200b",
        "ＡＤＭＩＮ",
        "𝐚𝐝𝐦𝐢𝐧",
        "ⓐⓓⓜⓘⓝ",
        "ad\u202emin",
        "adm\u0131n",
        "\ufeffadmin",
        "a\u00addmin",
    ],
)
def test_every_disguise_of_a_name_is_the_name(text: str) -> None:
    assert written(text) == "admin"


@pytest.mark.parametrize(
    "text", ["саша", "владимир", "ελένη", "山田", "אבי", "محمد", "josé", "müller", "สมชาย", "김철수", "ığdır"]
)
def test_a_name_in_another_script_stays_itself(text: str) -> None:
    assert written(text) == text


def test_a_word_that_looks_latin_as_a_whole_is_latin() -> None:
    assert written("\u0430\u0440\u0440\u04cf\u0435") == "apple"


def test_words_are_judged_one_by_one() -> None:
    assert written("c:\\папка\\sv\u0441host.exe") == "c:\\папка\\svchost.exe"


def test_figures_of_every_script_are_figures() -> None:
    assert written("user٣") == "user3"


def test_long_runs_of_marks_are_cut() -> None:
    marked = written("q" + "\u0316\u0301" * 100_000) or ""
    assert len(marked) == 1 + MARKS


def test_what_is_missing_stays_missing() -> None:
    assert written(None) is None


def test_the_table_holds_each_letter_once_and_in_its_plain_form() -> None:
    letters = [char for rows in TABLE.values() for chars in rows.values() for char in chars]
    assert len(letters) == len(set(letters))
    assert all(unicodedata.normalize("NFKC", char).casefold() == char and not char.isascii() for char in letters)
