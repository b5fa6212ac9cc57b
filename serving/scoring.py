"""Logs in, a verdict for each event out, in the order of the input."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import polars as pl

from agents.keeping import fresh_mesh, mesh_from
from agents.mesh import Mesh
from agents.verdicts import ENTITY_KINDS, VERDICTS
from features.files import check_paths
from features.logs import Logs, cut, read_logs
from features.mistakes import AskedWrong
from features.reading import Chunk
from models.registry import CHAMPION, NoRegistry, Registry
from models.releases import NAME, find, load

#: The columns of a file of verdicts, in order.
COLUMNS = (
    *("source", "member", "line", "time", "domain", "uid", *ENTITY_KINDS),
    *("p_online", "p_offline", "p", "evidence", "reasons", "seq", "activity", "release"),
)

#: Hears how far a step has come: its name, how much is done, and of how much, where that is known.
Told = Callable[[str, int, int | None], None]

_BATCH = 50_000
_FOUND_CHARS = 60
_REMEDIES = {
    "file": ", or leave it out",
    "format": "; if it is one of them, name it with --format",
    "log": "; nothing to mend",
}


class UnusableOutput(AskedWrong):
    """The caller named an output that cannot be written, or must not be."""


@dataclass(frozen=True)
class Loaded:
    """A mesh ready to score, the number of the release it comes from, and what its user should know."""

    mesh: Mesh
    release: int | None
    warning: str | None


@dataclass(frozen=True)
class Scored:
    """Verdicts and refused records, both in the order of the input, and what their reader should know."""

    verdicts: pl.DataFrame
    refused: pl.DataFrame
    release: int | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """The files a run left: the one asked for and, where records were refused, the one that lists them.

    `removed` is whether an older list of refused records was taken away, because now there are none.
    """

    output: Path
    refused: Path | None
    removed: bool

    def in_words(self) -> str:
        """Where things are now."""
        beside = refused_beside(self.output)
        listed = f"refused records are listed in {beside}" if self.refused else "no record was refused"
        return f"wrote {self.output}; {listed}" + (f"; the older {beside} is gone" if self.removed else "")


def score(
    paths: Sequence[str | Path],
    *,
    registry: Registry,
    format: str = "auto",
    called: Mapping[str, str] | None = None,
    told: Told = lambda step, done, whole: None,
) -> Scored:
    """Score the logs at `paths` with the champion release, or with online models alone where there is none.

    `called` gives paths another name in `source`. Raises UnreadablePath and UnknownFormat for what was asked, and
    BundleRefused or NoRegistry for a champion that is not as it was judged: that one never scores.
    """
    check_paths(paths)
    loaded = champion_mesh(registry)
    logs = renamed(read_logs(paths, format, _counting(told)), called or {})
    verdicts = in_input_order(judge(loaded.mesh, logs, told), logs.places)
    warnings = [*([loaded.warning] if loaded.warning else _lacks(verdicts, loaded.release)), *_nothing(paths, logs)]
    return Scored(verdicts, logs.refused, loaded.release, tuple(warnings))


def champion_mesh(registry: Registry) -> Loaded:
    """The champion's mesh, or one that knows nothing where nothing was trained or promoted.

    Raises BundleRefused or NoRegistry if the champion is damaged or incomplete.
    """
    try:
        number = registry.alias(NAME, CHAMPION)
    except NoRegistry as absent:
        return Loaded(fresh_mesh(), None, f"{absent}; until then the online models score alone")
    if number is None:
        remedy = "train and promote one with `secmesh train`; until then the online models score alone"
        return Loaded(fresh_mesh(), None, f"no champion in {registry.database}: {remedy}")
    return Loaded(mesh_from(load(registry, find(registry, number)), number), number, None)


def judge(mesh: Mesh, logs: Logs, told: Told = lambda step, done, whole: None) -> pl.DataFrame:
    """The verdicts on some logs, in the order of the log; `mesh` learns on the way."""
    whole = sum(frame.height for frame in logs.events.values())
    parts, done = [pl.DataFrame(schema=VERDICTS)], 0
    for batch in cut(logs.events, _BATCH):
        parts.append(mesh.observe(batch))
        done += parts[-1].height
        told("scoring", done, whole)
    return pl.concat(parts)


def renamed(logs: Logs, called: Mapping[str, str]) -> Logs:
    """The same logs, their sources under the names that people know them by."""
    if not called:
        return logs
    source = pl.col("source").replace(dict(called))
    events = {domain: frame.with_columns(source) for domain, frame in logs.events.items()}
    return replace(
        logs, events=events, refused=logs.refused.with_columns(source), places=logs.places.with_columns(source)
    )


def in_input_order(verdicts: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Verdicts by the place of their log in the input, then by line."""
    placed = verdicts.join(places, on=["source", "member"], how="left", nulls_equal=True)
    return placed.sort("place", "line", "seq").select(COLUMNS)


def check_output(output: Path, paths: Sequence[str | Path]) -> None:
    """Raise UnusableOutput before any work is done for a file that could not be kept; its folder is made."""
    if output.is_dir():
        raise UnusableOutput(f"{output}: is a folder; name a file in it as --output")
    for target in (output, refused_beside(output)):
        if target.exists() and not target.is_file():
            raise UnusableOutput(f"{target}: not a regular file; name another --output")
        if any(target.exists() and target.samefile(path) for path in paths if Path(path).exists()):
            raise UnusableOutput(f"{target}: is one of the logs to read; name another --output")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableOutput(f"{output.parent}: no folder can be made ({error.strerror}); name another") from error
    if not os.access(output.parent, os.W_OK):
        raise UnusableOutput(f"{output.parent}: not writable for this user; name another --output")


def keep_verdicts(scored: Scored, output: Path) -> Kept:
    """Write the verdicts as Parquet, and the refused records beside them; the same verdicts give the same bytes."""
    return keep_beside(scored.refused, output, scored.verdicts.write_parquet)


def keep_beside(refused: pl.DataFrame, output: Path, write: Callable[[IO[bytes]], object]) -> Kept:
    """Have `write` fill `output`, and list `refused` beside it; a list from before goes if there is nothing to list."""
    beside = refused_beside(output)
    removed = refused.is_empty() and beside.exists()
    if refused.is_empty():
        beside.unlink(missing_ok=True)
    else:
        _write_whole(beside, refused.write_ndjson)
    _write_whole(output, write)
    return Kept(output, None if refused.is_empty() else beside, removed)


def refused_beside(output: Path) -> Path:
    """Where the refused records of a run are listed.

    >>> refused_beside(Path("out/verdicts.parquet")).name
    'verdicts.refused.ndjson'
    """
    return output.with_name(f"{output.stem}.refused.ndjson")


def refusals_in_words(refused: pl.DataFrame, format: str = "auto", most: int = 10) -> list[str]:
    """Each kind of refusal in one line: where it was first met, what was expected, what helps, and how many more."""
    kinds = refused.group_by("source", "member", "field", "reason", maintain_order=True).agg(
        pl.len(), pl.col("line").first(), pl.col("value").first()
    )
    told = [_in_words(kind, format) for kind in kinds.head(most).iter_rows(named=True)]
    rest = kinds.slice(most)
    return told + ([f"and {rest['len'].sum():,} more, for {rest.height:,} other reasons"] if rest.height else [])


def _in_words(kind: dict[str, Any], format: str) -> str:
    member = f" ({kind['member']})" if kind["member"] else ""
    line = "" if kind["line"] is None else f", line {kind['line']}"
    found = "" if kind["value"] is None else f" [found {kind['value'][:_FOUND_CHARS]!r}]"
    more = f" [and {kind['len'] - 1:,} like it]" if kind["len"] > 1 else ""
    mend = "; mend or drop the record" if format == "auto" else "; mend the record, or try --format auto"
    remedy = _REMEDIES.get(kind["field"], mend)
    return f"{kind['source']}{member}{line}: {kind['field']}: {kind['reason']}{remedy}{found}{more}"


def _counting(told: Told) -> Callable[[Chunk], None]:
    """Tell of records read, chunk by chunk."""
    done = 0

    def count(chunk: Chunk) -> None:
        nonlocal done
        done += chunk.records
        told("reading", done, None)

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


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make `path` appear at once and whole, or not at all."""
    path = path.resolve()
    growing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with growing.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        growing.replace(path)
        _sync_folder(path.parent)
    finally:
        growing.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some network file systems cannot
        os.fsync(descriptor)
    os.close(descriptor)
