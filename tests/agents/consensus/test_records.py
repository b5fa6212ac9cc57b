"""Records count what every entity did, in tables that do not grow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.consensus.chance import LEVELS
from agents.consensus.evidence import noted
from agents.consensus.records import Records

Said = Callable[..., pl.DataFrame]
laws = settings(max_examples=20, deadline=None, derandomize=True)


def crowd(seed: int, rows: int = 60) -> list[dict[str, Any]]:
    """Verdicts of many users on many hosts."""
    chance = np.random.default_rng(seed)
    nats = chance.exponential(2.0, rows)
    picks = chance.integers(0, 40, (rows, 3)).tolist()
    return [
        {"user": f"u{u}", "host": f"h{h}", "value": f"v{v}", "evidence": float(e)}
        for (u, h, v), e in zip(picks, nats, strict=True)
    ]


def entered(verdicts: pl.DataFrame, cuts: list[int], slots: int = 4096) -> Records:
    records = Records(slots)
    ends = [*sorted(min(cut, verdicts.height) for cut in cuts), verdicts.height]
    for a, b in zip([0, *ends], ends, strict=False):
        records.enter(noted(verdicts[a:b]))
    return records


def bits(records: Records) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in records.state().items()}


def answers(records: Records, verdicts: pl.DataFrame) -> bytes:
    """What is known of every entity and doer in some verdicts."""
    of = [records.of(verdicts[kind], kind, verdicts["domain"]).tobytes() for kind in ("user", "host")]
    return b"".join([*of, records.oddness(noted(verdicts)).tobytes()])


def record_of(records: Records, name: str, kind: str = "host", domain: str = "endpoint") -> list[float]:
    found: list[float] = records.of(pl.Series([name]), kind, pl.Series([domain]))[0].tolist()
    return found


@laws
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_any_cut_gives_the_same_answers(seed: int, cuts: list[int], said: Said) -> None:
    verdicts = said(*crowd(seed))
    assert answers(entered(verdicts, cuts), verdicts) == answers(entered(verdicts, []), verdicts)


def test_any_cut_gives_the_same_records_when_entities_push_each_other_out(said: Said) -> None:
    verdicts = said(*crowd(1))
    whole, *parts = (bits(entered(verdicts, cuts, slots=64)) for cuts in ([], [1], [30], [7, 8, 50]))
    assert all(part == whole for part in parts)


def test_looking_changes_nothing(said: Said) -> None:
    verdicts = said(*crowd(2))
    records = entered(verdicts, [], slots=64)
    before = bits(records)
    answers(records, verdicts)
    assert bits(records) == before


@laws
@given(seed=st.integers(0, 1000), at=st.integers(0, 60))
def test_restored_records_go_on_the_same(seed: int, at: int, said: Said) -> None:
    verdicts = said(*crowd(seed))
    one, other = entered(verdicts[:at], []), entered(verdicts, [])
    other.restore(one.state())
    for records in (one, other):
        records.enter(noted(verdicts[at:]))
    assert bits(other) == bits(one)


def test_records_stay_bounded(said: Said) -> None:
    records = entered(said(*crowd(3, 2_000)), [], slots=64)
    assert all(array.shape[0] <= 64 for array in records.state().values())


def test_a_record_counts_different_things_once_and_verdicts_each(said: Said) -> None:
    rows = [{"host": "h", "value": value, "evidence": 5.0} for value in "xxxyyz"]
    *levels, verdicts = record_of(entered(said(*rows), []), "h")
    assert sum(levels) == 3
    assert verdicts == 6


def test_a_thing_done_again_counts_at_its_strongest(said: Said) -> None:
    weak, strong = {"host": "h", "evidence": 1.0}, {"host": "h", "evidence": 9.0}
    again = [record_of(entered(said(*rows), []), "h")[:LEVELS] for rows in ([strong], [weak, strong], [strong, weak])]
    assert again[0] == again[1] == again[2]


def test_an_entity_has_a_record_in_each_domain(said: Said) -> None:
    records = entered(said({"host": "h", "domain": "dns"}, {"host": "h", "domain": "network"}, {"host": "h"}), [])
    assert [record_of(records, "h", domain=name)[-1] for name in ("dns", "network", "cloud")] == [1, 1, 0]


def test_an_address_is_one_entity_as_source_and_as_peer(said: Said) -> None:
    records = entered(said({"address": "10.0.0.9"}, {"peer": "10.0.0.9", "value": "y"}), [])
    assert record_of(records, "10.0.0.9", "address")[-1] == 2


def test_names_of_different_kinds_are_different_entities(said: Said) -> None:
    records = entered(said({"host": "adm", "value": "x"}), [])
    assert (record_of(records, "adm", "host")[-1], record_of(records, "adm", "user")[-1]) == (1, 0)


def test_threats_do_not_gather_around_the_host_that_serves(said: Said) -> None:
    records = entered(said({"host": "shop", "domain": "web", "evidence": 9.0}), [])
    assert record_of(records, "shop", domain="web")[-1] == 0


def test_a_doer_of_many_odd_sorts_is_odder_than_one_that_is_odd_now_and_then(said: Said) -> None:
    odd = [{"process": "evil.exe", "host": "h", "activity": f"a{n}", "evidence": 8.0} for n in range(3)]
    usual = [{"process": "good.exe", "host": "h", "evidence": 8.0 if n == 0 else 0.5} for n in range(50)]
    records = entered(said(*odd, *usual), [])
    evil, good = records.oddness(noted(said(*odd)))[0], records.oddness(noted(said(usual[0])))[0]
    assert evil > 10 > 1 > good >= 0
