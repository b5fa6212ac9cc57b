"""What the omission of fields says."""

from datetime import timedelta

import numpy as np
import polars as pl

from features.hashing import hash64
from features.missing import MISSING, missing
from features.word import Look
from features.words.omission import Omission

WORD = Omission(MISSING, given="kind", half_life=timedelta(hours=1))


def seen(*events: str, gap: float = 1.0) -> Look:
    """An event a text: its first letter is its kind, and it has the fields among a, b and c whose letters follow."""
    columns: dict[str, list[str | None]] = {"kind": [event[0] for event in events]}
    columns |= {name: [name if name in event[1:] else None for event in events] for name in "abc"}
    texts = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    codes = {text.name: hash64(text) for text in texts}
    lacked, codes[MISSING] = missing(codes)
    active_B = gap * np.arange(len(events), dtype=np.float64)
    return Look(codes, texts.with_columns(lacked), active_B, (active_B * 1e6).astype(np.int64))


def after(past: list[str], event: str, gap: float = 1.0) -> float:
    return float(WORD.watch(1024).observe(seen(*past, event, gap=gap))[-1])


def test_an_event_that_lacks_nothing_is_not_strange() -> None:
    assert after(["xabc"] * 50, "xabc") == 0.0
    assert after(["xa"] * 50, "xabc") == 0.0


def test_the_more_telling_fields_are_left_out_the_stranger() -> None:
    all_there, one, two, three = (after(["xabc"] * 200, event) for event in ("xabc", "xab", "xa", "x"))
    assert all_there < one < two < three
    assert three > one + two - 1e-9


def test_a_field_that_is_often_missing_costs_little() -> None:
    past = ["xab", "xac"] * 100
    assert after(past, "xab") < 1.0
    assert after(past, "xbc") > 4.0


def test_what_a_kind_never_tells_is_no_omission_of_that_kind() -> None:
    past = ["xabc"] * 200 + ["ya"] * 20
    assert after(past, "ya") < 0.2
    assert after(past, "xa") > 5.0


def test_what_was_always_missing_long_ago_is_strange_again() -> None:
    past = ["xa"] * 100
    recent = [*past, *["xabc"] * 100]
    assert after(recent, "xa", gap=600.0) > after(recent, "xa") + 2.0
