"""Identity: who logs on where, from where and how, and who changes accounts and groups."""

import polars as pl

from agents import alerts
from agents.omission import OMISSION
from agents.recipe import Recipe
from features.events import Domain
from features.texts import base_name, joined, network_of
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.habit import Habit
from features.words.peers import Peers
from features.words.rarity import Rarity
from models.offline import Ask

RECIPE = Recipe(
    domain=Domain.IDENTITY,
    principal="user",
    fields=alerts.FIELDS
    | {
        "kind": joined(pl.col("activity_name"), pl.col("status")),
        "activity": joined(pl.col("activity_name"), pl.col("logon_type"), pl.col("status")),
        "user": pl.col("user_name"),
        "actor": pl.col("actor_user_name"),
        "host": pl.col("device_hostname"),
        "address": pl.col("src_endpoint_ip"),
        "network": network_of(pl.col("src_endpoint_ip")),
        "protocol": joined(pl.col("auth_protocol"), pl.col("logon_type")),
        "service": pl.col("service_name"),
        "group": pl.col("group_name"),
        "program": base_name(pl.col("actor_process_file_path")),
    },
    words=(
        *alerts.WORDS,
        Rarity("kind"),
        Rarity("user"),
        Rarity("address"),
        Rarity("activity", given="user"),
        Rarity("host", given="user"),
        Rarity("user", given="host"),
        Rarity("network", given="user"),
        Rarity("protocol", given="user"),
        Rarity("service", given="user"),
        Rarity("group", given="actor"),
        Rarity("program", given="kind"),
        Peers("network", of="user"),
        Habit("user"),
        Fan("user", per="address"),
        Fan("service", per="user"),
        Burst("kind", per="address"),
        Burst("address"),
    ),
    added=(OMISSION,),
    asks=(
        Ask("activity", given=("host",)),
        Ask("protocol", given=("activity", "service")),
        Ask("network", given=("user",)),
    ),
)
