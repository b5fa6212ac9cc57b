"""The scoring endpoint: events are posted in, ranked threats are read, over HTTP.

What was posted is held in memory only: after a restart the mesh knows its release and nothing that came since.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import msgspec
import polars as pl
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agents.consensus.council import Council
from agents.mesh import Mesh
from agents.succeeding import Heirs, succeed
from agents.verdicts import ENTITY_KINDS
from features.events import Domain
from features.logs import Logs, read_logs
from features.reading import sources
from models.registry import Registry
from serving.scoring import in_input_order, judge, renamed
from serving.succession import Say, Succession, in_words, watching

#: Most bytes of one request's body.
BODY_BYTES = 64 << 20
#: Most refused records that one answer lists; it counts all of them.
REFUSED_SHOWN = 1000
#: What the source of posted events is called.
POSTED = "http"

Handler = Callable[[Request], Awaitable[Response]]
Spool = IO[bytes]

_ROUTES = "POST /v1/events, GET /v1/threats or GET /healthz"
_EVENTS = "lines of a known log format, each with a time"
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstandard", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_TAR_MARK, _TAR_AT = b"ustar", 257


class Problem(Exception):
    """A request that cannot be answered as asked, as RFC 9457 tells it."""

    def __init__(self, status: int, title: str, detail: str, expected: str, **more: Any) -> None:
        super().__init__(detail)
        told = {"type": "about:blank", "title": title, "status": status, "detail": detail, "expected": expected}
        self.fields: Mapping[str, Any] = told | more


@dataclass(frozen=True)
class Taken:
    """A post as it was read, its verdicts in the order of the post, and the one release that scored all of it."""

    logs: Logs
    verdicts: pl.DataFrame
    release: int | None


class Lookout:
    """One mesh and one council over everything posted; posts are read and scored one at a time, as they arrived.

    The same posts in the same order give the same verdicts and the same ranking, where releases follow each other
    between the same posts.
    """

    def __init__(self, mesh: Mesh, release: int | None) -> None:
        self.release = release
        self.refused: int | None = None
        self.events = 0
        self._mesh = mesh
        self._council = Council()
        self._ranking: list[dict[str, Any]] | None = []
        self._turn = asyncio.Lock()
        self._post = threading.Lock()

    async def take(self, path: str, format: str) -> Taken:
        """Read a posted log, score it and let the council hear."""
        async with self._turn:
            return await run_in_threadpool(self._take, path, format)

    async def threats(self) -> list[dict[str, Any]]:
        """The ranking of now, as records."""
        async with self._turn:
            return await run_in_threadpool(self._threats)

    @contextmanager
    def succeeding(self, registry: Registry, say: Say) -> Iterator[None]:
        """Have each new champion of `registry` score from the first post on that begins after it was loaded.

        `say` hears of it, from another thread, and so it does of one that is refused.
        """

        def arrive(heirs: Heirs) -> None:
            before, whole = self.release, self._succeed(heirs)
            say(in_words(heirs.release, before, whole), "champion")

        succession = Succession(registry, self.release, self._mesh.agents, arrive, say)

        def look() -> None:
            succession.look()
            self.refused = succession.refused

        with watching(look):
            yield

    def _succeed(self, heirs: Heirs) -> list[Domain]:
        with self._post:
            whole = succeed(self._mesh, heirs, is_first=self.release is None)
            self.release = heirs.release
        return whole

    def _take(self, path: str, format: str) -> Taken:
        logs = renamed(read_logs([path], format), {path: POSTED})
        with self._post:
            verdicts, release = judge(self._mesh, logs), self.release
        self._council.hear(verdicts)
        self._ranking = None
        self.events += verdicts.height
        return Taken(logs, in_input_order(verdicts, logs.places), release)

    def _threats(self) -> list[dict[str, Any]]:
        if self._ranking is None:
            self._ranking = [threat.record() for threat in self._council.rank()]
        return self._ranking


def application(lookout: Lookout, spools: Path) -> Starlette:
    """The routes over `lookout`; a body is kept in the folder `spools` while it is read."""

    async def take_events(request: Request) -> Response:
        format = _asked(request, "format", ("auto", *sources()))
        with_verdicts = _asked(request, "score", ("false", "true")) == "true"
        spools.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=spools, prefix="posted-") as spool:
            await _receive(request, spool)
            taken = await lookout.take(spool.name, format)
        return await run_in_threadpool(_receipt, taken, with_verdicts)

    async def list_threats(request: Request) -> Response:
        return _json(await lookout.threats())

    async def tell_health(request: Request) -> Response:
        return _json(
            {
                "status": "ok",
                "release": lookout.release,
                "refused_release": lookout.refused,
                "events": lookout.events,
                "durable": False,
            }
        )

    return Starlette(
        routes=[
            Route("/v1/events", _in_plain_words(take_events), methods=["POST"]),
            Route("/v1/threats", list_threats),
            Route("/healthz", tell_health),
        ],
        exception_handlers={404: _tell_absent, 405: _tell_method, 500: _tell_fault, ClientDisconnect: _tell_nobody},
    )


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """A socket that takes connections, and its URL; raises OSError with the address as its file name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), f"{host}:{port}") from error
    with closing(opened):
        shown = f"[{host}]" if ":" in host else host
        yield opened, f"http://{shown}:{opened.getsockname()[1]}"


def serve(lookout: Lookout, spools: Path, opened: socket.socket) -> None:
    """Answer requests on `opened` until the process is told to stop."""
    config = uvicorn.Config(
        application(lookout, spools),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[opened])


# Requests


def _in_plain_words(answer: Handler) -> Handler:
    """Turn a Problem into its answer."""

    async def answer_plainly(request: Request) -> Response:
        try:
            return await answer(request)
        except Problem as problem:
            return _problem(problem.fields)

    return answer_plainly


def _asked(request: Request, name: str, known: tuple[str, ...]) -> str:
    """A parameter of the query, the first of `known` where it is left out."""
    value = request.query_params.get(name, known[0])
    if value not in known:
        raise Problem(400, "Unknown parameter", f"{name}={value} is not known", f"{name} is one of {', '.join(known)}")
    return value


async def _receive(request: Request, spool: Spool) -> None:
    """Keep the body in `spool`, unless it is larger than BODY_BYTES or packed."""
    announced = request.headers.get("content-length", "0")
    _check_size(int(announced) if announced.isdecimal() else 0)
    size = 0
    async for block in request.stream():
        size += len(block)
        _check_size(size)
        spool.write(block)
    _check_plain(spool)


def _check_plain(spool: Spool) -> None:
    """Refuse what a reader would unpack: a small bomb grows without end."""
    spool.seek(0)
    start = spool.read(512)
    kinds = [kind for mark, kind in _PACKED.items() if start.startswith(mark)]
    kinds += ["tar"] if start.startswith(_TAR_MARK, _TAR_AT) else []
    if kinds:
        raise Problem(415, "Packed body", f"the body is {kinds[0]} data", "lines of text; unpack the log first")


def _check_size(size: int) -> None:
    if size > BODY_BYTES:
        raise Problem(413, "Too large", "the body is too large", f"at most {BODY_BYTES} bytes; post it in parts")


# Answers


def _receipt(taken: Taken, with_verdicts: bool) -> Response:
    verdicts, refused = taken.verdicts, taken.logs.refused
    listed = refused.select("line", "field", "value", "reason").head(REFUSED_SHOWN).to_dicts()
    told = {"accepted": verdicts.height, "refused_count": refused.height, "refused": listed, "release": taken.release}
    if verdicts.is_empty():
        return _problem(Problem(422, "Nothing accepted", "no event could be read", _EVENTS, **told).fields)
    return _json(told | {"verdicts": _records(verdicts)} if with_verdicts else told)


def _records(verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    entities = pl.struct(ENTITY_KINDS).alias("entities")
    return verdicts.select("seq", "uid", "domain", entities, "p", "evidence", "reasons", "release").to_dicts()


def _tell_absent(request: Request, error: Exception) -> Response:
    return _problem(Problem(404, "Not found", f"nothing at {request.url.path}", _ROUTES).fields)


def _tell_method(request: Request, error: Exception) -> Response:
    return _problem(Problem(405, "Wrong method", f"no {request.method} at {request.url.path}", _ROUTES).fields)


def _tell_fault(request: Request, error: Exception) -> Response:
    return _problem(Problem(500, "Fault", "the fault is ours and in the log of the server", "an answer").fields)


def _tell_nobody(request: Request, error: Exception) -> Response:
    """An answer for a sender who hung up, so that this is no fault of ours."""
    return _problem(Problem(400, "Cut short", "the body ended early", "a whole body").fields)


def _problem(fields: Mapping[str, Any]) -> Response:
    return Response(msgspec.json.encode(fields), fields["status"], media_type="application/problem+json")


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
