"""Text from events is read in Markdown as it was written, and nothing in it is markup."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from agents.terminal import inert
from serving.threats.markdown import bullets, plain, table

laws = settings(max_examples=60, deadline=None, derandomize=True)

PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "</td></tr><script>",
    "<!-- comment -->", "<?php system('id') ?>", "<![CDATA[x]]>", "<a href='javascript:alert(1)'>x</a>", "<b>bold",
    "<https://evil.example>", "<mail@evil.example>", "https://evil.example/?a=b&c=d", "www.evil.example",
    "[click](javascript:alert(1))", "[click](https://evil.example)", "![pixel](https://evil.example/p.png)",
    "[a]: https://evil.example", "[a][b]", "![a][b]", "[^1]: note", "[x] done", "- [ ] task",
    "# heading", "Title\n=====", "Title\n---", "* item", "- item", "+ item", "1. item", "1) item", "> quote",
    "    code", "\tcode", "```\ncode\n```", "~~~\ncode", "`code`", "``a`b``", "**bold**", "__bold__", "*it*_it_",
    "~~gone~~", "a | b | c", "| --- | --- |", "\\", "\\\\|", "\\*", "line  \nbreak", "&lt;script&gt;", "&#60;b&#62;",
    "&nbsp;", "$x^2$", ":smile:", "@ann #12", "\x1b[31mred\x1b[0m", "\x1b]8;;https://evil\x07link\x1b]8;;\x07",
    "\u202egnp.exe", "a\u200bb", "\x00\x07\x08", "\r\n# heading", "\u2028# heading", "{{ 7 * 7 }}", "${jndi:ldap://x}",
]  # fmt: skip


def children(page: str) -> list[list[Token]]:
    """What each line of text on a page is made of, as a reader of Markdown sees it."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [token.children or [] for token in reader.parse(page) if token.type == "inline"]


def read(page: str) -> str:
    """The last text on a page, which has nothing but text."""
    last = children(page)[-1]
    assert {child.type for child in last} == {"text"}
    return "".join(child.content for child in last)


def seen(text: str) -> str:
    """What people should see of a text."""
    whole = inert(text)
    return (whole if len(whole) <= 200 else f"{whole[:199]}…").strip()


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_payload_is_markup(text: str) -> None:
    for page in ([plain(text)], bullets([plain(text)]), table(("what",), [(plain(text),)]), [f"## {plain(text)}"]):
        assert read("\n".join(page)) == seen(text)


@laws
@given(text=st.text(min_size=1, max_size=300).filter(lambda text: seen(text) != ""))
def test_whatever_is_written_is_read(text: str) -> None:
    assert read(plain(text)) == seen(text)
    cells = children("\n".join(table(("one", "two"), [("a", plain(text))])))
    assert len(cells) == 4
    assert "".join(child.content for child in cells[3]) == seen(text)
    assert "\n" not in plain(text)
