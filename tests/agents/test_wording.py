"""Reasons are told in words, whatever they lack, and their text is inert."""

import pytest

from agents.consensus.threats import Reason
from agents.wording import doer, shown, worded


def reason(activity: str, field: str | None, value: str | None, *who: str | None) -> Reason:
    process, user, host, address = (*who, None, None, None, None)[:4]
    return Reason("dns", activity, field, value, 5.0, process, user, host, address)


@pytest.mark.parametrize(
    ("told", "words", "who"),
    [
        (reason("", None, None), "dns event: event (none), rare anywhere", ""),
        (reason("query", "path", None, None, None, None, "::1"), "dns query: path (none), rare anywhere", "::1"),
        (
            reason("query", "site given client", "a.b", "x.exe", "ann", "h"),
            "dns query: site a.b, unusual for its client",
            "ann on h, x.exe",
        ),
        (reason("query", "burst of site per client", "a.b"), "dns query: a burst of site a.b from one client", ""),
        (reason("query", "new name per site", "n"), "dns query: many a new name for site n", ""),
    ],
)
def test_a_reason_is_told_whatever_it_lacks(told: Reason, words: str, who: str) -> None:
    assert (worded(told), doer(told)) == (words, who)


def test_text_from_events_cannot_steer_a_terminal_and_is_cut() -> None:
    assert shown("\x1b[31m" + "a" * 100) == "\\x1b[31m" + "a" * 51 + "…"
