"""Network: who talks to whom, over which service, how much and how often."""

import polars as pl

from agents import alerts
from agents.omission import OMISSION
from agents.recipe import Recipe
from features.events import Domain
from features.texts import base_name, joined, network_of, size
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.rarity import Rarity
from features.words.surge import Surge
from models.offline import Ask

_EPHEMERAL = 49152

_port = pl.col("dst_endpoint_port")
_service = pl.when(_port < _EPHEMERAL).then(_port.cast(pl.String)).otherwise(pl.lit("high"))

RECIPE = Recipe(
    domain=Domain.NETWORK,
    principal="source",
    fields=alerts.FIELDS
    | {
        "kind": joined(pl.col("activity_name"), pl.col("connection_info_protocol_name")),
        "source": pl.coalesce("src_endpoint_ip", "device_hostname"),
        "peer": pl.col("dst_endpoint_ip"),
        "peer network": network_of(pl.col("dst_endpoint_ip")),
        "port": pl.when(_port.is_not_null()).then(_service),
        "service": joined(pl.col("activity_name"), pl.col("app_name")),
        "state": pl.col("status_detail"),
        "sent": size(pl.col("traffic_bytes_out")),
        "received": size(pl.col("traffic_bytes_in")),
        "lasting": size(pl.col("duration")),
        "program": base_name(pl.col("actor_process_file_path")),
    },
    words=(
        *alerts.WORDS,
        Rarity("port", given="source"),
        Rarity("kind"),
        Rarity("kind", given="source"),
        Rarity("source"),
        Rarity("service", given="port"),
        Rarity("state", given="port"),
        Rarity("state", given="source"),
        Rarity("sent", given="port"),
        Rarity("sent", given="source"),
        Rarity("program", given="port"),
        Fan("peer", per="source"),
        Fan("port", per="source"),
        Fan("source", per="peer"),
    ),
    added=((Burst("peer", per="source"), 3.2), OMISSION),
    at_least=((Surge("peer", per="source"), 1.6), (Surge("source"), 1.6), (Surge("peer"), 1.6)),
    asks=(
        Ask("service", given=("kind", "port")),
        Ask("sent", given=("port", "received")),
        Ask("state", given=("kind", "port", "sent")),
        Ask("program", given=("port",)),
    ),
)
