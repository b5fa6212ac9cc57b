"""Every data set of the comparison, read and cut in two.

Labels tell which rows are judged bad. Where the past is said to be thinned, they also tell which rows are left out of
it; no method sees them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.otrf import captures
from benchmarks.tables.table import Table, halves
from benchmarks.tables.texts import counted, pair_nats, pairs_of
from features.entities import folded_path
from features.events import Domain
from features.logs import read_logs
from features.texts import base_name, folder, shape

#: The share of bad rows in a past that would else be mostly bad.
_THINNED = 0.1
_WINDOW = 600


def nsl_kdd(data: Path) -> Table:
    """Connections of a simulated network of 1998, in the file's order."""
    names = [f"field_{place}" for place in range(41)] + ["label", "difficulty"]
    path = data / "network/nsl_kdd/KDDTrain+_20Percent.txt.gz"
    rows = pl.read_csv(path, has_header=False, new_columns=names)
    fields = rows.select(pl.exclude("label", "difficulty")).with_columns(pl.col(pl.Int64).cast(pl.Float64))
    bad_N = (rows["label"] != "normal").to_numpy()
    return halves("NSL-KDD", fields, bad_N, "first half of the file to second")


def adbench_http(data: Path) -> Table:
    """HTTP connections of KDD 1999 by three numbers, in the file's order."""
    kept = np.load(data / "network/adbench/16_http.npz")
    rows = pl.DataFrame(kept["X"], schema=["duration", "sent", "received"])
    return halves("adbench http", rows, kept["y"].astype(bool), "first half of the file to second")


def http_params(data: Path) -> Table:
    """Values of parameters of web requests, of which two in five attack."""
    rows = pl.read_csv(data / "web/http_params/payload_train.csv.gz")
    rows = rows.select(text=pl.col("payload").cast(pl.String).fill_null(""), bad=pl.col("label") == "anom")
    return _of_texts("http_params", _shuffled(rows), "random half to the other")


def generated_names(data: Path) -> Table:
    """Names that people chose and names that malware made, which are more than half."""
    path = data / "dns/dga_sample/dga_domains_sample_dev.csv.gz"
    rows = pl.read_csv(path, has_header=False, new_columns=["class", "family", "domain"])
    rows = rows.select(text=pl.col("domain").str.to_lowercase(), bad=pl.col("class") == "dga")
    return _of_texts("dga names", _shuffled(rows), "random half to the other, past thinned to one bad in ten")


def creations(data: Path) -> Table:
    """Process creations on Windows hosts under attack; a capture lies in one half as a whole."""
    archives = data / "endpoint/otrf"
    labels = pl.read_parquet(archives / "labels.parquet", columns=["capture", "line", "ts", "mal", "tail"])
    paths = {str(path): name for name, path in captures(archives, labels)}
    read = [read_logs([Path(path)]).events for path in paths]
    events = pl.concat([part[Domain.ENDPOINT] for part in read if Domain.ENDPOINT in part])
    asked = events.filter(pl.col("event_code").is_in(["sysmon/1", "security/4688"]))
    named = asked.with_columns(capture=pl.col("source").replace_strict(paths))
    told = named.join(labels, on=["capture", "line"], how="left", maintain_order="left")
    told = told.filter(pl.col("mal").is_not_null() & ~pl.col("tail"))
    names = sorted(paths.values())
    drawn = np.random.default_rng(0).permutation(len(names))[: len(names) // 2]
    is_past = told["capture"].is_in([names[i] for i in drawn])
    fields, bad_N = _launches(told), told["mal"].to_numpy().astype(bool)
    past_N = is_past.to_numpy()
    return Table(
        "OTRF", "OTRF", fields.filter(is_past), fields.filter(~is_past), bad_N[~past_N],
        "random half of the captures to the other", float(bad_N[past_N].mean()),
    )  # fmt: skip


def _launches(events: pl.DataFrame) -> pl.DataFrame:
    image, parent = folded_path(pl.col("process_file_path")), folded_path(pl.col("actor_process_file_path"))
    command = pl.col("process_cmd_line")
    return events.select(
        "event_code", "device_hostname", "actor_user_name", "process_integrity",
        image=base_name(image), image_folder=folder(image), parent=base_name(parent), parent_folder=folder(parent),
        command=shape(command), length=command.str.len_chars().cast(pl.Float64),
    )  # fmt: skip


def alerts(data: Path, network: str) -> Table:
    """How often each kind of alert came, by host and ten minutes, over the days of a network."""
    with ZipFile(data / "alerts/ait_ads/alerts.zip") as zipped:
        told = pl.read_csv(zipped.read(f"{network}_alerts.txt"), schema_overrides={"time": pl.Float64})
    stage = pl.col("event_label")
    bad = pl.when(~stage.is_in(["-", "dnsteal"])).then(1).when(stage == "dnsteal").then(None).otherwise(0)
    rows = told.select("name", host=pl.coalesce("host", "ip"), window=pl.col("time") // _WINDOW, bad=bad)
    unit = ["window", "host"]
    counts = rows.group_by(*unit, "name", maintain_order=True).len().pivot("name", index=unit, values="len")
    seen = rows.group_by(unit, maintain_order=True).agg(
        pl.len().alias("alerts"), pl.col("name").n_unique().alias("kinds"),
        pl.col("bad").max(), pl.col("bad").is_null().any().alias("unsure"),
    )  # fmt: skip
    units = seen.join(counts, on=unit).sort(unit).filter((pl.col("bad") == 1) | ~pl.col("unsure"))
    bad_N = (units["bad"] == 1).to_numpy()
    fields = units.select("host", pl.exclude(*unit, "bad", "unsure").fill_null(0).cast(pl.Float64))
    middle = int((units["window"] < (units["window"].min() + units["window"].max()) / 2).sum())  # type: ignore[operator]
    return Table(
        f"AIT-ADS {network}", "AIT-ADS", fields[:middle], fields[middle:], bad_N[middle:],
        "first half of the days to second", float(bad_N[:middle].mean()),
    )  # fmt: skip


#: How each set is read; raises OSError where its files are absent.
SETS: Mapping[str, Callable[[Path], Table]] = {
    "nsl_kdd": nsl_kdd,
    "http": adbench_http,
    "http_params": http_params,
    "dga": generated_names,
    "otrf": creations,
    **{f"ait_ads {name}": partial(alerts, network=name) for name in ("fox", "santos", "wardbeck")},
}


def _shuffled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows[np.random.default_rng(0).permutation(rows.height)]


def _of_texts(name: str, rows: pl.DataFrame, cut: str) -> Table:
    """Numbers of each text; the chances of its pairs of letters are those of the past."""
    middle = rows.height // 2
    past, later = _mostly_good(rows[:middle]), rows[middle:]
    pairs = pairs_of(past["text"])
    return Table(
        name, name, _numbers(past["text"], pairs), _numbers(later["text"], pairs), _bad(later), cut,
        float(_bad(past).mean()),
    )  # fmt: skip


def _mostly_good(rows: pl.DataFrame) -> pl.DataFrame:
    bad_N = _bad(rows)
    if bad_N.mean() < 0.5:
        return rows
    allowed = int((~bad_N).sum() * _THINNED / (1 - _THINNED))
    return rows.filter(pl.Series(~bad_N | (np.cumsum(bad_N) <= allowed)))


def _numbers(texts: pl.Series, pairs: Mapping[str, int]) -> pl.DataFrame:
    nats = np.array(pair_nats(texts, pairs))
    numbers = pl.DataFrame({"text": texts}).select(**counted(pl.col("text")))
    return numbers.with_columns(pair_nats=nats[:, 0], worst_pair=nats[:, 1])


def _bad(rows: pl.DataFrame) -> NDArray[np.bool_]:
    return rows["bad"].to_numpy().astype(bool)
