"""Every method of the table: what scores each event of a stream, before it learned from it."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.agent import Agent
from agents.recipe import recipe_of
from benchmarks.streams import peers
from benchmarks.streams.midas import midas
from benchmarks.streams.naive import NAIVE
from benchmarks.streams.stream import Stream
from features.events import Domain
from features.featurizer import Featurizer, squashed
from features.hashing import hash64

_TICK_US = 60_000_000

#: The two ends of an edge in each domain, as fields of its recipe.
_ENDS: Mapping[Domain, tuple[str, str]] = {
    Domain.NETWORK: ("source", "peer"),
    Domain.DNS: ("client", "site"),
    Domain.WEB: ("client", "path"),
    Domain.ENDPOINT: ("actor", "deed"),
    Domain.IDENTITY: ("user", "address"),
    Domain.CLOUD: ("user", "operation"),
}


class PeerAbsent(Exception):
    """A peer's package cannot be run."""


@dataclass(frozen=True)
class Domained:
    """One domain of a stream: all its events, which of them are asked about, and their features, squashed."""

    domain: Domain
    events: pl.DataFrame
    rows: pl.Series
    x_BF: NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Scores of the asked events (NaN where a row was left out), how many were walked in how many seconds.

    Every `stride`-th event was walked.
    """

    score_B: NDArray[np.float64]
    walked: int
    seconds: float
    stride: int = 1


@dataclass(frozen=True)
class Method:
    """A name and how it scores a domain. `nats`: its scores are comparable between domains as they are.

    Scores of others become -log of the share of their domain's events that score as high. `chancy`: a seed matters.
    """

    name: str
    score: Callable[[Domained, Stream, int], Scored]
    nats: bool = False
    chancy: bool = False


def methods(python: str, seconds: float) -> list[Method]:
    """All of them; peers run under `python` and are thinned where a set would take longer than `seconds`."""
    slow = [
        Method(name, _peer(name, sys.executable if name.startswith("River") else python, seconds), chancy=chancy)
        for name, chancy in _PEERS.items()
    ]
    return [
        Method("secmesh", _secmesh, nats=True),
        *slow,
        Method("MIDAS", _midas),
        Method("naive", _naive, nats=True),
        Method("random", _random, chancy=True),
    ]


_PEERS = {name: name not in ("River OneClassSVM", "PyOD ECOD", "PyOD COPOD") for name in (*peers.ONLINE, *peers.BATCH)}


def domains(stream: Stream) -> list[Domained]:
    """The stream's domains with the features that all peers see: the recipe's words, x / (x + 3)."""
    found = []
    for domain, events in stream.events.items():
        recipe, rows = recipe_of(domain), stream.asked_rows(domain)
        x_BF = Featurizer(recipe.fields, recipe.all_words).observe(events).x_BF[rows.to_numpy()]
        found.append(Domained(domain, events, rows, squashed(x_BF)))
    return found


def tails(score_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log of the share of scores that are as high or higher; NaN stays.

    >>> tails(np.array([1.0, np.nan, 2.0])).round(2).tolist()
    [0.0, nan, 0.69]
    """
    told = pl.Series(score_B).fill_nan(None)
    share = told.rank("max", descending=True) / told.drop_nulls().len()
    return np.asarray(share.log().abs().fill_null(np.nan).to_numpy())


def _secmesh(part: Domained, _stream: Stream, _seed: int) -> Scored:
    """A fresh agent's scores; the time is of everything from events to verdicts, features included."""
    events = part.events.with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64))
    Agent(recipe_of(part.domain)).observe(events[:1])  # its machine code is loaded once
    agent = Agent(recipe_of(part.domain))
    began = time.perf_counter()
    score_B = agent.observe(events)["score"].to_numpy()
    return Scored(score_B[part.rows.to_numpy()], events.height, time.perf_counter() - began)


def _midas(part: Domained, _stream: Stream, _seed: int) -> Scored:
    fields = recipe_of(part.domain).fields
    source_B, target_B = (
        hash64(part.events.select(fields[name].cast(pl.String)).to_series()) for name in _ENDS[part.domain]
    )
    ticks_B = part.events["time"].to_physical().to_numpy() // _TICK_US
    midas(source_B[:1], target_B[:1], ticks_B[:1])
    began = time.perf_counter()
    score_B = midas(source_B, target_B, ticks_B)
    return Scored(score_B[part.rows.to_numpy()], part.events.height, time.perf_counter() - began)


def _naive(part: Domained, stream: Stream, _seed: int) -> Scored:
    asked = part.events[part.rows]
    began = time.perf_counter()
    score_B = stream.naive.get(part.domain, NAIVE[part.domain])(asked).to_numpy()
    return Scored(score_B, asked.height, time.perf_counter() - began)


def _random(part: Domained, _stream: Stream, seed: int) -> Scored:
    began = time.perf_counter()
    score_B = np.random.default_rng((seed, list(Domain).index(part.domain))).random(part.rows.len())
    return Scored(score_B, part.rows.len(), time.perf_counter() - began)


def _peer(name: str, python: str, seconds: float) -> Callable[[Domained, Stream, int], Scored]:
    def score(part: Domained, stream: Stream, seed: int) -> Scored:
        share = part.rows.len() / sum(stream.asked_rows(domain).len() for domain in stream.events)
        with TemporaryDirectory() as folder:
            rows, scores = Path(folder) / "rows.npy", Path(folder) / "scores.npz"
            np.save(rows, part.x_BF)
            command = [python, peers.__file__, name, str(rows), str(scores), str(seed), str(seconds * share)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own words
            if done.returncode:
                raise PeerAbsent(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            told = np.load(scores)
            score_B = np.nan_to_num(told["score"][:: told["stride"]], nan=0.0, posinf=1e300, neginf=-1e300)
        every_B = np.full(len(part.x_BF), np.nan)
        every_B[:: told["stride"]] = score_B
        return Scored(every_B, score_B.size, float(told["seconds"]), int(told["stride"]))

    return score
