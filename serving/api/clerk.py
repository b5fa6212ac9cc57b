"""The clerk: has the audit hear of what is decided over HTTP, and of who was refused a decision.

The audit hears that a decision is begun before the event log does, and how it ended behind it. So what the audit cannot
take is not done, and of what a crash cut off the audit has the beginning; the event log says whether it is done.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from features.mistakes import FoundWrong
from serving.access.audit import Audit, ended
from serving.access.audit_lines import Entry, Mark
from serving.access.limits import Buckets, Rate, take
from serving.access.policy import Action, Principal
from serving.api.problems import Problem
from serving.say import Say
from serving.stream.log_entries import Receipt

#: Refusals that are written down: of all strangers together, and of each principal. Others are counted.
STRANGERS, PRINCIPALS = Rate(1 / 60, 60), Rate(1 / 60, 20)

_SECMESH, _STRANGER = "secmesh", "stranger"
_LETTERS = 300  # of what a stranger may have written


class Clerk:
    """Writes the audit of one service, of the tenant that it serves, line after line in a thread of its own.

    `say` hears where it cannot.
    """

    def __init__(self, audit: Audit, tenant: str, say: Say) -> None:
        self.audit = audit
        self._tenant, self._say = tenant, say
        self._strangers, self._principals = Buckets(STRANGERS, 1), Buckets(PRINCIPALS, 1024)
        self._unwritten = 0
        self._pen = ThreadPoolExecutor(1, thread_name_prefix="audit")

    async def decide(
        self,
        who: Principal,
        action: Action,
        target: str,
        reason: str,
        key: str | None,
        commit: Callable[[], Awaitable[Receipt]],
    ) -> Receipt:
        """Have a decision be begun in the audit, done by `commit`, and ended in the audit.

        Raises Problem, and then nothing is decided. Where only its end cannot be written, it is decided all the same.
        """
        begun = Entry(_now(), who.name, who.role, who.tenant, action, target, "begun", reason, key)
        try:
            mark = await asyncio.get_running_loop().run_in_executor(self._pen, self.audit.append, begun)
        except (FoundWrong, OSError) as error:
            self._tell(error)
            raise Problem(503, "Not audited", "nothing was decided", "try again later", retry=5) from error
        try:
            receipt = await commit()
        except Problem as problem:
            await self._write(ended(begun, mark, "failed", str(problem), _now()))
            raise
        await self._write(_done(begun, mark, receipt))
        return receipt

    async def refuse(self, who: Principal | None, address: str, action: Action, target: str, why: str) -> None:
        """Write down that somebody, None if nobody we know, was refused; if it is too often, only how often."""
        buckets, name = (self._strangers, "") if who is None else (self._principals, who.name)
        if take(name, time.monotonic(), (buckets, 1)):
            self._unwritten += 1
            return
        asker = (who.name, who.role, who.tenant) if who else (address, _STRANGER, self._tenant)
        await self._write(self._refusal(asker, action, target[:_LETTERS], why))

    def close(self) -> None:
        """Write down how many were refused since the last that was written down, and end."""
        self._pen.shutdown()
        if self._unwritten:
            self._append(self._refusal((_SECMESH, _SECMESH, self._tenant), "", "", "the service ends"))

    def _refusal(self, asker: tuple[str, str, str], action: str, target: str, why: str) -> Entry:
        others, self._unwritten = self._unwritten, 0
        why = f"{why}; {others} refused before are not written down" if others else why
        return Entry(_now(), *asker, action, target, "refused", why)

    async def _write(self, entry: Entry) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pen, self._append, entry)

    def _append(self, entry: Entry) -> None:
        try:
            self.audit.append(entry)
        except (FoundWrong, OSError) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        self._say([f"the audit cannot be written: {error}"], "warning")


def _done(begun: Entry, mark: Mark, receipt: Receipt) -> Entry:
    again = ", as before" if receipt.is_repeated else ""
    return ended(begun, mark, "done", f"position {receipt.position} of the event log{again}", _now())


def _now() -> datetime:
    return datetime.now(UTC)
