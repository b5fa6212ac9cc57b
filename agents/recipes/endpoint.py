"""Endpoint: which program does what to which object, on which host."""

import polars as pl

from agents import alerts
from agents.omission import OMISSION
from agents.recipe import Recipe
from features.entities import folded_path
from features.events import Domain
from features.texts import base_name, folder, joined, shape
from features.words.peers import Peers
from features.words.rarity import Rarity
from models.offline import Ask

_ON_PROGRAMS = ["launch", "access", "inject"]

_activity = pl.col("activity_name")
_actor = folded_path(pl.col("actor_process_file_path"))
_program = pl.when(_activity.is_in(_ON_PROGRAMS)).then(folded_path(pl.col("process_file_path")))
_object = folded_path(pl.coalesce("module_file_path", "reg_key_path", "file_path"))

RECIPE = Recipe(
    domain=Domain.ENDPOINT,
    principal="host",
    fields=alerts.FIELDS
    | {
        "kind": pl.when(_activity == "launch").then(_activity).otherwise(joined(pl.col("event_code"), _activity)),
        "actor": base_name(_actor),
        "actor folder": folder(_actor),
        "program": base_name(_program),
        "object": base_name(_object),
        "object folder": folder(_object),
        "deed": joined(_activity, base_name(pl.coalesce(_program, _object))),
        "command": pl.when(_activity == "launch").then(shape(pl.col("process_cmd_line"))),
        "host": pl.col("device_hostname"),
    },
    words=(
        *alerts.WORDS,
        Rarity("actor", given="deed"),
        Rarity("actor", given="command"),
        Rarity("actor", given="host"),
        Rarity("actor folder", given="actor"),
        Rarity("object folder", given="actor"),
        Peers("program", of="host"),
    ),
    added=(OMISSION,),
    asks=(
        Ask("actor", given=("kind", "program", "object")),
        Ask("actor folder", given=("actor",)),
    ),
)
