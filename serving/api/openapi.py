"""The OpenAPI document of the endpoint, made from its routes."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from serving.access.policy import OPEN, POLICY
from serving.api.gate import Way

_REF = "#/components/schemas/{name}"
_SEEN = {
    400: "Something in it is wrong, or the body ended early.",
    401: "No key, or none that is good.",
    403: "Not for this key.",
    404: "No such thing.",
    408: "The body took too long.",
    409: "The Idempotency-Key was used for another post.",
    413: "The body is too large.",
    415: "The body is packed in a way that is not known.",
    422: "Nothing in the body can be taken.",
    429: "Too many requests.",
    500: "The fault is ours.",
    503: "Not now.",
}
_PROBLEM = {
    "type": "object",
    "description": "What a request got wrong and what was expected (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "expected": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "expected"],
}


def document(ways: Iterable[Way]) -> dict[str, Any]:
    """The routes as OpenAPI 3.1; a way may answer with exactly the statuses that are listed for it."""
    ways = tuple(ways)
    structs = [kind for way in ways for kind in (way.told, *way.takes.values()) if not isinstance(kind, str)]
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    paths: dict[str, dict[str, Any]] = {}
    for way in ways:
        paths.setdefault(way.path, {})[way.method.lower()] = _operation(way)
    return {
        "openapi": "3.1.0",
        "info": {"title": "secmesh", "version": "1", "description": "Events in, ranked threats out."},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "`secmesh keys add`"}},
        },
    }


def statuses(way: Way) -> list[int]:
    """Every status that a way may answer with, but 200."""
    found = {429, 500, 503}
    if way.action not in OPEN:
        found |= {401, 403}
    if any(one.place == "path" for one in way.asks):
        found |= {404}
    if any(one.place == "query" for one in way.asks):
        found |= {400}
    if way.takes:
        found |= {400, 408, 409, 413, 422}
    if any(one.name == "Content-Encoding" for one in way.asks):
        found |= {415}
    return sorted(found)


def _operation(way: Way) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": way.caption,
        "description": inspect.getdoc(way.handler),
        "operationId": getattr(way.handler, "__name__", way.caption),
        "security": [] if way.action in OPEN else [{"key": []}],
        "x-action": way.action,
        "x-roles": sorted(POLICY.get(way.action, ())),
        "parameters": [
            {
                "name": one.name,
                "in": one.place,
                "required": one.place == "path",
                "description": one.purpose,
                "schema": one.schema,
            }
            for one in way.asks
        ],
        "responses": {"200": _good(way)} | {str(status): _bad(status) for status in statuses(way)},
    }
    if way.takes:
        told["requestBody"] = {"required": True, "content": {kind: _body(one) for kind, one in way.takes.items()}}
    return told


def _good(way: Way) -> dict[str, Any]:
    if isinstance(way.told, str):
        return {"description": way.caption, "content": {way.told: {}}}
    return {"description": way.caption, "content": {"application/json": {"schema": _reference(way.told)}}}


def _bad(status: int) -> Mapping[str, Any]:
    problem = {"schema": {"$ref": _REF.format(name="Problem")}}
    return {"description": _SEEN[status], "content": {"application/problem+json": problem}}


def _body(kind: type[msgspec.Struct] | str) -> dict[str, Any]:
    """A text says what a body is that is no JSON."""
    return {"schema": {"description": kind} if isinstance(kind, str) else _reference(kind)}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
