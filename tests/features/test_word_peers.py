"""What peers mean: a role's values are usual for its members, and no past of one's own makes a value usual."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import hash64
from features.word import Look
from features.words.peers import Peers

laws = settings(max_examples=20, deadline=None, derandomize=True)
Row = tuple[str, str]
CLERK, ADMIN = ["read", "write", "mail", "print"], ["reboot", "patch", "grant", "dump"]


def done(rows: Sequence[Row]) -> Look:
    """Events of a value and who showed it."""
    texts = pl.DataFrame(rows, schema={"deed": pl.String, "who": pl.String}, orient="row")
    active_B = np.arange(len(rows), dtype=np.float64)
    return Look({field.name: hash64(field) for field in texts}, texts, active_B, (active_B * 1e6).astype(np.int64))


def last(past: Sequence[Row], *rows: Row) -> list[float]:
    """What is said of each row, were it the one that follows `past`."""
    return [float(Peers("deed", of="who").watch(1024).observe(done([*past, row]))[-1]) for row in rows]


def office(days: int = 12) -> list[Row]:
    """Twelve clerks and six admins, each doing what their like do."""
    staff = [(f"clerk {n}", CLERK) for n in range(12)] + [(f"admin {n}", ADMIN) for n in range(6)]
    return [(deeds[(day + shift) % 4], who) for day in range(days) for shift in range(2) for who, deeds in staff]


def test_what_an_admin_does_is_usual_for_admins_and_strange_for_a_clerk() -> None:
    admin, clerk = last(office(), ("dump", "admin 3"), ("dump", "clerk 3"))
    assert clerk > admin + 1.0


def test_one_who_was_never_seen_is_judged_by_all() -> None:
    common, rare, never = last(office(), ("read", "new"), ("dump", "new"), ("fly", "new"))
    assert common < rare < never


def test_one_seen_a_little_is_judged_by_the_role_it_looks_like() -> None:
    seen = [("reboot", "new"), ("patch", "new"), ("grant", "new")] * 3
    as_admin, as_clerk = last([*office(), *seen], ("dump", "new"), ("mail", "new"))
    unseen_admin, unseen_clerk = last(office(), ("dump", "new"), ("mail", "new"))
    assert as_admin < unseen_admin
    assert as_clerk > unseen_clerk


@laws
@given(times=st.integers(0, 400))
def test_no_past_of_its_own_makes_a_value_usual_for_an_entity(times: int) -> None:
    alone = last([*office(), *[("tunnel", "clerk 3")] * times], ("tunnel", "clerk 3"))[0]
    assert alone > last(office(), ("tunnel", "clerk 3"))[0] - 0.5


def test_what_many_peers_take_up_becomes_usual() -> None:
    taken_up = [("chat", f"clerk {n}") for n in range(1, 12)] * 3
    before, after = last(office(), ("chat", "clerk 0"))[0], last([*office(), *taken_up], ("chat", "clerk 0"))[0]
    assert after < before - 1.0


def test_a_loud_entity_counts_little_more_than_a_quiet_one() -> None:
    quiet, loud = (last([*office(), *[("odd", "clerk 1")] * times], ("odd", "clerk 2"))[0] for times in (16, 1000))
    assert loud > quiet - 0.5
