"""Cloud: which principal calls which operation, from where, on what."""

import polars as pl

from agents import alerts
from agents.omission import OMISSION
from agents.recipe import Recipe
from features.events import Domain
from features.texts import joined, network_of
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.peers import Peers
from features.words.rarity import Rarity
from models.offline import Ask

_operation = joined(pl.col("api_service_name"), pl.col("api_operation"))

RECIPE = Recipe(
    domain=Domain.CLOUD,
    principal="user",
    fields=alerts.FIELDS
    | {
        "kind": joined(pl.col("actor_user_type"), pl.col("status")),
        "user": pl.col("actor_user_name"),
        "type": pl.col("actor_user_type"),
        "service": pl.col("api_service_name"),
        "operation": _operation,
        "error": pl.col("api_response_error"),
        "region": pl.col("cloud_region"),
        "network": network_of(pl.col("src_endpoint_ip")),
        "agent": pl.col("http_request_user_agent").str.replace_all(r"\d+(\.\d+)*", "*"),
        "resource": pl.col("resource_name").str.replace_all(r"[0-9a-f]{8,}|\d+", "*"),
        "mfa": pl.col("is_mfa"),
    },
    words=(
        *alerts.WORDS,
        Rarity("operation", given="user"),
        Rarity("user", given="operation"),
        Rarity("type", given="operation"),
        Rarity("network", given="user"),
        Rarity("agent", given="user"),
        Rarity("region", given="user"),
        Rarity("error"),
        Rarity("error", given="user"),
        Rarity("error", given="operation"),
        Rarity("resource", given="user"),
        Rarity("mfa", given="user"),
        Peers("agent", of="user"),
        Fan("operation", per="user"),
        Fan("service", per="user"),
        Fan("resource", per="user"),
        Burst("operation", per="user"),
    ),
    added=(OMISSION,),
    asks=(
        Ask("operation", given=("kind", "service")),
        Ask("agent", given=("user",)),
        Ask("region", given=("user",)),
        Ask("network", given=("user",)),
        Ask("mfa", given=("operation", "kind")),
    ),
)
