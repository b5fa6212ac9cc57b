"""The service: door, detector and web server together, until somebody stops it."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from models.home import Home
from serving.access.keys import Keyring, keys_path
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
    begun: Callable[[Stop], object] = lambda stop: None,
) -> None:
    """Answer requests on `opened` until it is interrupted, or until what `begun` hears is called.

    Raises KeysRefused, LogInUse, LogUnwritable and DamagedLog.
    """
    address = opened.getsockname()[0]
    keys = Keyring(keys_path(home))
    keys.check(address)

    async def run() -> None:
        metrics = Metrics(CollectorRegistry(), [way.path for way in WAYS])
        with Door(home, say, visible=metrics.visible) as door:
            gate = Gate(door, keys, address, metrics, home.var / "spool")
            web = server(application(gate), certificate, key, gate.close)
            begun(partial(setattr, web, "should_exit", True))
            await web.serve([opened])

    asyncio.run(run())
