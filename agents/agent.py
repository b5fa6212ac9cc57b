"""One domain's watcher: looks at events, scores them by what it learned before, then learns from them."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.history import History
from agents.notices import Notice
from agents.peers import Peers
from agents.prudence import Prudence
from agents.recipe import Recipe
from agents.verdicts import VERDICTS, entities, entity_codes, reasons
from features.events import Domain
from features.featurizer import Features, Featurizer, part, squashed, under
from features.memory import State
from features.word import Word
from models.calibrator import Calibrator
from models.context import WIDTH, Acquaintances, Context
from models.fusion import joint
from models.marginals import Marginals
from models.offline import Ask, Offline
from models.online import Online, Strangeness
from models.reader import Reader

_NOTICES = 64
_HOW_FAR = slice(0, 2)  # the marginals' ways that ask how far right: little surprise is not strange, however seldom


@dataclass(frozen=True)
class Sight:
    """What an agent makes of B events by itself, before it hears what its peers know.

    `p_B` is how usual its own models find each event; `hidden_BH` and `vector_BW` are the encoder's, zeros where there
    is none; `entity_BE` names those it is about.
    """

    events: pl.DataFrame
    score_B: NDArray[np.float64]
    p_online_B: NDArray[np.float64]
    p_offline_B: NDArray[np.float64] | None
    p_B: NDArray[np.float64]
    history_B: NDArray[np.float64]
    reasons: pl.Series
    entity_BE: NDArray[np.uint64]
    hidden_BH: NDArray[np.float32]
    vector_BW: NDArray[np.float32]


class Agent:
    """A recipe at work: online detectors, offline encoder and reader where there are any, and their calibration.

    `notices` holds the latest 64 things that were to be said of the stream as a whole; `acquaintances` is what its
    peers may read.
    """

    def __init__(
        self,
        recipe: Recipe,
        offline: Offline | None = None,
        release: int | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.recipe = recipe
        self.offline = offline
        self.reader = reader
        self.acquaintances = Acquaintances()
        self._release = release
        self._featurizer = Featurizer(recipe.fields, recipe.all_words)
        added, at_least = ([weight for _, weight in words] for words in (recipe.added, recipe.at_least))
        self._online = Online(recipe.detectors, added, at_least)
        self._history = History()
        self._prudence = Prudence([word.name for word in recipe.words])
        self.notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._answers = Marginals()
        self._calibrators = {name: Calibrator() for name in ("online", "offline")}
        self._peers = Peers(len(Domain))

    @property
    def language(self) -> int:
        """The number of the language that its vectors are in, 0 without an encoder."""
        return self.offline.language if self.offline else 0

    def observe(self, events: pl.DataFrame) -> pl.DataFrame:
        """A verdict for each event, row for row, by this agent alone; see `look`."""
        return self.judge(self.look(events), None)

    def look(self, events: pl.DataFrame) -> Sight:
        """What this agent makes of events, which it learns.

        They have its domain's columns and `seq`, in the order of the log.
        """
        features = self._featurizer.observe(events)
        online, weight_B = self._strangeness(features)
        p_online_B = self._calibrators["online"].observe(online.score_B)
        score_B, p_B, p_offline_B, offline_BQ = online.score_B, p_online_B, None, np.zeros((events.height, 0))
        hidden_BH, vector_BW = np.zeros((events.height, 0), np.float32), np.zeros((events.height, WIDTH), np.float32)
        if self.offline is not None:
            answers = self.offline.answer(features.codes)
            hidden_BH, vector_BW = answers.hidden_BH, answers.vector_BW
            answered = self._answered(answers.nats_BQ, features, weight_B)
            p_offline_B = self._calibrators["offline"].observe(answered.score_B)
            score_B, offline_BQ = score_B + answered.score_B, answered.nats_BF
            p_B = joint(p_online_B, p_offline_B)
        return Sight(
            events,
            score_B,
            p_online_B,
            p_offline_B,
            p_B,
            self._history.observe(features.codes[self.recipe.principal]),
            self._reasons(features, online.nats_BF, offline_BQ),
            entity_codes(events, self.recipe.domain),
            hidden_BH,
            vector_BW,
        )

    def judge(self, sight: Sight, context: Context | None) -> pl.DataFrame:
        """A verdict for each event of `sight`, which comes in the order of `look`; `context` is what its peers know."""
        events, score_B, p_B, p_peers_B = sight.events, sight.score_B, sight.p_B, None
        if context is not None and self.reader is not None:
            heard = self._peers.observe(context, sight.hidden_BH, self.reader, sight.p_B)
            score_B, p_B, p_peers_B = -np.log(heard.p_B), heard.p_B, np.exp(-heard.nats_B)
        return events.select(
            *(pl.col(name) for name in ("source", "member", "line", "seq", "time")),
            pl.lit(self.recipe.domain.value).alias("domain"),
            pl.col("uid"),
            pl.col("activity_name").alias("activity"),
            *entities(events, self.recipe.domain),
            score=pl.Series(score_B),
            p_online=pl.Series(sight.p_online_B),
            p_offline=_or_null(sight.p_offline_B),
            p_peers=_or_null(p_peers_B),
            p=pl.Series(p_B),
            evidence=pl.Series(0.0 - np.log(p_B)),  # not -0.0 where p is 1
            history=pl.Series(sight.history_B),
            reasons=sight.reasons,
            release=pl.lit(self._release, pl.Int64),
        ).cast(VERDICTS)

    def wake(self) -> None:
        """Take the next event as following at once on what was learned, however long ago that was."""
        self._featurizer.clock.wait()

    def state(self) -> State:
        """All that was learned online."""
        state: State = {"language": np.array([self.language])}
        state |= under("featurizer", self._featurizer.state())
        state |= under("prudence", self._prudence.state()) | under("history", self._history.state())
        state |= under("online", self._online.state()) | under("answers", self._answers.state())
        state |= under("acquaintances", self.acquaintances.state()) | under("peers", self._peers.state())
        for name, calibrator in self._calibrators.items():
            state |= under(f"calibrator.{name}", calibrator.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        self._featurizer.restore(part(state, "featurizer"))
        self._prudence.restore(part(state, "prudence"))
        self._history.restore(part(state, "history"))
        self._online.restore(part(state, "online"))
        self._answers.restore(part(state, "answers"))
        self.acquaintances.restore(part(state, "acquaintances"))
        self._peers.restore(part(state, "peers"))
        for name, calibrator in self._calibrators.items():
            calibrator.restore(part(state, f"calibrator.{name}"))

    def _strangeness(self, features: Features) -> tuple[Strangeness, NDArray[np.float64]]:
        """How strange each event is, and how much of it was learned: block by block, as prudence wants it."""
        judged, kind_B = len(self.recipe.words), features.codes["kind"]
        parts: list[Strangeness] = []
        weights: list[NDArray[np.float64]] = []
        begin, height = 0, len(features.x_BF)
        while begin < height or not parts:
            rows = slice(begin, min(height, begin + self._prudence.until_block()))
            places_BF = squashed(features.x_BF[rows, :judged])
            weights.append(self._prudence.weigh(places_BF, kind_B[rows]))
            parts.append(self._online.observe(places_BF, features.x_BF[rows, judged:], kind_B[rows], weights[-1]))
            principal_B = features.codes[self.recipe.principal][rows]
            self.notices.extend(self._prudence.notice(places_BF, parts[-1].score_B, principal_B))
            begin = rows.stop
        scores, nats = zip(*((part.score_B, part.nats_BF) for part in parts), strict=True)
        return Strangeness(np.concatenate(scores), np.concatenate(nats)), np.concatenate(weights)

    def _answered(self, nats_BQ: NDArray[np.float64], features: Features, weight_B: NDArray[np.float64]) -> Strangeness:
        """How much more the encoder was surprised than it is by what is usual, question by question."""
        margins = self._answers.judge_learn_many(squashed(nats_BQ), features.codes["kind"], weight_B)
        return Strangeness(margins.nats_BV[:, _HOW_FAR].mean(axis=1), margins.nats_BF)

    def _reasons(
        self, features: Features, online_BF: NDArray[np.float64], offline_BQ: NDArray[np.float64]
    ) -> pl.Series:
        questions: list[Word | Ask] = [*self.recipe.all_words, *(self.recipe.asks if self.offline else ())]
        names = [question.name for question in questions]
        values = [features.fields[question.field] for question in questions]
        return reasons(np.concatenate([online_BF, offline_BQ], axis=1), names, values)


def _or_null(p_B: NDArray[np.float64] | None) -> pl.Series | pl.Expr:
    return pl.lit(None, pl.Float64) if p_B is None else pl.Series(p_B)
