"""Episodes: how strange each entity was in ten minutes, in what company, and which episodes are one thread."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from agents.consensus.evidence import MOST
from agents.consensus.testimony import ALERT, HABITS, anchors, deeds, episode
from features.hashing import hash64

#: Nats of an episode from which it is part of a threat, and from which threats join in it.
LISTED, JOINED = 3.0, 12.0

_NO_NEWS = 1.5  # nats of a thing that are no news
_LINKING = 5.0  # nats of an event that relate those whom it names
_COMPANY = 0.7  # weight of what is strange about an entity's company, or was about itself
_HOUR = 3600.0  # half-life of that, and how far apart the episodes of a thread are


class Places(NamedTuple):
    """The place of each thing's entities, of what their witness says of their episode, of their doing it, of the deed.

    `entity_NE` is -1 where there is none; the last of the E entities is what alerts are related by: they name nobody
    but their host.
    """

    entity_NE: NDArray[np.int64]
    saying_NE: NDArray[np.int64]
    doing_NE: NDArray[np.int64]
    deed_N: NDArray[np.int64]


class Known(NamedTuple):
    """What the walk knows of E entities as of their latest episode, of the words said, of who did what, and how many.

    `lately_E` are squares of nats of earlier episodes, which fade; they are faded to `when_E`.
    """

    lately_E: NDArray[np.float64]
    when_E: NDArray[np.float64]
    episode_E: NDArray[np.float64]
    own_E: NDArray[np.float64]
    beside_E: NDArray[np.float64]
    score_E: NDArray[np.float64]
    thread_E: NDArray[np.int64]
    active_E: NDArray[np.float64]
    word_W: NDArray[np.float64]
    has_done_D: NDArray[np.bool_]
    doers_T: NDArray[np.float64]


@dataclass(frozen=True)
class Episodes:
    """What N held things make of their four entities, N x 4; zeros where there is none.

    `score_NE` is the episode's score so far in nats, `own_NE` what its witnesses add up to, `gain_NE` what the thing
    says by itself beyond chance, `thread_NE` the place in such an array where the episode's thread began, plus one, and
    `begun_NE` the same before threads joined, where one began.
    """

    score_NE: NDArray[np.float64]
    own_NE: NDArray[np.float64]
    gain_NE: NDArray[np.float64]
    thread_NE: NDArray[np.int64]
    begun_NE: NDArray[np.int64]


def episodes(things: pl.DataFrame, trust_N: NDArray[np.float64] | None = None) -> Episodes:
    """Fold held things, in the order of the log, into episodes.

    An episode is one entity in ten minutes. Each witness counts once, by its strongest thing: e nats less 1.5, which
    are no news, shared by the square root of those who did the same, less log n where it has n verdicts on that entity
    in ten minutes by habit (Bonferroni). That is the promise: were the entity as usual, and as busy as usual, its word
    would exceed t nats at most once in exp(t + 1.5) episodes. The words are added up (own). The score is own + 0.7
    times the root of the sum of squares of what the entity did in earlier episodes and what those did who were in a
    thing of 5 nats with it, whoever of them did most, both fading by half in an hour. `trust_N` scales each thing's
    evidence; no thing counts for more than 20 nats.

    Episodes of 3 nats are in threads: an entity goes on with its thread for an hour, and threads of 12 nats that meet
    in a thing of 5 nats are one, by the name of the older. Alerts of other detectors name nobody but their host: they
    count as things that all hosts which alerted within the hour were in.
    """
    shape = (things.height, len(HABITS))
    score_NE, own_NE, gain_NE = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    found = Episodes(score_NE, own_NE, gain_NE, np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    places = _places(things)
    _walk(
        places,
        _nothing(places),
        things["activity"].eq_missing(ALERT).to_numpy(),
        things["time"].dt.epoch("us").to_numpy() / 1e6,
        episode(things),
        np.minimum(things["evidence"].to_numpy() * (1.0 if trust_N is None else trust_N), MOST),
        np.ascontiguousarray(things.select(HABITS).to_numpy()),
        found.score_NE, found.own_NE, found.gain_NE, found.thread_NE, found.begun_NE,
    )  # fmt: skip
    return found


def _places(things: pl.DataFrame) -> Places:
    anchor_NE, deed_N = anchors(things), deeds(things)
    said_N = _both(episode(things).astype(np.uint64), hash64(things["witness"]))
    entity_NE = _numbered(anchor_NE)
    entity_NE[anchor_NE == 0] = -1
    saying_NE, doing_NE = (_numbered(_both(anchor_NE, of_N[:, None])) for of_N in (said_N, deed_N))
    return Places(entity_NE, saying_NE, doing_NE, _numbered(deed_N))


def _both(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash of two."""
    mixed = one * np.uint64(0x9E3779B97F4A7C15) ^ other
    return (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)


def _numbered(key_X: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Different keys by number, from 0."""
    return np.unique(key_X, return_inverse=True)[1].reshape(key_X.shape).astype(np.int64)


def _nothing(places: Places) -> Known:
    entities, sayings, doings, deeds = (place.max(initial=-1) + 2 for place in places)
    lately_E, when_E, episode_E, own_E, beside_E, score_E = np.zeros((6, entities))
    thread_E, active_E = np.zeros(entities, np.int64), np.full(entities, -np.inf)
    words = (np.zeros(sayings), np.zeros(doings, np.bool_), np.zeros(deeds))
    return Known(lately_E, when_E, episode_E, own_E, beside_E, score_E, thread_E, active_E, *words)


@njit(cache=True)
def _walk(
    places: Places,
    known: Known,
    is_alert_N: NDArray[np.bool_],
    seconds_N: NDArray[np.float64],
    episode_N: NDArray[np.float64],
    evidence_N: NDArray[np.float64],
    usual_NE: NDArray[np.float64],
    score_NE: NDArray[np.float64],
    own_NE: NDArray[np.float64],
    gain_NE: NDArray[np.float64],
    thread_NE: NDArray[np.int64],
    begun_NE: NDArray[np.int64],
) -> None:
    elder_N = np.arange(usual_NE.size + 1)  # of each thread the one it has joined
    site = known.lately_E.size - 1
    now = 0.0
    for i in range(seconds_N.size):
        now = max(now, seconds_N[i])
        entity_E, is_linking = places.entity_NE[i], is_alert_N[i] or evidence_N[i] >= _LINKING
        _fade(known, site, now)
        for e in range(entity_E.size):
            if entity_E[e] >= 0:
                _open(known, entity_E[e], now, episode_N[i])
                doers = _doers(known, places.doing_NE[i, e], places.deed_N[i])
                gain = max(0.0, evidence_N[i] - _NO_NEWS) / np.sqrt(doers) - np.log(usual_NE[i, e])
                gain_NE[i, e] = max(0.0, gain)
                squares = _testify(known, entity_E[e], places.saying_NE[i, e], gain_NE[i, e])
                known.lately_E[site] += squares if is_alert_N[i] else 0.0
        for e in range(entity_E.size):
            if entity_E[e] >= 0:
                one = entity_E[e]
                if is_linking:
                    _meet(known, entity_E, e, is_alert_N[i])
                beside = known.lately_E[one] + known.beside_E[one]
                known.score_E[one] = known.own_E[one] + _COMPANY * np.sqrt(beside)
                score_NE[i, e], own_NE[i, e] = known.score_E[one], known.own_E[one]
                if known.score_E[one] >= LISTED:
                    new = i * entity_E.size + e + 1
                    _follow(known, entity_E, e, new, now, is_linking, is_alert_N[i], elder_N)
                    thread_NE[i, e] = known.thread_E[one]
                    begun_NE[i, e] = new if known.thread_E[one] == new else 0
    for i in range(seconds_N.size):
        for e in range(thread_NE.shape[1]):
            thread_NE[i, e] = _eldest(elder_N, thread_NE[i, e])


@njit(cache=True)
def _fade(known: Known, one: int, now: float) -> None:
    known.lately_E[one] *= np.exp2((known.when_E[one] - now) / _HOUR)
    known.when_E[one] = now


@njit(cache=True)
def _open(known: Known, one: int, now: float, episode: float) -> None:
    """Begin an entity's episode, if it is not in it or in a later one."""
    is_new = episode > known.episode_E[one]
    if is_new:
        known.lately_E[one] += known.own_E[one] ** 2
    _fade(known, one, now)
    if is_new:
        known.episode_E[one] = episode
        known.own_E[one] = known.beside_E[one] = known.score_E[one] = 0.0


@njit(cache=True)
def _doers(known: Known, doing: int, deed: int) -> float:
    """How many entities did the same, this one included."""
    if not known.has_done_D[doing]:
        known.has_done_D[doing] = True
        known.doers_T[deed] += 1.0
    doers: float = known.doers_T[deed]
    return doers


@njit(cache=True)
def _testify(known: Known, one: int, saying: int, gain: float) -> float:
    """Count a witness by its strongest thing in this episode; by how much the square of what is said grows."""
    more = gain - known.word_W[saying]
    if more <= 0.0:
        return 0.0
    squares: float = (known.own_E[one] + more) ** 2 - known.own_E[one] ** 2
    known.word_W[saying] = gain
    known.own_E[one] += more
    return squares


@njit(cache=True)
def _meet(known: Known, entity_E: NDArray[np.int64], e: int, is_alert: bool) -> None:
    """Take note of the strangest company in an event."""
    one = entity_E[e]
    if is_alert:
        others = known.lately_E[known.lately_E.size - 1] - known.lately_E[one] - known.own_E[one] ** 2
        known.beside_E[one] = max(known.beside_E[one], others)
    for other in entity_E:
        if other >= 0 and other != one:
            known.beside_E[one] = max(known.beside_E[one], known.lately_E[other] + known.own_E[other] ** 2)


@njit(cache=True)
def _follow(
    known: Known,
    entity_E: NDArray[np.int64],
    e: int,
    new: int,
    now: float,
    is_linking: bool,
    is_alert: bool,
    elder_N: NDArray[np.int64],
) -> None:
    """Go on with a thread, or begin one, and join those that are met."""
    one, site = entity_E[e], known.lately_E.size - 1
    if now - known.active_E[one] > _HOUR:
        known.thread_E[one] = new
    known.active_E[one] = now
    if known.score_E[one] >= JOINED and is_linking:
        for other in entity_E:
            if other >= 0 and other != one and known.score_E[other] >= JOINED:
                _join(known, one, other, elder_N)
        if is_alert:
            if now - known.active_E[site] <= _HOUR:
                _join(known, one, site, elder_N)
            known.thread_E[site], known.active_E[site] = known.thread_E[one], now


@njit(cache=True)
def _join(known: Known, one: int, other: int, elder_N: NDArray[np.int64]) -> None:
    mine, theirs = _eldest(elder_N, known.thread_E[one]), _eldest(elder_N, known.thread_E[other])
    if mine > 0 and theirs > 0:
        elder_N[max(mine, theirs)] = min(mine, theirs)
        known.thread_E[one] = known.thread_E[other] = min(mine, theirs)


@njit(cache=True)
def _eldest(elder_N: NDArray[np.int64], thread: int) -> int:
    while elder_N[thread] != thread:
        elder_N[thread] = elder_N[elder_N[thread]]
        thread = elder_N[thread]
    return thread
