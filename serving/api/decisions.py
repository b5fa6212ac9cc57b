"""What people decide over HTTP: threats are answered and senders forgotten, and the audit tells who did."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.mistakes import FoundWrong
from serving.access.audit_reading import page
from serving.access.policy import Action, Principal
from serving.api.answers import as_json, ranked_as
from serving.api.asking import key_of, said, whole
from serving.api.gate import Gate
from serving.api.problems import Problem
from serving.api.told import Answer, Audited, Decided, ToForget
from serving.folding.acts import Decision, Forgetting

#: Most lines of the audit at once, how many there are where nothing is asked, and the last that may be asked for.
MOST_LINES, SOME_LINES, LAST_LINE = 1000, 100, 10**12


async def take_answer(gate: Gate, request: Request, who: Principal) -> Response:
    """An analyst's answer to a threat: whether it is true, or null to take an earlier one back."""
    ranked_as(gate, request)
    key = key_of(request)
    answer = await said(request, Answer, "No answer", '{"is_true": true, false or null, "reason": a text}')
    threat = request.path_params["id"]
    commit = partial(gate.door.decide, Decision(threat, answer.is_true, answer.reason), who, key)
    target = f"{threat}: {'taken back' if answer.is_true is None else 'true' if answer.is_true else 'false'}"
    receipt = await gate.clerk.decide(who, Action.DECISIONS_WRITE, target, answer.reason, key, commit)
    return as_json(Decided(receipt.position, receipt.is_repeated))


async def take_forgetting(gate: Gate, request: Request, who: Principal) -> Response:
    """Have the mesh be as if somebody had sent nothing from a position of the log on; it is folded again."""
    key = key_of(request)
    asked = await said(request, ToForget, "Nothing to forget", '{"principal": a name, "since": 1, "reason": a text}')
    if asked.tenant not in (None, gate.tenant):
        raise Problem(403, "Not allowed", f"{asked.tenant} is not served here", f"tenant {gate.tenant}")
    commit = partial(gate.door.forget, Forgetting(asked.principal, gate.tenant, asked.since), who, key)
    target = f"{asked.principal} since {asked.since}"
    receipt = await gate.clerk.decide(who, Action.EVENTS_FORGET, target, asked.reason, key, commit)
    return as_json(Decided(receipt.position, receipt.is_repeated))


async def tell_audit(gate: Gate, request: Request, who: Principal) -> Response:
    """Who decided what, and was refused what: lines of the audit, each checked against the one before."""
    after, most = whole(request, "after", 0, LAST_LINE), whole(request, "most", SOME_LINES, MOST_LINES)
    audit = gate.clerk.audit
    try:
        found = await run_in_threadpool(page, audit.path, audit.key, after, most)
    except (FoundWrong, OSError) as error:
        raise Problem(503, "Audit refused", str(error), "an audit that is as it was written", retry=60) from error
    return as_json(Audited(found.mark, found.after, found.lines))
