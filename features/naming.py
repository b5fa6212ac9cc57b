"""Columns that name something, written one way: names repeat, so each distinct one is worked out once."""

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from features import entities

#: How each column that names something is written.
_WRITING: dict[str, Callable[[pl.Expr], pl.Expr]] = {
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

_NORMAL = {column: write(pl.col(column)).alias(column) for column, write in _WRITING.items()}

#: Names remembered of a column; where a chunk has more than a part of them that are new, remembering is slower.
_MOST, _MOST_NEW = 1 << 16, 1 << 11
#: Bytes of a name that is remembered.
_NAME_BYTES = 256
_known: dict[str, dict[str, str | None]] = {column: {} for column in _WRITING}


#: Hears of a column, its distinct names as they were written, and as they are written here.
Told = Callable[[str, pl.Series, pl.Series], None]


def normalised(draft: pl.DataFrame, told: Told = lambda column, raw, written: None) -> pl.DataFrame:
    """The same frame, its columns that name something as text, written one way."""
    columns = [column for column in draft.columns if column in _WRITING]
    as_text = draft.select(pl.col(columns).cast(pl.String))
    distinct = as_text.select(distinct_names(columns))
    pairs = {column: (raw, _written(column, raw)) for column in columns if len(raw := distinct[column].item())}
    for column, (raw, written) in pairs.items():
        told(column, raw, written)
    return draft.with_columns(
        as_text[column].replace_strict(raw, written, return_dtype=pl.String) for column, (raw, written) in pairs.items()
    )


def distinct_names(columns: Sequence[str]) -> list[pl.Expr]:
    """The distinct names, as a list, in each of the columns that name something."""
    return [pl.col(column).drop_nulls().unique().implode() for column in columns if column in _WRITING]


def are_normal(names: Mapping[str, pl.Series]) -> bool:
    """Whether all names of some columns are written as they would be here."""
    return all(raw.equals(_written(column, raw)) for column, raw in names.items() if len(raw))


def _written(column: str, names: pl.Series) -> pl.Series:
    """Some distinct names of a column, as they are written here."""
    if len(names) > _MOST_NEW or (names.str.len_bytes() > _NAME_BYTES).any():
        return _worked_out(column, names)
    known, texts = _known[column], names.to_list()
    new = [text for text in texts if text not in known]
    if len(known) + len(new) > _MOST:
        known, new = {}, texts  # another thread may still look into the old one
        _known[column] = known
    if new:
        known.update(zip(new, _worked_out(column, pl.Series(new)).to_list(), strict=True))
    return pl.Series([known[text] for text in texts], dtype=pl.String)


def _worked_out(column: str, names: pl.Series) -> pl.Series:
    return names.alias(column).to_frame().select(_NORMAL[column]).to_series()
