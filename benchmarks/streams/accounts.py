"""Streams of what accounts did in the cloud: ten weeks of Office 365, and an afternoon of AWS."""

from functools import cache
from pathlib import Path

import polars as pl

from benchmarks.cloud import masked
from benchmarks.streams.stream import Stream, View, by_event, by_unit
from features.events import Domain
from features.logs import read_logs


def office365(data: Path) -> Stream:
    """A small company's audit log, in which five incidents were found; judged by user and day."""
    folder = data / "identity/o365"
    events = read_logs([folder / "ual.jsonl.gz"]).events
    user = pl.coalesce("user_name", "actor_user_name")

    @cache
    def incidents() -> pl.DataFrame:
        told = pl.read_csv(folder / "incidents.csv", try_parse_dates=True)
        days = told.with_columns(day=pl.date_ranges("first_day", "last_day")).explode("day")
        users = days.with_columns(user=pl.col("users").str.split(" ")).explode("user")
        return users.select("day", "user", bad=True).unique()

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        named = scored.with_columns(user=user, day=pl.col("time").dt.date())
        joined = named.join(incidents(), on=["user", "day"], how="left", maintain_order="left")
        return joined.filter(pl.col("user").is_not_null()).with_columns(pl.col("bad").fill_null(False))

    return Stream("o365", events, (View("user, day", by_unit(labelled, pl.col("user"), pl.col("day"))),))


def aws(data: Path) -> Stream:
    """CloudTrail of an attack emulation, masked as `benchmarks.cloud` says."""
    folder = data / "cloud/aws"
    labels = pl.read_csv(folder / "labels.csv")
    events = masked(read_logs([folder / "cloudtrail.jsonl.gz"]).events[Domain.CLOUD], labels)
    bad = labels.select(uid="eventID", bad=pl.col("phase") == "detonate").unique("uid")

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        return scored.join(bad, on="uid", how="left", maintain_order="left")

    return Stream("aws", {Domain.CLOUD: events}, (View("event", by_event(labelled)),))
