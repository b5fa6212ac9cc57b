"""Verdicts: what an agent says of each event, the only thing that leaves it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.events import ENTITIES, ORIGIN, TIME, Domain

#: The kinds of entity a verdict can name.
ENTITY_KINDS = ("user", "host", "address", "peer", "process")

REASON = pl.Struct({"field": pl.String(), "value": pl.String(), "nats": pl.Float32()})

#: One row an event. `p` is the tail probability of the two models' evidence together, `evidence` = -log p in nats,
#: `p_offline` null where no encoder was loaded; `reasons` has the strangest fields first.
VERDICTS = pl.Schema(
    ORIGIN
    | {"seq": pl.Int64(), "time": TIME, "domain": pl.String(), "uid": pl.String(), "activity": pl.String()}
    | {kind: pl.String() for kind in ENTITY_KINDS}
    | {"p_online": pl.Float64(), "p_offline": pl.Float64(), "p": pl.Float64(), "evidence": pl.Float64()}
    | {"reasons": pl.List(REASON), "release": pl.Int64()}
)

_REASONS = 3


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


def reasons(nats_BR: NDArray[np.float64], names: list[str], values: list[pl.Series]) -> pl.Series:
    """For each event its strangest fields, a list of structs field, value, nats; those under half a nat are left out.

    `nats_BR` (B, R) is what each of R questions found strange about each event, `names` and `values` say which
    question and about what; of two that ask the same the one that found more counts.
    """
    rows = np.arange(nats_BR.shape[0])
    different = list(dict.fromkeys(names))
    nats_BR = np.stack([nats_BR[:, [n == name for n in names]].max(axis=1) for name in different], axis=1)
    values = [values[names.index(name)] for name in different]
    names = different
    order_BR = np.argsort(-nats_BR, axis=1, kind="stable")[:, :_REASONS]
    table = pl.concat([value.rename("value") for value in values])
    ranks = []
    for r in range(order_BR.shape[1]):
        chosen_B = order_BR[:, r]
        frame = pl.DataFrame(
            {
                "field": pl.Series(np.array(names, dtype=object)[chosen_B], dtype=pl.String),
                "value": table.gather(chosen_B * rows.size + rows),
                "nats": nats_BR[rows, chosen_B].astype(np.float32),
            }
        )
        ranks.append(frame.to_struct(f"{r}"))
    listed = pl.DataFrame(ranks).select(pl.concat_list(pl.all()).alias("reasons"))
    telling = pl.element().filter(pl.element().struct.field("nats") >= 0.5)
    return listed.select(pl.col("reasons").list.eval(telling)).to_series()
