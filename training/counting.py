"""The different events of a past with how often each came, in bounded memory: all that an encoder is fitted to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.recipe import Recipe
from features.featurizer import Featurizer
from features.word import Codes
from models.vocabulary import UNSEEN, Vocabulary

#: The newest part of the events, which judges and teaches nothing.
LATER = 0.1
#: Most different events that are counted, and most different values of a field.
MOST_ROWS, MOST_VALUES = 1 << 20, 1 << 19

Number = TypeVar("Number", np.int64, np.float32)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Weighed:
    """Different events as codes (U, K), and how much each weighs (U,), 1 on average."""

    code_UK: NDArray[np.int64]
    weight_U: NDArray[np.float32]


@dataclass(frozen=True)
class Counted:
    """U different events as hashes of their K fields, in one order whatever the order they came in.

    `old_U` and `later_U` count each among the older events and among the newest tenth. `values` has each field's
    different hashes, sorted, and how often each came.
    """

    fields: tuple[str, ...]
    hash_UK: NDArray[np.uint64]
    old_U: NDArray[np.int64]
    later_U: NDArray[np.int64]
    values: Mapping[str, tuple[NDArray[np.uint64], NDArray[np.int64]]]

    def vocabulary(self, most: int, least: int) -> Vocabulary:
        """The `most` commonest values of each field among those that came `least` times."""
        return Vocabulary({name: _commonest(*self.values[name], most, least) for name in self.fields})

    def old(self, vocabulary: Vocabulary) -> Weighed:
        """Each different older event by the square root of its count, and each kind by that of its total.

        So a flood of one sort does not drown the rest. The kind is the first field's code.
        """
        code_UK, count_U = _alike(self._encode(vocabulary, self.old_U), self.old_U[self.old_U > 0])
        return Weighed(code_UK, _balanced(np.sqrt(count_U), code_UK[:, 0]))

    def later(self, vocabulary: Vocabulary) -> Weighed:
        """The newest tenth; it weighs the same in any vocabulary, so that what it says of two can be compared."""
        return Weighed(*_alike(self._encode(vocabulary, self.later_U), self._later_weights()))

    def commonest(self, most: int) -> tuple[Codes, NDArray[np.int64]]:
        """The `most` commonest different events, older or newer, and how often each came."""
        count_U = self.old_U + self.later_U
        at_M = np.argsort(-count_U, kind="stable")[:most]
        return {name: self.hash_UK[at_M, k] for k, name in enumerate(self.fields)}, count_U[at_M]

    def unseen_nats(self, vocabulary: Vocabulary, targets: Sequence[str]) -> float:
        """Nats a later event to tell apart, one as likely as the next, what `vocabulary` calls unseen in `targets`.

        A loss and this together are a surprisal over the same values in any vocabulary.
        """
        code_UK, weight_U = self._encode(vocabulary, self.later_U), self._later_weights()
        nats = 0.0
        for name in targets:
            others = int(np.count_nonzero(self.values[name][0])) - vocabulary.known[name].size
            is_unseen_U = code_UK[:, self.fields.index(name)] == UNSEEN
            nats += float(weight_U[is_unseen_U].sum()) * np.log(max(others, 1))
        return nats / weight_U.size

    def _encode(self, vocabulary: Vocabulary, count_U: NDArray[np.int64]) -> NDArray[np.int64]:
        hash_UK = self.hash_UK[count_U > 0]
        return vocabulary.encode({name: hash_UK[:, k] for k, name in enumerate(self.fields)})

    def _later_weights(self) -> NDArray[np.float32]:
        (at_U,) = self.later_U.nonzero()
        _, kind_U = np.unique(self.hash_UK[at_U, 0], return_inverse=True)
        return _balanced(np.sqrt(self.later_U[at_U]), kind_U)


def count(slices: Iterable[Codes], rows: int) -> Counted:
    """Count `rows` events that come in the order of time, cut anywhere: their codes, as `Featurizer` makes them.

    Of more than MOST_ROWS different events those remain, with their exact counts, whose hash ends in as many zeros as
    it takes: the same sample in any order (adaptive sampling; Flajolet, Computing 43, 1990). Of more than MOST_VALUES
    different values of a field the rarest are forgotten.
    """
    split, begin = max(1, int(rows * (1 - LATER))), 0
    table, values = _Rows(), _Values()
    for codes in slices:
        frame = pl.DataFrame(dict(codes))
        is_old = pl.int_range(pl.len()) + begin < split
        table.add(frame.with_columns(old=is_old.cast(pl.Int64), later=(~is_old).cast(pl.Int64)))
        values.add(frame)
        begin += frame.height
    return _counted(table.frame, values.frames)


def codes_of(recipe: Recipe, slices: Iterable[pl.DataFrame]) -> Iterator[Codes]:
    """The codes that a recipe's encoder reads, slice by slice."""
    for events in slices:
        codes = Featurizer(recipe.fields, ()).observe(events).codes
        yield {name: codes[name] for name in recipe.asked}


class _Rows:
    """Different events and their counts, of which a sample remains where they are too many."""

    def __init__(self) -> None:
        self.frame = pl.DataFrame()
        self._zeros = 0

    def add(self, events: pl.DataFrame) -> None:
        names = [name for name in events.columns if name not in ("old", "later")]
        slim = self._sampled(_summed(events, names), names)
        self.frame = _summed(pl.concat([self.frame, slim]), names) if self.frame.height else slim
        while self.frame.height > MOST_ROWS:
            self._zeros += 1
            self.frame = self._sampled(self.frame, names)

    def _sampled(self, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        if not self._zeros:
            return frame
        code_U = _mixed([frame[name].to_numpy() for name in names])
        return frame.filter(pl.Series(code_U & np.uint64((1 << self._zeros) - 1) == 0))


class _Values:
    """The different values of each field and their counts, without the rarest where they are too many."""

    def __init__(self) -> None:
        self.frames: dict[str, pl.DataFrame] = {}

    def add(self, codes: pl.DataFrame) -> None:
        for name in codes.columns:
            new = codes.select(hash=name).group_by("hash").agg(count=pl.len().cast(pl.Int64))
            known = self.frames.get(name, new.clear())
            self.frames[name] = _without_rarest(_summed(pl.concat([known, new]), ["hash"]))


def _without_rarest(values: pl.DataFrame) -> pl.DataFrame:
    least = 1
    while values.height > MOST_VALUES:
        values, least = values.filter(pl.col("count") > least), 2 * least
    return values


def _summed(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return frame.group_by(names).sum()


def _mixed(hashes: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """A number for each row whose bits depend on all of its hashes."""
    code_U = np.zeros(hashes[0].size, np.uint64)
    for hash_U in hashes:
        code_U = (code_U ^ hash_U) * _GOLDEN
        code_U ^= code_U >> np.uint64(29)
    return code_U


def _counted(frame: pl.DataFrame, values: Mapping[str, pl.DataFrame]) -> Counted:
    fields = tuple(values)
    ordered = frame.sort(fields)
    hash_UK = np.stack([ordered[name].to_numpy() for name in fields], axis=1)
    old_U, later_U = ordered["old"].to_numpy(), ordered["later"].to_numpy()
    sides = {name: (side["hash"].to_numpy(), side["count"].to_numpy()) for name, side in _sorted(values).items()}
    return Counted(fields, hash_UK, old_U if old_U.any() else later_U, later_U if later_U.any() else old_U, sides)


def _sorted(values: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: side.sort("hash") for name, side in values.items()}


def _commonest(hash_V: NDArray[np.uint64], count_V: NDArray[np.int64], most: int, least: int) -> NDArray[np.uint64]:
    is_wanted = (hash_V != 0) & (count_V >= least)
    values, counts = hash_V[is_wanted], count_V[is_wanted]
    return np.sort(values[np.argsort(-counts, kind="stable")[:most]])


def _alike(code_BK: NDArray[np.int64], weight_B: NDArray[Number]) -> tuple[NDArray[np.int64], NDArray[Number]]:
    """Each different row once, in order, and the sum of what weighs on it."""
    names = [str(k) for k in range(code_BK.shape[1])]
    frame = pl.DataFrame(code_BK, schema=names).with_columns(weight=pl.Series(weight_B))
    merged = frame.group_by(names, maintain_order=True).sum().sort(names)
    return merged.select(names).to_numpy(order="c", writable=True), merged["weight"].to_numpy(writable=True)


def _balanced(weight_U: NDArray[np.float64], kind_U: NDArray[np.int64]) -> NDArray[np.float32]:
    """The weights, each kind's total by its square root, 1 on average."""
    balanced_U = weight_U / np.sqrt(np.bincount(kind_U, weights=weight_U)[kind_U])
    share_U: NDArray[np.float64] = balanced_U / balanced_U.mean()
    return share_U.astype(np.float32)
