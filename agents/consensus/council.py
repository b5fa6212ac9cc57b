"""The council: hears every agent's verdicts and ranks what people should look at."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from agents.consensus.assembling import assembled, names_of
from agents.consensus.cut import judged
from agents.consensus.doers import Doers
from agents.consensus.episodes import episodes
from agents.consensus.evidence import Evidence
from agents.consensus.gathering import Gathered, gathered
from agents.consensus.guidance import NOTHING_SAID, Guidance
from agents.consensus.record import Record
from agents.consensus.tactics import spoken_by_thing, spoken_in
from agents.consensus.tally import Tally
from agents.consensus.testimony import HABITS, testimony
from agents.consensus.threats import Threat
from features.events import Domain
from features.memory import State
from models.aggregation import rationed


@dataclass(frozen=True)
class Cut:
    """Where a day's list ends: the share of false threats in it that is expected at most, and how many it may have."""

    alpha: float = 0.1
    budget: int = 20

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"alpha {self.alpha}: expected a share of false threats above 0 and below 1")
        if self.budget < 1:
            raise ValueError(f"budget {self.budget}: expected at least 1 threat a day")


CUT = Cut()

_IS_CLOSED = pl.col("answer").eq_missing(False)
_ASKED = 2  # times as many threads as are asked for are looked at for their stages
_STAGE = 0.5  # nats for each tactic after the first
_ALONE, _RATION = 0.9, 4


class Council:
    """Holds evidence of all domains and gathers it into threats; evidence fades by half every `half_life`."""

    def __init__(self, half_life: timedelta = timedelta(days=30)) -> None:
        self._half_life = half_life
        self._evidence = Evidence()
        self._tally = Tally()
        self._doers = Doers()
        self._record = Record()

    def hear(self, verdicts: pl.DataFrame) -> None:
        """Take note of a batch of verdicts."""
        told = testimony(verdicts)
        usual_NE = self._tally.observe(told)
        self._doers.enter(told)
        self._record.enter(told)
        self._evidence.hear(told.with_columns(pl.Series(name, usual_NE[:, e]) for e, name in enumerate(HABITS)))

    def rank(self, most: int = 50, guidance: Guidance = NOTHING_SAID, cut: Cut = CUT) -> list[Threat]:
        """The `most` threats that weigh most as of the newest thing held, as `guidance` has it.

        Those that people found to be false come after all others, and are not listed.
        """
        held = self._evidence.held()
        weight_N = guidance.weights(held) * self._record.share(held)
        things = held.filter(weight_N > 0)  # who is not trusted relates nobody either
        if things.is_empty():
            return []
        found = gathered(things, episodes(things, weight_N[weight_N > 0]))
        guided = _guided(found, guidance)
        likely = self._faded(_judged(guided, cut), things["last_time"].max()).head(_ASKED * most)
        witnesses = self._witnesses(found.told, things, likely["thread"])
        ranked = _ordered(likely, found.domains, witnesses).head(most)
        return assembled(ranked, found, witnesses)

    def aside(self) -> "Council":
        """A council that has heard the same, to be asked while this one hears on; it cannot hear more itself."""
        other = Council(self._half_life)
        other._evidence.restore(self._evidence.state())
        other._doers.restore(self._doers.state())
        other._record.restore(self._record.state())
        return other

    def state(self) -> tuple[State, dict[str, pl.DataFrame]]:
        """All that was heard, as arrays and frames."""
        return self._tally.state() | self._doers.state() | self._record.state(), self._evidence.state()

    def restore(self, arrays: State, frames: dict[str, pl.DataFrame]) -> None:
        """Go on from `state`."""
        self._tally.restore(arrays)
        self._doers.restore(arrays)
        self._record.restore(arrays)
        self._evidence.restore(frames)

    def _faded(self, threads: pl.DataFrame, newest: Any) -> pl.DataFrame:
        """Threads with their scores as of `newest`, highest first; those of earlier things first among equals."""
        age = (pl.lit(newest) - pl.col("last")) / self._half_life
        scored = threads.with_columns(score=pl.col("peak") * pl.lit(0.5).pow(age) + pl.col("criticality"))
        return scored.sort(_IS_CLOSED, "score", "thread", descending=[False, True, False])

    def _witnesses(self, told: pl.DataFrame, things: pl.DataFrame, threads: pl.Series) -> pl.DataFrame:
        """The things that each `thread` is told by, heaviest first, with their tactics and how odd their doers are."""
        mine = told.filter(pl.col("thread").is_in(threads.implode()))
        witnesses = things[mine["thing"]].with_columns(thread=mine["thread"])
        odd = pl.Series("odd", self._doers.oddness(witnesses), dtype=pl.Float64)
        return witnesses.with_columns(*spoken_by_thing(witnesses), odd)


def _ordered(threads: pl.DataFrame, domains: pl.DataFrame, witnesses: pl.DataFrame) -> pl.DataFrame:
    """The threads in the order of the list: half a nat more for each tactic after the first, a ration for each agent.

    What rests on one agent's word by nine tenths is that agent's alone: of the first twenty, four (`rationed`).
    """
    spoken = spoken_in(witnesses, "tactics")
    stages_N = np.array([len(spoken.get(thread, ())) for thread in threads["thread"]])
    score_N = threads["score"].to_numpy() + _STAGE * np.maximum(stages_N - 1, 0)
    owners = domains.filter(pl.col("share") >= _ALONE).select("thread", owner="domain")
    number = {domain.value: n for n, domain in enumerate(Domain)}
    owner = threads.join(owners, on="thread", how="left", maintain_order="left")["owner"]
    owner_N = owner.replace_strict(number, default=-1, return_dtype=pl.Int64).to_numpy()
    order_N = rationed(score_N, owner_N, _RATION)
    return threads.with_columns(score=pl.Series(score_N))[order_N].sort(_IS_CLOSED, maintain_order=True)


def _guided(found: Gathered, guidance: Guidance) -> pl.DataFrame:
    """Threads with their `criticality` and the `answer` that people gave, null where none."""
    threads = found.threads.join(guidance.critical(found.episodes), on="thread", how="left", maintain_order="left")
    if not guidance.answers:
        return threads.with_columns(answer=pl.lit(None, pl.Boolean))
    answer = pl.col("id").replace_strict(dict(guidance.answers), default=None, return_dtype=pl.Boolean)
    named = names_of(found.names).select("thread", answer=answer)
    answered = named.drop_nulls().group_by("thread").agg(pl.col("answer").any())  # one that took in a true one is true
    return threads.join(answered, on="thread", how="left", maintain_order="left")


def _judged(threads: pl.DataFrame, cut: Cut) -> pl.DataFrame:
    """Threads with their p, null where too little is known of earlier days, and whether they are listed.

    What people found to be true is not usual, and what they found to be false is not listed.
    """
    first, last = (threads[name].dt.epoch("d").to_numpy().astype(np.int64) for name in ("first", "last"))
    answer_N = threads["answer"].replace_strict({True: 1, False: -1}, default=0, return_dtype=pl.Int8).to_numpy()
    p_N, is_listed_N = judged(threads["peak"].to_numpy(), first, last, answer_N, cut.alpha, cut.budget)
    return threads.with_columns(p=pl.Series(p_N).fill_nan(None), listed=pl.Series(is_listed_N))
