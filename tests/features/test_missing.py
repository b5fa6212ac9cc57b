"""What an event leaves out is a field of its own."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import hash64
from features.missing import missing

patterns = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=50)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(patterns)
def test_each_row_names_exactly_what_it_lacks(rows: list[list[bool]]) -> None:
    there_BF = np.array(rows)
    codes = {name: there_BF[:, f].astype(np.uint64) * np.uint64(9) for f, name in enumerate("abc")}
    texts, hashes = missing(codes)
    expected = [", ".join(n for n, there in zip("abc", row, strict=True) if not there) or "nothing" for row in rows]
    assert texts.to_list() == expected
    assert (hashes == hash64(texts)).all()


def test_no_rows_lack_nothing() -> None:
    texts, hashes = missing({"a": np.zeros(0, np.uint64)})
    assert texts.len() == hashes.size == 0
