"""An agent is believed as far as its record goes: the k-th strangest of n verdicts is worth log(n / k) and a little."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.record import Record

laws = settings(max_examples=25, deadline=None, derandomize=True)
Heap = Callable[[pl.DataFrame], pl.DataFrame]
DAY = 86_400


def told(heap: Heap, evidence: list[float], **columns: object) -> pl.DataFrame:
    return heap(
        pl.DataFrame({"evidence": evidence}, schema={"evidence": pl.Float64}).with_columns(
            **{name: pl.lit(v) for name, v in columns.items()}
        )
    )


def of_days(heap: Heap, days: list[int]) -> pl.DataFrame:
    return heap(pl.DataFrame({"evidence": [1.0] * len(days), "second": [day * DAY for day in days]}))


def counts(record: Record) -> list[bytes]:
    return [array.tobytes() for array in record.state().values()]


@laws
@given(
    days=st.lists(st.integers(0, 200), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
def test_any_cut_gives_the_same_record(heap: Heap, days: list[int], cuts: list[int]) -> None:
    verdicts, whole, cut = of_days(heap, days), Record(), Record()
    whole.enter(verdicts)
    for start, end in pairwise(sorted({0, len(days), *(at for at in cuts if at <= len(days))})):
        cut.enter(verdicts[start:end])
    assert counts(cut) == counts(whole)


@laws
@given(days=st.lists(st.integers(0, 200), min_size=1, max_size=30))
def test_a_record_goes_on_from_what_was_kept(heap: Heap, days: list[int]) -> None:
    one, other = Record(), Record()
    one.enter(of_days(heap, days))
    other.restore(one.state())
    more = of_days(heap, [max(days) + 3])
    one.enter(more)
    other.enter(more)
    assert counts(one) == counts(other)


def test_what_is_as_rare_as_it_claims_counts_in_full(heap: Heap) -> None:
    record = Record()
    record.enter(told(heap, [1.0] * 100_000))
    ranks = np.arange(1, 101)
    honest = told(heap, np.log(100_000 / ranks).tolist())
    assert (record.share(honest) == 1.0).all()


def test_who_cries_wolf_is_not_believed(heap: Heap) -> None:
    record, flood = Record(), told(heap, [20.0] * 10_000)
    record.enter(flood)
    assert (record.share(flood) * 20.0 < 3.0).all()


def test_the_flood_of_one_agent_takes_nothing_from_another(heap: Heap) -> None:
    record = Record()
    flood, other = told(heap, [20.0] * 10_000), told(heap, [9.0], domain="network")
    alone = record.share(other)
    record.enter(flood)
    assert (record.share(pl.concat([flood, other]))[-1] == alone).all()


def test_a_long_record_makes_more_believable(heap: Heap) -> None:
    record, thing = Record(), told(heap, [18.0])
    shares = []
    for _ in range(4):
        shares.append(float(record.share(thing)[0]))
        record.enter(told(heap, [1.0] * 100_000))
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] <= 1.0


def test_a_record_fades(heap: Heap) -> None:
    record, thing = Record(), told(heap, [20.0])
    record.enter(told(heap, [1.0] * 100_000))
    fresh = float(record.share(thing)[0])
    faded = []
    for days in (30, 63, 64):
        later = told(heap, [0.0]).with_columns(time=pl.col("time") + timedelta(days=days))
        other = Record()
        other.restore(record.state())
        other.enter(later)
        faded.append(float(other.share(thing)[0]))
    assert fresh > faded[0] > faded[1] > faded[2]


def test_more_is_never_worth_less(heap: Heap) -> None:
    record = Record()
    record.enter(told(heap, [1.0] * 50))
    evidence = [0.0, 2.0, 5.0, 8.0, 11.0, 14.0, 17.0, 20.0]
    worth = record.share(told(heap, evidence)) * evidence
    assert (np.diff(worth) >= -1e-9).all()


def test_nothing_has_no_share(heap: Heap) -> None:
    assert Record().share(told(heap, [])).size == 0
