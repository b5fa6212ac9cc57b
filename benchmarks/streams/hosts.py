"""Streams of hosts: Windows event logs of attacks, alerts of other detectors, and a simulated estate."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import polars as pl

from benchmarks.otrf import captures
from benchmarks.streams.frames import labelled_lines
from benchmarks.streams.naive import added_rarity
from benchmarks.streams.stream import Stream, View, by_event, by_unit, kinds_added, window
from features.events import Domain
from features.logs import read_logs
from training.simulation import simulate

_PRODUCTS = {"W": "Wazuh", "A": "AMiner", "S": "Suricata"}
_SOURCES = {
    "Acc": "web access log", "Err": "web error log", "Htt": "http", "Aut": "authentication log", "Mai": "mail log",
    "Sys": "system log", "Cav": "antivirus", "Aud": "audit log", "Dns": "dns log", "Flw": "network flow", "Tls": "tls",
    "Smt": "smtp", "Mon": "monitoring",
}  # fmt: skip
_ESTATE = 2026


def windows(data: Path) -> Stream:
    """The endpoint events of all captures, oldest capture first; process creations alone are scored."""
    folder = data / "endpoint/otrf"
    labels = pl.read_parquet(folder / "labels.parquet", columns=["capture", "line", "ts", "mal", "tail"])
    paths = {str(path): name for name, path in captures(folder, labels)}
    read = [read_logs([path]).events for path in paths]
    events = pl.concat([part[Domain.ENDPOINT] for part in read if Domain.ENDPOINT in part])
    truth = labels.filter(~pl.col("tail")).select("capture", "line", bad="mal")

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        named = scored.with_columns(capture=pl.col("source").replace_strict(paths))
        return named.join(truth, on=["capture", "line"], how="left", maintain_order="left")

    creations = pl.col("event_code").is_in(["sysmon/1", "security/4688"])
    view = View("process creation", by_event(labelled))
    return Stream("otrf", {Domain.ENDPOINT: events}, (view,), asked={Domain.ENDPOINT: creations})


def alerts(data: Path, network: str) -> Stream:
    """Alerts of three detectors over one network; a window's score adds up its distinct kinds of alert."""
    told = alerts_told(data / "alerts/ait_ads/alerts.zip", network)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{network}.ndjson"
        findings(told, network).write_ndjson(path)
        events = read_logs([path]).events
    stage = pl.col("event_label")
    bad = pl.when(~stage.is_in(["-", "dnsteal"])).then(True).when(stage == "dnsteal").then(None).otherwise(False)
    labelled = labelled_lines(told.with_row_index("line").select(pl.col("line").cast(pl.Int64), bad=bad))
    host = pl.coalesce("device_hostname", "src_endpoint_ip")
    judge = by_unit(labelled, host, window(), gathered=kinds_added(pl.col("event_code")))
    naive = added_rarity(pl.col("event_code"), host)
    return Stream(f"ait_ads {network}", events, (View("host, 10 min", judge),), naive=dict.fromkeys(Domain, naive))


def alerts_told(archive: Path, network: str) -> pl.DataFrame:
    """A network's alerts with their labels, oldest first."""
    with ZipFile(archive) as zipped:
        told = pl.read_csv(zipped.read(f"{network}_alerts.txt"), schema_overrides={"time": pl.Float64})
    return told.sort("time", maintain_order=True)


def findings(told: pl.DataFrame, network: str) -> pl.DataFrame:
    """OCSF Detection Findings without labels, as the data set's own `to_ocsf.py` writes them."""
    codes = pl.col("short").str.split("-")
    uid = pl.format(f"{network}-{{}}", pl.int_range(pl.len()))
    product = codes.list.get(0).replace(_PRODUCTS)
    sources = codes.list.get(1).replace_strict(_SOURCES, default="any log")
    return told.select(
        *(pl.lit(value).alias(name) for name, value in (("class_uid", 2004), ("activity_id", 1), ("severity_id", 0))),
        time=(pl.col("time") * 1000).cast(pl.Int64),
        metadata=pl.struct(version=pl.lit("1.4.0"), uid=uid, product=pl.struct(name=product), log_name=pl.col("short")),
        finding_info=pl.struct(uid=uid, title=pl.col("name"), data_sources=pl.concat_list(sources)),
        device=pl.struct(hostname=pl.col("host"), ip=pl.col("ip"), type_id=pl.lit(0)),
    )


def estate(data: Path) -> Stream:
    """A simulated week of sixty people, with three campaigns that no other benchmark plays; no file of `data`."""
    del data
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=_ESTATE)
        events = read_logs(sorted(Path(folder).glob("*.jsonl"))).events
        truth = json.loads((Path(folder) / "truth.json").read_text())

    @cache
    def bad() -> list[str]:
        return [uid for campaign in truth["campaigns"] for uid in campaign["uids"]]

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        return scored.with_columns(bad=pl.col("uid").is_in(bad()))

    return Stream("estate", events, (View("event", by_event(labelled)),))
