"""The endpoint takes events, gives ranked threats, and says what it expected when it cannot."""

import contextlib
import gzip
import io
import json
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families

from features.logs import read_logs
from models.registry import Registry
from serving.api import asking, listening, openapi, posts
from serving.api.door import Door
from serving.api.endpoint import WAYS
from serving.api.told import ARROW
from serving.batch.scoring import score
from serving.client.sending import streamed
from serving.threats.ranking import rank
from tests.serving.posting import Served, event, home_of, new, served, taking, wait_until

#: Events of a log that are posted in parts.
POSTED = 2000


@dataclass(frozen=True)
class Ranked:
    """A service that has ranked the first events of a log, that log, and the threats it told of."""

    service: Served
    log: Path
    threats: list[dict[str, Any]]


@pytest.fixture(scope="module")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service without a detector, for what is answered without one."""
    with taking(home_of(tmp_path_factory.mktemp("taker") / "home")) as service:
        yield service


@pytest.fixture(scope="module")
def ranked(estate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranked]:
    folder = tmp_path_factory.mktemp("ranked")
    lines = (estate / "identity.jsonl").read_text().splitlines()[:POSTED]
    log = folder / "identity.jsonl"
    log.write_text("\n".join(lines) + "\n")
    with served(home_of(folder / "home")) as service:
        for start in range(0, len(lines), 500):
            status, _ = service.ask("POST", "/v1/events", "\n".join(lines[start : start + 500]))
            assert status == 200
        wait_until(service.is_ranked)
        yield Ranked(service, log, service.ask("GET", "/v1/threats")[1]["threats"])


def spools(service: Served, home: Path) -> list[Path]:
    return list((home / "var" / "spool").iterdir())


def test_posted_events_are_counted_and_the_refused_ones_named(tmp_path: Path) -> None:
    with taking(home_of(tmp_path / "home")) as service:
        status, told = service.ask("POST", "/v1/events", f"{event(1)}\n{{\n{event(2)}\n")
        assert (status, told["accepted"], told["refused_count"], told["repeated"]) == (200, 2, 1, False)
        assert "verdicts" not in told
        (refused,) = told["refused"]
        assert refused.keys() == {"line", "field", "value", "reason"}
        assert (refused["line"], refused["value"]) == (1, "{")
        assert service.place() == (1, 2)
        assert spools(service, tmp_path / "home") == []


def test_verdicts_come_back_if_asked_in_the_order_of_the_post(ranked: Ranked) -> None:
    _, told = ranked.service.ask("POST", "/v1/events?score=true&format=ocsf", f"{event(2)}\n{event(1)}\n")
    first, second = told["verdicts"]
    assert (first["uid"], second["uid"]) == ("e2", "e1")
    assert first["seq"] == second["seq"] + 1 == told["first"]
    assert first.keys() == {"seq", "uid", "domain", "entities", "p", "evidence", "reasons", "release"}
    assert first["entities"]["address"] == "10.0.0.1"


def test_posts_rank_as_the_same_log_does_in_one_piece(ranked: Ranked, tmp_path: Path) -> None:
    expected = [threat.record() for threat in rank(score([ranked.log], registry=Registry(home_of(tmp_path / "home"))))]
    assert len(expected) > 0
    assert len(ranked.threats) >= len(expected)
    for found, wanted in zip(ranked.threats, expected, strict=False):
        assert found["score"] == pytest.approx(wanted["score"], abs=0.01)
        assert found["entities"][0]["name"] == wanted["entities"][0]["name"]
        assert {witness["source"] for witness in found["evidence"]} == {"http"}


def test_a_threat_is_told_by_its_id_as_in_the_list(ranked: Ranked) -> None:
    wanted = ranked.service.ask("GET", "/v1/threats")[1]["threats"][0]
    assert ranked.service.ask("GET", f"/v1/threats/{wanted['id']}") == (200, wanted)
    status, problem = ranked.service.ask("GET", "/v1/threats/never")
    assert (status, problem["expected"]) == (404, "the id of one in GET /v1/threats")


def events_of(response: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """The id and the data of each server-sent event."""
    id = ""
    for line in response:
        field, _, text = line.decode().rstrip("\n").partition(": ")
        if field == "id":
            id = text
        elif field == "data":
            yield id, json.loads(text)


def test_an_answer_is_kept_once_and_whoever_watches_hears_what_it_changed(ranked: Ranked) -> None:
    service, threats = ranked.service, ranked.service.ask("GET", "/v1/threats")[1]["threats"]
    said = json.dumps({"is_true": False, "reason": "a drill"})
    path = f"/v1/threats/{threats[0]['id']}/answers"
    with contextlib.closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
        connection.request("GET", "/v1/stream")
        response = connection.getresponse()
        assert response.headers["content-type"].startswith("text/event-stream")
        changes = events_of(response)
        _, whole = next(changes)
        assert [threat["id"] for threat in whole["threats"]] == [threat["id"] for threat in threats]
        status, kept = service.ask("POST", path, said, idempotency_key="answer")
        assert (status, kept["repeated"]) == (200, False)
        id, change = next(changes)
        assert int(id) == change["position"] >= kept["position"]
        assert threats[0]["id"] in {*(moved["id"] for moved in change["threats"]), *change["gone"]}
    assert service.ask("POST", path, said, idempotency_key="answer") == (200, kept | {"repeated": True})
    found = service.ask("GET", "/v1/audit")[1]["entries"]
    assert [(line["target"], line["outcome"], line["idempotency_key"]) for line in found] == [
        (f"{threats[0]['id']}: false", outcome, "answer") for outcome in ("begun", "done") * 2
    ]


def test_whoever_watches_is_let_go_when_the_service_stops(tmp_path: Path) -> None:
    with contextlib.ExitStack() as open_still:
        with taking(home_of(tmp_path / "home")) as service:
            connection = open_still.enter_context(
                contextlib.closing(HTTPConnection("127.0.0.1", service.port, timeout=60))
            )
            connection.request("GET", "/v1/stream")
            response = connection.getresponse()
            assert response.readline() == b"id: 0\n"
        assert response.read().endswith(b"\n\n")  # all of an answer that has an end


@pytest.mark.parametrize(
    "said", ["", "{}", "[]", '{"is_true": 1, "reason": "x"}', '{"is_true": null, "reason": ""}', '{"is_true":true}']
)
def test_an_answer_that_says_nothing_is_a_problem(ranked: Ranked, said: str) -> None:
    before = ranked.service.place()
    path = f"/v1/threats/{ranked.service.ask('GET', '/v1/threats')[1]['threats'][0]['id']}/answers"
    status, problem = ranked.service.ask("POST", path, said)
    assert (status, problem["title"]) == (422, "No answer")
    assert "is_true" in problem["expected"]
    assert ranked.service.ask("POST", path, " " * 40_000)[0] == 413
    assert ranked.service.place() == before


def test_agents_and_release_are_told(ranked: Ranked) -> None:
    _, told = ranked.service.ask("GET", "/v1/agents")
    seen = {agent["domain"]: agent["events"] for agent in told["agents"]}
    assert len(seen) == 6
    assert seen["identity"] == POSTED
    assert ranked.service.ask("GET", "/v1/release")[1]["release"] is None


def samples_of(service: Served) -> dict[tuple[str, ...], float]:
    """The page of metrics: each value by its name and labels."""
    with contextlib.closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        families = text_string_to_metric_families(connection.getresponse().read().decode())
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_metrics_are_read_by_prometheus(ranked: Ranked) -> None:
    samples = samples_of(ranked.service)
    assert samples["secmesh_events_accepted_total",] >= POSTED
    assert samples["secmesh_position", "ranked"] >= POSTED
    assert samples["secmesh_requests_total", "/v1/events", "2xx"] >= POSTED / 500


def test_whoever_is_turned_away_is_counted_by_the_reason(ranked: Ranked) -> None:
    def shed() -> float:
        return samples_of(ranked.service)["secmesh_requests_shed_total", "size"]

    before = shed()
    assert ranked.service.ask("POST", "/v1/events", None, content_length=str(posts.BODY_BYTES + 1))[0] == 413
    assert shed() == before + 1


def test_a_service_says_that_it_is_not_ready_and_takes_events_all_the_same(taker: Served) -> None:
    status, problem = taker.ask("GET", "/readyz")
    assert (status, problem["title"]) == (503, "Not ready")
    before = taker.place()
    assert taker.ask("POST", "/v1/events", new())[0] == 200
    assert taker.place() == (before[0] + 1, before[1] + 1)
    assert taker.ask("GET", "/healthz") == (200, {"status": "ok"})


def test_a_body_without_events_is_a_problem_and_changes_nothing(taker: Served) -> None:
    before = taker.place()
    for body in ("", "hello\n", "{\n"):
        status, problem = taker.ask("POST", "/v1/events", body)
        assert (status, problem["title"]) == (422, "Nothing accepted")
        assert problem["refused_count"] == len(problem["refused"]) == 1
        assert "known log format" in problem["expected"]
    assert taker.place() == before


@pytest.mark.parametrize(
    ("method", "target", "status", "expected"),
    [
        ("POST", "/v1/events?format=magic", 400, "format is one of auto, "),
        ("POST", "/v1/events?score=maybe", 400, "score is one of false, true"),
        ("POST", "/v1/events?scores=true", 400, "one of format, score"),
        ("GET", "/v1/audit?after=-1", 400, "after is a whole number from 0 to "),
        ("GET", "/v1/audit?most=1001", 400, "most is a whole number from 0 to 1000"),
        ("GET", "/v1/events", 405, "POST /v1/events"),
        ("DELETE", "/v1/threats", 405, "GET /v1/threats"),
        ("GET", "/elsewhere", 404, "GET /v1/threats"),
        ("GET", "/v1/threats/", 404, "GET /v1/threats"),
        ("GET", "/v1/threats/../events", 404, "GET /v1/threats"),
    ],
)
def test_a_wrong_request_is_told_what_was_expected(
    taker: Served, method: str, target: str, status: int, expected: str
) -> None:
    found, problem = taker.ask(method, target, event(1) if method == "POST" else None)
    assert (found, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert expected in problem["expected"]
    assert problem.keys() >= {"title", "detail"}


def test_a_body_that_says_it_is_too_large_is_not_read(taker: Served) -> None:
    status, problem = taker.ask("POST", "/v1/events", None, content_length=str(posts.BODY_BYTES + 1))
    assert status == 413
    assert str(posts.BODY_BYTES) in problem["expected"]


def test_a_body_that_grows_too_large_is_cut_off(taker: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "BODY_BYTES", 150)
    before = taker.place()
    with contextlib.closing(HTTPConnection("127.0.0.1", taker.port, timeout=30)) as connection:
        connection.request("POST", "/v1/events", iter([event(1).encode()] * 2), {}, encode_chunked=True)
        assert connection.getresponse().status == 413
    assert taker.ask("POST", "/v1/events", gzip.compress(b" " * 151), content_encoding="gzip")[0] == 413
    assert taker.place() == before


def tarred(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("log")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_a_packed_body_that_does_not_say_so_is_refused(taker: Served) -> None:
    for kind, body in (("gzip", gzip.compress(event(1).encode())), ("tar", tarred(event(1))), ("zip", b"PK\x05\x06")):
        status, problem = taker.ask("POST", "/v1/events", body)
        assert (status, problem["detail"]) == (415, f"the body is {kind} data")
    assert taker.ask("POST", "/v1/events", "PK is how this line starts")[0] == 422
    assert taker.ask("POST", "/v1/events", gzip.compress(tarred(event(1))), content_encoding="gzip")[0] == 415
    assert taker.ask("POST", "/v1/events", event(1), content_encoding="br")[0] == 415


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_body_may_be_packed_as_it_says(taker: Served, encoding: str, pack: Any) -> None:
    body = pack(new(2).encode())
    status, told = taker.ask("POST", "/v1/events", body, content_encoding=encoding)
    assert (status, told["accepted"]) == (200, 2)
    status, problem = taker.ask("POST", "/v1/events", body[:-4], content_encoding=encoding)
    assert (status, problem["title"]) == (400, "Bad encoding")


def test_a_bomb_is_refused_as_it_grows(taker: Served) -> None:
    body = zstandard.compress(bytes(posts.BODY_BYTES + 1), 19)
    assert len(body) < posts.BODY_BYTES / 1000
    assert taker.ask("POST", "/v1/events", body, content_encoding="zstd")[0] == 413


def test_an_arrow_stream_is_taken_and_anything_else_of_that_name_refused(taker: Served, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(new(2))
    (frame,) = read_logs([log]).events.values()
    body, before = streamed(frame), taker.place()
    assert taker.ask("POST", "/v1/events", body, content_type=ARROW)[1]["accepted"] == 2
    packed = io.BytesIO()
    frame.write_ipc_stream(packed, compression="zstd", compat_level=pl.CompatLevel.oldest())
    for wrong in (b"", b"hello", body[:-100], packed.getvalue()):
        status, problem = taker.ask("POST", "/v1/events", wrong, content_type=ARROW)
        assert (status, problem["title"]) == (400, "No Arrow stream")
    assert taker.place() == (before[0] + 1, before[1] + 2)


def test_a_post_that_comes_again_counts_once_and_its_key_is_for_no_other(taker: Served) -> None:
    body = new()
    status, first = taker.ask("POST", "/v1/events", body, idempotency_key="once")
    assert (status, first["accepted"], first["repeated"]) == (200, 1, False)
    before = taker.place()
    for packed in (body, gzip.compress(body.encode())):
        encoding = "identity" if packed == body else "gzip"
        again = taker.ask("POST", "/v1/events", packed, idempotency_key="once", content_encoding=encoding)
        assert again == (200, first | {"repeated": True})
    status, problem = taker.ask("POST", "/v1/events", new(), idempotency_key="once")
    assert (status, problem["title"]) == (409, "Key taken")
    for key in ("", "x" * 201):
        assert taker.ask("POST", "/v1/events", new(), idempotency_key=key)[0] == 400
    assert taker.place() == before


def test_an_event_that_comes_again_counts_once_whatever_it_comes_with(taker: Served) -> None:
    old, fresh = new(), new()
    taker.ask("POST", "/v1/events", old)
    position, events = taker.place()
    status, told = taker.ask("POST", "/v1/events", old + fresh)
    assert (status, told["accepted"], told["known"]) == (200, 1, 1)
    status, told = taker.ask("POST", "/v1/events", fresh + old)
    assert (status, told["accepted"], told["known"], told["repeated"]) == (200, 0, 2, False)
    assert taker.place() == (position + 1, events + 1)


def begun_post(port: int, size: int, start: bytes = b"") -> HTTPConnection:
    """A post that has begun to send a body of that size."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/v1/events")
    connection.putheader("content-length", str(size))
    connection.endheaders(start)
    return connection


def test_a_sender_who_hangs_up_leaves_nothing_behind(tmp_path: Path) -> None:
    with taking(home_of(tmp_path / "home")) as service:
        connection = begun_post(service.port, 1000, event(1).encode())
        wait_until(lambda: bool(spools(service, tmp_path / "home")))
        connection.close()
        wait_until(lambda: not spools(service, tmp_path / "home"))
        assert service.place() == (0, 0)


def test_what_a_service_that_was_killed_left_of_bodies_is_gone(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home")
    (home.var / "spool").mkdir(parents=True)
    (home.var / "spool" / "posted").write_text("left")
    with taking(home) as service:
        assert spools(service, tmp_path / "home") == []


def test_who_sends_a_body_too_slowly_is_told_so(taker: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "BODY_SECONDS", 0.2)
    with contextlib.closing(begun_post(taker.port, 1000, b"{")) as connection:
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["title"]) == (408, "Too slow")


def closed_by(port: int, sent: bytes) -> bytes:
    """What a server answers to these bytes until it closes the connection."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        while block := connection.recv(65536):
            heard += block
    return heard


def test_who_is_slow_to_ask_or_asks_without_end_is_hung_up_on(taker: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.2)
    for start in (b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"):
        assert closed_by(taker.port, start) == b""
    monkeypatch.setattr(listening, "HEAD_SECONDS", 60.0)
    endless = b"GET /healthz HTTP/1.1\r\n" + b"x: y\r\n" * 200_000
    assert closed_by(taker.port, endless) == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx\0y: z\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_too(taker: Served, sent: bytes) -> None:
    head, _, body = closed_by(taker.port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body).keys() == {"type", "title", "status", "detail", "expected"}


def test_a_fault_of_ours_is_a_problem_without_its_text(taker: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Door, "head", broken)
    status, problem = taker.ask("GET", "/readyz")
    assert status == 500
    assert "secret" not in json.dumps(problem)


def test_posts_at_once_are_each_kept_whole(taker: Served) -> None:
    bodies = [new(50) for _ in range(8)]
    position, events = taker.place()
    threads = [threading.Thread(target=taker.ask, args=("POST", "/v1/events", body)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert taker.place() == (position + 8, events + 400)


def test_the_document_tells_of_every_way_and_each_schema_it_names_is_there(taker: Served) -> None:
    _, told = taker.ask("GET", "/v1/openapi.json")
    assert {(method.upper(), path) for path, ways in told["paths"].items() for method in ways} == {
        (way.method, way.path) for way in WAYS
    }
    for way in WAYS:
        described = told["paths"][way.path][way.method.lower()]
        assert described.keys() >= {"summary", "description"}
        assert {int(status) for status in described["responses"]} == {200, *openapi.statuses(way)}
    named = {part.partition('"')[0] for part in json.dumps(told).split("#/components/schemas/")[1:]}
    assert named == set(told["components"]["schemas"])
