"""The untrained one-liners that every method has to beat: how rare a pair has been so far, how long a name is."""

from collections.abc import Callable

import polars as pl

from features.events import Domain
from features.texts import base_name, joined

Naive = Callable[[pl.DataFrame], pl.Series]


def pair_rarity(*texts: pl.Expr) -> Naive:
    """-log of the share that the texts, taken together, have had so far, this event included."""
    return lambda events: events.select(_nats(joined(*texts))).to_series()


def added_rarity(value: pl.Expr, given: pl.Expr) -> Naive:
    """-log share of the value so far, and of the value among its `given`."""

    def score(events: pl.DataFrame) -> pl.Series:
        told = events.select(value=value.fill_null(""), given=given.fill_null(""))
        return told.select(_nats(pl.col("value")) + _nats(pl.col("value"), pl.col("given"))).to_series()

    return score


def length(text: pl.Expr) -> Naive:
    """How many characters a text has."""
    return lambda events: events.select(text.str.len_chars().fill_null(0).cast(pl.Float64)).to_series()


def _nats(value: pl.Expr, given: pl.Expr | None = None) -> pl.Expr:
    counted = pl.int_range(1, pl.len() + 1).cast(pl.Float64)
    if given is None:
        return -(counted.over(value.fill_null("")) / counted).log()
    return -(counted.over(given, value.fill_null("")) / counted.over(given)).log()


_operation = joined(pl.col("api_service_name"), pl.col("api_operation"))

#: The one-liner of each domain, where a set has none of its own.
NAIVE: dict[Domain, Naive] = {
    Domain.NETWORK: pair_rarity(pl.col("dst_endpoint_ip"), pl.col("dst_endpoint_port").cast(pl.String)),
    Domain.DNS: pair_rarity(pl.col("query_hostname").str.extract(r"([^.]+\.[^.]+)$")),
    Domain.WEB: pair_rarity(pl.col("http_request_url_path")),
    Domain.ENDPOINT: pair_rarity(
        base_name(pl.col("process_file_path").str.to_lowercase()),
        base_name(pl.col("actor_process_file_path").str.to_lowercase()),
    ),
    Domain.IDENTITY: added_rarity(joined(pl.col("event_code"), pl.col("src_endpoint_ip")), pl.col("user_name")),
    Domain.CLOUD: added_rarity(_operation, pl.col("actor_user_name")),
}
