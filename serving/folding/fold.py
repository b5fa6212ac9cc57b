"""The fold: all that a mesh and a council make of an event log, entry after entry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from agents.agent import Agent
from agents.consensus.answers import Answer, answer_to
from agents.consensus.council import Council
from agents.consensus.evidence import HELD
from agents.consensus.trusting import guided_by
from agents.keeping import fresh_mesh, manifest_of
from agents.succeeding import Heirs, heirs_of, succeed
from features.events import Domain
from features.featurizer import part, under
from features.logs import one_after_another
from features.memory import State
from models import bundle
from models.registry import Registry
from models.releases import find, load
from serving.folding.acts import Decision, Forgetting, Promotion
from serving.folding.snapshots import Snapshot
from serving.stream.log_entries import START, Kept, Kind
from serving.stream.packing import unpacked
from serving.succession import in_words
from serving.threats.framed import bytes_of, frame_from

#: Most events that are looked at together.
BATCH: Final = 20_000
#: Threats that are ranked.
MOST: Final = 200


class MustForget(Exception):
    """The log says here that something before should be as if it had never come: fold again, knowing that."""


@dataclass(frozen=True)
class Scored:
    """The verdicts on the entries of one look, in the order of the log, and how many each entry has."""

    kept: Sequence[Kept]
    verdicts: pl.DataFrame

    def of_each(self) -> Iterator[tuple[Kept, pl.DataFrame]]:
        """Each entry with its verdicts, in the order of its events' times."""
        start = 0
        for one in self.kept:
            yield one, self.verdicts[start : start + one.entry.events]
            start += one.entry.events


class Fold:
    """A mesh and a council that have heard a log up to `place`; the same log makes the same of them, to the bit.

    `forgotten` is what the log says, further on, should be as if it had never come: who wants to forget folds again.
    """

    def __init__(self, registry: Registry, forgotten: Sequence[Forgetting] = ()) -> None:
        self.place = START
        self.release: int | None = None
        self.answers: tuple[Answer, ...] = ()
        self.council = Council()
        self.said: list[str] = []
        self.seen = dict.fromkeys(Domain, 0)
        self._registry, self._forgotten = registry, tuple(forgotten)
        self._mesh = fresh_mesh()
        self._heirs: Heirs | None = None

    @property
    def agents(self) -> Mapping[Domain, Agent]:
        """The agents that watch now, by domain."""
        return self._mesh.agents

    def notices(self, domain: Domain) -> list[str]:
        """What an agent has to say of its stream as a whole, latest last."""
        return [notice.in_words() for notice in self._mesh.agents[domain].notices]

    def prepare(self, heirs: Heirs) -> None:
        """Have the agents of a release at hand for when the log promotes it."""
        self._heirs = heirs

    def take(self, kept: Sequence[Kept]) -> list[Scored]:
        """Go on by entries that come next in the log.

        Raises MustForget, NoBatch for events that cannot be unpacked, and BundleRefused, NoRegistry or KeyRefused where
        a release that was promoted cannot be loaded; this fold is then to be given up.
        """
        scored: list[Scored] = []
        for run in _runs(kept):
            if run[0].entry.kind is Kind.EVENTS:
                scored.append(self._look([one for one in run if not self._is_forgotten(one)]))
            else:
                self._follow(run[0])
            self.place = run[-1].place
        return scored

    def snapshot(self) -> tuple[State, dict[str, bundle.JSON]]:
        """All that was made of the log so far, as arrays and what else is to be known."""
        arrays, frames = self.council.state()
        packed: State = {name: bytes_of(frame) for name, frame in frames.items()}
        state = under("mesh", self._mesh.state()) | under("council", arrays) | under("frame", packed)
        about: dict[str, bundle.JSON] = {
            "release": self.release,
            "seen": {domain.value: count for domain, count in self.seen.items()},
            "answers": [answer.record() for answer in self.answers],
            "forgotten": [msgspec.to_builtins(gone) for gone in self._forgotten],
            "recipes": {domain.value: manifest_of(agent) for domain, agent in self._mesh.agents.items()},
        }
        return state, about

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, of which `forgotten` is what the log says behind it.

        Raises ValueError if it is of another secmesh, or remembers what should be forgotten, and what `take` raises
        where its release cannot be loaded.
        """
        about = snapshot.about
        if any(gone.since <= snapshot.place.position for gone in self._forgotten):
            raise ValueError(f"the snapshot of position {snapshot.place.position} remembers what should be forgotten")
        self._forgotten += tuple(msgspec.convert(gone, Forgetting) for gone in about["forgotten"])
        if about["release"] is not None:
            succeed(self._mesh, self._load(about["release"]), is_first=False)
        recipes = {domain.value: manifest_of(agent) for domain, agent in self._mesh.agents.items()}
        if about["recipes"] != recipes:
            raise ValueError(f"the snapshot of position {snapshot.place.position} is of other recipes")
        self._mesh.restore(part(snapshot.arrays, "mesh"))
        frames = {name: frame_from(name, data_B, HELD) for name, data_B in part(snapshot.arrays, "frame").items()}
        self.council.restore(part(snapshot.arrays, "council"), frames)
        self.answers = tuple(Answer.read(record) for record in about["answers"])
        self.seen = {Domain(name): count for name, count in about["seen"].items()}
        self.release, self.place = about["release"], snapshot.place

    def _look(self, kept: Sequence[Kept]) -> Scored:
        events, order = one_after_another([unpacked(one.entry.payload) for one in kept])
        verdicts = self._mesh.observe(events, order)
        self.council.hear(verdicts)
        for domain, frame in events.items():
            self.seen[domain] += frame.height
        return Scored(kept, verdicts)

    def _follow(self, one: Kept) -> None:
        if one.entry.kind is Kind.PROMOTION:
            self._succeed(msgspec.json.decode(one.entry.payload, type=Promotion).release)
        elif one.entry.kind is Kind.FORGET:
            if (gone := msgspec.json.decode(one.entry.payload, type=Forgetting)) not in self._forgotten:
                raise MustForget(gone)
        else:
            self._hear(one)

    def _hear(self, one: Kept) -> None:
        """An answer rests on the threat as it stands now; of one that is not ranked any more, on nothing."""
        said = msgspec.json.decode(one.entry.payload, type=Decision)
        ranked = self.council.rank(MOST, guided_by(self.answers))
        threat = next((threat for threat in ranked if said.threat in (threat.id, *threat.merged)), None)
        if threat is not None:
            answer = answer_to(threat, said.is_true, one.entry.principal, one.entry.accepted, said.reason)
            self.answers = (*self.answers, answer)

    def _succeed(self, release: int) -> None:
        heirs = self._heirs if self._heirs and self._heirs.release == release else self._load(release)
        whole = succeed(self._mesh, heirs, is_first=self.release is None)
        self.said += in_words(release, self.release, whole)
        self.release, self._heirs = release, None

    def _load(self, release: int) -> Heirs:
        return heirs_of(self._mesh.agents, load(self._registry, find(self._registry, release)), release)

    def _is_forgotten(self, one: Kept) -> bool:
        entry = one.entry
        return any(
            (entry.principal, entry.tenant) == (gone.principal, gone.tenant) and one.place.position >= gone.since
            for gone in self._forgotten
        )


def _runs(kept: Sequence[Kept]) -> Iterator[list[Kept]]:
    """Entries of events together, at most BATCH events unless one has more; others each by itself."""
    run: list[Kept] = []
    events = 0
    for one in kept:
        is_events = one.entry.kind is Kind.EVENTS
        if run and (not is_events or events + one.entry.events > BATCH):
            yield run
            run, events = [], 0
        if is_events:
            run.append(one)
            events += one.entry.events
        else:
            yield [one]
    if run:
        yield run
