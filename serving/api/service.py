"""The service: door, detector and web server together, until somebody stops it."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from features.mistakes import FoundWrong
from models.home import Home
from serving.access.audit import Audit
from serving.access.audit_lines import audit_key, audit_path
from serving.access.keys import Keyring, keys_path
from serving.access.policy import MAIN
from serving.access.tenancy import claim
from serving.api.clerk import Clerk
from serving.api.door import Door
from serving.api.endpoint import WAYS, application
from serving.api.gate import Gate
from serving.api.listening import server
from serving.api.metrics import Metrics
from serving.say import Say

#: Ends a service, from any thread.
Stop = Callable[[], None]


def serve(
    home: Home,
    opened: socket.socket,
    say: Say,
    certificate: Path | None = None,
    key: Path | None = None,
    *,
    tenant: str = MAIN,
    begun: Callable[[Stop], object] = lambda stop: None,
) -> None:
    """Answer requests of one tenant on `opened` until it is interrupted, or until what `begun` hears is called.

    Events are taken and ranked even where the audit cannot be written; nothing is decided then. Raises OtherTenant,
    KeyAsked, KeysRefused, LogInUse, LogUnwritable and DamagedLog.
    """
    address = opened.getsockname()[0]
    keys = Keyring(keys_path(home), tenant)
    keys.check(address)
    claim(home, tenant)
    audit = Audit(audit_path(home), audit_key(home))
    _check(audit, say)

    async def run() -> None:
        metrics = Metrics(CollectorRegistry(), [way.path for way in WAYS])
        clerk = Clerk(audit, tenant, say)
        with closing(clerk), Door(home, say, visible=metrics.visible) as door:
            gate = Gate(door, keys, address, metrics, home.var / "spool", clerk, tenant)
            web = server(application(gate), certificate, key, gate.close)
            begun(partial(setattr, web, "should_exit", True))
            await web.serve([opened])

    asyncio.run(run())


def _check(audit: Audit, say: Say) -> None:
    try:
        audit.mark()
    except (FoundWrong, OSError) as error:
        say([f"nothing can be decided, for the audit cannot be written: {error}"], "warning")
