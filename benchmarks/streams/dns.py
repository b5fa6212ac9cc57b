"""Streams of names: generated ones among real ones, and tunnels thinned into a crawl."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.streams.frames import framed, labelled_lines
from benchmarks.streams.naive import length
from benchmarks.streams.stream import Stream, View, by_event, by_unit, window
from features.events import TIME, Domain
from features.registered import registered_domain

_THINNED = 50
_BEGINS = timedelta(hours=2)
_TUNNEL_SITE = "ggy666.tk"
_RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_COLUMNS = "ts", "src_ip", "trans_id", "is_response", "rcode", "qname", "answer_rdata_bytes"


def generated(data: Path) -> Stream:
    """Names that malware made and names that people chose, one a second in an order drawn once."""
    path = data / "dns/dga_sample/dga_domains_sample_dev.csv.gz"
    names = pl.read_csv(path, has_header=False, new_columns=["class", "family", "domain"])
    names = names[np.random.default_rng(0).permutation(names.height)]
    events = framed(
        Domain.DNS,
        names,
        path,
        time=pl.lit(datetime(2021, 1, 1, tzinfo=UTC)) + pl.duration(seconds="line"),
        activity_name=pl.lit("query"),
        src_endpoint_ip=pl.lit("10.0.0.1"),
        query_hostname=pl.col("domain").str.to_lowercase(),
    )
    labels = names.with_row_index("line").select(pl.col("line").cast(pl.Int64), bad=pl.col("class") == "dga")
    view = View("name", by_event(labelled_lines(labels)))
    return Stream("dga names", {Domain.DNS: events}, (view,), naive={Domain.DNS: length(pl.col("query_hostname"))})


def tunnel(data: Path, kind: str) -> Stream:
    """One query of a tunnel in fifty, drawn once, moved into a benign crawl two hours after its beginning.

    The same client asks. Drawn by chance, not every fiftieth: that alone would even out the gaps between them.
    """
    folder = data / "dns/graphtunnel"
    benign = _asked(pl.read_parquet(folder / "normal_aug05.parquet", columns=list(_COLUMNS)))
    bad = _asked(pl.read_parquet(folder / f"tunnel_{kind}-cname.parquet", columns=list(_COLUMNS)))
    bad = bad.filter(pl.col("qname").str.ends_with(_TUNNEL_SITE))
    bad = bad.filter(np.random.default_rng(0).random(bad.height) < 1 / _THINNED)
    begins = benign["ts"].min() + _BEGINS.total_seconds() - bad["ts"].min()  # type: ignore[operator]  # never null
    moved = bad.with_columns(pl.col("ts") + begins, src_ip=pl.lit(benign["src_ip"].mode()[0]))
    rows = pl.concat([benign, moved]).sort("ts", maintain_order=True)
    events = framed(
        Domain.DNS,
        rows,
        folder,
        time=pl.from_epoch((pl.col("ts") * 1e6).cast(pl.Int64), "us").cast(TIME),
        activity_name=pl.lit("query"),
        src_endpoint_ip=pl.col("src_ip"),
        query_hostname=pl.col("qname").str.to_lowercase(),
        rcode=pl.col("rcode").replace_strict(_RCODES, default=None, return_dtype=pl.String),
        answers=pl.lit(".").repeat_by("answer_rdata_bytes").list.join(""),
    )
    site = registered_domain(pl.col("query_hostname"))
    is_bad = pl.col("query_hostname").str.ends_with(_TUNNEL_SITE)

    def labelled(scored: pl.DataFrame) -> pl.DataFrame:
        return scored.with_columns(bad=is_bad)

    judge = by_unit(labelled, pl.col("src_endpoint_ip"), site, window())
    view = View("client, site, 10 min", judge, delayed=labelled)
    naive = length(pl.col("query_hostname"))
    return Stream(f"dns tunnel {kind}", {Domain.DNS: events}, (view,), naive={Domain.DNS: naive})


def _asked(messages: pl.DataFrame) -> pl.DataFrame:
    """Queries, each with what the first answer to it said."""
    same = ["trans_id", "qname"]
    queries = messages.filter(~pl.col("is_response")).select("ts", "src_ip", *same)
    answers = messages.filter("is_response").select(*same, "rcode", "answer_rdata_bytes")
    first = answers.unique(same, keep="first", maintain_order=True)
    return queries.join(first, on=same, how="left", maintain_order="left")
