"""An episode is as strange as its witnesses say, in view of chance, of what else is so, and of the company."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from agents.consensus.episodes import _NO_NEWS as CHANCE  # its promise is about this
from agents.consensus.episodes import JOINED, LISTED, Episodes, episodes
from agents.consensus.testimony import HABITS

Said = Callable[..., pl.DataFrame]
Held = Callable[[pl.DataFrame], pl.DataFrame]
Row = dict[str, Any]
laws = settings(max_examples=30, deadline=None, derandomize=True)
USER, HOST = 0, 1
HOUR = 3600


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Verdicts in the order of time, each of another thing, alerts among them."""
    made = st.fixed_dictionaries(
        {
            "domain": st.sampled_from(["endpoint", "network", "dns"]),
            "activity": st.sampled_from(["launch", "launch", "alert"]),
            "user": st.sampled_from(["u1", "u2", None]),
            "host": st.sampled_from(["h1", "h2", None]),
            "address": st.sampled_from(["a1", "a2", None]),
            "field": st.just("alert"),
            "value": st.sampled_from(["x", "y", "z"]),
            "evidence": st.sampled_from([2.5, 5.5, 9.0, 14.0, 18.0]),
            "gap": st.sampled_from([0, 1, 60, 900, 5000]),
        }
    )
    rows = draw(st.lists(made, max_size=30))
    seconds = np.cumsum([row.pop("gap") for row in rows]).tolist()
    return [row | {"at": int(at)} for row, at in zip(rows, seconds, strict=True)]


def told_once(rows: list[Row]) -> list[Row]:
    """The same without those that say again what was said of the same entities."""
    once = {tuple(row[name] for name in row if name not in ("evidence", "at")): row for row in reversed(rows)}
    return sorted(once.values(), key=lambda row: int(row["at"]))


def own_by_hand(things: pl.DataFrame, kind: str) -> list[float]:
    """What the witnesses of each thing's entity of a kind add up to so far."""
    did: dict[tuple[Any, ...], set[tuple[str, str]]] = {}
    words: dict[tuple[str, datetime], dict[str, float]] = {}
    found = []
    for row in things.to_dicts():
        for one in ("user", "host", "address"):
            if row[one] is None:
                found += [0.0] * (one == kind)
                continue
            doers = did.setdefault((row["domain"], row["activity"], row["value"]), set())
            doers.add((one, row[one]))
            gain = max(0.0, row["evidence"] - CHANCE) / np.sqrt(len(doers)) - np.log(row[f"habit_{one}"])
            said = words.setdefault((one + row[one], row["start"]), {})
            said[row["witness"]] = max(said.get(row["witness"], 0.0), gain)
            found += [sum(said.values())] * (one == kind)
    return found


def same(one: Episodes, other: Episodes) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def threads(found: Episodes, e: int = HOST) -> list[int]:
    listed: list[int] = found.thread_NE[:, e].tolist()
    return listed


@laws
@given(rows=logs())
def test_own_evidence_is_the_sum_over_witnesses_of_each_ones_strongest(
    rows: list[Row], said: Said, things: Held
) -> None:
    held = things(said(*rows))
    found = episodes(held)
    for e, kind in enumerate(("user", "host", "address")):
        np.testing.assert_allclose(found.own_NE[:, e], own_by_hand(held, kind), rtol=1e-6, atol=1e-9)


@laws
@given(rows=logs())
def test_a_score_is_at_least_what_the_witnesses_say_and_threads_are_of_what_is_listed(
    rows: list[Row], said: Said, things: Held
) -> None:
    found = episodes(things(said(*rows)))
    assert (found.score_NE >= found.own_NE).all()
    assert ((found.thread_NE > 0) == (found.score_NE >= LISTED)).all()


@laws
@given(rows=logs(), cut=st.integers(0, 30))
def test_what_comes_later_changes_no_episode_and_only_makes_threads_older(
    rows: list[Row], cut: int, said: Said, things: Held
) -> None:
    held = things(said(*rows))
    part, whole = episodes(held[:cut]), episodes(held)
    for name in ("score_NE", "own_NE", "gain_NE", "begun_NE"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[:cut])
    assert (whole.thread_NE[:cut] <= part.thread_NE).all()
    assert ((whole.thread_NE[:cut] > 0) == (part.thread_NE > 0)).all()
    joined = set(zip(part.thread_NE.flat, whole.thread_NE[:cut].flat, strict=True))
    assert len(joined) == len({thread for thread, _ in joined})  # what was one thread stays one


@laws
@given(rows=logs(), factor=st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_trust_scales_the_evidence(rows: list[Row], factor: float, said: Said, things: Held) -> None:
    held = things(said(*rows))
    scaled = episodes(held.with_columns(pl.col("evidence") * factor))
    assert same(episodes(held, np.full(held.height, factor)), scaled)


@laws
@given(rows=logs(), habit=st.floats(1.0, 1e4))
def test_the_busier_an_entity_is_by_habit_the_less_a_word_says(
    rows: list[Row], habit: float, said: Said, things: Held
) -> None:
    held = things(said(*rows)).with_columns(pl.lit(1.0).alias(name) for name in HABITS)
    quiet, busy = episodes(held), episodes(held.with_columns(pl.lit(habit).alias(name) for name in HABITS))
    np.testing.assert_allclose(busy.gain_NE, np.maximum(0.0, quiet.gain_NE - np.log(habit)), atol=1e-9)


@laws
@given(rows=logs().map(told_once))
def test_the_same_again_counts_once(rows: list[Row], said: Said, things: Held) -> None:
    """The second time it is weaker, in the same second; that one who says all twice is busier is left out."""
    again = [{**row, "evidence": row["evidence"] * factor} for row in rows for factor in (1.0, 0.99)]
    usual = [pl.lit(1.0).alias(name) for name in HABITS]
    once, twice = (episodes(things(said(*table)).with_columns(usual)) for table in (rows, again))
    assert same(once, twice)


def by_chance(heap: Held, verdicts: list[int], hosts: int, periods: int, seed: int) -> pl.DataFrame:
    """Verdicts on hosts that have so many in every ten minutes, p uniform, no two of the same thing."""
    chance = np.random.default_rng(seed)
    each = pl.DataFrame({"busy": verdicts})
    of_host = each.join(pl.DataFrame({"host": np.arange(hosts)}), how="cross")
    rows = of_host.join(pl.DataFrame({"period": np.arange(periods)}), how="cross").sort("period", maintain_order=True)
    rows = rows.select(pl.all().repeat_by("busy").explode())
    return heap(
        rows.select(
            second=600 * pl.col("period"),
            host=pl.format("{} {}", "busy", "host"),
            evidence=pl.Series(chance.exponential(1.0, rows.height)),
        )
    )


def words_of(held: pl.DataFrame) -> NDArray[np.float64]:
    """What the one witness says of each host in each episode, by host's name and episode."""
    found = held.select("host", "start").with_columns(own=pl.Series(episodes(held).own_NE[:, HOST]))
    return found.group_by("host", "start").agg(pl.col("own").max())["own"].to_numpy()


@pytest.mark.parametrize("verdicts", [1, 10, 100])
def test_by_chance_a_word_is_strong_as_rarely_as_it_says(verdicts: int, heap: Held, things: Held) -> None:
    """More than t nats at most once in exp(t + what is no news) episodes, and hardly less often: nothing is lost.

    However busy the host is, as long as it is as busy as by habit.
    """
    count = 3_000
    held = things(by_chance(heap, [verdicts], count, 1, seed=verdicts))
    own_N = words_of(held.with_columns(habit_host=pl.lit(float(verdicts))))
    for t in (1.0, 2.0, 3.0, 4.0):
        bound = np.exp(-(t + CHANCE))
        assert (own_N > t).sum() <= binom.ppf(1 - 1e-4, count, bound)
        assert (own_N > t).sum() >= binom.ppf(1e-4, count, bound * (1 - bound))


def test_a_busy_host_gets_no_better_chance_than_a_quiet_one(heap: Held, things: Held) -> None:
    """Through the tally, which learns how busy each is: from the fortieth episode on."""
    sizes, hosts, periods, learned = [1, 8, 64], 12, 60, 40
    held = things(by_chance(heap, sizes, hosts, periods, seed=1))
    late = pl.Series(episodes(held).own_NE[:, HOST]), (held["start"] - held["start"].min()).dt.total_minutes()
    rows = held.select("host", "start").with_columns(own=late[0], period=late[1] // 10)
    words = rows.filter(pl.col("period") >= learned).group_by("host", "start").agg(pl.col("own").max())
    count = hosts * (periods - learned)
    for size in sizes:
        own = words.filter(pl.col("host").str.starts_with(f"{size} "))["own"]
        for t in (1.0, 2.0, 3.0):
            assert (own > t).sum() <= binom.ppf(1 - 1e-4, count, 1.15 * np.exp(-(t + CHANCE)))


def test_a_deed_of_many_weighs_less(said: Said, things: Held) -> None:
    rows = [{"host": f"h{n}", "value": "roll-out", "evidence": 10.0, "at": 0} for n in range(9)]
    np.testing.assert_allclose(
        episodes(things(said(*rows))).own_NE[:, HOST], [(10 - CHANCE) / np.sqrt(n) for n in range(1, 10)]
    )


def test_company_raises_a_score(said: Said, things: Held) -> None:
    alone = [{"host": "h", "evidence": 6.0, "value": "a", "at": 0}]
    together = [{"user": "eve", "evidence": 20.0, "value": "b", "at": 0}, *({**row, "user": "eve"} for row in alone)]
    by_itself, in_company = (episodes(things(said(*rows))) for rows in (alone, together))
    assert in_company.score_NE[-1, HOST] > by_itself.score_NE[-1, HOST] + 5
    assert in_company.own_NE[-1, HOST] <= by_itself.own_NE[-1, HOST]


def test_company_in_what_is_hardly_strange_raises_nothing(said: Said, things: Held) -> None:
    rows = [
        {"user": "eve", "evidence": 20.0, "value": "b", "at": 0},
        {"host": "h", "user": "eve", "evidence": 4.5, "at": 0},
    ]
    found = episodes(things(said(*rows)))
    assert found.score_NE[-1, HOST] == found.own_NE[-1, HOST] > 0


def test_what_an_entity_did_before_raises_its_score_and_fades_by_half_in_an_hour(said: Said, things: Held) -> None:
    def raised(after: int) -> float:
        rows = [{"host": "h", "evidence": 21.0, "at": 0}, {"host": "h", "evidence": 6.0, "value": "b", "at": after}]
        found = episodes(things(said(*rows)))
        return float(found.score_NE[-1, HOST] - found.own_NE[-1, HOST])

    now, then, never = raised(HOUR), raised(3 * HOUR), raised(48 * HOUR)
    assert now == pytest.approx(2 * then, rel=0.01)  # half of the squares an hour: half of the root in two
    assert never < 0.1 < then


def test_those_who_act_together_are_one_thread_and_apart_two(said: Said, things: Held) -> None:
    rows = [{"host": "a", "evidence": 25.0, "value": "a"}, {"host": "b", "evidence": 25.0, "value": "b"}]
    apart = episodes(things(said(*rows)))
    assert len(set(threads(apart))) == 2
    users = [{**row, "user": "eve"} for row in rows]
    together = episodes(things(said(*users)))
    assert len({*threads(together), *threads(together, USER)}) == 1


def test_weak_episodes_do_not_join_threads(said: Said, things: Held) -> None:
    rows = [{"host": "h", "evidence": 6.0, "value": "a"}, {"host": "h", "user": "eve", "evidence": 6.0, "value": "b"}]
    found = episodes(things(said(*rows)))
    assert LISTED <= found.score_NE[-1, HOST] < JOINED
    assert found.thread_NE[-1, HOST] != found.thread_NE[-1, USER]


@pytest.mark.parametrize(("apart", "count"), [(50 * 60, 1), (3 * HOUR, 2)])
def test_a_thread_goes_on_for_an_hour(apart: int, count: int, said: Said, things: Held) -> None:
    rows = [
        {"host": "h", "evidence": 12.0, "value": "a", "at": 0},
        {"host": "h", "evidence": 12.0, "value": "b", "at": apart},
    ]
    assert len(set(threads(episodes(things(said(*rows)))))) == count


@pytest.mark.parametrize(("apart", "count"), [(1800, 1), (4 * HOUR, 2)])
@pytest.mark.parametrize("activity", ["alert", "launch"])
def test_alerts_on_several_hosts_within_the_hour_are_one_thread(
    apart: int, count: int, activity: str, said: Said, things: Held
) -> None:
    """Other things on several hosts are not."""
    rows = [
        {
            "host": f"h{n}",
            "activity": activity,
            "field": "alert",
            "value": f"rule {n}",
            "evidence": 14.0,
            "at": apart * n,
        }
        for n in range(2)
    ]
    assert len(set(threads(episodes(things(said(*rows)))))) == (count if activity == "alert" else 2)


def test_nothing_held_is_no_episode(said: Said, things: Held) -> None:
    assert episodes(things(said())).score_NE.shape == (0, 4)


def test_what_has_no_activity_is_an_episode_like_another(said: Said, things: Held) -> None:
    rows = [{"host": "h", "evidence": 9.0, "activity": None}, {"host": "g", "evidence": 9.0, "value": "b"}]
    assert episodes(things(said(*rows))).own_NE[:, HOST].tolist() == [9.0 - CHANCE] * 2


def test_a_thing_counts_for_twenty_nats_at_most(said: Said, things: Held) -> None:
    found, loud = (episodes(things(said({"host": "h", "evidence": nats, "at": 0}))) for nats in (20.0, 600.0))
    assert same(found, loud)
