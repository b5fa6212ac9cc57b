"""Logs in, a verdict for each event out, in the order of the input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from agents.keeping import fresh_mesh, mesh_from
from agents.mesh import Mesh
from agents.terminal import Told
from agents.verdicts import ENTITY_KINDS, VERDICTS
from features.files import check_paths
from features.logs import Logs, cut, read_logs, renamed
from features.reading import Chunk
from models.registry import CHAMPION, NoRegistry, Registry
from models.releases import NAME, champion, load
from serving.batch.outputs import Kept, keep_beside
from serving.batch.refusals import refuse_none

#: The columns of a file of verdicts, in order.
COLUMNS = (
    *("source", "member", "line", "time", "domain", "uid", *ENTITY_KINDS),
    *("score", "p_online", "p_offline", "p_peers", "p", "evidence", "history", "reasons", "seq", "activity", "release"),
)

_BATCH = 50_000


@dataclass(frozen=True)
class Loaded:
    """A mesh ready to score, the number of the release it comes from, and what its user should know."""

    mesh: Mesh
    release: int | None
    warning: str | None


@dataclass(frozen=True)
class Scored:
    """Verdicts and refused records, both in the order of the input, and what their reader should know.

    `unmapped` says of each format how much of it is in no column, `noticed` what agents have to say of the stream as a
    whole, `spellings` how entities were written (see `Logs`).
    """

    verdicts: pl.DataFrame
    refused: pl.DataFrame
    release: int | None
    warnings: tuple[str, ...]
    unmapped: tuple[str, ...]
    noticed: tuple[str, ...]
    spellings: pl.DataFrame


def score(
    paths: Sequence[str | Path],
    *,
    registry: Registry,
    format: str = "auto",
    called: Mapping[str, str] | None = None,
    told: Told = lambda step, done, whole: None,
    strict: bool = False,
) -> Scored:
    """Score the logs at `paths` with the champion release, or with online models alone where there is none.

    `called` gives paths another name in `source`. Raises UnreadablePath and UnknownFormat for what was asked, Refused
    for the first record refused if `strict`, and BundleRefused or NoRegistry for a champion that is not as it was
    judged: that one never scores.
    """
    check_paths(paths)
    loaded = champion_mesh(registry)
    logs = renamed(read_logs(paths, format, _counting(told, format, strict)), called or {})
    verdicts = in_input_order(judge(loaded.mesh, logs, told), logs.places)
    warnings = [*([loaded.warning] if loaded.warning else _lacks(verdicts, loaded.release)), *_nothing(paths, logs)]
    unmapped = tuple(logs.coverage.in_words())
    noticed = tuple(loaded.mesh.notices())
    return Scored(verdicts, logs.refused, loaded.release, tuple(warnings), unmapped, noticed, logs.spellings)


def champion_mesh(registry: Registry) -> Loaded:
    """The champion's mesh, or one that knows nothing where nothing was trained or promoted.

    Raises BundleRefused, NoRegistry or KeyRefused if the champion is damaged, incomplete, or another than was promoted.
    """
    try:
        registry.alias(NAME, CHAMPION)
    except NoRegistry as absent:
        return Loaded(fresh_mesh(), None, f"{absent}; until then the online models score alone")
    release = champion(registry)
    if release is None:
        remedy = "train and promote one with `secmesh train`; until then the online models score alone"
        return Loaded(fresh_mesh(), None, f"no champion in {registry.database}: {remedy}")
    return Loaded(mesh_from(load(registry, release), release.number), release.number, None)


def keep_verdicts(scored: Scored, output: Path) -> Kept:
    """Write the verdicts as Parquet, and the refused records beside them; the same verdicts give the same bytes."""
    return keep_beside(scored.refused, output, scored.verdicts.write_parquet)


def judge(mesh: Mesh, logs: Logs, told: Told = lambda step, done, whole: None) -> pl.DataFrame:
    """The verdicts on some logs, in the order of the log; `mesh` learns on the way."""
    whole = sum(frame.height for frame in logs.events.values())
    parts, done = [pl.DataFrame(schema=VERDICTS)], 0
    for batch in cut(logs.events, _BATCH):
        parts.append(mesh.observe(batch))
        done += parts[-1].height
        told("scoring", done, whole)
    return pl.concat(parts)


def in_input_order(verdicts: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Verdicts by the place of their log in the input, then by line."""
    placed = verdicts.join(places, on=["source", "member"], how="left", nulls_equal=True)
    return placed.sort("place", "line", "seq").select(COLUMNS)


def records(verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    """Verdicts as plain values for JSON."""
    entities = pl.struct(ENTITY_KINDS).alias("entities")
    return verdicts.select("seq", "uid", "domain", entities, "p", "evidence", "reasons", "release").to_dicts()


def _counting(told: Told, format: str, strict: bool) -> Callable[[Chunk], None]:
    """Tell of records read, chunk by chunk; stop at the first refused if `strict`."""
    done = 0

    def count(chunk: Chunk) -> None:
        nonlocal done
        done += chunk.records
        told("reading", done, None)
        if strict:
            refuse_none(chunk.refused, format)

    return count


def _lacks(verdicts: pl.DataFrame, release: int | None) -> list[str]:
    """Domains that were scored by an agent of no release."""
    lacking = sorted(verdicts.filter(pl.col("release").is_null())["domain"].unique())
    names = " ".join(lacking)
    remedy = f"train it with `secmesh train {names}`; until then online models score it alone"
    return [f"release {release} has no model of {', '.join(lacking)}: {remedy}"] if lacking else []


def _nothing(paths: Sequence[str | Path], logs: Logs) -> list[str]:
    """Say so where there was not even something to refuse."""
    if logs.events or logs.refused.height:
        return []
    return [f"{', '.join(map(str, paths))}: no log there; name a file, an archive or a folder that holds some"]
