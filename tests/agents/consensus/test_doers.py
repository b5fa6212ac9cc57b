"""A doer is as odd as what it does is, among all that it does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.doers import Doers

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=20, deadline=None, derandomize=True)


def crowd(seed: int, rows: int = 60) -> list[dict[str, Any]]:
    """Verdicts of many processes and users on many hosts."""
    chance = np.random.default_rng(seed)
    nats = chance.exponential(2.0, rows)
    picks = chance.integers(0, 12, (rows, 3)).tolist()
    return [
        {"user": f"u{u}", "process": f"p{p}" if p % 2 else None, "host": f"h{h}", "evidence": float(e)}
        for (u, p, h), e in zip(picks, nats, strict=True)
    ]


def entered(verdicts: pl.DataFrame, cuts: list[int], slots: int = 4096) -> Doers:
    doers = Doers(slots)
    ends = [*sorted(min(cut, verdicts.height) for cut in cuts), verdicts.height]
    for a, b in zip([0, *ends], ends, strict=False):
        doers.enter(verdicts[a:b])
    return doers


def bits(doers: Doers) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in doers.state().items()}


def oddness(doers: Doers, things: pl.DataFrame, thread: int = 1) -> list[float]:
    found: list[float] = doers.oddness(things.with_columns(thread=pl.lit(thread))).tolist()
    return found


@laws
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 60), max_size=5), slots=st.sampled_from([64, 4096]))
def test_any_cut_gives_the_same_doers(seed: int, cuts: list[int], slots: int, said: Said) -> None:
    """Even where they push each other out."""
    verdicts = said(*crowd(seed))
    assert bits(entered(verdicts, cuts, slots)) == bits(entered(verdicts, [], slots))


@laws
@given(seed=st.integers(0, 1000), at=st.integers(0, 60))
def test_restored_doers_go_on_the_same(seed: int, at: int, said: Said) -> None:
    verdicts = said(*crowd(seed))
    one, other = entered(verdicts[:at], []), entered(verdicts, [])
    other.restore(one.state())
    for doers in (one, other):
        doers.enter(verdicts[at:])
    assert bits(other) == bits(one)


@laws
@given(seed=st.integers(0, 1000))
def test_oddness_is_the_mean_above_chance_summed_over_activities(seed: int, said: Said) -> None:
    verdicts = said(*crowd(seed)).with_columns(activity=pl.format("a{}", pl.col("seq") % 3))
    who = [pl.coalesce("process", "user").alias("doer"), pl.col("host")]
    means = verdicts.group_by(*who, "activity").agg(pl.col("evidence").mean() - 1.0)
    odd = means.group_by("doer", "host").agg(pl.col("evidence").clip(0.0).sum().alias("odd"))
    expected = verdicts.select(*who).join(odd, on=["doer", "host"], how="left", maintain_order="left")["odd"]
    np.testing.assert_allclose(oddness(entered(verdicts, []), verdicts), expected.to_numpy(), rtol=1e-4, atol=1e-4)


def test_looking_changes_nothing(said: Said) -> None:
    verdicts = said(*crowd(2))
    doers = entered(verdicts, [], slots=64)
    before = bits(doers)
    oddness(doers, verdicts)
    assert bits(doers) == before


def test_doers_stay_bounded(said: Said) -> None:
    doers = entered(said(*crowd(3, 2_000)), [], slots=64)
    assert all(array.shape[0] <= 64 for array in doers.state().values())


def test_a_doer_of_many_odd_sorts_is_odder_than_one_that_is_odd_now_and_then(said: Said) -> None:
    odd = [{"process": "evil.exe", "host": "h", "activity": f"a{n}", "evidence": 8.0} for n in range(3)]
    usual = [{"process": "good.exe", "host": "h", "evidence": 8.0 if n == 0 else 0.5} for n in range(50)]
    doers = entered(said(*odd, *usual), [])
    evil, good = oddness(doers, said(*odd))[0], oddness(doers, said(usual[0]))[0]
    assert evil > 10 > 1 > good >= 0


def test_what_a_doer_did_elsewhere_does_not_count(said: Said) -> None:
    rows = [{"process": "x.exe", "host": "h", "activity": f"a{n}", "evidence": 8.0} for n in range(2)]
    verdicts = said(*rows)
    things = verdicts.with_columns(thread=pl.Series([1, 2]))
    assert entered(verdicts, []).oddness(things).tolist() == [7.0, 7.0]
    assert oddness(entered(verdicts, []), verdicts) == [14.0, 14.0]
