"""What a request says beside its path: parameters, a key, and a small body that comes in time."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from starlette.requests import Request

from serving.api.problems import Problem

#: Seconds that a body may take, and bytes that came which buy another one.
BODY_SECONDS, BYTES_PER_SECOND = 8.0, 250_000
#: Most bytes of a body that is no log: a text of 2,000 letters, each spelled out as two escapes, and its fields.
SMALL_BYTES = 32_000
#: Most letters of an Idempotency-Key.
KEY_LETTERS = 200

_Body = TypeVar("_Body", bound=msgspec.Struct)
_NUMBER = re.compile(r"[0-9]{1,15}")


def one_of(request: Request, name: str, known: tuple[str, ...]) -> str:
    """A parameter of the query, the first of `known` where it is left out."""
    value = request.query_params.get(name, known[0])
    if value not in known:
        raise Problem(
            400, "Unknown parameter", f"{name}={value[:100]} is not known", f"{name} is one of {', '.join(known)}"
        )
    return value


def whole(request: Request, name: str, usual: int, most: int) -> int:
    """A parameter of the query that is a whole number from 0 to `most`, `usual` where it is left out."""
    value = request.query_params.get(name, str(usual))
    if not _NUMBER.fullmatch(value) or int(value) > most:
        raise Problem(
            400, "Unknown parameter", f"{name}={value[:100]} is not known", f"{name} is a whole number from 0 to {most}"
        )
    return int(value)


def kind_of(request: Request) -> str:
    """The media type of the body, in small letters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def key_of(request: Request) -> str | None:
    """The Idempotency-Key, if there is one."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= KEY_LETTERS:
        raise Problem(400, "Bad key", f"Idempotency-Key has {len(key)} letters", f"1 to {KEY_LETTERS} letters")
    return key


@asynccontextmanager
async def in_time() -> AsyncIterator[Callable[[int], None]]:
    """Raise Problem if a body takes too long for what came of it: what is given hears of each byte so far."""
    end = asyncio.get_running_loop().time() + BODY_SECONDS
    try:
        async with asyncio.timeout_at(end) as limit:
            yield lambda size: limit.reschedule(end + size / BYTES_PER_SECOND)
    except TimeoutError as error:
        raise Problem(408, "Too slow", "the body took too long", "a body without long pauses") from error


async def said(request: Request, kind: type[_Body], title: str, expected: str) -> _Body:
    """What a body of a few thousand bytes says; a problem with that title if it is nothing of that kind."""
    try:
        return msgspec.json.decode(await _small(request), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(422, title, str(error), expected) from error


async def _small(request: Request) -> bytes:
    body = b""
    async with in_time():
        async for block in request.stream():
            body += block
            if len(body) > SMALL_BYTES:
                raise Problem(413, "Too large", "the body is too large", f"at most {SMALL_BYTES} bytes")
    return body
