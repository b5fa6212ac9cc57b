"""What the council ranks first is what people should look at first."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.council import Council, Cut
from agents.consensus.guidance import Guidance
from agents.consensus.threats import Threat

Said = Callable[..., pl.DataFrame]
Heap = Callable[[pl.DataFrame], pl.DataFrame]
Row = dict[str, Any]
TEN_MINUTES, HOUR = 600, 3600


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Verdicts in the order of time, alerts among them."""
    made = st.fixed_dictionaries(
        {
            "domain": st.sampled_from(["endpoint", "network", "dns"]),
            "activity": st.sampled_from(["launch", "launch", "alert"]),
            "user": st.sampled_from(["u1", "u2", None]),
            "host": st.sampled_from(["h1", "h2", None]),
            "address": st.sampled_from(["a1", "a2", None]),
            "field": st.sampled_from(["alert", "program"]),
            "value": st.sampled_from(["x", "y", "z"]),
            "evidence": st.sampled_from([1.0, 4.0, 9.0, 14.0, 30.0]),
            "gap": st.sampled_from([0, 1, 60, 900, 5000]),
        }
    )
    rows = draw(st.lists(made, max_size=30))
    seconds = np.cumsum([row.pop("gap") for row in rows]).tolist()
    return [row | {"at": int(at)} for row, at in zip(rows, seconds, strict=True)]


def quiet_life(seed: int, entities: int, each: int, kind: str = "host", name: str = "quiet") -> list[Row]:
    """Verdicts as chance makes them: p uniform, every event another thing."""
    nats = np.random.default_rng(seed).exponential(1.0, (entities, each))
    return [
        {kind: f"{name}{e}", "evidence": float(nats[e, n]), "value": f"{name}-{e}-{n}", "at": 0}
        for e in range(entities)
        for n in range(each)
    ]


def attack(host: str, nats: float, things: int, domains: tuple[str, ...] = ("endpoint", "network")) -> list[Row]:
    return [
        {"host": host, "domain": domain, "evidence": nats, "field": f"f{n}", "value": f"{domain}{n}", "at": 0}
        for n in range(things)
        for domain in domains
    ]


def ranked(verdicts: pl.DataFrame, most: int = 50, trust: Mapping[str, float] | None = None) -> list[Threat]:
    council = Council()
    council.hear(verdicts)
    return council.rank(most, Guidance(trust=trust or {}))


def records(council: Council) -> list[Row]:
    return [threat.record() for threat in council.rank()]


def names(threat: Threat) -> set[tuple[str, str]]:
    return {(entity.kind, entity.name) for entity in threat.entities}


def score_of(threats: list[Threat], kind: str, name: str) -> float:
    return max((threat.score for threat in threats if (kind, name) in names(threat)), default=0.0)


def strangest(threats: list[Threat], host: str) -> float:
    """The score of a host's strangest episode."""
    episodes = (threat.timeline.filter(pl.col("name") == host)["score"] for threat in threats)
    return max((float(nats) for episode in episodes for nats in episode), default=0.0)


def test_the_attacked_host_is_the_worst_threat(said: Said) -> None:
    threats = ranked(said(*quiet_life(1, 20, 100), *attack("victim", 12.0, 4)))
    assert threats[0].entities[0].name == "victim"
    assert threats[0].score > 2 * threats[1].score
    assert set(threats[0].domains) == {"endpoint", "network"}


def test_a_ranking_is_in_order_and_its_threats_add_up(said: Said) -> None:
    threats = ranked(said(*quiet_life(2, 20, 100), *attack("a", 12.0, 4), *attack("b", 9.0, 3)))
    assert [threat.rank for threat in threats] == list(range(1, len(threats) + 1))
    assert [threat.score for threat in threats] == sorted((threat.score for threat in threats), reverse=True)
    for threat in threats:
        assert threat.score == pytest.approx(sum(threat.domains.values()), abs=0.01)
        assert threat.score > 0
        assert threat.first_time <= threat.last_time


def test_a_ranking_is_as_long_as_asked(said: Said) -> None:
    verdicts = said(*quiet_life(3, 30, 100))
    few, many = ranked(verdicts, most=3), ranked(verdicts, most=100)
    assert len(few) == 3 < len(many)


def test_the_same_thing_again_and_again_counts_once(said: Said) -> None:
    usual, deed = quiet_life(4, 10, 100), attack("victim", 10.0, 3)
    once, often = ranked(said(*usual, *deed)), ranked(said(*usual, *deed * 40))
    assert 0 < score_of(often, "host", "victim") <= score_of(once, "host", "victim")
    assert set(often[0].evidence["count"]) == {40}


def test_a_flood_of_one_sort_on_one_host_cannot_bury_another(said: Said) -> None:
    flood = [{"host": "noisy", "evidence": 14.0, "value": f"v{n}", "at": 0} for n in range(2_000)]
    assert ranked(said(*flood, *attack("victim", 15.0, 6)))[0].entities[0].name == "victim"


def test_a_hundred_thousand_fake_verdicts_of_one_sort_do_not_bury_a_campaign(heap: Heap) -> None:
    """They are on one host or on thousands, as strange as the campaign and all different, before and after it."""
    for hosts in (1, 5_000):
        fake = pl.DataFrame({"n": np.arange(100_000)}).select(
            host=pl.format("fake{}", pl.col("n") % hosts),
            evidence=pl.lit(15.0),
            field=pl.lit("program"),
            domain=pl.lit("endpoint"),
        )
        real = pl.DataFrame(attack("victim", 15.0, 3)).select(fake.columns)
        council = Council()
        council.hear(heap(pl.concat([fake[:50_000], real, fake[50_000:]])))
        _, frames = council.state()
        assert sum(frame.height for frame in frames.values()) < 50_000
        threats = council.rank(10)
        assert threats[0].entities[0].name == "victim"


def test_a_flood_of_one_sort_on_many_hosts_cannot_bury_another(said: Said) -> None:
    flood = [{"host": f"h{n % 300}", "evidence": 9.0, "value": f"v{n}", "at": 0} for n in range(900)]
    assert ranked(said(*flood, *attack("victim", 15.0, 6)))[0].entities[0].name == "victim"


def test_a_busy_host_gets_no_better_chance_than_a_quiet_one(heap: Heap) -> None:
    """Sixty of each, over sixty episodes of thirty verdicts or one; the last twenty count."""
    chance = np.random.default_rng(7)
    hosts = pl.DataFrame({"host": [f"{name}{n}" for name in ("busy", "calm") for n in range(60)]})
    rows = pl.DataFrame({"period": np.arange(60)}).join(hosts, how="cross")
    verdicts = pl.when(pl.col("host").str.starts_with("busy")).then(30).otherwise(1)
    rows = rows.select(pl.all().repeat_by(verdicts).explode())
    nats = pl.Series(chance.exponential(1.0, rows.height))
    threats = ranked(heap(rows.select("host", second=TEN_MINUTES * pl.col("period"), evidence=nats)), most=500)
    late = pl.concat([threat.timeline for threat in threats]).filter(
        pl.col("start") >= pl.col("start").max() - timedelta(seconds=20 * TEN_MINUTES)
    )
    busy, calm = (late.filter(pl.col("name").str.starts_with(name)).height for name in ("busy", "calm"))
    assert 0 < busy < 1.5 * calm + 5


def test_the_same_deed_weighs_less_on_a_host_that_does_much(said: Said) -> None:
    def life(name: str, verdicts: int) -> list[Row]:
        return [{"host": name, "value": "x", "at": TEN_MINUTES * n} for n in range(20) for _ in range(verdicts)]

    deeds = [{"host": name, "evidence": 12.0, "value": name, "at": 20 * TEN_MINUTES} for name in ("busy", "quiet")]
    threats = ranked(said(*life("busy", 50), *life("quiet", 1), *deeds))
    assert score_of(threats, "host", "quiet") > score_of(threats, "host", "busy") + 2


def test_entities_that_act_together_are_one_threat(said: Said) -> None:
    campaign = [
        {"user": "eve", "host": "mail", "evidence": 20.0, "value": "a", "at": 0},
        {"user": "eve", "host": "mail", "address": "10.0.0.9", "domain": "network", "evidence": 20.0, "at": 60},
        {"address": "10.0.0.9", "domain": "dns", "evidence": 20.0, "value": "c", "field": "port", "at": 120},
    ]
    threats = ranked(said(*quiet_life(10, 20, 50), *campaign))
    assert {("user", "eve"), ("host", "mail"), ("address", "10.0.0.9")} <= names(threats[0])
    assert all(not names(threat) & names(threats[0]) for threat in threats[1:])


def test_entities_that_do_not_act_together_are_two_threats(said: Said) -> None:
    threats = ranked(said(*quiet_life(11, 20, 50), *attack("a", 12.0, 4), *attack("b", 12.0, 4)))
    assert {threats[0].entities[0].name, threats[1].entities[0].name} == {"a", "b"}


def test_a_peer_and_an_address_of_one_name_are_one_entity(said: Said) -> None:
    rows = [
        {"address": "10.0.0.9", "evidence": 10.0, "value": "a", "at": 0},
        {"peer": "10.0.0.9", "evidence": 10.0, "value": "b", "domain": "network", "at": 0},
    ]
    (threat,) = ranked(said(*rows, *({"address": "10.0.0.9", "value": f"v{n}", "at": 0} for n in range(5))))
    assert names(threat) == {("address", "10.0.0.9")}
    assert set(threat.domains) == {"endpoint", "network"}


def test_evidence_fades_with_its_half_life(said: Said) -> None:
    rows = [*attack("old", 12.0, 3), *({**row, "at": 30 * 24 * HOUR} for row in attack("new", 12.0, 3))]
    rows = [{**row, "value": row["host"] + row["value"]} for row in rows]
    for half_life, left in ((timedelta(days=30), 0.5), (timedelta(days=60), 0.5**0.5), (timedelta(days=30_000), 1.0)):
        council = Council(half_life)
        council.hear(said(*rows))
        threats = council.rank()
        ratio = score_of(threats, "host", "old") / score_of(threats, "host", "new")
        assert ratio == pytest.approx(left, abs=0.01)


def test_evidence_fades_whatever_is_heard_next(said: Said) -> None:
    """The newest thing held need not be of a threat."""
    old = said(*attack("old", 12.0, 3))
    later = said({"host": "h", "evidence": 3.1, "at": 30 * 24 * HOUR}, first=100)
    council = Council()
    council.hear(old)
    before = score_of(council.rank(), "host", "old")
    council.hear(later)
    assert score_of(council.rank(), "host", "old") == pytest.approx(before / 2, abs=0.01)


def test_a_threat_gives_its_reasons_strongest_first(said: Said) -> None:
    (threat,) = ranked(said(*quiet_life(12, 1, 50), *attack("victim", 12.0, 4)), most=1)
    assert all((reason.field or "").startswith("f") and reason.nats == 12.0 for reason in threat.reasons)
    assert {reason.domain for reason in threat.reasons} == {"endpoint", "network"}
    assert 6 <= threat.evidence.height <= 8  # the fewest that make up four fifths of the weight


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=logs())
def test_domains_share_out_a_threats_score_among_those_that_speak_of_it(rows: list[Row], said: Said) -> None:
    for threat in ranked(said(*rows)):
        assert sum(threat.domains.values()) == pytest.approx(threat.score, abs=0.01)
        assert list(threat.domains.values()) == sorted(threat.domains.values(), reverse=True)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=logs(), silent=st.sampled_from(["endpoint", "network", "dns"]))
def test_an_agent_of_no_trust_is_not_heard(rows: list[Row], silent: str, said: Said) -> None:
    """The same threats as without its verdicts."""
    verdicts = said(*rows)
    without = ranked(verdicts.filter(pl.col("domain") != silent))
    assert [one.record() for one in ranked(verdicts, trust={silent: 0.0})] == [one.record() for one in without]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=logs(), more=st.floats(1.0, 4.0))
def test_more_trust_lowers_no_host_and_raises_those_of_whom_the_agent_speaks(
    rows: list[Row], more: float, said: Said
) -> None:
    verdicts = said(*rows)
    usual, trusting = ranked(verdicts, most=500), ranked(verdicts, most=500, trust={"network": more})
    for name in ("h1", "h2"):
        assert strangest(trusting, name) >= strangest(usual, name) - 0.01
    raised = ranked(said(*attack("victim", 12.0, 1)), trust={"network": 2.0})
    assert score_of(raised, "host", "victim") > score_of(ranked(said(*attack("victim", 12.0, 1))), "host", "victim") + 7


def test_company_raises_a_score(said: Said) -> None:
    deed = {"host": "h", "evidence": 9.0, "value": "a", "at": 10}
    eve = {"user": "eve", "evidence": 30.0, "value": "b", "at": 0}
    alone, together = ranked(said(eve, deed)), ranked(said(eve, {**deed, "user": "eve"}))
    assert score_of(together, "host", "h") > score_of(alone, "host", "h") > 0


@pytest.mark.parametrize(("apart", "count"), [(HOUR // 2, 1), (5 * HOUR, 3)])
def test_alerts_on_several_hosts_within_the_hour_are_one_threat_and_hours_apart_as_many(
    apart: int, count: int, said: Said
) -> None:
    alert = {"activity": "alert", "field": "alert", "domain": "network", "evidence": 14.0}
    rows = [alert | {"host": f"h{n}", "value": f"rule {n}", "at": n * apart} for n in range(3)]
    threats = ranked(said(*rows))
    assert len(threats) == count
    assert {name for threat in threats for _, name in names(threat)} == {"h0", "h1", "h2"}


def called(threats: list[Threat]) -> dict[str, str]:
    """By every name that a threat has had, its own."""
    return {name: threat.id for threat in threats for name in (threat.id, *threat.merged)}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=logs(), later=logs())
def test_a_threat_keeps_its_name_or_is_named_by_the_older_that_took_it_in(
    rows: list[Row], later: list[Row], said: Said
) -> None:
    """What is heard later begins in another episode."""
    begins = max((row["at"] for row in rows), default=0) // TEN_MINUTES * TEN_MINUTES + TEN_MINUTES
    council = Council()
    council.hear(said(*rows))
    before = council.rank(500)
    council.hear(said(*({**row, "at": row["at"] + begins} for row in later), first=len(rows)))
    after = council.rank(500)
    ids = [threat.id for threat in after]
    assert len(set(ids)) == len(ids)
    assert set(called(before)) <= set(called(after))
    since = {threat.id: threat.timeline["start"].min() for threat in before}
    for threat in after:
        taken = [threat.id, *threat.merged]
        assert all(since[threat.id] <= since[name] for name in taken if {name, threat.id} <= since.keys())  # type: ignore[operator] # datetimes


def test_when_threats_merge_the_older_name_survives(said: Said) -> None:
    old = [{"host": "a", "evidence": 25.0, "value": "a", "at": 0}]
    young = [{"user": "eve", "evidence": 25.0, "value": "b", "at": TEN_MINUTES}]
    council = Council()
    council.hear(said(*old, *young))
    ids = {threat.entities[0].name: threat.id for threat in council.rank()}
    council.hear(said({"host": "a", "user": "eve", "evidence": 25.0, "value": "c", "at": 2 * TEN_MINUTES}, first=2))
    (threat,) = council.rank()
    assert threat.id == ids["a"]
    assert threat.merged == (ids["eve"],)
    assert threat.timeline["name"].to_list() == ["a", "eve", "a", "eve"]


def test_a_council_stays_bounded(heap: Heap) -> None:
    """Twice as much makes it no bigger."""
    council = Council()
    room = []
    for n in range(2):
        rows = pl.DataFrame({"second": np.arange(60_000) // 10}).with_columns(
            seq=pl.int_range(pl.len(), dtype=pl.Int64) + 60_000 * n,
            host=pl.format("h{}-{}", pl.lit(n), "second"),
            value=pl.format("v{}-{}", pl.lit(n), pl.int_range(pl.len())),
            evidence=pl.lit(9.0),
        )
        council.hear(heap(rows))
        _, frames = council.state()
        room.append(sum(frame.height for frame in frames.values()))
    assert max(room) < 32_768 + 8192


def test_a_council_that_heard_nothing_ranks_nothing(said: Said) -> None:
    council = Council()
    assert council.rank() == []
    council.hear(said())
    assert council.rank() == []


def test_a_council_that_heard_nothing_strange_ranks_nothing(said: Said) -> None:
    assert ranked(said(*({"host": "h", "evidence": 0.1, "value": f"{n}"} for n in range(100)))) == []


def test_strange_things_that_name_nobody_are_no_threat(said: Said) -> None:
    assert ranked(said({"evidence": 20.0, "process": "x.exe"})) == []


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 250), max_size=5), look=st.booleans())
def test_hearing_in_any_cut_gives_the_same_ranking(seed: int, cuts: list[int], look: bool, said: Said) -> None:
    users = quiet_life(seed, 4, 20, "user")
    verdicts = said(*quiet_life(seed, 5, 20), *attack("victim", 8.0, 3), *({**row, "host": "quiet1"} for row in users))
    whole, parts = Council(), Council()
    whole.hear(verdicts)
    ends = [*sorted(min(cut, verdicts.height) for cut in cuts), verdicts.height]
    for a, b in zip([0, *ends], ends, strict=False):
        parts.hear(verdicts[a:b])
        if look:
            parts.rank()
    assert records(parts) == records(whole)


def test_a_restored_council_goes_on_the_same(said: Said) -> None:
    one, other = Council(), Council()
    one.hear(said(*quiet_life(13, 10, 50)))
    other.hear(said(*attack("else", 9.0, 2)))
    other.restore(*one.state())
    assert records(other) == records(one)
    later = said(*attack("victim", 9.0, 3), first=500)
    for council in (one, other):
        council.hear(later)
    assert records(other) == records(one)
    assert one.rank()[0].entities[0].name == "victim"


def test_the_same_verdicts_give_the_same_ranking(said: Said) -> None:
    verdicts = said(*quiet_life(14, 20, 50), *attack("victim", 9.0, 3))
    assert [threat.record() for threat in ranked(verdicts)] == [threat.record() for threat in ranked(verdicts)]


def test_one_agent_however_loud_cannot_outweigh_two_that_agree(said: Said) -> None:
    loud = attack("noisy", 600.0, 30, domains=("dns",))
    assert ranked(said(*loud, *attack("victim", 15.0, 6)))[0].entities[0].name == "victim"


def test_one_agent_takes_four_places_before_what_others_vouch_for(said: Said) -> None:
    fakes = [{"host": f"fake{n}", "domain": "dns", "evidence": 19.0, "value": f"f{n}", "at": 0} for n in range(40)]
    threats = ranked(said(*fakes, *attack("victim", 8.0, 1)))
    assert [threat.entities[0].name for threat in threats].index("victim") == 4
    assert len(threats) == 41


def test_each_tactic_after_the_first_raises_a_threat_by_half_a_nat(said: Said) -> None:
    shell = {"host": "a", "evidence": 12.0, "process": "powershell.exe", "value": "x", "at": 0}
    task = {"host": "a", "evidence": 9.0, "process": "schtasks.exe", "value": "y", "at": 10}
    (one,), (two,) = ranked(said(shell)), ranked(said(shell, task))
    assert len(two.tactics) > len(one.tactics)
    assert two.score - one.score == pytest.approx(0.5 * (len(two.tactics) - len(one.tactics)), abs=0.01)


def test_what_is_likely_next_has_not_come_yet(said: Said) -> None:
    (threat,) = ranked(said({"host": "a", "evidence": 12.0, "process": "powershell.exe", "value": "x", "at": 0}))
    assert threat.expected
    assert not {tactic for tactic, _ in threat.expected} & set(threat.tactics)
    chances = [chance for _, chance in threat.expected]
    assert chances == sorted(chances, reverse=True)
    assert 0.0 < sum(chances) <= 1.0


@pytest.mark.parametrize(("alpha", "budget", "wrong"), [(0.0, 20, "alpha 0.0"), (1.0, 20, "alpha"), (0.1, 0, "budget")])
def test_a_cut_that_is_none_is_refused_by_name(alpha: float, budget: int, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Cut(alpha, budget)


def test_the_budget_is_kept_each_day(said: Said) -> None:
    day = 86_400
    rows = [
        {"host": f"h{n}", "evidence": 12.0, "value": f"v{n}-{d}", "field": f"f{n}", "at": d * day}
        for d in range(3)
        for n in range(9)
    ]
    council = Council()
    council.hear(said(*rows))
    listed = [threat for threat in council.rank(cut=Cut(budget=4)) if threat.listed]
    assert len(listed) == 12
    assert {sum(one.first_time.date() == other.first_time.date() for other in listed) for one in listed} == {4}
