"""What is answered without a decision: events are taken, and threats, agents and the service itself are told of."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.reading import sources
from serving.access.policy import Action, Principal
from serving.api import posts
from serving.api.asking import in_time, key_of, kind_of, one_of
from serving.api.gate import Gate
from serving.api.metrics import MEDIA_TYPE, Stage
from serving.api.problems import Problem
from serving.api.told import Agents, Alive, Ready, Release, Taken
from serving.folding import last_shadow

#: Formats that posted lines may have, and what a switch may be; the first is meant where nothing is said.
FORMATS, YES_OR_NO = ("auto", *sources()), ("false", "true")


async def take_events(gate: Gate, request: Request, who: Principal) -> Response:
    """Events into the log; the answer comes once they are safely there.

    The body is lines of a log in one of the known formats, or an Arrow stream with the columns of a domain's events.
    Records that cannot be read are refused one by one and named; a post of nothing else is a problem. A post that comes
    again with the same Idempotency-Key counts once, and so does an event, by its id and time, whatever it comes with.
    """
    format = one_of(request, "format", FORMATS)
    judged = one_of(request, "score", YES_OR_NO) == "true"
    if judged and not gate.may(who, Action.VERDICTS_READ):
        raise Problem(403, "Not allowed", f"scores are not for {who.role} of {who.tenant}", "score=false")
    key = key_of(request)
    with posts.spooled(gate.spools) as spool:
        async with in_time() as heard:
            post = await posts.receive(request, spool, heard)
        taken = await gate.door.take(post, format, kind_of(request), who, key, judged=judged)
    receipt, refused = taken.receipt, taken.logs.refused
    new = 0 if receipt.is_repeated else receipt.events
    gate.metrics.posted(new, refused.height, receipt.events + receipt.known - new)
    return as_json(
        Taken(
            accepted=receipt.events,
            known=receipt.known,
            position=receipt.position,
            first=receipt.first,
            repeated=receipt.is_repeated,
            refused_count=refused.height,
            refused=posts.refusals(refused),
            verdicts=(taken.verdicts and msgspec.Raw(taken.verdicts)) if judged else msgspec.UNSET,
        )
    )


async def list_threats(gate: Gate, request: Request, who: Principal) -> Response:
    """The ranked threats, as of a position of the log."""
    ranked = gate.door.view.ranked
    threats = [msgspec.Raw(record) for *_, record in ranked.threats]
    return as_json({"position": ranked.position, "events": ranked.events, "threats": threats})


async def tell_threat(gate: Gate, request: Request, who: Principal) -> Response:
    """One threat, by its id."""
    return as_json(msgspec.Raw(ranked_as(gate, request)))


async def tell_agents(gate: Gate, request: Request, who: Principal) -> Response:
    """The six agents: what each has seen, and what it has to say of its stream."""
    progress = gate.door.view.progress
    return as_json(Agents(progress.position, progress.release, progress.agents))


async def tell_release(gate: Gate, request: Request, who: Principal) -> Response:
    """Which release scores, which was refused, and how the one that waits does beside it."""
    progress, shadow = gate.door.view.progress, await run_in_threadpool(last_shadow.kept, gate.door.var)
    return as_json(Release(progress.release, progress.refused, progress.position, shadow or msgspec.UNSET))


async def tell_health(gate: Gate, request: Request, who: Principal) -> Response:
    """That the process answers."""
    return as_json(Alive())


async def tell_readiness(gate: Gate, request: Request, who: Principal) -> Response:
    """Whether events are taken and scored, and how far behind the log the detector is."""
    view, (position, events) = gate.door.view, gate.door.head()
    ready = Ready(position, events, view.progress.events, view.ranked.events)
    if not view.is_running:
        places = {name: place for name, place in msgspec.structs.asdict(ready).items() if name != "status"}
        raise Problem(503, "Not ready", "the detector is starting", "try again later", retry=1, **places)
    return as_json(ready)


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


def ranked_as(gate: Gate, request: Request) -> bytes:
    """The threat whose id is in the path, as JSON. Raises Problem if it is not ranked."""
    wanted = request.path_params["id"]
    for id, _, _, record in gate.door.view.ranked.threats:
        if id == wanted:
            return record
    raise Problem(404, "No such threat", f"no threat {wanted[:100]!r} is ranked", "the id of one in GET /v1/threats")


def as_json(value: object) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), media_type="application/json")
