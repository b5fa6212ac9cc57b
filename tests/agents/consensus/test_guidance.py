"""What people tell the council counts as they said, and no further."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.council import Council
from agents.consensus.guidance import NOTHING_SAID, Guidance, Sort
from agents.consensus.threats import Threat

Said = Callable[..., pl.DataFrame]
Row = dict[str, Any]
DAY = 86_400

domains = st.sampled_from(["endpoint", "network", "dns"])
words = st.sampled_from([None, "launch", "program"])
factors = st.floats(0.0, 4.0)


def deed(host: str, nats: float, **more: Any) -> Row:
    return {"host": host, "evidence": nats, "value": host, "at": 0} | more


def heard(verdicts: pl.DataFrame) -> Council:
    council = Council()
    council.hear(verdicts)
    return council


def by_host(threats: list[Threat]) -> dict[str, Threat]:
    return {entity.name: threat for threat in threats for entity in threat.entities if entity.kind == "host"}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(domains, words, words), max_size=20),
    trust=st.dictionaries(domains, factors),
    sorts=st.dictionaries(st.tuples(domains, words, words), factors),
)
def test_a_thing_weighs_what_its_agent_and_its_sort_do(
    rows: list[Sort], trust: dict[str, float], sorts: dict[Sort, float]
) -> None:
    """A sort that names nothing is one of its own, and stands for no other."""
    things = pl.DataFrame(rows, dict.fromkeys(("domain", "activity", "field"), pl.String), orient="row")
    weight_N = Guidance(trust, sorts).weights(things)
    assert weight_N.dtype == np.float64
    assert weight_N.tolist() == [trust.get(sort[0], 1.0) * sorts.get(sort, 1.0) for sort in rows]


def test_who_is_left_out_is_not_heard_whatever_its_trust(said: Said) -> None:
    verdicts = said(deed("a", 12.0, domain="network"), deed("b", 12.0))
    guidance = Guidance(trust={"network": 4.0}).without("network")
    assert set(by_host(heard(verdicts).rank(guidance=guidance))) == {"b"}
    assert guidance.trust == {"network": 0.0}
    assert NOTHING_SAID.trust == {}


def test_a_sort_that_is_not_heard_leaves_the_rest_of_its_agent(said: Said) -> None:
    council = heard(said(deed("a", 12.0, field="port"), deed("b", 12.0, field="program")))
    guidance = Guidance(sorts={("endpoint", "launch", "port"): 0.0})
    assert set(by_host(council.rank(guidance=guidance))) == {"b"}


@settings(max_examples=5, deadline=None, derandomize=True)
@given(stated=st.dictionaries(st.sampled_from(["h1", "h2", "h60"]), st.floats(-10.0, 10.0)))
def test_criticality_moves_the_score_by_what_was_stated_and_neither_p_nor_the_cut(
    stated: dict[str, float], said: Said
) -> None:
    rows = [deed(f"h{n}", 5.0 + n % 7 + n / 100, at=0 if n == 0 else DAY * (1 + n // 56)) for n in range(62)]
    council = heard(said(*rows))
    usual = by_host(council.rank(500))
    guided = by_host(council.rank(500, Guidance(criticality={("host", name): nats for name, nats in stated.items()})))
    assert usual.keys() == guided.keys()
    assert usual["h60"].p is not None
    for host, threat in usual.items():
        other, nats = guided[host], stated.get(host, 0.0)
        assert (other.criticality, other.p, other.listed) == (nats, threat.p, threat.listed)
        assert other.score == pytest.approx(threat.score + nats, abs=0.002)


def test_the_dearest_of_those_whom_a_threat_is_about_counts(said: Said) -> None:
    together = deed("mail", 15.0, user="eve", address="10.0.0.9")
    council = heard(said(together, deed("else", 3.5, user="eve", value="x", at=1200)))
    stated = {("user", "eve"): 1.0, ("host", "mail"): 3.0, ("address", "10.0.0.9"): -2.0}
    (threat,) = council.rank(guidance=Guidance(criticality=stated))
    assert threat.criticality == 3.0
    only_against = Guidance(criticality={("address", "10.0.0.9"): -2.0})
    assert council.rank(guidance=only_against)[0].criticality == 0.0  # the others are as dear as usual


def test_who_is_at_a_threats_edge_lends_it_nothing(said: Said) -> None:
    """An episode of less than half the peak does not say whom a threat is about."""
    worst = [deed("mail", 19.0, user="eve", domain=domain, value=domain) for domain in ("endpoint", "network", "dns")]
    edge = [deed("mail", 6.0, user="bob", value="x"), deed("quiet", 11.0, user="bob", value="y", domain="cloud")]
    (threat,) = heard(said(*worst, *edge)).rank(guidance=Guidance(criticality={("host", "quiet"): 9.0}))
    assert "quiet" in {entity.name for entity in threat.entities}
    assert threat.criticality == 0.0


@settings(max_examples=8, deadline=None, derandomize=True)
@given(nats=st.lists(st.sampled_from([6.0, 9.0, 12.0, 15.0]), min_size=2, max_size=8), closed=st.integers(0, 7))
def test_what_was_found_false_comes_last_and_is_not_listed(nats: list[float], closed: int, said: Said) -> None:
    council = heard(said(*(deed(f"h{n}", one) for n, one in enumerate(nats))))
    threat = by_host(council.rank())[f"h{closed % len(nats)}"]
    threats = council.rank(guidance=Guidance(answers={threat.id: False}))
    assert (threats[-1].id, threats[-1].answer, threats[-1].listed) == (threat.id, False, False)
    assert all(one.answer is None and one.listed for one in threats[:-1])


def test_a_threat_that_took_in_a_true_one_is_true(said: Said) -> None:
    old, young = deed("a", 25.0), {"user": "eve", "evidence": 25.0, "value": "b", "at": 600}
    council = heard(said(old, young))
    before = council.rank()
    answers = dict(zip((threat.id for threat in before), (True, False), strict=True))
    council.hear(said({"host": "a", "user": "eve", "evidence": 25.0, "value": "c", "at": 1200}, first=2))
    (threat,) = council.rank(guidance=Guidance(answers=answers))
    assert {threat.id, *threat.merged} == answers.keys()
    assert threat.answer is True


def test_threats_that_were_true_are_not_usual(said: Said) -> None:
    """A strange threat is less likely by chance when those as strange before it are known to be attacks."""
    usual = [deed(f"h{n}", 5.0 + n % 5, at=DAY) for n in range(60)]
    attacks = [deed(f"attacked{n}", 16.0, field="port", domain="network", at=DAY) for n in range(12)]
    new = deed("new", 14.0, field="port", domain="dns", at=2 * DAY)
    council = heard(said(deed("first", 9.0), *usual, *attacks, new))
    before = by_host(council.rank(500))
    true = {threat.id: True for host, threat in before.items() if host.startswith("attacked")}
    assert len(true) == 12
    after = by_host(council.rank(500, Guidance(answers=true)))
    p, p_before = after["new"].p, before["new"].p
    assert p is not None
    assert p_before is not None
    assert p < p_before / 2
    false = dict.fromkeys(true, False)
    assert by_host(council.rank(500, Guidance(answers=false)))["new"].p == p_before
