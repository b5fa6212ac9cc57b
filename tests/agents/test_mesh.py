"""The whole way from events to threats is one fold over one log."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.consensus.council import Council
from agents.consensus.guidance import Guidance
from agents.keeping import fresh_mesh
from agents.mesh import Mesh
from agents.notices import Notice
from agents.verdicts import VERDICTS
from features.events import Domain
from features.logs import Events, cut, in_order

Stream = Callable[..., pl.DataFrame]
laws = settings(max_examples=6, deadline=None, derandomize=True)
#: So few events are never strange enough for a threat as they are.
KEEN = {domain.value: 4.0 for domain in Domain}


def log_of(stream: Stream, seed: int, rows: int, strange: int = 0) -> Events:
    """Events of all domains, in the log's order of domains, interleaved in time."""
    return {domain: stream(domain, seed, rows, strange) for domain in Domain}


def pieces(events: Events, cuts: list[int]) -> list[Events]:
    """The log cut at any places of its order."""
    order = in_order(events)
    ends = [*sorted(min(at, order.height) for at in cuts), order.height]
    found: list[Events] = []
    for a, b in zip([0, *ends], ends, strict=False):
        rows = {domain: order[a:b].filter(domain=domain.value)["row"] for domain in events}
        found.append({domain: events[domain][picked] for domain, picked in rows.items() if picked.len()})
    return found


def threats_of(mesh: Mesh, batches: list[Events]) -> list[dict[str, Any]]:
    council = Council()
    for batch in batches:
        council.hear(mesh.observe(batch))
    return [threat.record() for threat in council.rank(guidance=Guidance(trust=KEEN))]


@laws
@given(seed=st.integers(0, 100), cuts=st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_any_cut_gives_the_same_threats(seed: int, cuts: list[int], stream: Stream) -> None:
    events = log_of(stream, seed, 70, strange=3)
    whole = threats_of(fresh_mesh(), [events])
    assert whole
    assert threats_of(fresh_mesh(), pieces(events, cuts)) == whole


def test_batches_of_any_size_give_the_same_verdicts(stream: Stream) -> None:
    events = log_of(stream, 1, 30)
    whole = fresh_mesh().observe(events)
    for rows in (1, 7, 64):
        mesh = fresh_mesh()
        parts = pl.concat([mesh.observe(batch) for batch in cut(events, rows)])
        assert_frame_equal(parts, whole, check_exact=True)


def test_verdicts_are_numbered_in_the_order_of_the_log(stream: Stream) -> None:
    events, mesh = log_of(stream, 2, 20), fresh_mesh()
    first, second = (mesh.observe(events) for _ in range(2))
    assert first["seq"].to_list() == list(range(120))
    assert second["seq"].to_list() == list(range(120, 240))
    assert first["domain"].equals(in_order(events)["domain"])
    assert first["time"].is_sorted()


def test_a_restored_mesh_gives_the_same_verdicts(stream: Stream) -> None:
    events, one, other = log_of(stream, 3, 30), fresh_mesh(), fresh_mesh()
    before, after = pieces(events, [90])
    one.observe(before)
    other.restore(one.state())
    assert_frame_equal(other.observe(after), one.observe(after), check_exact=True)


def test_a_mesh_that_sees_nothing_says_nothing() -> None:
    mesh = fresh_mesh()
    assert mesh.observe({}).schema == VERDICTS
    assert mesh.observe({}).is_empty()


@pytest.mark.parametrize("domain", list(Domain))
def test_an_agent_hears_of_no_other_domain(domain: Domain, stream: Stream) -> None:
    events = log_of(stream, 4, 25)
    among_all = fresh_mesh().observe(events).filter(domain=domain.value).drop("seq")
    alone = fresh_mesh().observe({domain: events[domain]}).drop("seq")
    assert_frame_equal(among_all, alone, check_exact=True)


def test_what_agents_notice_is_told_with_their_domain() -> None:
    mesh = fresh_mesh()
    assert mesh.notices() == []
    mesh.agents[Domain.DNS].notices.append(Notice(4096, "the world changed", ("site",), 0.25, None, "relaxed"))
    assert mesh.notices() == [
        "dns: the world changed by event 4,096: site moved by +0.25 of its span; learning is relaxed"
    ]
