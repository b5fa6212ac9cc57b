"""Verdicts: what an agent says of each event, the only thing that leaves it."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from features.events import ENTITIES, ORIGIN, TIME, Domain
from features.hashing import hash64

#: The kinds of entity a verdict can name.
ENTITY_KINDS = ("user", "host", "address", "peer", "process")

REASON = pl.Struct({"field": pl.String(), "value": pl.String(), "nats": pl.Float32()})

#: One row an event. `score` is what the models found strange, in nats: it orders one stream's events. `p` is its tail
#: probability among what is usual, `evidence` = -log p in nats, `p_offline` null where no encoder was loaded; `p_peers`
#: is by what the other agents know of its entities, null where none was asked; `history` is the share that rests on the
#: principal's own past; `reasons` has the strangest fields first.
VERDICTS = pl.Schema(
    ORIGIN
    | {"seq": pl.Int64(), "time": TIME, "domain": pl.String(), "uid": pl.String(), "activity": pl.String()}
    | {kind: pl.String() for kind in ENTITY_KINDS}
    | {"score": pl.Float64(), "p_online": pl.Float64(), "p_offline": pl.Float64(), "p_peers": pl.Float64()}
    | {"p": pl.Float64(), "evidence": pl.Float64(), "history": pl.Float64()}
    | {"reasons": pl.List(REASON), "release": pl.Int64()}
)

_REASONS, _TELLING = 3, 0.5
#: What an entity's kind is called by when peers ask for it: an address is the same at either end.
_ASKED = {"user": 1, "host": 2, "address": 3, "peer": 3}


def entities(events: pl.DataFrame, domain: Domain) -> list[pl.Expr]:
    """A verdict's entity columns, read off an event's columns; null where its domain has no such kind.

    An endpoint event's process is the one that acts, or the one that a launch brings to life.
    """
    named = ENTITIES[domain]
    columns = {kind: pl.coalesce(*named[kind]) if kind in named else pl.lit(None, pl.String) for kind in ENTITY_KINDS}
    if domain is Domain.ENDPOINT:
        launched = pl.when(pl.col("activity_name") == "launch").then(pl.col("process_file_path"))
        columns["process"] = pl.coalesce(launched, columns["process"])
    return [column.alias(kind) for kind, column in columns.items()]


def entity_codes(events: pl.DataFrame, domain: Domain) -> NDArray[np.uint64]:
    """The hash of each event's user, host, address and peer, (B, 4) uint64, 0 where it has none."""
    named = ENTITIES[domain]
    code_BE = np.zeros((events.height, len(_ASKED)), np.uint64)
    for e, (kind, seed) in enumerate(_ASKED.items()):
        if kind in named:
            code_BE[:, e] = hash64(events.select(pl.coalesce(*named[kind])).to_series(), seed)
    code_BE[code_BE[:, -1] == code_BE[:, -2], -1] = 0  # the same address at both ends
    return code_BE


def reasons(nats_BR: NDArray[np.float64], names: list[str], values: list[pl.Series]) -> pl.Series:
    """For each event its three strangest fields, strangest first, as structs field, value, nats; none below half a nat.

    `nats_BR` (B, R) is what each of R questions found strange about each event, `names` and `values` say which
    question and about what; of two that ask the same the one that found more counts.
    """
    different = list(dict.fromkeys(names))
    nats_BD = np.stack([nats_BR[:, [n == name for n in names]].max(axis=1) for name in different], axis=1)
    rows = nats_BR.shape[0]
    order_BT = np.argsort(-nats_BD, axis=1, kind="stable")[:, :_REASONS]
    nats_BT = np.take_along_axis(nats_BD, order_BT, axis=1)
    is_told_BT = nats_BT >= _TELLING
    row_N, _ = is_told_BT.nonzero()
    question_N = order_BT[is_told_BT]
    value = pl.concat([values[names.index(name)].rename("value") for name in different])
    told = pl.DataFrame(
        {
            "field": pl.Series(different, dtype=pl.String).gather(question_N),
            "value": value.gather(question_N * rows + row_N),
            "nats": nats_BT[is_told_BT].astype(np.float32),
        }
    )
    ends_B = np.cumsum(is_told_BT.sum(axis=1))
    lists = pa.LargeListArray.from_arrays(np.r_[0, ends_B], told.to_struct("").to_arrow())
    return pl.Series("reasons", lists, dtype=pl.List(REASON))
