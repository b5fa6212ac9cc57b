"""The last ranking is kept whole, or refused; whoever ranks never waits for it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.folding.last_ranking import EVERY_SECONDS, Keeping, RankingRefused, keep, kept, path_in
from tests.serving.folding.rankings import ranked
from tests.serving.posting import wait_until
from tests.serving.threats.threats import threat

laws = settings(max_examples=40, deadline=None, derandomize=True)


def test_the_newest_is_what_is_kept(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    for position in (1, 2):
        keep(ranked(position, threat()), tmp_path)
        assert kept(tmp_path) == ranked(position, threat())
    assert [path.name for path in tmp_path.iterdir()] == [path_in(tmp_path).name]


@laws
@given(data=st.data())
def test_not_one_byte_of_it_may_change(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    var = tmp_path_factory.mktemp("var")
    keep(ranked(3, threat()), var)
    whole = path_in(var).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(changed), whole[:place]):
        path_in(var).write_bytes(damaged)
        with pytest.raises(RankingRefused, match="ranking"):
            kept(var)


def test_of_many_rankings_the_last_is_kept_and_few_of_the_others(tmp_path: Path) -> None:
    keeping, found = Keeping(tmp_path), set()
    with keeping.going_on():
        for position in range(1, 400):
            keeping.renew(ranked(position))
            found.add(told.position if (told := kept(tmp_path)) else 0)
    assert kept(tmp_path) == ranked(399)
    assert len(found) < 10
    assert EVERY_SECONDS >= 1


def test_where_there_is_no_room_it_goes_on(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path / "absent")
    with keeping.going_on():
        keeping.renew(ranked(1))
        wait_until(lambda: keeping._newest is None)
        keeping.renew(ranked(2))
        (tmp_path / "absent").mkdir()
    assert kept(tmp_path / "absent") == ranked(2)
