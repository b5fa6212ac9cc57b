"""A verdict says how much of it rests on the principal's own past."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.history import History

laws = settings(max_examples=50, deadline=None, derandomize=True)
streams = st.lists(st.integers(0, 6), max_size=60).map(lambda codes: np.array(codes, np.uint64))


@laws
@given(streams)
def test_it_is_the_share_of_own_events_beside_one_of_all(principal_B: np.ndarray) -> None:
    before = [int((principal_B[:i] == code).sum()) for i, code in enumerate(principal_B)]
    expected = [n / (n + 1) if code else 0.0 for n, code in zip(before, principal_B.tolist(), strict=True)]
    assert History().observe(principal_B).tolist() == expected


@laws
@given(principal_B=streams, at=st.integers(0, 60))
def test_any_cut_and_a_restored_history_give_the_same(principal_B: np.ndarray, at: int) -> None:
    one, other = History(), History()
    first_B = one.observe(principal_B[:at])
    other.observe(principal_B)
    other.restore(one.state())
    rest_B = other.observe(principal_B[at:])
    assert np.concatenate([first_B, rest_B]).tolist() == History().observe(principal_B).tolist()
