"""Web: who requests what of a site, how, and what was answered."""

import polars as pl

from agents import alerts
from agents.omission import OMISSION
from agents.recipe import Recipe
from features.events import Domain
from features.texts import folder, joined, network_of, size, template
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.rarity import Rarity
from models.offline import Ask

_path = pl.col("http_request_url_path").str.to_lowercase()
_template = template(pl.col("http_request_url_path"))

RECIPE = Recipe(
    domain=Domain.WEB,
    principal="client",
    fields=alerts.FIELDS
    | {
        "kind": joined(pl.col("http_request_http_method"), pl.col("http_response_code").cast(pl.String)),
        "client": pl.col("src_endpoint_ip"),
        "network": network_of(pl.col("src_endpoint_ip")),
        "site": pl.col("dst_endpoint_hostname"),
        "path": _template,
        "folder": folder(_template),
        "ending": _path.str.extract(r"\.([a-z0-9]{1,5})$"),
        "parameters": pl.col("http_request_url_query_string").str.replace_all(r"=[^&]*", "="),
        "query length": size(pl.col("http_request_url_query_string").str.len_chars()),
        "odd characters": pl.coalesce(pl.col("http_request_url_query_string"), _path)
        .str.replace_all(r"[\w\-./&=?%+]", "")
        .str.len_chars()
        .cast(pl.String),
        "agent": pl.col("http_request_user_agent").str.replace_all(r"\d+(\.\d+)*", "*"),
        "answered": size(pl.col("http_response_length")),
    },
    words=(
        *alerts.WORDS,
        Rarity("path"),
        Rarity("kind", given="path"),
        Rarity("kind", given="client"),
        Rarity("parameters", given="path"),
        Rarity("odd characters"),
        Rarity("agent"),
        Rarity("agent", given="network"),
        Rarity("answered", given="path"),
        Rarity("query length", given="path"),
        Fan("path", per="client"),
        Burst("kind", per="client"),
    ),
    added=(OMISSION,),
    asks=(
        Ask("kind", given=("path",)),
        Ask("ending", given=("folder",)),
        Ask("answered", given=("path", "kind")),
        Ask("agent", given=("network",)),
    ),
)
