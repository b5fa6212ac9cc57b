"""The gate: a challenger scores the same new events as the champion, in shadow, and must be worse in no domain."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.keeping import fresh_mesh, manifest_of, part_of_mesh_from
from agents.mesh import Mesh
from agents.verdicts import VERDICTS
from features.events import Domain
from features.logs import Events, cut
from models.bundle import Bundle
from training.counterfeits import NEAR, REAL, WILD, counterfeited

#: How much worse than the champion a challenger may be, measure by measure, if chance does not explain more. Between
#: two seeds of the same training the average precision of attacks differed by up to a ninth on the simulated estate.
MARGINS: Mapping[str, float] = MappingProxyType(
    {
        "average precision of attacks": 0.02,
        "AUC of attacks": 0.05,
        "average precision of near counterfeits": 0.01,
        "AUC of wild counterfeits": 0.02,
    }
)
#: Shares of events that may be called this strange: nominal, and how many times that where the champion does no better.
LEVELS, _TIMES = (0.01, 0.001), 2.0
#: Fewest events, and fewest attacks among them, that a domain is judged by.
LEAST_EVENTS, LEAST_ATTACKS = 200, 5

_PART = 1 / 8  # of the champion's average precision of attacks, if that is more than its margin
_SURE = 2.0
_BATCH = 8192

Better = Literal["more", "less"]


@dataclass(frozen=True)
class Measure:
    """One number for both; `unsure` is the standard error of their difference, `allowed` what the challenger may be."""

    name: str
    champion: float
    challenger: float
    unsure: float
    allowed: float
    better: Better = "more"

    @property
    def holds(self) -> bool:
        """Whether the challenger is as good, but for a margin and for what chance explains (two standard errors)."""
        return self.challenger >= self.allowed if self.better == "more" else self.challenger <= self.allowed

    def in_words(self) -> str:
        """Such as `AUC of attacks 0.912 after 0.934, allowed 0.914`."""
        return f"{self.name} {self.challenger:.4f} after {self.champion:.4f}, allowed {self.allowed:.4f}"


@dataclass(frozen=True)
class Compared:
    """One domain's agents on the same events; without measures they were not judged, and `note` says why."""

    domain: Domain
    events: int
    measures: tuple[Measure, ...]
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the challenger's agent is worse in nothing."""
        return all(measure.holds for measure in self.measures)

    def in_words(self) -> str:
        """One sentence: whether it holds, and by what numbers it does not."""
        told = f" ({self.note})" if self.note else ""
        if not self.measures:
            return f"{self.domain}: not judged{told}"
        worse = "; ".join(measure.in_words() for measure in self.measures if not measure.holds)
        return f"{self.domain}: {f'is worse: {worse}' if worse else 'improves or holds'}{told}"


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is taken, why in one sentence, and the numbers of every domain."""

    is_taken: bool
    reason: str
    compared: tuple[Compared, ...] = ()

    def in_words(self) -> list[str]:
        """The verdict, and a sentence for each domain."""
        verdict = "taken" if self.is_taken else "refused"
        return [f"{verdict}: {self.reason}", *(compared.in_words() for compared in self.compared)]

    def metrics(self) -> dict[str, float]:
        """Everything as numbers with names that MLflow takes; `gate` is 1 where the challenger is taken."""
        told = {"gate": float(self.is_taken)}
        for row in self.table().iter_rows(named=True):
            name = f"gate/{row['domain']}/{row['measure']}".replace("<=", "at most")
            told |= {f"{name}/{who}": row[who] for who in ("champion", "challenger", "allowed")}
        return told

    def table(self) -> pl.DataFrame:
        """A row for each measure of each domain."""
        rows = [
            (c.domain.value, c.events, m.name, m.champion, m.challenger, m.allowed, m.holds)
            for c in self.compared
            for m in c.measures
        ]
        numbers = {name: pl.Float64() for name in ("champion", "challenger", "allowed")}
        schema = {"domain": pl.String(), "events": pl.Int64(), "measure": pl.String(), **numbers, "holds": pl.Boolean()}
        return pl.DataFrame(rows, schema=schema, orient="row")


@dataclass(frozen=True)
class Reigning:
    """The champion's mesh, of which of its agents there is something to say, and the newest event it learned from."""

    mesh: Mesh
    notes: Mapping[Domain, str]
    until: datetime | None = None


@dataclass(frozen=True)
class _Shadow:
    """What one mesh said of a domain's events, and of the same with counterfeits among them."""

    uid_B: pl.Series
    p_B: NDArray[np.float64]
    mixed_p_B: NDArray[np.float64]


def reigning(bundles: Mapping[Domain, Bundle], release: int) -> Reigning:
    """The mesh to compare with: an agent that knows nothing stands in where the champion has none for its recipe."""
    expected = {domain: manifest_of(agent) for domain, agent in fresh_mesh().agents.items()}
    fits = {d: all(b.manifest.get(name) == value for name, value in expected[d].items()) for d, b in bundles.items()}
    notes = {d: "the champion has no model of it: compared with an agent that knows nothing" for d in Domain}
    notes |= {d: "its recipe changed: compared with an agent that knows nothing" for d in bundles}
    kept = {domain: bundle for domain, bundle in bundles.items() if fits[domain]}
    until = max((told for bundle in bundles.values() if (told := _until(bundle))), default=None)
    return Reigning(part_of_mesh_from(kept, release), {d: n for d, n in notes.items() if d not in kept}, until)


def _until(bundle: Bundle) -> datetime | None:
    """The newest event that a model says it learned from."""
    trained = bundle.manifest.get("trained")
    return datetime.fromisoformat(trained["until"]) if trained else None


def judge(
    champion: Mesh | None,
    challenger: Mesh,
    events: Events,
    *,
    seed: int,
    attacks: Collection[str] | None = None,
    notes: Mapping[Domain, str] = MappingProxyType({}),
) -> Decision:
    """Whether `challenger` may take the place of `champion`, by `events` that neither has learned from.

    Both score them from what they know; neither is changed, and nobody hears their verdicts. Every domain is judged by
    counterfeits, which tells whether an agent knows what is usual, and by how much it calls strange; by how far up it
    puts attacks where labels exist: `attacks` are their uids. Only labels tell whether somebody taught an agent that an
    attack is usual. `notes` are those of `reigning`.
    """
    if champion is None:
        return Decision(True, "there is no champion to compare with: it is the first")
    slice = {domain: frame.sort("time", maintain_order=True) for domain, frame in events.items() if frame.height}
    chance = np.random.default_rng(seed)
    mixed = {domain: counterfeited(frame, chance) for domain, frame in slice.items()}
    streams = {domain: mix.events for domain, mix in mixed.items()}
    shadows = [_shadows(mesh, slice, streams) for mesh in (champion, challenger)]
    compared = tuple(
        _compared(domain, shadows[0][domain], shadows[1][domain], mixed[domain].kind_B, attacks, notes.get(domain, ""))
        for domain in slice
    )
    return _decided(compared)


def _decided(compared: tuple[Compared, ...]) -> Decision:
    judged = [c for c in compared if c.measures]
    if not judged:
        return Decision(False, f"no domain has {LEAST_EVENTS} new events to judge by: give more logs", compared)
    if worse := [c.domain.value for c in judged if not c.holds]:
        return Decision(False, f"it is worse in {', '.join(worse)}", compared)
    return Decision(True, f"it improves or holds in {', '.join(c.domain.value for c in judged)}", compared)


def _shadows(mesh: Mesh, events: Events, mixed: Events) -> dict[Domain, _Shadow]:
    """Both streams as the mesh scores them from where it is now; it is put back there."""
    before = mesh.state()

    def scored(stream: Events) -> pl.DataFrame:
        mesh.wake()
        verdicts = pl.concat([pl.DataFrame(schema=VERDICTS), *(mesh.observe(batch) for batch in cut(stream, _BATCH))])
        mesh.restore(before)
        return verdicts.select("domain", "uid", "p")

    real, mix = scored(events), scored(mixed)
    return {domain: _Shadow(_of(real, domain)["uid"], _p(real, domain), _p(mix, domain)) for domain in events}


def _of(verdicts: pl.DataFrame, domain: Domain) -> pl.DataFrame:
    return verdicts.filter(pl.col("domain") == domain.value)


def _p(verdicts: pl.DataFrame, domain: Domain) -> NDArray[np.float64]:
    return _of(verdicts, domain)["p"].to_numpy()


def _compared(
    domain: Domain,
    champion: _Shadow,
    challenger: _Shadow,
    kind_B: NDArray[np.int8],
    attacks: Collection[str] | None,
    note: str,
) -> Compared:
    """The measures of one domain: attacks where there are labels, counterfeits, and calibration."""
    height = champion.p_B.size
    if height < LEAST_EVENTS:
        return Compared(domain, height, (), f"{height} events are fewer than {LEAST_EVENTS}")
    is_attack_B = champion.uid_B.is_in(list(attacks or ())).to_numpy()
    measures = []
    if is_attack_B.sum() >= LEAST_ATTACKS:
        for name, strength in _BY_ATTACKS.items():
            measures.append(_measure(name, strength, is_attack_B, champion.p_B, challenger.p_B))
    for counterfeit, (name, strength) in _BY_COUNTERFEITS.items():
        is_asked_B = (kind_B == REAL) | (kind_B == counterfeit)
        is_wanted_B = kind_B[is_asked_B] == counterfeit
        if is_wanted_B.any():
            p_one_B, p_two_B = champion.mixed_p_B[is_asked_B], challenger.mixed_p_B[is_asked_B]
            measures.append(_measure(name, strength, is_wanted_B, p_one_B, p_two_B))
    measures += [_calibration(level, champion.p_B[~is_attack_B], challenger.p_B[~is_attack_B]) for level in LEVELS]
    return Compared(domain, height, tuple(measures), note)


def precisions(is_wanted_B: NDArray[np.bool_], p_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each wanted event the share of wanted ones among all as strange; their mean is the average precision."""
    wanted_W = p_B[is_wanted_B]
    found_W, others_W = (np.searchsorted(np.sort(p), wanted_W, side="right") for p in (wanted_W, p_B[~is_wanted_B]))
    return found_W / (found_W + others_W)


def leads(is_wanted_B: NDArray[np.bool_], p_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each wanted event the share of others that are less strange, equal ones by half; their mean is the AUC."""
    wanted_W, others = p_B[is_wanted_B], np.sort(p_B[~is_wanted_B])
    below_W = (np.searchsorted(others, wanted_W, "left") + np.searchsorted(others, wanted_W, "right")) / 2
    answer: NDArray[np.float64] = 1.0 - below_W / max(1, others.size)
    return answer


Strength = Callable[[NDArray[np.bool_], NDArray[np.float64]], NDArray[np.float64]]

_FIRST = "average precision of attacks"
_BY_ATTACKS: Mapping[str, Strength] = MappingProxyType({_FIRST: precisions, "AUC of attacks": leads})
_BY_COUNTERFEITS: Mapping[int, tuple[str, Strength]] = MappingProxyType(
    {NEAR: ("average precision of near counterfeits", precisions), WILD: ("AUC of wild counterfeits", leads)}
)


def _measure(
    name: str,
    strength: Strength,
    is_wanted_B: NDArray[np.bool_],
    champion_B: NDArray[np.float64],
    challenger_B: NDArray[np.float64],
) -> Measure:
    """A mean over the wanted events for both, and how sure the mean of the differences is."""
    one_W, two_W = strength(is_wanted_B, champion_B), strength(is_wanted_B, challenger_B)
    unsure = float(np.std(two_W - one_W) / np.sqrt(one_W.size))
    margin = max(MARGINS[name], _PART * float(one_W.mean())) if name == _FIRST else MARGINS[name]
    allowed = float(one_W.mean()) - max(margin, _SURE * unsure)
    return Measure(name, float(one_W.mean()), float(two_W.mean()), unsure, allowed)


def _calibration(level: float, champion_B: NDArray[np.float64], challenger_B: NDArray[np.float64]) -> Measure:
    """The share called as strange as `level`: at most twice that, or what the champion says, but for chance."""
    one, two = (float(np.mean(p_B <= level)) for p_B in (champion_B, challenger_B))
    most = max(_TIMES * level, one)
    unsure = float(np.sqrt(most * (1 - most) / champion_B.size))
    return Measure(f"share of p <= {level}", one, two, unsure, most + _SURE * unsure, "less")
