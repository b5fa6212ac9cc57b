"""Whoever watches the ranking hears each change of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serving.access.policy import Principal
from serving.api.gate import Gate
from serving.api.problems import Problem
from serving.folding.messages import Ranked

#: Watchers of changes, at most, and seconds after which each hears that nothing changed.
WATCHERS, SILENT_SECONDS = 100, 15.0


async def stream(gate: Gate, request: Request, who: Principal) -> Response:
    """Each change of the ranking as a server-sent event, the whole of it first."""
    if len(gate.watchers) >= WATCHERS:
        raise Problem(503, "Too many watchers", f"{WATCHERS} watch already", "try again later", retry=60)
    return StreamingResponse(_changes(gate), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _changes(gate: Gate) -> AsyncIterator[bytes]:
    async with gate.door.watching() as changed:
        gate.watchers.add(changed)
        try:
            before: Mapping[str, Any] | None = None
            while not gate.is_closing:
                changed.clear()
                ranked = gate.door.view.ranked
                now = {id: [rank, score, listed] for rank, (id, score, listed, _) in enumerate(ranked.threats, start=1)}
                if now != before:
                    yield _event(ranked, before or {}, now)
                    before = now
                try:
                    await asyncio.wait_for(changed.wait(), SILENT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            gate.watchers.discard(changed)


def _event(ranked: Ranked, before: Mapping[str, Any], now: Mapping[str, Any]) -> bytes:
    """What is new, moved and gone, as a server-sent event."""
    moved = [
        {"id": id, "rank": place[0], "score": place[1], "listed": place[2]}
        for id, place in now.items()
        if before.get(id) != place
    ]
    told = {"position": ranked.position, "threats": moved, "gone": [id for id in before if id not in now]}
    return b"id: %d\nevent: ranking\ndata: %s\n\n" % (ranked.position, msgspec.json.encode(told))
