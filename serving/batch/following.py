"""Logs scored while they grow, each event once, whatever stops the run."""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.keeping import manifest_of
from agents.mesh import Mesh
from agents.succeeding import Heirs, go_on, succeed
from features import parquet
from features.events import Domain
from features.featurizer import part
from features.following import Follower
from features.growing import Growing
from features.logs import Events, cut, in_order
from features.memory import State
from features.ordering import Ordering, Ripe
from features.reading import Chunk, candidates_of
from models import bundle
from models.registry import Registry
from serving.batch.books import Books
from serving.batch.outputs import UnusableOutput, check_output
from serving.batch.refusals import refusals_in_words, refuse_none
from serving.batch.scoring import COLUMNS, Loaded, champion_mesh
from serving.say import Pause, Say
from serving.succession import Succession, in_words

#: Seconds between two looks.
POLL_SECONDS = 1.0
#: Looks, and events, after which what was done is kept though the logs never fall quiet.
BUSY_LOOKS, BUSY_EVENTS = 10, 200_000

_BATCH = 50_000
_SAID = 1000


def follow(
    paths: Sequence[str],
    output: Path,
    registry: Registry,
    *,
    pause: Pause,
    say: Say,
    format: str = "auto",
    horizon: timedelta = timedelta(seconds=10),
    strict: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Score what is and what will be in `paths` (logs, folders and globs) until `pause` says so; how many events.

    Goes on where an earlier run into the same `output` stopped. A release that becomes the champion takes over between
    two batches; one that cannot be used is told of, and the one before goes on. Events wait for older ones that may
    come up to `horizon` later, at most until a look finds nothing new. Raises UnusableOutput, UnknownFormat,
    DamagedPositions, BundleRefused, NoRegistry, and Refused for the first record refused if `strict`.
    """
    check_followed(paths, output)
    candidates = candidates_of(format)
    loaded = champion_mesh(registry)
    say([loaded.warning] if loaded.warning else [], "warning")
    with ExitStack() as files:
        books = files.enter_context(Books(output))
        follower = Follower(paths, books.positions, books.files)
        files.callback(follower.close)
        run = Run(Growing(follower, candidates), books, registry, loaded, Ordering(horizon), now, say)
        run.go_on()
        while not run.look(pause, format, strict) and not pause(POLL_SECONDS):
            pass
        run.end()
        return run.events


def check_followed(paths: Sequence[str], output: Path) -> None:
    """Raise UnusableOutput, before any work is done, for what cannot be followed or appended to."""
    if "-" in paths:
        raise UnusableOutput("-: standard input cannot be followed; write it to a file and follow that")
    if output.suffix == ".parquet":
        remedy = f"name a file of lines, such as {output.with_suffix('.ndjson')}"
        raise UnusableOutput(f"{output}: nothing can be appended to Parquet; {remedy}")
    check_output(output, paths)


class Run:
    """The mesh over logs that grow."""

    def __init__(
        self,
        growing: Growing,
        books: Books,
        registry: Registry,
        loaded: Loaded,
        ordering: Ordering,
        now: Callable[[], datetime],
        say: Say,
    ) -> None:
        self.events = 0
        self._growing, self._books, self._ordering = growing, books, ordering
        self._mesh, self._release = loaded.mesh, loaded.release
        self._now, self._say = now, say
        self._succession = Succession(registry, loaded.release, self._mesh.agents, self.keep, say)
        self._said: set[tuple[str | None, ...]] = set()
        self._is_dirty, self._unkept, self._looks = False, 0, 0

    def go_on(self) -> None:
        """Take back what the mesh knew, and the events that waited, when an earlier run stopped."""
        kept = self._books.mesh()
        if kept is None:
            return
        state, about = part(dict(kept.arrays), "mesh"), _about(self._mesh, self._release)
        if "began" not in state:
            self._say(["what was kept is of an older secmesh: the mesh starts anew"], "warning")
        elif {name: kept.manifest.get(name) for name in about} == about:
            self._mesh.restore(state)
        else:
            self._follow_on(state, kept.manifest)
        self._judge(self._ordering.take(_unpacked(part(dict(kept.arrays), "held")), self._now()))

    def look(self, pause: Pause, format: str, strict: bool) -> bool:
        """Read and score what is new; whether to stop. Keeps what was done once nothing is new, or now and then."""
        is_quiet = True
        self._succession.look()
        for chunk in self._growing.poll():
            is_quiet = False
            self._take(chunk, format, strict)
            if self._unkept >= BUSY_EVENTS:
                self.keep()
            self._succession.look()
            if pause(0):
                return True
        self._looks += 1
        if is_quiet:
            self._judge(self._ordering.rest())
        if is_quiet or self._looks >= BUSY_LOOKS:
            self.keep()
        return False

    def end(self) -> None:
        """Score what still waits, and keep what was done."""
        self._judge(self._ordering.rest())
        self.keep()

    def keep(self, heirs: Heirs | None = None) -> None:
        """Keep what was done up to here, safely on disk; `heirs`, if there are any, score from just there on.

        So a run that is stopped after a succession goes on from the very moment of it, as this one does.
        """
        before = self._books.positions.logs
        self._growing.taken()
        if heirs is None and not self._is_dirty and self._books.positions.logs == before:
            return
        held = self._ordering.rest().events
        arrays = {f"mesh.{name}": array for name, array in self._mesh.state().items()}
        arrays |= {f"held.{name}": array for name, array in _packed(held).items()}
        self._books.keep(arrays, _about(self._mesh, self._release))
        self._is_dirty, self._unkept, self._looks = False, 0, 0
        if heirs is not None:
            self._succeed(heirs)
        self._judge(self._ordering.take(held, self._now()))

    def _succeed(self, heirs: Heirs) -> None:
        whole = succeed(self._mesh, heirs, is_first=self._release is None)
        self._say(in_words(heirs.release, self._release, whole), "champion")
        self._release, self._is_dirty = heirs.release, True

    def _follow_on(self, state: State, about: Mapping[str, Any]) -> None:
        """Go on from what a mesh of another release, or of other recipes, knew."""
        before = about["release"]
        is_first = before is None and self._release is not None
        whole = go_on(self._mesh, state, about["recipes"], is_first=is_first)
        self._say(in_words(self._release, before, whole), "champion")
        self._is_dirty = True

    def _take(self, chunk: Chunk, format: str, strict: bool) -> None:
        if strict:
            refuse_none(chunk.refused, format)
        self._is_dirty = True
        self._books.refused.append(chunk.refused)
        self._say(refusals_in_words(self._unsaid(chunk.refused), format), "refused")
        self._judge(self._ordering.take(chunk.events, self._now()))

    def _judge(self, ripe: Ripe) -> None:
        if not ripe.events:
            return
        verdicts = pl.concat([self._mesh.observe(batch) for batch in cut(ripe.events, _BATCH)])
        self._books.output.append(verdicts.select(COLUMNS).with_columns(_late(ripe)))
        self._is_dirty = True
        self._unkept += verdicts.height
        self.events += verdicts.height

    def _unsaid(self, refused: pl.DataFrame) -> pl.DataFrame:
        """Refusals of a kind that was not shown before."""
        kinds = refused.select("source", "member", "field", "reason")
        new = (
            [kind not in self._said for kind in kinds.iter_rows()] if len(self._said) < _SAID else [False] * len(kinds)
        )
        self._said |= set(kinds.iter_rows()) if any(new) else set()
        return refused.filter(pl.Series(new, dtype=pl.Boolean))


def _late(ripe: Ripe) -> pl.Series:
    """Whether each event was late, in the order of the log."""
    flags = [
        pl.DataFrame({"late": late}).with_columns(domain=pl.lit(domain.value), row=pl.int_range(pl.len()))
        for domain, late in ripe.late.items()
    ]
    order = in_order(ripe.events)
    return order.join(pl.concat(flags), on=["domain", "row"], how="left", maintain_order="left")["late"]


def _about(mesh: Mesh, release: int | None) -> dict[str, bundle.JSON]:
    """What has to be true of the mesh that goes on from what was kept."""
    recipes = {domain.value: manifest_of(agent) for domain, agent in mesh.agents.items()}
    return {"kind": "following", "release": release, "recipes": recipes}


def _packed(events: Events) -> dict[str, NDArray[np.uint8]]:
    """Events as arrays of bytes of Parquet."""
    packed = {}
    for domain, frame in events.items():
        file = io.BytesIO()
        with parquet.Writer(file, domain) as writer:
            writer.write(frame)
        packed[domain.value] = np.frombuffer(file.getvalue(), np.uint8)
    return packed


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> dict[Domain, pl.DataFrame]:
    return {Domain(name): pl.concat(parquet.frames(io.BytesIO(array.tobytes()))) for name, array in arrays.items()}
