"""Text from events in Markdown, so that it is read as it was written and nothing in it is markup."""

from collections.abc import Iterable, Sequence
from string import punctuation

from agents.terminal import inert

_LONGEST = 200
_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in punctuation})


def plain(text: str) -> str:
    r"""`text` as Markdown that shows it and does nothing else; no line ends in it, and at most 200 letters of it.

    Every sign of ASCII is escaped, as CommonMark (2.4) has it, and whatever is no letter to be seen is spelled out.

    >>> print(plain("[a](http://b) | <i>"))
    \[a\]\(http\:\/\/b\) \| \<i\>
    """
    shown = inert(text)
    cut = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    return cut.translate(_ESCAPES).strip()


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; headings and cells are Markdown of one line already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def bullets(items: Iterable[str]) -> list[str]:
    """Lines of a list; items are Markdown of one line already."""
    return [f"- {item}" for item in items]
