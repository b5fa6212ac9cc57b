"""Old entries of an event log, their events as Parquet files of each domain that a training reads as they are.

A segment is a run of entries. Its events are in `lake/<domain>/<first position>-<last position>.parquet`; what else its
entries say is in a list of the same name beside the lake, which names the files with their SHA-256. The list comes
first and the log names it last, in the transaction that removes the entries: until then, what is here is not counted.
"""

import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import polars as pl
import zstandard

from features import parquet
from features.events import Domain
from features.logs import Events
from features.whole_files import sync, sync_folder
from serving.stream.log_entries import DamagedLog, Entry, Kept, Kind, Place, behind, digest, moment
from serving.stream.packing import packed, unpacked

_LIST = re.compile(r"\d{12}-\d{12}\.entries")


@dataclass(frozen=True)
class Segment:
    """Entries behind `before` up to `last`, and the SHA-256 of their list."""

    before: Place
    last: Place
    sha256: bytes

    @property
    def name(self) -> str:
        """Its files' name."""
        return f"{self.before.position + 1:012}-{self.last.position:012}"


class _Listed(msgspec.Struct, frozen=True):
    """An entry without its events; `rows` says how many of each domain are its."""

    kind: Kind
    accepted: int
    principal: str
    tenant: str
    key: str | None
    events: int
    digest: bytes
    payload: bytes
    rows: dict[Domain, int]


class _List(msgspec.Struct, frozen=True):
    """The entries of a segment, the hash behind them, and the SHA-256 of each domain's file."""

    chain: bytes
    files: dict[Domain, bytes]
    entries: list[_Listed]


class Lake:
    """The folder with the events, and the one beside it with the lists."""

    def __init__(self, folder: Path) -> None:
        self._events, self._lists = folder, folder.with_name(f"{folder.name}-entries")
        self._growing = self._lists / "growing"
        self._last: _Loaded | None = None

    def write(self, before: Place, kept: Sequence[Kept], step: Callable[[str], None]) -> Segment:
        """Put entries that come next after `before` on disk, all of them safely. `step` hears of each step.

        Raises DamagedLog if files of that name are there, and OSError.
        """
        batches = [unpacked(one.entry.payload) if one.entry.kind is Kind.EVENTS else {} for one in kept]
        shutil.rmtree(self._growing, ignore_errors=True)
        self._growing.mkdir(parents=True)
        files = {domain: self._grow(domain, batches) for domain in Domain if any(domain in part for part in batches)}
        listed = _List(
            kept[-1].place.chain, files, [_listed(one.entry, part) for one, part in zip(kept, batches, strict=True)]
        )
        content = zstandard.ZstdCompressor().compress(msgspec.json.encode(listed))
        segment = Segment(before, kept[-1].place, digest(content))
        step("grown")
        self._put(self._list(segment), self._grown("list", lambda file: file.write(content)))
        step("listed")
        for domain in files:
            self._put(self._path(domain, segment.name), self._growing / domain)
            step(f"put {domain}")
        sync_folder(self._events.parent)
        return segment

    def read(self, segment: Segment, after: Place) -> Iterator[Kept]:
        """The entries of a segment behind `after`. Raises DamagedLog."""
        loaded = self._loaded(segment)
        number = after.position - segment.before.position
        if loaded.places[number] != after:
            raise DamagedLog(f"{self._list(segment)}: position {after.position} is not as it was read before")
        for at in range(number, len(loaded.entries)):
            yield Kept(loaded.places[at + 1], loaded.entry(at))

    def place(self, segment: Segment, position: int) -> Place:
        """The place at a position in a segment. Raises DamagedLog."""
        return self._loaded(segment).places[position - segment.before.position]

    def forget(self) -> None:
        """No longer hold the segment that was read last."""
        self._last = None

    def clear(self, base: Place, chain_at: Callable[[int], bytes]) -> None:
        """Remove what a crash left behind `base`. Raises DamagedLog if it is of another log, by its chain."""
        for path in sorted(self._lists.glob("*.entries")) if self._lists.exists() else []:
            first, last = (int(part) for part in path.stem.split("-")) if _LIST.fullmatch(path.name) else (0, 0)
            if first <= base.position:
                continue
            listed = _decoded(path, path.read_bytes())
            if chain_at(last) != listed.chain:
                raise DamagedLog(f"{path}: position {last} is of another log; move that lake elsewhere")
            for file in (*(self._path(domain, path.stem) for domain in listed.files), path):
                if file.exists():
                    file.unlink()
                    sync_folder(file.parent)

    def _path(self, domain: Domain, name: str) -> Path:
        return self._events / domain / f"{name}.parquet"

    def _grow(self, domain: Domain, batches: Sequence[Events]) -> bytes:
        """Write the file of a domain where nobody reads it; its SHA-256."""
        frame = pl.concat([part[domain] for part in batches if domain in part])

        def write(file: io.BufferedWriter) -> None:
            with parquet.Writer(file, domain) as writer:
                writer.write(frame)

        return digest(self._grown(domain, write).read_bytes())

    def _grown(self, name: str, write: Callable[[io.BufferedWriter], object]) -> Path:
        with (self._growing / name).open("wb") as file:
            write(file)
            sync(file)
        return self._growing / name

    def _put(self, path: Path, grown: Path) -> None:
        if path.exists():
            raise DamagedLog(f"{path}: is there already, and not of this log; move that lake elsewhere")
        for folder in (path.parent, path.parent.parent):
            folder.mkdir(parents=True, exist_ok=True)
        grown.rename(path)
        sync_folder(path.parent)
        sync_folder(path.parent.parent)

    def _list(self, segment: Segment) -> Path:
        return self._lists / f"{segment.name}.entries"

    def _loaded(self, segment: Segment) -> "_Loaded":
        """A segment as it is on disk; the last one is held, because a log is read in parts."""
        if self._last is None or self._last.segment != segment:
            path = self._list(segment)
            listed = _decoded(path, _content(path, segment.sha256, segment))
            frames = {domain: self._frame(domain, segment, sha256) for domain, sha256 in listed.files.items()}
            self._last = _Loaded(segment, listed, frames)
            if self._last.places[-1] != segment.last:
                raise DamagedLog(f"{path}: position {segment.last.position} is not what the log says; restore it")
        return self._last

    def _frame(self, domain: Domain, segment: Segment, sha256: bytes) -> pl.DataFrame:
        path = self._path(domain, segment.name)
        return pl.concat(parquet.frames(io.BytesIO(_content(path, sha256, segment))))


def _listed(entry: Entry, events: Events) -> _Listed:
    payload = b"" if entry.kind is Kind.EVENTS else entry.payload
    rows = {domain: frame.height for domain, frame in events.items()}
    who = entry.principal, entry.tenant, entry.key
    return _Listed(entry.kind, entry.microseconds, *who, entry.events, digest(entry.payload), payload, rows)


class _Loaded:
    """A segment in memory: `places` before, between and behind its entries, which have no events until asked for."""

    def __init__(self, segment: Segment, listed: _List, frames: Events) -> None:
        self.segment, self._frames = segment, frames
        self.entries = [_without_events(one) for one in listed.entries]
        self.places, self._starts, starts = [segment.before], [], dict.fromkeys(frames, 0)
        self._rows = [one.rows for one in listed.entries]
        for one, entry in zip(listed.entries, self.entries, strict=True):
            self.places.append(behind(self.places[-1], entry, one.digest))
            self._starts.append(starts)
            starts = starts | {domain: starts[domain] + rows for domain, rows in one.rows.items()}

    def entry(self, number: int) -> Entry:
        """The entry of that number, from 0, with its events."""
        if self.entries[number].kind is not Kind.EVENTS:
            return self.entries[number]
        starts, rows = self._starts[number], self._rows[number]
        events = {domain: self._frames[domain].slice(starts[domain], rows[domain]) for domain in rows}
        return replace(self.entries[number], payload=packed(events))


def _without_events(listed: _Listed) -> Entry:
    who = listed.principal, listed.tenant, listed.payload
    return Entry(listed.kind, moment(listed.accepted), *who, listed.events, listed.key)


def _content(path: Path, sha256: bytes, segment: Segment) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        found = error.strerror
    else:
        if digest(content) == sha256:
            return content
        found = "other bytes"
    at = f"positions {segment.before.position + 1} to {segment.last.position}"
    raise DamagedLog(f"{path}: expected {at} as they were moved here, found {found}; restore it")


def _decoded(path: Path, content: bytes) -> _List:
    try:
        return msgspec.json.decode(zstandard.ZstdDecompressor().decompress(content), type=_List)
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError) as error:
        raise DamagedLog(f"{path}: expected the list of a segment ({error}); restore it") from error
