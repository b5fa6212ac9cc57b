"""The endpoint takes events, gives ranked threats, and says what it expected when it cannot."""

import contextlib
import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from agents.keeping import fresh_mesh
from models.home import Home
from models.registry import Registry
from serving import endpoint
from serving.endpoint import BODY_BYTES, Lookout, listening
from serving.ranking import rank
from serving.scoring import champion_mesh, judge, score
from tests.serving.posting import Answer, ask, event, served, wait_until


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with served(Lookout(fresh_mesh(), None), tmp_path / "spools") as port:
        yield port


def test_posted_events_are_counted_and_the_refused_ones_named(port: int, tmp_path: Path) -> None:
    status, told = ask(port, "POST", "/v1/events", f"{event(1)}\n{{\n{event(2)}\n")
    assert status == 200
    assert (told["accepted"], told["refused_count"], told["release"]) == (2, 1, None)
    assert "verdicts" not in told
    (refused,) = told["refused"]
    assert refused.keys() == {"line", "field", "value", "reason"}
    assert (refused["line"], refused["value"]) == (1, "{")
    assert list((tmp_path / "spools").iterdir()) == []
    assert ask(port, "GET", "/healthz") == (
        200,
        {"status": "ok", "release": None, "refused_release": None, "events": 2, "durable": False},
    )


def test_verdicts_come_back_if_asked_in_the_order_of_the_post(port: int) -> None:
    _, told = ask(port, "POST", "/v1/events?score=true&format=ocsf", f"{event(2)}\n{event(1)}\n")
    first, second = told["verdicts"]
    assert (first["uid"], first["seq"], second["uid"], second["seq"]) == ("e2", 1, "e1", 0)
    assert first.keys() == {"seq", "uid", "domain", "entities", "p", "evidence", "reasons", "release"}
    assert first["entities"]["address"] == "10.0.0.1"
    _, told = ask(port, "POST", "/v1/events?score=true", event(3))
    assert told["verdicts"][0]["seq"] == 2


def test_posts_rank_as_the_same_log_does_in_one_piece(estate: Path, champion: Home, tmp_path: Path) -> None:
    registry = Registry(champion)
    log = estate / "identity.jsonl"
    lines = log.read_text().splitlines()
    loaded = champion_mesh(registry)
    with served(Lookout(loaded.mesh, loaded.release), tmp_path) as port:
        assert ask(port, "GET", "/v1/threats") == (200, [])
        for start in range(0, len(lines), 1000):
            status, _ = ask(port, "POST", "/v1/events", "\n".join(lines[start : start + 1000]))
            assert status == 200
        _, threats = ask(port, "GET", "/v1/threats")
        assert ask(port, "GET", "/v1/threats") == (200, threats)
    expected = [threat.record() for threat in rank(score([log], registry=registry))]
    assert len(threats) == len(expected) > 0
    for found, wanted in zip(threats, expected, strict=True):
        assert found["score"] == pytest.approx(wanted["score"], abs=0.01)
        assert found["entities"][0]["name"] == wanted["entities"][0]["name"]
        assert {witness["source"] for witness in found["evidence"]} == {"http"}


def test_a_body_without_events_is_a_problem_and_changes_nothing(port: int) -> None:
    for body in ("", "hello\n", "{\n"):
        status, problem = ask(port, "POST", "/v1/events", body)
        assert status == 422
        assert problem["title"] == "Nothing accepted"
        assert problem["refused"][0]["reason"]
        assert "known log format" in problem["expected"]
    assert ask(port, "GET", "/healthz")[1]["events"] == 0


@pytest.mark.parametrize(
    ("method", "target", "status", "expected"),
    [
        ("POST", "/v1/events?format=magic", 400, "format is one of auto, "),
        ("POST", "/v1/events?score=maybe", 400, "score is one of false, true"),
        ("GET", "/v1/events", 405, "POST /v1/events"),
        ("GET", "/elsewhere", 404, "GET /v1/threats"),
    ],
)
def test_a_wrong_request_is_told_what_was_expected(
    port: int, method: str, target: str, status: int, expected: str
) -> None:
    found, problem = ask(port, method, target, event(1) if method == "POST" else None)
    assert (found, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert problem["expected"].startswith(expected) or expected in problem["expected"]
    assert problem.keys() >= {"title", "detail"}


def test_a_body_that_says_it_is_too_large_is_not_read(port: int) -> None:
    status, problem = ask(port, "POST", "/v1/events", None, **{"content-length": str(BODY_BYTES + 1)})
    assert status == 413
    assert str(BODY_BYTES) in problem["expected"]


def test_a_body_that_grows_too_large_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_BYTES", 100)
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/events", iter([event(1).encode()] * 2), {}, encode_chunked=True)
        assert connection.getresponse().status == 413


def tarred(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("log")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_a_packed_body_is_refused(port: int) -> None:
    for kind, body in (("gzip", gzip.compress(event(1).encode())), ("tar", tarred(event(1))), ("zip", b"PK\x05\x06")):
        status, problem = ask(port, "POST", "/v1/events", body)
        assert (status, problem["detail"]) == (415, f"the body is {kind} data")
    assert ask(port, "POST", "/v1/events", "PK is how this line starts")[0] == 422


def test_a_sender_who_hangs_up_leaves_nothing_behind(port: int, tmp_path: Path) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/v1/events")
    connection.putheader("content-length", "1000")
    connection.endheaders(event(1).encode())
    wait_until(lambda: bool(list((tmp_path / "spools").glob("*"))))
    connection.close()
    wait_until(lambda: not list((tmp_path / "spools").iterdir()))
    assert ask(port, "GET", "/healthz")[1]["events"] == 0


def test_a_fault_of_ours_is_a_problem_without_its_text(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(endpoint, "judge", broken)
    status, problem = ask(port, "POST", "/v1/events", event(1))
    assert status == 500
    assert "secret" not in json.dumps(problem)


def test_the_server_answers_while_it_scores(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Any:
        begun.set()
        go_on.wait(20)
        return judge(*arguments)

    monkeypatch.setattr(endpoint, "judge", slowly)
    answers: list[Answer] = []
    posting = threading.Thread(target=lambda: answers.append(ask(port, "POST", "/v1/events", event(1))))
    posting.start()
    assert begun.wait(20)
    assert ask(port, "GET", "/healthz")[1]["events"] == 0
    go_on.set()
    posting.join(20)
    assert answers[0][1]["accepted"] == 1


def test_posts_at_once_are_each_scored_whole(port: int) -> None:
    bodies = ["\n".join(event(1000 * n + k) for k in range(50)) for n in range(8)]
    posts = [threading.Thread(target=ask, args=(port, "POST", "/v1/events", body)) for body in bodies]
    for post in posts:
        post.start()
    for post in posts:
        post.join(30)
    assert ask(port, "GET", "/healthz")[1]["events"] == 400


def test_serve_answers_on_the_socket_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: seen.append((self.config.host, sockets)))
    with listening("::1", 0) as (socket, url):
        assert url.startswith("http://[::1]:")
        endpoint.serve(Lookout(fresh_mesh(), None), tmp_path, socket)
        assert seen[0][1] == [socket]
