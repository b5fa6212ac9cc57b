"""The gate: lets requests through to the door as far as the policy and the limits have it, and counts all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from serving.access.keys import Keyring, KeysRefused
from serving.access.limits import Buckets, Rate, retry_after, stranger, take
from serving.access.policy import AUDITED, MAIN, Action, Principal, Role, allowed
from serving.api import posts
from serving.api.clerk import Clerk
from serving.api.door import Door
from serving.api.metrics import Metrics, Shed
from serving.api.problems import Problem

Handler = Callable[["Gate", Request, Principal], Awaitable[Response]]

#: Requests and bytes of bodies of one principal, and requests of one address without a good key.
REQUESTS, BYTES, STRANGERS = Rate(200.0, 1000.0), Rate(64e6, 256e6), Rate(5.0, 50.0)

_SHED = {
    "Too slow": Shed.SLOW,
    "Too large": Shed.SIZE,
    "Too often": Shed.RATE,
    "Busy": Shed.QUEUE,
    "Not kept": Shed.DISK,
    "Not audited": Shed.DISK,
}
_NOBODY = Principal("nobody", Role.INGEST)  # for what anybody may do


@dataclass(frozen=True)
class Asked:
    """A parameter of a route: its name, whether in the path, query or header, as JSON Schema, and what it is for."""

    name: str
    place: str
    schema: Mapping[str, Any]
    purpose: str


@dataclass(frozen=True)
class Way:
    """A route: what is done there, by which action of the policy, and how it is answered.

    `told` is what a good answer holds, or its media type if that is no JSON of ours. `takes` says for each media type
    what a body holds.
    """

    method: str
    path: str
    action: Action
    handler: Handler
    caption: str
    told: type[msgspec.Struct] | str
    takes: Mapping[str, type[msgspec.Struct] | str] = field(default_factory=dict)
    asks: tuple[Asked, ...] = ()


class Gate:
    """Who comes through to what is of `tenant`, and how often.

    `spools` is a folder of its own, where an earlier one may have left files.
    """

    def __init__(
        self,
        door: Door,
        keys: Keyring,
        address: str,
        metrics: Metrics,
        spools: Path,
        clerk: Clerk,
        tenant: str = MAIN,
    ) -> None:
        self.door, self.metrics, self.spools, self.clerk, self.tenant = door, metrics, spools, clerk, tenant
        self.watchers: set[asyncio.Event] = set()
        self.is_closing = False
        self._keys, self._address = keys, address
        self._requests = Buckets(REQUESTS, 1024)
        self._bytes = Buckets(BYTES, 1024)
        self._strangers = Buckets(STRANGERS, 4096)
        spools.mkdir(parents=True, exist_ok=True)
        for left in spools.iterdir():
            left.unlink()

    async def pass_on(self, way: Way, request: Request) -> Response:
        """The answer to a request of that way. Raises Problem, and ClientDisconnect if the sender is gone."""
        began, status, who = time.perf_counter(), 500, None
        try:
            who = self._known(request)
            admitted = self._admitted(way, request, who)
            _check_query(way, request)
            response = await way.handler(self, request, admitted)
            status = response.status_code
            return response
        except Problem as problem:
            status = problem.fields["status"]
            if (reason := _SHED.get(problem.fields["title"])) is not None:
                self.metrics.shed(reason)
            if status in (401, 403) and way.action in AUDITED:
                await self.clerk.refuse(who, _address(request), way.action, request.scope["path"], str(problem))
            raise
        except ClientDisconnect:
            status = 400
            raise
        finally:
            self.metrics.answered(way.path, status, time.perf_counter() - began)

    def close(self) -> None:
        """Let go of those who watch, whose answers would never end."""
        self.is_closing = True
        for changed in self.watchers:
            changed.set()

    def may(self, who: Principal, action: Action) -> bool:
        """Whether somebody may do that here."""
        return allowed(who, action, self.tenant)

    def _known(self, request: Request) -> Principal | None:
        """Who asks, None if it is nobody we know. Raises Problem."""
        try:
            return self._keys.who(request.headers, self._address, datetime.now(UTC))
        except KeysRefused as error:
            raise Problem(503, "No keys", "the keys cannot be read", "try again later", retry=5) from error

    def _admitted(self, way: Way, request: Request, who: Principal | None) -> Principal:
        """Who asks, if it may and has not asked too often. Raises Problem."""
        now = time.monotonic()
        if who is None:
            _wait(take(_address(request), now, (self._strangers, 1)))
            if not allowed(None, way.action):
                raise Problem(401, "Unknown", "no good key", "Authorization: Bearer and a key that is good")
            return _NOBODY
        if not self.may(who, way.action):
            raise Problem(403, "Not allowed", f"{way.action} is not for {who.role} of {who.tenant}", "another key")
        size = posts.announced(request.headers) if way.takes else 0
        _wait(take(who.name, now, (self._requests, 1), (self._bytes, size)))
        return who


def _check_query(way: Way, request: Request) -> None:
    """Raise Problem for a parameter that the way does not know, where it knows any: it may be one of them misspelt."""
    known = [one.name for one in way.asks if one.place == "query"]
    for name in request.query_params if known else ():
        if name not in known:
            raise Problem(400, "Unknown parameter", f"{name[:100]!r} is not known", f"one of {', '.join(known)}")


def _address(request: Request) -> str:
    """What to call whoever asks, without a key."""
    return stranger(request.client.host if request.client else "")


def _wait(seconds: float) -> None:
    if seconds > 0:
        raise Problem(429, "Too often", "more than the limit", "fewer requests", retry=retry_after(seconds))
