"""What other processes write beside the detector, as it is asked for."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from serving.access.policy import Principal
from serving.api.gate import Gate
from serving.api.problems import Problem
from serving.folding.paperwork import PROPOSALS, REPORTS, Kind, written

#: The media type of a report.
MARKDOWN = "text/markdown"


async def tell_report(gate: Gate, request: Request, who: Principal) -> Response:
    """The report of a threat that is or was listed, as Markdown in which text from events is inert."""
    return Response(await _written(gate, request, REPORTS), media_type=MARKDOWN)


async def tell_proposals(gate: Gate, request: Request, who: Principal) -> Response:
    """What could be done about a threat that is or was listed, as commands of OpenC2; nothing gives them."""
    return Response(await _written(gate, request, PROPOSALS), media_type="application/json")


async def _written(gate: Gate, request: Request, kind: Kind) -> bytes:
    id = request.path_params["id"]
    if (found := await run_in_threadpool(written, gate.door.var, kind, id)) is None:
        why = f"nothing is written of a threat {id[:100]!r}"
        raise Problem(404, "No such threat", why, "the id of one that is listed, some seconds after it was ranked")
    return found
