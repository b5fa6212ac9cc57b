"""A rank explains itself: by what each agent says, and by what would be without it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.council import Council, Cut
from agents.consensus.explaining import Place, UnknownThreat, explained, found, moves, place_of, same_as, sought
from agents.consensus.guidance import NOTHING_SAID, Guidance, Sort
from agents.consensus.threats import Threat

Said = Callable[..., pl.DataFrame]
Row = dict[str, Any]
DAY = 86_400
AGENTS = ["network", "dns", "endpoint"]


def deed(host: str, nats: float, domain: str = "endpoint", **more: Any) -> Row:
    return {"host": host, "evidence": nats, "domain": domain, "value": f"{domain} {host}", "at": 0} | more


def heard(*verdicts: pl.DataFrame) -> Council:
    council = Council()
    for batch in verdicts:
        council.hear(batch)
    return council


def of_host(threats: list[Threat], host: str) -> Threat:
    return next(threat for threat in threats if any(entity.name == host for entity in threat.entities))


@pytest.fixture
def council(said: Said) -> Council:
    """Three threats: one that two agents speak of, two of one agent each."""
    both = [deed("victim", 12.0, "network"), deed("victim", 9.0, "endpoint"), deed("victim", 9.0, "endpoint")]
    return heard(said(*both, deed("scanner", 10.0, "network"), deed("odd", 7.0, "dns")))


def test_the_words_are_what_each_agent_says_most_weighty_first(council: Council) -> None:
    told = explained(council, "1")
    assert [(word.domain, word.field, word.value, word.nats, word.count) for word in told.words] == [
        ("network", "program", "network victim", 12.0, 1),
        ("endpoint", "program", "endpoint victim", 9.0, 2),
    ]
    assert {word.weight for word in told.words} == {1.0}
    assert told.threat.id == council.rank()[0].id


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["h1", "h2", "h3"]), st.sampled_from([4.0, 9.0, 14.0]), st.sampled_from(AGENTS)),
        min_size=1,
        max_size=8,
    )
)
def test_without_an_agent_a_threat_is_where_it_would_be_had_the_agent_said_nothing(
    rows: list[tuple[str, float, str]], said: Said
) -> None:
    verdicts = said(*(deed(*row, at=300 * n) for n, row in enumerate(rows)))
    council = heard(verdicts)
    if not council.rank():
        return
    told = explained(council, "1")
    assert set(told.without) == {domain for _, nats, domain in rows if nats >= 2.0}
    for domain, place in told.without.items():
        silent = heard(verdicts.filter(pl.col("domain") != domain))
        assert place == place_of(told.threat, silent.rank())


def test_a_threat_of_one_agent_is_gone_without_it(council: Council) -> None:
    told = explained(council, of_host(council.rank(), "odd").id)
    assert told.without["dns"] is None
    assert told.without["endpoint"] == Place(told.threat.rank, told.threat.score, True)
    assert list(told.without) == ["network", "dns", "endpoint"]  # as domains are told everywhere


def test_feedback_that_weighs_on_a_threat_is_told_with_its_place_without_it(council: Council) -> None:
    sorts: dict[Sort, float] = {
        ("network", "launch", "program"): 0.75,
        ("dns", "launch", "program"): 0.5,
        ("network", "x", None): 0.1,
    }
    trust = {"endpoint": 0.5, "web": 0.1, "network": 1.0}
    guidance = Guidance(trust, sorts, criticality={("host", "victim"): 4.0, ("host", "odd"): 4.0})
    told = explained(council, of_host(council.rank(), "victim").id, guidance=guidance)
    assert told.trust == {"endpoint": 0.5}
    assert told.sorts == {("network", "launch", "program"): 0.75}
    assert {word.domain: word.weight for word in told.words} == {"network": 0.75, "endpoint": 0.5}
    assert told.unguided == place_of(told.threat, council.rank())
    assert told.unguided is not None
    assert told.unguided.score > told.threat.score - 4.0
    assert told.critical is not None
    assert (told.critical.kind, told.critical.name) == ("host", "victim")


def test_an_agent_that_is_not_heard_any_more_is_told_of(council: Council) -> None:
    told = explained(council, of_host(council.rank(), "victim").id, guidance=Guidance(trust={"network": 0.0}))
    assert {word.domain for word in told.words} == {"endpoint"}
    assert told.trust == {"network": 0.0}


def test_nothing_is_told_where_nobody_told_anything(council: Council) -> None:
    told = explained(council, "1")
    assert (told.trust, told.sorts, told.critical) == ({}, {}, None)
    assert told.unguided == Place(1, told.threat.score, True)


def test_why_a_threat_is_listed_or_not_is_a_sentence(said: Said) -> None:
    usual = [deed(f"h{n}", 5.0 + n % 5 + n / 100, at=DAY) for n in range(55)]
    today = [deed("mild", 9.9, at=2 * DAY), deed("worst", 18.0, "dns", at=2 * DAY)]
    council, cut = heard(said(deed("first", 14.0), *usual, *today)), Cut(alpha=0.01)
    threats = council.rank(5, cut=cut)

    def standing(host: str, guidance: Guidance = NOTHING_SAID, cut: Cut = cut) -> str:
        return explained(council, of_host(threats, host).id, 5, guidance, cut).standing

    worst, mild = of_host(threats, "worst"), of_host(threats, "mild")
    assert standing("worst") == f"listed: p {worst.p:.2g}, within the cut"
    assert standing("mild") == (
        f"not listed: p {mild.p:.2g}; it would be with a p below {worst.p:.2g}, as others of its day are"
    )
    assert standing("first").startswith("listed: too few threats of earlier days are known")
    false = Guidance(answers={worst.id: False})
    assert explained(council, worst.id, 60, false, cut).standing == "not listed: people found it to be false"
    strict = standing("mild", cut=Cut(alpha=1e-6))
    assert strict == f"not listed: p {mild.p:.2g}; none of its day is strange enough for the cut"


def test_a_threat_goes_by_its_id_its_beginning_or_its_rank(council: Council) -> None:
    threats = council.rank()
    for threat in threats:
        for name in (threat.id, threat.id[:4], str(threat.rank)):
            assert sought(threats, name) is threat


def test_a_threat_goes_by_the_name_of_one_that_it_took_in(said: Said) -> None:
    old, young = deed("a", 25.0), {"user": "eve", "evidence": 25.0, "value": "b", "at": 600}
    before = heard(said(old, young)).rank()
    met = said({"host": "a", "user": "eve", "evidence": 25.0, "value": "c", "at": 1200}, first=2)
    (after,) = heard(said(old, young), met).rank()
    assert [sought([after], threat.id) for threat in before] == [after, after]
    assert [same_as(threat, [after]) for threat in before] == [after, after]


@pytest.mark.parametrize("name", ["", "0", "4", "-1", "abc", "zzzzzz", "²", "1.0", "887"])
def test_a_threat_that_is_not_there_is_named(council: Council, name: str) -> None:
    expected = "expected an id, 4 letters that one begins with, or a rank up to 3"
    with pytest.raises(UnknownThreat, match=expected):
        sought(council.rank(), name)
    with pytest.raises(UnknownThreat):
        sought([], "1")


def test_a_beginning_of_two_ids_names_them(council: Council) -> None:
    one, other, *_ = council.rank()
    twins = [replace(one, id="aaaa111111"), replace(other, id="aaaa222222")]
    with pytest.raises(UnknownThreat, match="begins aaaa111111 and aaaa222222"):
        sought(twins, "aaaa")
    assert sought(twins, "aaaa1") is twins[0]


def test_a_threat_is_known_again_by_its_strangest_episode(said: Said) -> None:
    """What it began with is not heard; the rest goes by another name."""
    council = heard(said(deed("h", 7.0, "dns"), deed("h", 18.0, "network", at=1200)))
    (threat,) = council.rank()
    (other,) = council.rank(guidance=NOTHING_SAID.without("dns"))
    assert other.id != threat.id
    assert same_as(threat, [other]) is other


def test_only_what_moves_is_told(council: Council) -> None:
    before = council.rank()
    assert moves(before, before) == []
    after = council.rank(guidance=Guidance(answers={before[1].id: False}))
    told = moves(before, after)
    assert [move.threat.id for move in told] == [before[1].id, before[2].id]
    assert [(move.before.rank, move.after.rank) for move in told if move.before and move.after] == [(2, 3), (3, 2)]
    assert [(move.is_listed, move.is_of_rank_alone) for move in told] == [(True, False), (True, True)]
    gone, came = moves(before[:1], before[1:2])
    assert (gone.after, came.before) == (None, None)
    assert not gone.is_of_rank_alone
    assert gone.is_of(before[0].id)
    assert not gone.is_of(before[1].id)


def test_what_was_closed_is_found_beyond_the_list(council: Council) -> None:
    first = council.rank()[0]
    closed = Guidance(answers={first.id: False})
    threat, among = found(council, first.id, 1, closed, Cut())
    assert (threat.id, threat.rank, len(among)) == (first.id, 3, 3)
    assert explained(council, first.id, 1, closed).threat.answer is False
