"""What the council ranks first is what people should look at first."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.council import Council
from agents.consensus.threats import Threat

Said = Callable[..., pl.DataFrame]
Row = dict[str, Any]


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


def ranked(verdicts: pl.DataFrame, most: int = 50) -> list[Threat]:
    council = Council()
    council.hear(verdicts)
    return council.rank(most)


def records(council: Council) -> list[Row]:
    return [threat.record() for threat in council.rank()]


def names(threat: Threat) -> set[tuple[str, str]]:
    return {(entity.kind, entity.name) for entity in threat.entities}


def score_of(threats: list[Threat], kind: str, name: str) -> float:
    return max((threat.score for threat in threats if (kind, name) in names(threat)), default=0.0)


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


def test_a_thing_in_two_threats_is_told_in_one(said: Said) -> None:
    threats = ranked(said(*quiet_life(5, 30, 200, "user"), *attack("a", 12.0, 4)))
    told = [uid for threat in threats for uid in threat.evidence["uid"]]
    assert len(told) == len(set(told))


def test_a_flood_of_one_sort_on_one_host_cannot_bury_another(said: Said) -> None:
    flood = [{"host": "noisy", "evidence": 14.0, "value": f"v{n}", "at": 0} for n in range(2_000)]
    assert ranked(said(*flood, *attack("victim", 15.0, 6)))[0].entities[0].name == "victim"


def test_a_flood_of_one_sort_on_many_hosts_cannot_bury_another(said: Said) -> None:
    flood = [{"host": f"h{n % 300}", "evidence": 9.0, "value": f"v{n}", "at": 0} for n in range(900)]
    assert ranked(said(*flood, *attack("victim", 15.0, 6)))[0].entities[0].name == "victim"


def test_one_agent_however_loud_cannot_outweigh_two_that_agree(said: Said) -> None:
    loud = attack("noisy", 600.0, 30, domains=("dns",))
    threats = ranked(said(*quiet_life(6, 10, 50), *loud, *attack("victim", 15.0, 6)))
    assert threats[0].entities[0].name == "victim"


def test_a_busy_host_gets_no_better_chance_than_a_quiet_one(said: Said) -> None:
    busy, quiet = quiet_life(7, 60, 800, name="busy"), quiet_life(8, 60, 60, name="quiet")
    threats = ranked(said(*busy, *quiet), most=200)
    mean = {name: np.mean([score_of(threats, "host", f"{name}{n}") for n in range(60)]) for name in ("busy", "quiet")}
    assert mean["busy"] < 1.5 * mean["quiet"] + 0.5
    top = [threat.entities[0].name.startswith("busy") for threat in threats[:30]]
    assert np.mean(top) < 0.8


def test_the_same_deed_weighs_less_on_a_host_that_does_much(said: Said) -> None:
    busy, quiet = quiet_life(9, 1, 2_000, name="busy"), quiet_life(9, 1, 20, name="quiet")
    threats = ranked(said(*busy, *quiet, *attack("busy0", 9.0, 1), *attack("quiet0", 9.0, 1)))
    assert score_of(threats, "host", "quiet0") > score_of(threats, "host", "busy0")


def test_entities_that_act_together_are_one_threat(said: Said) -> None:
    campaign = [
        {"user": "eve", "host": "mail", "evidence": 12.0, "value": "a", "at": 0},
        {"user": "eve", "host": "mail", "evidence": 12.0, "value": "b", "field": "parent", "at": 0},
        {"user": "eve", "host": "mail", "address": "10.0.0.9", "domain": "network", "evidence": 12.0, "at": 0},
        {"address": "10.0.0.9", "domain": "network", "evidence": 12.0, "value": "c", "field": "port", "at": 0},
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
    day = 86_400
    old, new = attack("old", 12.0, 3, ("endpoint",)), attack("new", 12.0, 3, ("endpoint",))
    rows = [*old, *({**row, "at": 30 * day} for row in new)]
    for half_life, same in ((timedelta(days=30), False), (timedelta(days=30_000), True)):
        council = Council(half_life)
        council.hear(said(*rows))
        threats = council.rank()
        assert threats[0].entities[0].name == ("new" if not same else threats[0].entities[0].name)
        ratio = score_of(threats, "host", "old") / score_of(threats, "host", "new")
        assert ratio == pytest.approx(1.0 if same else 0.6, abs=0.15)


def test_a_threat_gives_its_reasons_strongest_first(said: Said) -> None:
    (threat,) = ranked(said(*quiet_life(12, 1, 50), *attack("victim", 12.0, 4)), most=1)
    assert all((reason.field or "").startswith("f") and reason.nats == 12.0 for reason in threat.reasons)
    assert {reason.domain for reason in threat.reasons} == {"endpoint", "network"}
    assert 6 <= threat.evidence.height <= 8  # the fewest that make up four fifths of the weight


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
