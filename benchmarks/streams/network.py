"""Streams of connections: IoT captures, a scanned network, an industrial one, a benign day, and edges alone."""

import csv
import gzip
from functools import cache
from pathlib import Path

import polars as pl

from benchmarks.streams.frames import framed, labelled_lines
from benchmarks.streams.naive import pair_rarity
from benchmarks.streams.stream import MEAN, Judge, Stream, View, all_good, by_event, by_unit, window
from features.events import TIME, Domain
from features.logs import read_logs


def iot23(data: Path, capture: str) -> Stream:
    """A capture of IoT-23: connections of a few devices, some of them taken over."""
    path = data / f"network/iot23/CTU-Malware-Capture-{capture}-labeled.csv.gz"
    events = read_logs([path]).events

    @cache
    def labels() -> pl.DataFrame:
        told = pl.read_csv(path, columns=["uid", "label"], schema_overrides={"label": pl.String})
        return told.select(uid="conn:" + pl.col("uid"), bad=pl.col("label").str.starts_with("Malicious")).unique("uid")

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        return scored.join(labels(), on="uid", how="left", maintain_order="left")

    views = (View("event", by_event(labelled)), View("10 min", by_unit(labelled, window())))
    return Stream(f"iot23 {capture}", events, views)


def stratosphere(data: Path, day: str) -> Stream:
    """A host on the Internet and everyone who scans it; its own address is told by having benign connections."""
    folder = data / f"network/stratosphere_zeek/{day}-zeek-mixed/data"

    @cache
    def monitored() -> list[str]:
        with gzip.open(folder / "conn.log.labeled.gz", "rt") as lines:
            rows = csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t")
            return sorted({row[2] for row in rows if row[-2] != "Malicious"})

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        return scored.with_columns(bad=~pl.col("src_endpoint_ip").is_in(monitored()))

    source = pl.col("src_endpoint_ip")
    view = View("source host", by_unit(labelled, source, gathered=MEAN))
    return Stream(f"stratosphere {day}", read_logs([folder]).events, (view,))


def westermo(data: Path, tap: str) -> Stream:
    """Flows of an industrial network at one of three taps."""
    path = data / f"network/westermo/reduced_output_{tap}.csv.gz"
    flows = pl.read_csv(path, infer_schema_length=None).sort("start", maintain_order=True)
    events = framed(
        Domain.NETWORK,
        flows,
        path,
        time=pl.from_epoch((pl.col("start") * 1e6).cast(pl.Int64), "us").cast(TIME),
        activity_name=pl.lit("connect"),
        src_endpoint_ip=pl.coalesce("sIPs", "sAddress"),
        dst_endpoint_ip=pl.coalesce("rIPs", "rAddress"),
        connection_info_protocol_name=pl.col("protocol").str.to_lowercase(),
        duration=pl.col("duration"),
        traffic_bytes_out=pl.col("sBytesSum"),
        traffic_bytes_in=pl.col("rBytesSum"),
        traffic_packets_out=pl.col("sPackets"),
        traffic_packets_in=pl.col("rPackets"),
        status_detail=_flags(),
    )
    labelled = _by_row(flows.select(bad=pl.col("NST_M_Label").str.starts_with("BAD")))
    pair = pair_rarity(*(pl.col(n) for n in ("src_endpoint_ip", "dst_endpoint_ip", "connection_info_protocol_name")))
    return Stream(
        f"westermo {tap}", {Domain.NETWORK: events}, (View("event", by_event(labelled)),), naive={Domain.NETWORK: pair}
    )


def _flags() -> pl.Expr:
    """How a connection went, as near as rates of flags tell: a letter for each flag that was seen, by side."""
    flags = {"sSynRate": "S", "sFinRate": "F", "sRstRate": "R", "rSynRate": "s", "rFinRate": "f", "rRstRate": "r"}
    seen = [pl.when(pl.col(name) > 0).then(pl.lit(letter)) for name, letter in flags.items()]
    return pl.when(pl.col("protocol") == "IPV4-TCP").then(pl.concat_str(*seen, ignore_nulls=True))


def benign_day(data: Path) -> Stream:
    """A Linux desktop's day with nothing bad in it: every alarm is false."""
    folder = data / "network/ctu_sme11_2023-02-20_benign"
    return Stream("ctu_sme11", read_logs([folder]).events, (View("event", by_event(all_good), quiet=True),))


def darpa(data: Path) -> Stream:
    """A month of edges between hosts, of which nothing is known but both ends and the minute."""
    path = data / "network/darpa98_midas/darpa_original_dev.parquet"
    edges = pl.read_parquet(path)
    events = framed(
        Domain.NETWORK,
        edges,
        path,
        time=pl.col("ts").str.to_datetime("%m/%d/%Y-%H:%M", time_unit="us", time_zone="UTC"),
        activity_name=pl.lit("connect"),
        src_endpoint_ip=pl.col("src"),
        dst_endpoint_ip=pl.col("dst"),
    )
    labelled = _by_row(edges.select(bad=pl.col("label") != "-"))
    pair = pair_rarity(pl.col("src_endpoint_ip"), pl.col("dst_endpoint_ip"))
    return Stream("darpa", {Domain.NETWORK: events}, (View("edge", by_event(labelled)),), naive={Domain.NETWORK: pair})


def _by_row(labels: pl.DataFrame) -> Judge:
    """Labels that stand in the order of the one domain's events."""
    return labelled_lines(labels.with_row_index("line").cast({"line": pl.Int64}))
