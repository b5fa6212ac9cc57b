"""DNS: who asks for which names, how the names look, and what was answered."""

import polars as pl

from agents import alerts
from agents.omission import OMISSION
from agents.recipe import Recipe
from features.events import Domain
from features.registered import registered_domain
from features.texts import base_name, letters, size
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.rarity import Rarity
from features.words.regularity import Regular
from features.words.spelling import Spelling
from models.offline import Ask

_name = pl.col("query_hostname")
_site = registered_domain(_name)
_label = _name.str.extract(r"^([^.]+)")

RECIPE = Recipe(
    domain=Domain.DNS,
    principal="client",
    fields=alerts.FIELDS
    | {
        "kind": pl.coalesce("query_type", "activity_name"),
        "client": pl.coalesce("src_endpoint_ip", "device_hostname"),
        "name": _name,
        "site": _site,
        "ending": _name.str.extract(r"([^.]+)$"),
        "length": size(_name.str.len_chars()),
        "label length": _label.str.len_chars().cast(pl.String),
        "letters": letters(_site),
        "rcode": pl.col("rcode"),
        "answered": size(pl.col("answers").str.len_chars()),
        "program": base_name(pl.col("actor_process_file_path")),
    },
    words=(
        *alerts.WORDS,
        Rarity("site"),
        Rarity("site", given="client"),
        Rarity("ending"),
        Rarity("kind", given="client"),
        Rarity("rcode", given="client"),
        Rarity("program", given="site"),
        Fan("name", per="site"),
        Fan("site", per="client"),
        Burst("site", per="client"),
        Regular("site", per="client"),
    ),
    added=((Spelling("name"), 0.8), OMISSION),
    asks=(
        Ask("label length", given=("site", "kind")),
        Ask("letters", given=("ending",)),
        Ask("rcode", given=("kind", "ending")),
        Ask("answered", given=("kind", "rcode")),
    ),
)
