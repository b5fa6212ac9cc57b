"""Problems: what a request got wrong, as RFC 9457 tells it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response


class Problem(Exception):
    """A request that cannot be answered as asked; `retry` says after how many whole seconds it may be asked again."""

    def __init__(
        self, status: int, title: str, detail: str, expected: str, *, retry: int | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        told = {"type": "about:blank", "title": title, "status": status, "detail": detail, "expected": expected}
        self.fields: Mapping[str, Any] = told | more
        self.retry = retry

    def response(self) -> Response:
        """Its answer."""
        headers = {} if self.retry is None else {"retry-after": str(self.retry)}
        if self.fields["status"] == 408:  # who is slow is not waited for any longer
            headers["connection"] = "close"
        if self.fields["status"] == 401:
            headers["www-authenticate"] = "Bearer"
        content = msgspec.json.encode(self.fields)
        return Response(content, self.fields["status"], headers, media_type="application/problem+json")


async def answer(request: Request, error: Exception) -> Response:
    """The answer to a Problem that a handler raised."""
    return error.response() if isinstance(error, Problem) else fault()


def fault() -> Response:
    """An answer where the fault is ours."""
    return Problem(500, "Fault", "the fault is ours and in the log of the server", "an answer").response()
