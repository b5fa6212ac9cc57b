"""A client of the scoring endpoint: posts events, each batch once however often it has to be sent."""

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3

from features.mistakes import FoundWrong
from serving.api.told import Taken

#: Seconds that an answer may take.
ANSWER_SECONDS = 60.0

_AGAIN = (408, 429, 500, 502, 503, 504)
_NOTHING = 422  # tells of what it refused just as an answer does that accepts something
_WAIT, _LONGEST = 0.5, 30.0


class NotTaken(FoundWrong):
    """The endpoint does not take what was posted; the text says what it expected."""


class Client:
    """Talks to the endpoint at `url` with an API key, if it needs one; a context, which closes its connection.

    What fails because of the network or because the endpoint is busy is sent again until `patience` seconds are over;
    `say` hears of it. A batch has its own digest as idempotency key, so that it is never in the log twice.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        patience: float = 300.0,
        say: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._http, self._url, self._headers = urllib3.PoolManager(timeout=ANSWER_SECONDS), url.rstrip("/"), headers
        self._patience, self._say, self._sleep = patience, say, sleep

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.clear()

    def post(self, body: bytes, *, format: str = "auto", kind: str = "text/plain", part: str = "") -> Taken:
        """Post the events in a body of that media type; it may be that none can be accepted.

        `part` says which part of what log it is, where the same lines may come again and count again. Raises NotTaken.
        """
        key = sha256(f"{part}\0{format}\0{kind}\0".encode() + body).hexdigest()
        headers = {"idempotency-key": key, "content-type": kind}
        response = self._sent("POST", f"/v1/events?{urlencode({'format': format})}", body, headers)
        try:
            return msgspec.json.decode(response.data if response.status == _NOTHING else _checked(response), type=Taken)
        except msgspec.DecodeError as error:
            raise NotTaken(f"{response.url}: {response.status} is no answer of secmesh ({error})") from error

    def get(self, path: str) -> Any:
        """What a path says, as plain values. Raises NotTaken."""
        return msgspec.json.decode(_checked(self._sent("GET", path, None, {})))

    def _sent(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        end, wait = time.monotonic() + self._patience, _WAIT
        while True:
            response, why = self._tried(method, path, body, headers)
            if response is not None and response.status not in _AGAIN:
                return response
            asked = wait if response is None else _asked(response, wait)
            if time.monotonic() + asked > end:
                raise NotTaken(f"{self._url}: {why}, for {self._patience:.0f} s; nothing is lost: send again")
            self._say(f"{why}; trying again in {asked:.0f} s")
            self._sleep(asked)
            wait = min(2 * wait, _LONGEST)

    def _tried(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[urllib3.BaseHTTPResponse | None, str]:
        try:
            response = self._http.request(
                method, self._url + path, body=body, headers=self._headers | dict(headers), retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            return None, f"no answer ({type(error).__name__})"
        return response, f"{response.status} {_title(response)}"


def _asked(response: urllib3.BaseHTTPResponse, wait: float) -> float:
    """Seconds that an answer asks to wait, `wait` if it asks for none."""
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else wait


def _title(response: urllib3.BaseHTTPResponse) -> str:
    try:
        told = msgspec.json.decode(response.data)
        return f"{told['title']}: {told['detail']}; expected {told['expected']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.reason or ""


def _checked(response: urllib3.BaseHTTPResponse) -> bytes:
    if response.status != 200:
        raise NotTaken(f"{response.url}: {response.status} {_title(response)}")
    return response.data
