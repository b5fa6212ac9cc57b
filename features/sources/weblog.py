r"""Access logs of Apache and nginx: common or combined, whichever site or quotes stand around them.

`site:80 10.0.0.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 23 "referrer" "agent"`: the site and the
two last fields may be missing, other fields may follow, the whole line may be quoted.
"""

import re
from collections.abc import Iterator, Sequence

import polars as pl

from features.events import TIME, Domain
from features.source import Drafts, Source, refusals

#: Quoted text, in which a backslash takes the meaning off a quote.
_QUOTED = r'(?:[^"\\]|\\.)*'

#: Who asked, and when. A client begins with no dash, which tells a site before it; a user has no colon (RFC 7617).
_ASKED = (
    r'^"?(?:(?P<site>[\w.-]+|\[[\da-fA-F:.]+\])(?::\d+)? )?'
    r"(?P<client>[\w:.][\w:.%-]*)(?:, ?[\w:.%-]+)* \S+ (?P<user>[^:]+?) \[(?P<stamp>\d[^\]\[]*)\] "
)
_LINE = (
    _ASKED + rf'"(?P<request>{_QUOTED})" (?P<code>\d{{3}}|-) (?P<size>\d+|-)'
    rf'(?: "(?P<referrer>{_QUOTED})" "(?P<agent>{_QUOTED})"(?: .*)?| [^"]*)?"?$'
)
_EXPECTED = (
    'expected an access log: client ident user [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326, maybe more'
)
_HEAD = re.compile(_ASKED + '"')

#: A method and a target; without a version, HTTP/0.9, the target must look like one.
_REQUEST = r"^(?P<method>[A-Za-z][\w-]*) (?:(?P<target>.*) HTTP/[\d.]+|(?P<bare>[/*]\S*))$"


def recognises(head: Sequence[str]) -> bool:
    """A client, a user and a moment in brackets."""
    return any(_HEAD.match(line) for line in head[:10])


def begin(_name: str, _frames: Iterator[pl.DataFrame]) -> None:
    """A request needs no context."""


def parse(lines: pl.DataFrame, _context: None) -> Drafts:
    """Requests, also those that are no HTTP; a line of another shape is refused."""
    parts = lines.with_columns(pl.col("text").str.extract_groups(_LINE).alias("parts")).unnest("parts")
    is_request = parts["client"].is_not_null()
    refused = refusals(parts.filter(~is_request), "line", _EXPECTED)
    asked = parts.filter(is_request).with_columns(pl.col("request").str.extract_groups(_REQUEST)).unnest("request")
    told = asked.with_columns(
        pl.coalesce("target", "bare").alias("target"), pl.col("code").cast(pl.Int64, strict=False)
    )
    events = told.select("line", "text", pl.col("stamp").alias("time_text"), **_COLUMNS)
    return Drafts({Domain.WEB: events}, refused)


def _written(field: pl.Expr) -> pl.Expr:
    """What was sent, before quotes and backslashes were escaped; null for a dash or nothing."""
    return pl.when(~field.is_in(["", "-"])).then(field.str.replace_all(r'\\(["\\])', "${1}"))


_TARGET = _written(pl.col("target"))
_CODE = pl.col("code")

_COLUMNS: dict[str, pl.Expr] = {
    "time": pl.col("stamp").str.to_datetime("%d/%b/%Y:%H:%M:%S %z", time_unit="us", strict=False).cast(TIME),
    "class_uid": pl.lit(4002),
    "activity_name": pl.col("method").str.to_lowercase().fill_null("unknown"),
    "event_code": pl.lit("weblog/access"),
    "status": pl.when(_CODE < 400).then(pl.lit("success")).when(_CODE >= 400).then(pl.lit("failure")),
    "actor_user_name": _written(pl.col("user")),
    "src_endpoint_ip": pl.col("client"),
    "dst_endpoint_hostname": pl.col("site"),
    "http_request_http_method": pl.col("method"),
    "http_request_url_path": _TARGET.str.extract(r"^([^?]*)"),
    "http_request_url_query_string": _TARGET.str.extract(r"\?(.*)$"),
    "http_request_user_agent": _written(pl.col("agent")),
    "http_request_referrer": _written(pl.col("referrer")),
    "http_response_code": _CODE,
    "http_response_length": pl.col("size"),
}

SOURCE = Source("weblog", recognises, begin, parse)
