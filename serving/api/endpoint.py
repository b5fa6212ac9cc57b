"""The scoring endpoint: events are posted in, ranked threats are read, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from features.reading import sources
from serving.access.policy import Action, Principal, allowed
from serving.api import openapi, posts
from serving.api.encodings import ENCODINGS
from serving.api.gate import Asked, Gate, Way
from serving.api.metrics import MEDIA_TYPE, Stage
from serving.api.problems import Problem, answer, fault
from serving.api.told import ARROW, Agents, Alive, Answer, Answered, Ranking, Ready, Release, Taken
from serving.folding.acts import Decision
from serving.folding.messages import Ranked

#: Seconds that a body may take, and more for each megabyte.
BODY_SECONDS, SECONDS_PER_MB = 10.0, 1.0
#: Watchers of changes, at most, and seconds after which each hears that nothing changed.
WATCHERS, SILENT_SECONDS = 100, 15.0
#: Most bytes of a body that is no log.
SMALL_BYTES = 10_000
#: Most letters of an Idempotency-Key.
KEY_LETTERS = 200

_FORMATS, _YES_OR_NO = ("auto", *sources()), ("false", "true")


# Answers


async def take_events(gate: Gate, request: Request, who: Principal) -> Response:
    """Events into the log; the answer comes once they are safely there.

    The body is lines of a log in one of the known formats, or an Arrow stream with the columns of a domain's events.
    Records that cannot be read are refused one by one and named; a post of nothing else is a problem. A post that comes
    again with the same Idempotency-Key counts once, and so does an event, by its id and time, whatever it comes with.
    """
    format = _asked(request, "format", _FORMATS)
    judged = _asked(request, "score", _YES_OR_NO) == "true"
    if judged and not allowed(who, Action.VERDICTS_READ):
        raise Problem(403, "Not allowed", f"scores are not for {who.role} of {who.tenant}", "score=false")
    key = _key(request)
    with NamedTemporaryFile(dir=gate.spools) as spool:
        async with _in_time(posts.announced(request.headers) or posts.BODY_BYTES):
            post = await posts.receive(request, spool)
        taken = await gate.door.take(post, format, _kind(request), who, key, judged=judged)
    receipt, refused = taken.receipt, taken.logs.refused
    new = 0 if receipt.is_repeated else receipt.events
    gate.metrics.posted(new, refused.height, receipt.events + receipt.known - new)
    told = Taken(
        accepted=receipt.events,
        known=receipt.known,
        position=receipt.position,
        first=receipt.first,
        repeated=receipt.is_repeated,
        refused_count=refused.height,
        refused=posts.refusals(refused),
        verdicts=(taken.verdicts and msgspec.Raw(taken.verdicts)) if judged else msgspec.UNSET,
    )
    return _json(told)


async def list_threats(gate: Gate, request: Request, who: Principal) -> Response:
    """The ranked threats, as of a position of the log."""
    ranked = gate.door.view.ranked
    threats = [msgspec.Raw(record) for *_, record in ranked.threats]
    return _json({"position": ranked.position, "events": ranked.events, "threats": threats})


async def tell_threat(gate: Gate, request: Request, who: Principal) -> Response:
    """One threat, by its id."""
    return _json(msgspec.Raw(_record(gate, request)))


async def take_answer(gate: Gate, request: Request, who: Principal) -> Response:
    """An analyst's answer to a threat: whether it is true, or null to take an earlier one back."""
    _record(gate, request)
    key = _key(request)
    try:
        said = msgspec.json.decode(await _small(request), type=Answer)
    except msgspec.MsgspecError as error:
        expected = '{"is_true": true, false or null, "reason": a text}'
        raise Problem(422, "No answer", str(error), expected) from error
    receipt = await gate.door.decide(Decision(request.path_params["id"], said.is_true, said.reason), who, key)
    return _json(Answered(receipt.position, receipt.is_repeated))


async def tell_agents(gate: Gate, request: Request, who: Principal) -> Response:
    """The six agents: what each has seen, and what it has to say of its stream."""
    progress = gate.door.view.progress
    return _json(Agents(progress.position, progress.release, progress.agents))


async def tell_release(gate: Gate, request: Request, who: Principal) -> Response:
    """Which release scores, and which was refused."""
    progress = gate.door.view.progress
    return _json(Release(progress.release, progress.refused, progress.position))


async def tell_health(gate: Gate, request: Request, who: Principal) -> Response:
    """That the process answers."""
    return _json(Alive())


async def tell_readiness(gate: Gate, request: Request, who: Principal) -> Response:
    """Whether events are taken and scored, and how far behind the log the detector is."""
    view, (position, events) = gate.door.view, gate.door.head()
    ready = Ready(position, events, view.progress.events, view.ranked.events)
    if not view.is_running:
        places = {name: place for name, place in msgspec.structs.asdict(ready).items() if name != "status"}
        raise Problem(503, "Not ready", "the detector is starting", "try again later", retry=1, **places)
    return _json(ready)


async def tell_metrics(gate: Gate, request: Request, who: Principal) -> Response:
    """Counts and times for Prometheus."""
    view, (_, events) = gate.door.view, gate.door.head()
    gate.metrics.came(Stage.LOGGED, events)
    gate.metrics.came(Stage.DETECTED, view.progress.events)
    gate.metrics.came(Stage.RANKED, view.ranked.events)
    gate.metrics.waiting(gate.door.waiting)
    gate.metrics.lags(gate.door.lag())
    gate.metrics.scores(view.progress.release, view.progress.refused)
    return Response(gate.metrics.page(), media_type=MEDIA_TYPE)


async def stream(gate: Gate, request: Request, who: Principal) -> Response:
    """Each change of the ranking as a server-sent event, the whole of it first."""
    if len(gate.watchers) >= WATCHERS:
        raise Problem(503, "Too many watchers", f"{WATCHERS} watch already", "try again later", retry=60)
    return StreamingResponse(_changes(gate), media_type="text/event-stream", headers={"cache-control": "no-store"})


@cache
def _document() -> bytes:
    return msgspec.json.encode(openapi.document(WAYS))


async def describe(gate: Gate, request: Request, who: Principal) -> Response:
    """This document, as OpenAPI 3.1."""
    return Response(_document(), media_type="application/json")


_EVENTS = (
    Asked("format", "query", {"enum": _FORMATS, "default": "auto"}, "How the lines are written."),
    Asked("score", "query", {"enum": _YES_OR_NO, "default": "false"}, "Whether to wait for the verdicts."),
    Asked("Content-Encoding", "header", {"enum": tuple(ENCODINGS)}, "How the body is packed."),
)
_ONCE = Asked(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": KEY_LETTERS},
    "What is posted with the same key counts once.",
)
_ID = Asked("id", "path", {"type": "string", "minLength": 1}, "The id of a threat that is ranked.")
_BODIES = {"application/x-ndjson": "lines of a log", "text/plain": "lines of a log", ARROW: "an Arrow stream"}

WAYS = (
    Way("POST", "/v1/events", Action.EVENTS_WRITE, take_events, "Post events", Taken, _BODIES, (*_EVENTS, _ONCE)),
    Way("GET", "/v1/threats", Action.THREATS_READ, list_threats, "List threats", Ranking),
    Way("GET", "/v1/threats/{id}", Action.THREATS_READ, tell_threat, "Read a threat", "application/json", asks=(_ID,)),
    Way(
        "POST",
        "/v1/threats/{id}/answers",
        Action.DECISIONS_WRITE,
        take_answer,
        "Answer a threat",
        Answered,
        {"application/json": Answer},
        (_ID, _ONCE),
    ),
    Way("GET", "/v1/stream", Action.THREATS_READ, stream, "Watch the ranking", "text/event-stream"),
    Way("GET", "/v1/agents", Action.RELEASE_READ, tell_agents, "List agents", Agents),
    Way("GET", "/v1/release", Action.RELEASE_READ, tell_release, "Read the release", Release),
    Way("GET", "/v1/openapi.json", Action.HEALTH_READ, describe, "Read this document", "application/json"),
    Way("GET", "/healthz", Action.HEALTH_READ, tell_health, "Is it alive", Alive),
    Way("GET", "/readyz", Action.HEALTH_READ, tell_readiness, "Is it ready", Ready),
    Way("GET", "/metrics", Action.METRICS_READ, tell_metrics, "Metrics for Prometheus", MEDIA_TYPE),
)
_ROUTES = ", ".join(f"{way.method} {way.path}" for way in WAYS)


def application(gate: Gate) -> Starlette:
    """The routes through `gate`."""

    def answered(way: Way) -> Callable[[Request], Awaitable[Response]]:
        async def answer_way(request: Request) -> Response:
            return await gate.pass_on(way, request)

        return answer_way

    routes = Starlette(
        routes=[Route(way.path, answered(way), methods=[way.method], name=way.caption) for way in WAYS],
        exception_handlers={
            Problem: answer, 404: _tell_absent, 405: _tell_method, 500: _tell_fault, ClientDisconnect: _tell_nobody,
        },
    )  # fmt: skip
    routes.router.redirect_slashes = False
    return routes


# Requests


def _asked(request: Request, name: str, known: tuple[str, ...]) -> str:
    """A parameter of the query, the first of `known` where it is left out."""
    value = request.query_params.get(name, known[0])
    if value not in known:
        raise Problem(
            400, "Unknown parameter", f"{name}={value[:100]} is not known", f"{name} is one of {', '.join(known)}"
        )
    return value


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= KEY_LETTERS:
        raise Problem(400, "Bad key", f"Idempotency-Key has {len(key)} letters", f"1 to {KEY_LETTERS} letters")
    return key


@asynccontextmanager
async def _in_time(size: int) -> AsyncIterator[None]:
    """Raise Problem if a body of so many bytes is not there in time."""
    try:
        async with asyncio.timeout(BODY_SECONDS + SECONDS_PER_MB * size / 1e6):
            yield
    except TimeoutError as error:
        raise Problem(408, "Too slow", "the body took too long", "a body without long pauses") from error


async def _small(request: Request) -> bytes:
    """A body of a few thousand bytes."""
    body = b""
    async with _in_time(SMALL_BYTES):
        async for block in request.stream():
            body += block
            if len(body) > SMALL_BYTES:
                raise Problem(413, "Too large", "the body is too large", f"at most {SMALL_BYTES} bytes")
    return body


def _record(gate: Gate, request: Request) -> bytes:
    wanted = request.path_params["id"]
    for id, _, _, record in gate.door.view.ranked.threats:
        if id == wanted:
            return record
    raise Problem(404, "No such threat", f"no threat {wanted[:100]!r} is ranked", "the id of one in GET /v1/threats")


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


async def _tell_absent(request: Request, error: Exception) -> Response:
    return Problem(404, "Not found", f"nothing at {request.url.path[:200]}", _ROUTES).response()


async def _tell_method(request: Request, error: Exception) -> Response:
    told = Problem(405, "Wrong method", f"no {request.method[:20]} at {request.url.path[:200]}", _ROUTES).response()
    if isinstance(error, HTTPException) and error.headers:
        told.headers.update(error.headers)
    return told


async def _tell_fault(request: Request, error: Exception) -> Response:
    return fault()


async def _tell_nobody(request: Request, error: Exception) -> Response:
    """An answer for a sender who hung up, so that this is no fault of ours."""
    return Problem(400, "Cut short", "the body ended early", "a whole body").response()


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
