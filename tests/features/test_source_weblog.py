"""Access logs become web events, whatever stands around a line and whatever a client sent."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain, schema
from features.reading import read, sources
from features.sources.weblog import SOURCE

DATA = Path(__file__).parents[3] / "shared" / "data" / "web"

COMMON = '10.0.0.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /a%20b?c=d?e HTTP/1.1" 200 2326'
COMBINED = COMMON + ' "http://x.org/" "curl/7.1 (a; b)"'

EVENT = {
    "line": 0,
    "time": datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC),
    "class_uid": 4002,
    "activity_name": "get",
    "event_code": "weblog/access",
    "status": "success",
    "actor_user_name": "ann",
    "src_endpoint_ip": "10.0.0.1",
    "http_request_http_method": "GET",
    "http_request_url_path": "/a%20b",
    "http_request_url_query_string": "c=d?e",
    "http_response_code": 200,
    "http_response_length": 2326,
}
AGENT = {"http_request_referrer": "http://x.org/", "http_request_user_agent": "curl/7.1 (a; b)"}


def read_text(folder: Path, text: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    (folder / "access.log").write_text(text)
    (chunk,) = read([folder / "access.log"])
    events = chunk.events.get(Domain.WEB, pl.DataFrame(schema=schema(Domain.WEB)))
    assert events.schema == schema(Domain.WEB)
    return events, chunk.refused


def one(folder: Path, line: str) -> dict[str, Any]:
    """The only event, and what its columns say, but for where it came from."""
    events, refused = read_text(folder, line + "\n")
    assert refused.is_empty(), refused["reason"].to_list()
    (row,) = events.drop("source", "uid").to_dicts()
    return {column: value for column, value in row.items() if value is not None}


def request(folder: Path, sent: str) -> dict[str, Any]:
    return one(folder, f'10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "{sent}" 400 - "-" "-"')


@pytest.mark.parametrize(
    ("line", "more"),
    [
        (COMMON, {}),
        (COMBINED, AGENT),
        (f'"{COMBINED}"', AGENT),
        (f'"{COMMON}"', {}),
        (f"{COMMON} 0.005", {}),
        (f'{COMBINED} "203.0.113.9" 0.005', AGENT),
        (f"Shop.example.org:443 {COMBINED}", AGENT | {"dst_endpoint_hostname": "shop.example.org"}),
        (f"shop.example.org {COMMON}", {"dst_endpoint_hostname": "shop.example.org"}),
        (COMMON.replace("10.0.0.1", "2001:DB8::1"), {"src_endpoint_ip": "2001:db8::1"}),
        (COMMON.replace("10.0.0.1", "10.0.0.1, 192.168.0.1"), {}),
        (COMMON.replace(" ann ", " ann lee "), {"actor_user_name": "ann lee"}),
    ],
)
def test_a_request_is_read_in_every_way_it_is_written(tmp_path: Path, line: str, more: dict[str, str]) -> None:
    assert one(tmp_path, line) == EVENT | more


@pytest.mark.parametrize(("code", "status"), [("101", "success"), ("399", "success"), ("400", "failure"), ("-", None)])
def test_the_code_tells_the_outcome(tmp_path: Path, code: str, status: str | None) -> None:
    assert one(tmp_path, COMMON.replace(" 200 ", f" {code} ")).get("status") == status


@pytest.mark.parametrize("sent", ["-", "", r"\x16\x03\x01\x02", "\ufffd\ufffd", "quit", "t3 12.2.1", r"\"", "GET"])
def test_what_is_no_http_is_an_event_without_a_method(tmp_path: Path, sent: str) -> None:
    event = request(tmp_path, sent)
    assert event["activity_name"] == "unknown"
    assert not {"http_request_http_method", "http_request_url_path", "http_request_user_agent"} & set(event)


@pytest.mark.parametrize(
    ("sent", "method", "path"),
    [
        ("GET  HTTP/1.1", "GET", None),
        ("GET /old", "GET", "/old"),
        ("OPTIONS * HTTP/1.0", "OPTIONS", "*"),
        ("CONNECT a.b:443 HTTP/1.1", "CONNECT", "a.b:443"),
        ("GET /a b HTTP/1.1", "GET", "/a b"),
        (r"GET /\"\\x\x00 HTTP/1.1", "GET", r'/"\x\x00'),
    ],
)
def test_odd_requests_keep_their_method(tmp_path: Path, sent: str, method: str, path: str | None) -> None:
    event = request(tmp_path, sent)
    assert (event["http_request_http_method"], event.get("http_request_url_path")) == (method, path)


def test_an_escaped_quote_cannot_forge_an_answer(tmp_path: Path) -> None:
    event = one(tmp_path, COMBINED.replace("/a%20b", r"/\" 500 1 \"x\" \"y"))
    assert (event["http_response_code"], event["http_request_user_agent"]) == (200, AGENT["http_request_user_agent"])


def test_lines_of_another_shape_are_refused_and_their_neighbours_kept(tmp_path: Path) -> None:
    half, no_time = COMBINED[:-3], COMMON.replace("Oct", "Okt")
    big = COMMON.replace("2326", "9" * 20)
    events, refused = read_text(tmp_path, "\n".join([COMMON, "hello", half, no_time, "", big, COMBINED]))
    assert events["line"].to_list() == [0, 6]
    assert refused.select("line", "field").rows() == [
        (1, "line"),
        (2, "line"),
        (3, "time"),
        (5, "http_response_length"),
    ]
    assert refused["reason"][0].startswith("expected an access log: client ident user [10/Oct/2000")


def test_no_lines_give_nothing() -> None:
    drafts = SOURCE.parse(pl.DataFrame(schema={"line": pl.Int64, "text": pl.String}), SOURCE.begin("a", iter([])))
    assert drafts.events[Domain.WEB].is_empty()


@pytest.mark.parametrize("line", [COMMON, f'"{COMBINED}"', f"a.b:80 {COMBINED}", f"a.b {COMMON}", f"::1{COMMON[8:]}"])
def test_an_access_log_is_known_by_weblog_alone(line: str) -> None:
    assert [name for name, source in sources().items() if source.recognises([line])] == ["weblog"]


@pytest.mark.parametrize(
    "line",
    [
        f"Oct 10 13:55:36 host nginx: {COMMON}",
        f"<34>1 2003-10-11T22:14:15Z host nginx - - - {COMMON}",
        f"2003-10-11T22:14:15Z host nginx[1]: {COMMON}",
        '{"message": "' + COMMON.replace('"', '\\"') + '"}',
        "127.0.0.1 localhost",
        "# " + COMMON,
    ],
)
def test_what_only_quotes_an_access_log_is_none(line: str) -> None:
    assert not SOURCE.recognises([line])


def test_a_hostile_head_is_looked_at_in_linear_time() -> None:
    assert not SOURCE.recognises(["a - - " + "[1 [1" * 13_000, "a - " + "[1" * 32_000, "a, " * 21_000])


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20)
WORD = TEXT.map(lambda text: "".join(text.split()))
REQUESTS = st.fixed_dictionaries(
    {
        "time": st.integers(10**8, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
        "zone": st.integers(-14 * 60, 14 * 60),
        "user": st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True),
        "client": st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str).filter(lambda ip: "ffff:" not in ip),
        "method": st.sampled_from(["GET", "POST", "M-SEARCH"]),
        "path": WORD.map(lambda word: "/" + word.replace("?", "")),
        "query": WORD.map(lambda word: "q" + word),
        "code": st.integers(100, 999),
        "size": st.integers(0, 2**53),
        "referrer": TEXT.map(lambda text: "r" + text),
        "agent": TEXT.map(lambda text: "a" + text),
    }
)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def written(values: dict[str, Any]) -> str:
    """A line as Apache writes it."""
    local = values["time"].astimezone(timezone(timedelta(minutes=values["zone"])))
    target = escaped(f"{values['path']}?{values['query']}")
    return (
        f"{values['client']} - {values['user']} [{local:%d/%b/%Y:%H:%M:%S %z}] "
        f'"{values["method"]} {target} HTTP/1.1" {values["code"]} {values["size"]} '
        f'"{escaped(values["referrer"])}" "{escaped(values["agent"])}"'
    )


@settings(max_examples=50, deadline=None)  # the first example compiles what the others use
@given(st.lists(REQUESTS, min_size=1, max_size=5))
def test_what_was_written_is_read(requests: list[dict[str, Any]]) -> None:
    lines = pl.DataFrame({"text": [written(values) for values in requests]}).with_row_index("line")
    drafts = SOURCE.parse(lines, None)
    assert drafts.refused.is_empty()
    assert drafts.events[Domain.WEB].select(
        *("time", "actor_user_name", "src_endpoint_ip", "http_request_http_method", "http_request_url_path"),
        *("http_request_url_query_string", "http_response_code", "http_response_length"),
        *("http_request_referrer", "http_request_user_agent"),
    ).rows() == [
        (
            *(values[name] for name in ("time", "user", "client", "method", "path", "query", "code")),
            str(values["size"]),
            *(values[name] for name in ("referrer", "agent")),
        )
        for values in requests
    ]


@pytest.mark.skipif(not DATA.exists(), reason="the shared real logs are not beside this project")
@pytest.mark.parametrize("folder", ["ait_intranet_benign_days", "ocatak_scans", "elastic_apache_background"])
def test_a_real_log_is_read_without_a_refusal(folder: str) -> None:
    chunks = list(read([DATA / folder]))
    assert sum(chunk.refused.height for chunk in chunks) == 0
    assert sum(chunk.events[Domain.WEB].height for chunk in chunks) > 2000
