"""What every recipe looks at in another detector's alert: which alert it is, overall and for its host."""

import polars as pl

from features.words.rarity import Rarity

FIELDS = {
    "alert": pl.when(pl.col("activity_name") == "alert").then(pl.col("event_code")),
    "alerting host": pl.coalesce("device_hostname", "src_endpoint_ip"),
}

WORDS = (Rarity("alert"), Rarity("alert", given="alerting host"))
