"""How much each principal may ask of the mesh: so many a second, and a fair share of what waits.

Time is in seconds of a clock that never goes back, such as `time.monotonic`.
"""

import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_NEVER = -math.inf
_V6_SITE = 64  # bits of an address that its holder cannot choose


@dataclass(frozen=True, slots=True)
class Rate:
    """So much a second in the long run, and `burst` at once. Raises ValueError unless both are above 0."""

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        if not (0 < self.per_second < math.inf and 0 < self.burst < math.inf):
            raise ValueError(
                f"rate: expected numbers above 0, got {self.per_second} a second and a burst of {self.burst}"
            )


class Buckets:
    """A token bucket for each name, of at most `most` names.

    A bucket is one number, when it will be full again (Turner, "New directions in communications", 1986; ATM's generic
    cell rate algorithm). A name too many takes over the fullest bucket as it is, so it gets no fresh burst unless that
    one is full: no name gets more than burst + rate * t within t seconds, and all names together no more than `most`
    times that, however many there are.
    """

    def __init__(self, rate: Rate, most: int) -> None:
        self._rate = rate
        self._full_at_N = np.full(most, _NEVER)
        self._name_N: list[str | None] = [None] * most
        self._place = dict[str | None, int]()

    def __len__(self) -> int:
        return len(self._place)

    def wait(self, name: str, amount: float, now: float) -> float:
        """Seconds until `name` may have `amount`: 0 if at once, infinite if it is more than a burst."""
        if amount > self._rate.burst:
            return math.inf
        return max(0.0, self._owed(self._find(name), now) + (amount - self._rate.burst) / self._rate.per_second)

    def take(self, name: str, amount: float, now: float) -> None:
        """Take `amount` out of the bucket of `name`, whether it is in there or not."""
        place = self._find(name)
        self._full_at_N[place] = now + self._owed(place, now) + amount / self._rate.per_second
        before = self._name_N[place]
        if before != name:
            self._place.pop(before, None)
            self._name_N[place], self._place[name] = name, place

    def _find(self, name: str) -> int:
        place = self._place.get(name)
        return int(self._full_at_N.argmin()) if place is None else place

    def _owed(self, place: int, now: float) -> float:
        """Seconds until the bucket there is full."""
        return max(0.0, float(self._full_at_N[place]) - now)


def take(name: str, now: float, *asked: tuple[Buckets, float]) -> float:
    """Take each amount from its buckets if all have enough, else nothing; the seconds to wait, 0 if it was taken.

    >>> requests, sizes = Buckets(Rate(1, 2), most=10), Buckets(Rate(10, 100), most=10)
    >>> [take("a", 0.0, (requests, 1), (sizes, size)) for size in (60, 60, 40, 0, 101)]
    [0.0, 2.0, 0.0, 1.0, inf]
    """
    wait = max(buckets.wait(name, amount, now) for buckets, amount in asked)
    if wait == 0:
        for buckets, amount in asked:
            buckets.take(name, amount, now)
    return wait


def retry_after(wait: float) -> int:
    """Whole seconds for a Retry-After header, at least one and at most an hour.

    >>> retry_after(0.2), retry_after(2.0), retry_after(2.1)
    (1, 2, 3)
    """
    return max(1, math.ceil(min(wait, 3600)))


def stranger(address: str) -> str:
    """What to call somebody without a key who asks from `address`: an IPv6 network, as its holder chooses the rest.

    >>> stranger("192.0.2.7"), stranger("2001:db8::1:2"), stranger("::ffff:192.0.2.7"), stranger("")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7', '')
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, _V6_SITE), strict=False))


@dataclass(frozen=True, eq=False, slots=True)
class Ticket:
    """A place in the waiting room, for so much by one principal; `shed` hears that it was lost to another."""

    name: str
    size: int
    shed: Callable[[], object]


class WaitingRoom:
    """What waits, at most `room` of it; when it is full, whoever holds most makes room for one who would hold less.

    So a principal that would hold no more than its share, `room` over the number of principals who wait, always gets
    in, whatever the others do (longest queue drop; Suter et al., "Design considerations for supporting TCP with
    per-flow queueing", 1998). For one thread.
    """

    def __init__(self, room: int) -> None:
        self.size = 0
        self._room = room
        self._held = dict[str, int]()
        self._tickets = dict[str, list[Ticket]]()

    def enter(self, name: str, size: int, shed: Callable[[], object]) -> Ticket | None:
        """A place for `size` by `name`, or None if it would hold too much; those who lose theirs hear it."""
        lost = self._lost_to(name, size)
        if lost is None:
            return None
        for ticket in lost:
            self.leave(ticket)
            ticket.shed()
        ticket = Ticket(name, size, shed)
        self.size += size
        self._held[name] = self._held.get(name, 0) + size
        self._tickets.setdefault(name, []).append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a place back, as what waited there begins or gave up; nothing happens if it was lost before."""
        tickets = self._tickets.get(ticket.name, [])
        if ticket not in tickets:
            return
        tickets.remove(ticket)
        self.size -= ticket.size
        self._held[ticket.name] -= ticket.size
        if not tickets:
            del self._tickets[ticket.name], self._held[ticket.name]

    def _lost_to(self, name: str, size: int) -> list[Ticket] | None:
        """The newest tickets of whoever holds most at each step, until there is room; None if `name` is that one."""
        held, lost, free = dict(self._held), list[Ticket](), self._room - self.size
        newest = {other: len(tickets) for other, tickets in self._tickets.items()}
        mine = held.get(name, 0) + size
        while free < size:
            most = max(held, key=held.__getitem__, default=name)
            if mine >= held.get(most, 0):
                return None
            newest[most] -= 1
            ticket = self._tickets[most][newest[most]]
            held[most] -= ticket.size
            free += ticket.size
            lost.append(ticket)
        return lost
