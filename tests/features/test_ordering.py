"""Events come out in the order of time, and none is lost."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import TIME, Domain
from features.ordering import Ordering, Ripe

START = datetime(2024, 5, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def frame(*arrivals: tuple[int, int]) -> pl.DataFrame:
    """Events by line and second."""
    rows = [(line, START + second * SECOND) for line, second in arrivals]
    return pl.DataFrame(rows, schema={"line": pl.Int64, "time": TIME}, orient="row")


def rows(*parts: Ripe) -> list[tuple[str, int, int, bool]]:
    """Domain, line, second and lateness of all that came out, in the order of each part."""
    return [
        (domain.value, line, int((time - START).total_seconds()), late)
        for ripe in parts
        for domain, events in ripe.events.items()
        for (line, time), late in zip(events.select("line", "time").rows(), ripe.late[domain], strict=True)
    ]


def test_an_event_waits_for_the_horizon_and_an_older_one_passes_it() -> None:
    ordering = Ordering(10 * SECOND)
    first = ordering.take({Domain.DNS: frame((0, 100), (1, 95))})
    second = ordering.take({Domain.DNS: frame((2, 111))})
    assert rows(first) == []
    assert rows(second) == [("dns", 1, 95, False), ("dns", 0, 100, False)]
    assert rows(ordering.rest()) == [("dns", 2, 111, False)]


def test_what_comes_behind_the_horizon_is_late_and_not_lost() -> None:
    ordering = Ordering(10 * SECOND)
    ordering.take({Domain.DNS: frame((0, 100))})
    assert rows(ordering.take({Domain.WEB: frame((1, 89), (2, 90))})) == [("web", 1, 89, True)]


def test_a_time_in_the_future_makes_nothing_late() -> None:
    ordering = Ordering(10 * SECOND)
    ordering.take({Domain.DNS: frame((0, 10**8))}, now=START + 100 * SECOND)
    ripe = ordering.take({Domain.DNS: frame((1, 95))}, now=START + 100 * SECOND)
    assert rows(ripe) == []
    assert rows(ordering.rest()) == [("dns", 1, 95, False), ("dns", 0, 10**8, False)]


def test_no_more_than_the_most_are_held() -> None:
    ordering = Ordering(1000 * SECOND, most=3)
    ripe = ordering.take({Domain.DNS: frame(*((line, 100 - line) for line in range(8)))})
    assert rows(ripe) == [("dns", line, 100 - line, False) for line in (7, 6, 5, 4, 3)]
    assert rows(ordering.take({Domain.DNS: frame((9, 50))})) == [("dns", 9, 50, True)]


def test_nothing_in_gives_nothing_out() -> None:
    ordering = Ordering(SECOND)
    assert rows(ordering.take({}), ordering.rest()) == []


ARRIVALS = st.lists(st.tuples(st.sampled_from([Domain.DNS, Domain.WEB]), st.integers(0, 60)), max_size=30)


@settings(deadline=None)
@given(ARRIVALS, st.lists(st.integers(0, 30), max_size=4))
def test_any_cut_gives_every_event_once_in_order_with_the_same_ones_late(
    arrivals: list[tuple[Domain, int]], cuts: list[int]
) -> None:
    def run(edges: list[int]) -> list[tuple[str, int, int, bool]]:
        ordering, parts = Ordering(10 * SECOND), []
        for begins, ends in zip([0, *edges], [*edges, len(arrivals)], strict=True):
            batch: dict[Domain, list[tuple[int, int]]] = {}
            for line in range(begins, min(ends, len(arrivals))):
                domain, second = arrivals[line]
                batch.setdefault(domain, []).append((line, second))
            parts.append(ordering.take({domain: frame(*some) for domain, some in batch.items()}))
        return rows(*parts, ordering.rest())

    cut, whole = run(sorted(cuts)), run([])
    assert sorted(cut) == sorted(whole)
    assert sorted(line for _, line, _, _ in cut) == list(range(len(arrivals)))
    for domain in ("dns", "web"):
        seconds = [second for name, _, second, late in cut if name == domain and not late]
        assert seconds == sorted(seconds)
    newest = 0
    for line, (_, second) in enumerate(arrivals):
        assert next(late for _, found, _, late in whole if found == line) == (second < newest - 10)
        newest = max(newest, second)
