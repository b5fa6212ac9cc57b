"""A web server on a socket, which closes who is slow to ask, and to read the answer."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.api.problems import Problem

#: Seconds that the head of a request may take, and a connection may be idle.
HEAD_SECONDS, IDLE_SECONDS = 8.0, 30
#: Bytes of an answer that have to be read in as many seconds.
READ_BYTES = 1 << 16
#: Most bytes of the head of a request.
HEAD_BYTES = 1 << 16
#: Connections at once, and files that each may need: itself, and one for a body or a log.
CONNECTIONS, FILES_EACH = 2048, 3


class Impatient(HttpToolsProtocol):
    """HTTP whose connections are closed if a request is not whole in time or has too long a head, or nobody reads."""

    most = CONNECTIONS
    _began = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _heard = _unread = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request; one too many takes the place of the oldest that asks for nothing."""
        super().connection_made(transport)
        self._began = self.loop.time()
        if len(self.connections) > self.most:
            idle = [one for one in self.connections if isinstance(one, Impatient) and not one._is_at_work()]
            min(idle, key=lambda one: one._began, default=self).transport.abort()
        transport.set_write_buffer_limits(high=0)  # we hear of whatever is not read at once
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on, and wait no longer once a request is at work."""
        if self._deadline is None and not self._is_at_work():
            self._wait()
        before, is_body = self.cycle, self.cycle is not None and self.cycle.more_body
        super().data_received(data)
        if self._is_at_work():
            self._stop()
        self._heard = 0 if is_body or self.cycle is not before else self._heard + len(data)
        if self._heard > HEAD_BYTES:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Go on; who still owes the body of a request that was answered has as long as for a head."""
        super().on_response_complete()
        if self._deadline is None and not self._is_at_work() and self.cycle.more_body:
            self._wait()

    def pause_writing(self) -> None:
        """Begin to wait for who does not read."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(HEAD_SECONDS, self._look)

    def resume_writing(self) -> None:
        """All was read."""
        self._stop_reading()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._stop()
        self._stop_reading()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Tell what is no HTTP so, in the form of every other problem, and close the connection."""
        problem = Problem(400, "No HTTP", "the request is no HTTP that can be read", "a whole request of HTTP/1.1")
        told = problem.response()
        head = [(b"connection", b"close"), *told.raw_headers]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in head), b"", bytes(told.body)]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Close a connection of which too little was read since the last look."""
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        if before - self._unread < READ_BYTES:
            self.transport.abort()
        else:
            self._reading = self.loop.call_later(HEAD_SECONDS, self._look)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@contextmanager
def listening(host: str, port: int, *, is_secure: bool = False) -> Iterator[tuple[socket.socket, str]]:
    """A socket that takes connections, and its URL; raises OSError with the address as its file name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), f"{host}:{port}") from error
    # asyncio does this for sockets that it made itself; without, an answer waits 40 ms until its head is acknowledged.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with closing(opened):
        shown = f"[{host}]" if ":" in host else host
        yield opened, f"{'https' if is_secure else 'http'}://{shown}:{opened.getsockname()[1]}"


def _room() -> int:
    """Connections that there is room for; the process may have as many files open as it is allowed to ask for."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS * FILES_EACH
    files = max(before, wanted if most == resource.RLIM_INFINITY else min(wanted, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return min(CONNECTIONS, files // FILES_EACH)


class Server(uvicorn.Server):
    """A web server that says when it begins to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], object]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and wait for the answers to those that are open."""
        self._stopping()
        await super().shutdown(sockets)


def server(
    application: ASGIApp,
    certificate: Path | None = None,
    key: Path | None = None,
    stopping: Callable[[], object] = lambda: None,
) -> Server:
    """What answers requests once it is run on a socket; when it is to stop, `stopping` should end endless answers."""
    config = uvicorn.Config(
        application,
        http=type("Roomy", (Impatient,), {"most": _room()}),
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=10,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    return Server(config, stopping)
