"""The door: drafts of events come out with their domain's exact columns, or are refused with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from features import entities
from features.events import TIME, Domain, schema
from features.files import LINE_BYTES
from features.hashing import hex64
from features.source import NAMELESS, REFUSED, Drafts, refusals

#: Longest value shown with a refusal, in characters.
SHOWN_CHARS = 120

_NONE = pl.DataFrame(schema=NAMELESS)
_MOST_PORT, _MOST_INT32, _MOST = 65_535, 2**31 - 1, 2**53
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

#: How each column that names something is written.
_NORMAL: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "device_hostname": entities.host,
    "src_endpoint_hostname": entities.host,
    "dst_endpoint_hostname": entities.site,
    "query_hostname": entities.site,
    "actor_user_name": entities.user,
    "user_name": entities.user,
    "src_endpoint_ip": entities.address,
    "dst_endpoint_ip": entities.address,
    "actor_process_file_path": entities.path,
    "process_file_path": entities.path,
    "module_file_path": entities.path,
    "file_path": entities.path,
    "reg_key_path": entities.registry_key,
    "activity_name": entities.named,
    "service_name": entities.named,
    "group_name": entities.named,
    "connection_info_protocol_name": entities.named,
    "app_name": entities.named,
    "status": entities.named,
    "logon_type": entities.named,
    "auth_protocol": entities.named,
    "process_integrity": entities.named,
    "query_type": entities.code,
    "rcode": entities.code,
    "http_request_http_method": entities.code,
}


@dataclass(frozen=True)
class Admitted:
    """Events with exactly their domain's columns, and the refused records, in the order of their lines."""

    events: dict[Domain, pl.DataFrame]
    refused: pl.DataFrame


def admit(drafts: Drafts, source: str, member: str | None) -> Admitted:
    """Cast, check and normalise drafts of one member; each record ends up in exactly one of the two frames."""
    events, refused = {}, [drafts.refused]
    for domain, draft in drafts.events.items():
        good, bad = _checked(draft, domain)
        refused.append(bad)
        if good.height:
            events[domain] = _finished(good, domain, source, member)
    return Admitted(events, shown(pl.concat(refused), source, member))


def within_limits(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines that hold something and are not too long, and the refusals of the long ones."""
    size = pl.col("text").str.len_bytes()
    too_long = lines.filter(size > LINE_BYTES)
    reason = f"the line is longer than {LINE_BYTES} bytes, the most that is read"
    held = lines.filter(size <= LINE_BYTES, pl.col("text").str.strip_chars() != "")
    return held, refusals(too_long, "line", reason, "text")


def shown(refused: pl.DataFrame, source: str, member: str | None) -> pl.DataFrame:
    """Refusals with where they came from; values shortened, control characters escaped."""
    harmless = [_escaped(value) for value in refused["value"].str.slice(0, SHOWN_CHARS)]
    values = pl.Series("value", harmless, dtype=pl.String)
    origin = {"source": pl.lit(source, pl.String), "member": pl.lit(member, pl.String)}
    return refused.with_columns(values, **origin).select(REFUSED.names()).sort("line", maintain_order=True)


def _escaped(value: str | None) -> str | None:
    if value is None:
        return None
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)[:SHOWN_CHARS]


def _checked(draft: pl.DataFrame, domain: Domain) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split by whether the time is there and possible and every number is one; the first fault is named."""
    wanted = schema(domain)
    numbers = [name for name in draft.columns if name in wanted and wanted[name].is_numeric()]
    draft = draft.with_columns(_number(name, draft.schema[name], wanted[name]).alias(f"={name}") for name in numbers)
    faults = [_time_fault(draft)] + [_number_fault(name, draft.schema[name], wanted[name]) for name in numbers]
    refused = []
    for fault in faults:
        is_wrong = draft.select(fault.where).to_series()
        if is_wrong.any():
            refused.append(refusals(draft.filter(is_wrong), fault.field, fault.reason, fault.shown))
            draft = draft.filter(~is_wrong)
    return draft.with_columns(pl.col(f"={name}").alias(name) for name in numbers), pl.concat([_NONE, *refused])


@dataclass(frozen=True)
class _Fault:
    where: pl.Expr
    field: str
    reason: str
    shown: str


def _time_fault(draft: pl.DataFrame) -> _Fault:
    possible = pl.col("time").is_between(_FIRST, _LAST).fill_null(False)
    reason = "the time is missing or no time between 1970 and 2100; expected ISO 8601 or seconds since 1970"
    return _Fault(~possible, "time", reason, "time_text" if "time_text" in draft.columns else "text")


def _number(name: str, given: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    return (_figures(name) if given == pl.String() else pl.col(name)).cast(wanted, strict=False)


def _number_fault(name: str, given: pl.DataType, wanted: pl.DataType) -> _Fault:
    most = _MOST_PORT if name.endswith("_port") else _MOST_INT32 if wanted == pl.Int32() else _MOST
    was_given = (_figures(name) if given == pl.String() else pl.col(name)).is_not_null()
    is_right = pl.col(f"={name}").is_between(0, most).fill_null(False)
    kind = "a whole number" if wanted.is_integer() else "a finite number"
    return _Fault(was_given & ~is_right, name, f"expected {kind} from 0 to {most}", name)


def _figures(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(~text.is_in(["", "-"])).then(text)


def _finished(draft: pl.DataFrame, domain: Domain, source: str, member: str | None) -> pl.DataFrame:
    """Every column of the domain's schema in order, names normalised, `uid` filled."""
    wanted = schema(domain)
    draft = draft.with_columns(source=pl.lit(source, pl.String), member=pl.lit(member, pl.String))
    missing = [name for name in wanted if name not in draft.columns]
    draft = draft.with_columns(pl.lit(None, wanted[name]).alias(name) for name in missing)
    draft = draft.select(*(_column(name, kind) for name, kind in wanted.items()), "text")
    return _with_uid(draft).select(wanted.names())


def _column(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name).cast(TIME if name == "time" else kind)
    return _NORMAL[name](column).alias(name) if name in _NORMAL else column


def _with_uid(draft: pl.DataFrame) -> pl.DataFrame:
    """Records without an id of their own are named by their text: 16 hex digits."""
    if draft["uid"].null_count() == 0:
        return draft
    return draft.with_columns(draft["uid"].fill_null(hex64(draft["text"])))
