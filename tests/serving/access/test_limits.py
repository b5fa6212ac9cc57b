"""Nobody gets more than a burst and the rate, and whoever would hold no more than a fair share always gets in."""

import ipaddress
import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.access.limits import Buckets, Rate, Ticket, WaitingRoom, retry_after, stranger, take

laws = settings(max_examples=200, deadline=None, derandomize=True)
names = st.sampled_from("abcdef")
rates = st.builds(Rate, st.floats(0.1, 100), st.floats(1, 100))
asks = st.lists(st.tuples(st.floats(0, 3), names, st.floats(0, 60)), max_size=40)
Ask = tuple[float, str, float]
HUGE = 10**9 + 0.1


def granted(buckets: Buckets, asked: list[Ask], now: float) -> list[Ask]:
    """When, to whom and how much was granted of what is asked so long after each other."""
    given_out = []
    for pause, name, amount in asked:
        now += pause
        if take(name, now, (buckets, amount)) == 0:
            given_out.append((now, name, amount))
    return given_out


def within_the_law(given_out: list[Ask], rate: Rate, times: int) -> bool:
    """Whether in every stretch of time no more was given than `times` a burst and the rate."""
    return all(
        sum(amount for _, _, amount in given_out[first : last + 1])
        <= times * (rate.burst + rate.per_second * (given_out[last][0] - given_out[first][0])) + 1e-4
        for first, last in itertools.combinations_with_replacement(range(len(given_out)), 2)
    )


@laws
@given(rate=rates, most=st.integers(1, 6), asked=asks, start=st.sampled_from([0.0, HUGE]))
def test_no_name_gets_more_than_a_burst_and_the_rate_however_many_names_there_are(
    rate: Rate, most: int, asked: list[Ask], start: float
) -> None:
    given_out = granted(Buckets(rate, most), asked, start)
    for name in "abcdef":
        assert within_the_law([ask for ask in given_out if ask[1] == name], rate, 1)
    assert within_the_law(given_out, rate, most)


@laws
@given(rate=rates, asked=asks)
def test_who_asks_no_more_than_a_burst_and_the_rate_is_never_refused_where_there_is_a_bucket_for_all(
    rate: Rate, asked: list[Ask]
) -> None:
    buckets, now = Buckets(rate, most=6), 0.0
    left = dict.fromkeys("abcdef", rate.burst)
    for pause, name, amount in asked:
        now += pause
        left = {each: min(rate.burst, level + pause * rate.per_second) for each, level in left.items()}
        if left[name] - amount > 1e-6:
            assert take(name, now, (buckets, amount)) == 0
            left[name] -= amount


@laws
@given(rate=rates, asked=asks, amount=st.floats(0, 120))
def test_after_the_wait_that_was_told_there_is_enough_and_just_before_there_is_not(
    rate: Rate, asked: list[Ask], amount: float
) -> None:
    buckets = Buckets(rate, most=6)
    granted(buckets, asked, 0.0)
    now = sum(pause for pause, _, _ in asked)
    wait = buckets.wait("a", amount, now)
    assert math.isinf(wait) == (amount > rate.burst)
    if wait > 1e-3 and math.isfinite(wait):
        assert buckets.wait("a", amount, now + wait - 1e-3) > 0
    if math.isfinite(wait):
        assert buckets.wait("a", amount, now + wait + 1e-6) == 0


@laws
@given(asked=st.lists(st.tuples(st.floats(0, 1), names, st.floats(0, 12)), max_size=40))
def test_all_is_taken_or_nothing(asked: list[Ask]) -> None:
    requests, sizes, now = Buckets(Rate(1, 3), most=6), Buckets(Rate(5, 10), most=6), 0.0
    for pause, name, size in asked:
        now += pause
        before = [buckets.wait(name, 3, now) for buckets in (requests, sizes)]
        is_enough = requests.wait(name, 1, now) == sizes.wait(name, size, now) == 0
        wait = take(name, now, (requests, 1), (sizes, size))
        assert (wait == 0) == is_enough
        after = [buckets.wait(name, 3, now) for buckets in (requests, sizes)]
        assert (after == before) if wait > 0 else after[0] > before[0]


@laws
@given(count=st.integers(0, 300), most=st.integers(1, 20))
def test_there_are_never_more_buckets_than_were_allowed(count: int, most: int) -> None:
    buckets = Buckets(Rate(1, 1), most)
    for number in range(count):
        take(f"n{number}", number * 0.01, (buckets, 1))
    assert len(buckets) <= most


def test_a_crowd_of_strangers_takes_no_bucket_from_one_who_was_refused() -> None:
    buckets = Buckets(Rate(0.001, 10), most=4)
    assert [take("greedy", 0.0, (buckets, 10)) == 0 for _ in range(2)] == [True, False]
    for number in range(100):
        take(f"crowd-{number}", 1.0, (buckets, 1))
        assert take("greedy", 1.0, (buckets, 1)) > 0


@pytest.mark.parametrize("rate", [(0, 1), (1, 0), (-1, 1), (math.nan, 1), (1, math.inf)])
def test_a_rate_that_is_none_is_refused(rate: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="rate: expected numbers above 0"):
        Rate(*rate)


@given(st.floats(0, allow_nan=False))
def test_who_waits_as_long_as_the_header_says_has_waited_long_enough_or_an_hour(wait: float) -> None:
    assert 1 <= retry_after(wait) <= 3600
    assert retry_after(wait) >= min(wait, 3600)
    assert retry_after(wait) < wait + 1 or wait == 0 or retry_after(wait) == 3600 or retry_after(wait) == 1


@laws
@given(site=st.integers(0, 2**64 - 1), hosts=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
def test_one_ipv6_network_is_one_stranger(site: int, hosts: tuple[int, int]) -> None:
    one, other = (stranger(str(ipaddress.IPv6Address((0x20 << 120) | (site >> 8 << 64) | host))) for host in hosts)
    assert one == other


# The waiting room


Step = tuple[str, int, bool]
steps = st.lists(st.tuples(names, st.integers(1, 8), st.booleans()), max_size=60)


class Watched:
    """A waiting room and all tickets that are in it by what it told."""

    def __init__(self, room: int) -> None:
        self.room, self.inside, self.lost = WaitingRoom(room), list[Ticket](), list[Ticket]()

    def held(self) -> Counter[str]:
        held = Counter[str]()
        for ticket in self.inside:
            held[ticket.name] += ticket.size
        return held

    def enter(self, name: str, size: int) -> Ticket | None:
        own = list[Ticket]()

        def shed() -> None:
            self.inside.remove(own[0])
            self.lost.append(own[0])

        ticket = self.room.enter(name, size, shed)
        if ticket is not None:
            own.append(ticket)
            self.inside.append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self.room.leave(ticket)
        self.inside.remove(ticket)

    def crowd(self, crowd: list[Step]) -> None:
        """Some enter, and of those inside the oldest leaves where a step says so."""
        for name, size, is_leaving in crowd:
            if is_leaving and self.inside:
                self.leave(self.inside[0])
            else:
                self.enter(name, size)
            assert self.room.size == sum(self.held().values())


@laws
@given(room=st.integers(1, 40), crowd=steps)
def test_no_more_waits_than_there_is_room_for_and_what_is_told_is_what_is_so(room: int, crowd: list[Step]) -> None:
    watched = Watched(room)
    for step in crowd:
        watched.crowd([step])
        assert watched.room.size <= room
    for ticket in list(watched.inside):
        watched.leave(ticket)
    for ticket in watched.lost:
        watched.room.leave(ticket)
    assert watched.room.size == 0


@laws
@given(room=st.integers(1, 60), crowd=steps, size=st.integers(1, 8), name=names)
def test_who_would_hold_no_more_than_a_fair_share_always_gets_in(
    room: int, crowd: list[Step], size: int, name: str
) -> None:
    watched = Watched(room)
    watched.crowd(crowd)
    held = watched.held()
    fair = held[name] + size <= room / len(held | Counter({name: 1}))
    assert watched.enter(name, size) is not None or not fair


@laws
@given(room=st.integers(1, 60), crowd=steps, size=st.integers(1, 8), name=names)
def test_only_who_holds_more_than_the_newcomer_loses_a_place_and_the_newest_first(
    room: int, crowd: list[Step], size: int, name: str
) -> None:
    watched = Watched(room)
    watched.crowd(crowd)
    held, inside, lost_before = watched.held(), list(watched.inside), len(watched.lost)
    entered = watched.enter(name, size)
    lost = watched.lost[lost_before:]
    if entered is None:
        assert not lost
        assert held[name] + size >= max(held.values(), default=0) or held.total() + size > room
    for ticket in lost:
        assert held[ticket.name] > held[name] + size
        held[ticket.name] -= ticket.size
        assert ticket is [other for other in inside if other.name == ticket.name][-1]
        inside.remove(ticket)


@laws
@given(room=st.integers(1, 40), crowd=steps, size=st.integers(1, 8))
def test_where_there_is_room_nobody_is_refused_and_nobody_loses_a_place(
    room: int, crowd: list[Step], size: int
) -> None:
    watched = Watched(room)
    watched.crowd(crowd)
    lost = len(watched.lost)
    if watched.room.size + size <= room:
        assert watched.enter("a", size) is not None
        assert len(watched.lost) == lost


def test_a_flood_by_one_leaves_the_others_their_places() -> None:
    watched = Watched(30)
    while watched.enter("flood", 1) is not None:
        pass
    for name in ("a", "b") * 10:
        watched.enter(name, 1)
        watched.enter("flood", 1)
    assert watched.held() == {"flood": 10, "a": 10, "b": 10}
