"""The scoring endpoint: events are posted in, ranked threats are read, over HTTP."""

from collections.abc import Awaitable, Callable
from functools import cache

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from serving.access.policy import Action, Principal
from serving.api import openapi
from serving.api.answers import (
    FORMATS,
    YES_OR_NO,
    list_threats,
    take_events,
    tell_agents,
    tell_health,
    tell_metrics,
    tell_readiness,
    tell_release,
    tell_threat,
)
from serving.api.asking import KEY_LETTERS
from serving.api.decisions import LAST_LINE, MOST_LINES, SOME_LINES, take_answer, take_forgetting, tell_audit
from serving.api.encodings import ENCODINGS
from serving.api.gate import Asked, Gate, Way
from serving.api.metrics import MEDIA_TYPE
from serving.api.papers import MARKDOWN, tell_proposals, tell_report
from serving.api.problems import Problem, answer, fault
from serving.api.told import (
    ARROW,
    Agents,
    Alive,
    Answer,
    Audited,
    Decided,
    Ranking,
    Ready,
    Release,
    Taken,
    ToForget,
)
from serving.api.watching import stream


@cache
def _document() -> bytes:
    return msgspec.json.encode(openapi.document(WAYS))


async def describe(gate: Gate, request: Request, who: Principal) -> Response:
    """This document, as OpenAPI 3.1."""
    return Response(_document(), media_type="application/json")


_EVENTS = (
    Asked("format", "query", {"enum": FORMATS, "default": "auto"}, "How the lines are written."),
    Asked("score", "query", {"enum": YES_OR_NO, "default": "false"}, "Whether to wait for the verdicts."),
    Asked("Content-Encoding", "header", {"enum": tuple(ENCODINGS)}, "How the body is packed."),
)
_ONCE = Asked(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": KEY_LETTERS},
    "What is posted with the same key counts once.",
)
_ID = Asked("id", "path", {"type": "string", "minLength": 1}, "The id of a threat that is ranked.")
_PAGE = (
    Asked(
        "after", "query", {"type": "integer", "minimum": 0, "maximum": LAST_LINE, "default": 0}, "Lines to pass over."
    ),
    Asked(
        "most",
        "query",
        {"type": "integer", "minimum": 0, "maximum": MOST_LINES, "default": SOME_LINES},
        "Lines to tell, at most.",
    ),
)
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
        Decided,
        {"application/json": Answer},
        (_ID, _ONCE),
    ),
    Way(
        "POST",
        "/v1/forgettings",
        Action.EVENTS_FORGET,
        take_forgetting,
        "Forget a sender",
        Decided,
        {"application/json": ToForget},
        (_ONCE,),
    ),
    Way("GET", "/v1/audit", Action.AUDIT_READ, tell_audit, "Read the audit", Audited, asks=_PAGE),
    Way("GET", "/v1/stream", Action.THREATS_READ, stream, "Watch the ranking", "text/event-stream"),
    Way("GET", "/v1/agents", Action.RELEASE_READ, tell_agents, "List agents", Agents),
    Way("GET", "/v1/release", Action.RELEASE_READ, tell_release, "Read the release", Release),
    Way("GET", "/v1/openapi.json", Action.HEALTH_READ, describe, "Read this document", "application/json"),
    Way("GET", "/healthz", Action.HEALTH_READ, tell_health, "Is it alive", Alive),
    Way("GET", "/readyz", Action.HEALTH_READ, tell_readiness, "Is it ready", Ready),
    Way("GET", "/metrics", Action.METRICS_READ, tell_metrics, "Metrics for Prometheus", MEDIA_TYPE),
    Way("GET", "/v1/threats/{id}/report", Action.THREATS_READ, tell_report, "Read a report", MARKDOWN, asks=(_ID,)),
    Way(
        "GET",
        "/v1/threats/{id}/proposals",
        Action.THREATS_READ,
        tell_proposals,
        "Read proposals",
        "application/json",
        asks=(_ID,),
    ),
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
