"""Syslog as daemons write it: RFC 3164, RFC 5424, and rsyslog's lines that begin with an ISO time.

A stamp of RFC 3164 has no year and no zone. It is taken as UTC, in the year that puts it nearest to the stamp before
it. The first stamp's year is the one in the log's name (of `auth.log-20230101` the latest that puts it not after that
day), or else YEAR.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from features.events import TIME, Domain
from features.moments import moment
from features.source import Drafts, Source, refusals
from features.syslog_messages import MESSAGES, OTHER, Act

#: The year of a log that tells none; it has a 29 February.
YEAR = 2024

#: Longest command kept, in characters.
COMMAND_CHARS = 4096

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_PRIORITY = r"^(?:<\d{1,3}>)?"
_TAG = r"(?P<program>[^\s\[\]:]+)(?:\[(?P<pid>[^\]\s]*)\])?:"
_REST = rf" (?P<host>\S+)(?: {_TAG})?(?: (?P<message>.*))?$"
_CLOCK = r"\d\d:\d\d:\d\d(?:\.\d+)?"
_OLD_STAMP = rf"{_PRIORITY}(?P<month>{'|'.join(_MONTHS)}) (?P<day>[ 0-3]?\d) (?P<clock>{_CLOCK})"
_MONTH = rf"{_PRIORITY}({'|'.join(_MONTHS)}) (?:[ 0]?[1-9]|[12]\d|3[01]) (?:[01]\d|2[0-3]):[0-5]\d:[0-6]\d"
_ISO_STAMP = rf"{_PRIORITY}(?P<stamp>\d{{4}}-\d\d-\d\dT{_CLOCK}(?:Z|[+-]\d\d:?\d\d))"
_RFC_5424 = (
    r"^<\d{1,3}>\d{1,2} (?P<stamp>\S+) (?P<host>\S+) (?P<program>\S+) (?P<pid>\S+) \S+ "
    r"(?:-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: \x{feff}?(?P<message>.*))?$"
)
_FORMS = (_OLD_STAMP + _REST, _ISO_STAMP + _REST, _RFC_5424)
_PARTS = ("month", "day", "clock", "stamp", "host", "program", "pid", "message")
_EXPECTED = (
    "expected RFC 3164 (Oct 11 22:14:15 host app[1]: text), the same with an ISO time and zone, or RFC 5424 "
    "(<34>1 2003-10-11T22:14:15Z host app 1 - - text)"
)
_HEADS = (rf"{_OLD_STAMP} \S", rf"{_ISO_STAMP} \S+ {_TAG}", r"^<\d{1,3}>\d{1,2} (?:-|\d{4}-\S+) \S+ \S+ \S+ \S+ [-\[]")
_DATE = re.compile(r"(?<!\d)(20\d\d)(?:([-_.]?)(0[1-9]|1[0-2])\2([0-2]\d|3[01]))?(?!\d)")

_TOLD = tuple("user_name actor_user_name group_name peer auth_protocol status_detail process_cmd_line".split())


@dataclass(frozen=True)
class Calendar:
    """The year of the stamps that tell none, and the month of the last one, if there was one."""

    year: int
    month: int | None


def recognises(head: Sequence[str]) -> bool:
    """A stamp and a host; where the stamp is ISO, a program too, as many logs begin with such a time."""
    return any(re.match(form, line) for line in head[:10] for form in _HEADS)


def begin(name: str, frames: Iterator[pl.DataFrame]) -> Calendar:
    """The year of the log's first stamp, from the log's name."""
    dated = _DATE.search(name)
    year = int(dated[1]) if dated else YEAR
    latest = (int(dated[3]), int(dated[4])) if dated and dated[3] else (12, 31)
    month, day = _first_stamp(frames)
    return Calendar(year - 1 if (month, day) > latest else year, month or None)


def parse(lines: pl.DataFrame, calendar: Calendar) -> Drafts:
    """Messages by what they tell; a line of no form is refused."""
    framed = _framed(lines)
    has_form = framed["host"].is_not_null()
    refused = refusals(framed.filter(~has_form), "line", _EXPECTED)
    dated = _dated(framed.with_columns(_years(lines, calendar)["year"]).filter(has_form))
    told = _told(dated.select("line", "text", "time", "time_text", **_SAID))
    events = told.with_columns(**_COLUMNS).sort("line").partition_by("domain", as_dict=True)
    known = int((told["activity_name"] != OTHER.activity).sum())
    unmapped = {"message": told.height - known} if known < told.height else {}
    return Drafts({Domain(str(domain)): frame for (domain,), frame in events.items()}, refused, unmapped, told.height)


def goes_on(lines: pl.DataFrame, calendar: Calendar) -> Calendar:
    """The year and month of the last stamp."""
    return calendar if lines.is_empty() else Calendar(*_years(lines, calendar).row(-1))


def _first_stamp(frames: Iterator[pl.DataFrame]) -> tuple[int, int]:
    """Month and day of the first frame's first stamp without a year; zeros, if there is none."""
    lines = next(frames, pl.DataFrame(schema={"text": pl.String}))
    found = lines.select(pl.col("text").str.extract_groups(_OLD_STAMP).alias("stamp")).unnest("stamp")
    stamps = found.select("month", "day").drop_nulls().head(1).rows()
    return (_NUMBERS[stamps[0][0]], int(stamps[0][1])) if stamps else (0, 0)


def _framed(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines with what stands around their message, by the first form that fits; no host where none does."""
    rest, parts = lines.select("line", "text"), []
    for form in _FORMS:
        found = rest.with_columns(pl.col("text").str.extract_groups(form).alias("found")).unnest("found")
        fits = found["host"].is_not_null()
        parts.append(found.filter(fits) if not fits.all() else found)
        rest = rest.filter(~fits)
        if rest.is_empty():
            break
    whole = pl.concat([*parts, rest], how="diagonal").sort("line")
    missing = [pl.lit(None, pl.String).alias(part) for part in _PARTS if part not in whole.columns]
    return whole.with_columns(missing).select("line", "text", *_PARTS)


def _years(lines: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """The `year` of each line, and its `month` or the last one known.

    A step of more than half a year is a step the other way round, into another year.
    """
    named = pl.col("text").str.extract(_MONTH)
    month = named.replace_strict(_NUMBERS, default=None, return_dtype=pl.Int64)
    known = lines.select(month=month.forward_fill().fill_null(pl.lit(calendar.month, pl.Int64)))
    step = pl.col("month") - pl.col("month").shift(1).fill_null(pl.lit(calendar.month, pl.Int64))
    turn = pl.when(step < -6).then(1).when(step > 6).then(-1).otherwise(0)
    return known.select(turn.cum_sum().alias("year") + calendar.year, "month")


def _dated(lines: pl.DataFrame) -> pl.DataFrame:
    local = pl.concat_str("year", "month", pl.col("day").str.strip_chars(), "clock", separator=" ")
    utc = local.str.to_datetime("%Y %b %d %H:%M:%S%.f", time_unit="us", strict=False).dt.replace_time_zone("UTC")
    written = pl.concat_str("month", "day", "clock", separator=" ")
    return lines.with_columns(
        time=pl.coalesce(utc.cast(TIME), moment(pl.col("stamp"))), time_text=pl.coalesce("stamp", written)
    )


def _told(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines with their act and what it tells; each goes to the first message that fits."""
    parts = []
    for act, programs, pattern in MESSAGES:
        may_be = lines["program"].is_in(programs).fill_null(False) if programs else lines["message"].is_not_null()
        if not may_be.any():
            continue
        rows = may_be.arg_true()
        rows = rows.filter(lines["message"][rows].str.contains(pattern).fill_null(False))
        if len(rows):
            found = pl.col("message").str.extract_groups(pattern)
            parts.append(_done(lines[rows].with_columns(found.alias("found")).unnest("found"), act))
            lines = lines.filter(~pl.int_range(pl.len()).is_in(rows.implode()))
    return pl.concat([_done(lines, OTHER), *parts])


def _done(lines: pl.DataFrame, act: Act) -> pl.DataFrame:
    told = [pl.col(name) if name in lines.columns else pl.lit(None, pl.String).alias(name) for name in _TOLD]
    return lines.select(
        *("line", "text", "time", "time_text", *_SAID),
        *told,
        domain=pl.lit(str(act.domain)),
        activity_name=pl.lit(act.activity),
        class_uid=pl.lit(act.class_uid),
        status=pl.lit(act.status, pl.String),
    )


_PROGRAM = pl.col("program").str.replace(r"^.*/", "").str.extract(r"^\(?([^()]+)").str.to_lowercase()

#: Who said what: `/USR/SBIN/CRON` and `sshd(pam_unix)` are `cron` and `sshd`.
_SAID: dict[str, pl.Expr] = {
    "host": pl.col("host"),
    "program": pl.when(_PROGRAM != "-").then(_PROGRAM),
    "pid": pl.col("pid"),
    "message": pl.col("message").str.strip_chars_end().str.replace(r"^message repeated \d+ times: \[ (.*)\]$", "${1}"),
}

_IS_ADDRESS = pl.col("peer").str.contains(r"^\d{1,3}(?:\.\d{1,3}){3}$|:")

_COLUMNS: dict[str, pl.Expr] = {
    "event_code": pl.lit("syslog/") + pl.col("program").fill_null("-"),
    "device_hostname": pl.col("host"),
    "src_endpoint_ip": pl.when(_IS_ADDRESS).then(pl.col("peer")),
    "src_endpoint_hostname": pl.when(~_IS_ADDRESS).then(pl.col("peer")),
    "service_name": pl.col("program"),
    "actor_process_file_path": pl.col("program"),
    "actor_process_uid": pl.col("pid"),
    "process_cmd_line": pl.col("process_cmd_line").str.slice(0, COMMAND_CHARS),
    "process_file_path": pl.col("process_cmd_line").str.extract(r"^\s*(\S+)"),
}

SOURCE = Source("syslog", recognises, begin, parse, goes_on)
