"""The offline detector of tables: how unusual each field of a row is, by itself and given the row's other fields."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted, validate_data

from features.hashing import hash64
from features.memory import State
from features.word import Codes
from models.encoder import Encoder
from models.offline import Ask, Offline, offline_from, questions
from models.threads import one_thread
from models.vocabulary import UNSEEN, Vocabulary

#: Where a number's bins end: sixteen of equal weight, the outermost cut again near their ends.
_CUTS = np.unique(np.r_[np.linspace(0, 1, 17)[1:-1], 0.001, 0.003, 0.01, 0.99, 0.997, 0.999])
_FEW = 16  # different numbers up to which each is a value of its own
_DISTANCE = 2.0  # what the distance of a number weighs beside the rarity of its bin
_SELDOM = 0.999  # of the rows learned that the others excuse: the context speaks about what is odder
_AUTO = 0.01
_LARGEST = 1e150  # whose square is a number still
_NOWHERE = 2**63  # the code of a number that no bin holds
_DRAWN, _STEPS, _BATCH, _WIDTH, _RATE = 6_000, 250, 256, 32, 1e-2


class RareRows(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Sums up how unusual a row's fields are, in nats; learns from rows without labels, good and bad.

    Texts are values; numbers fall in bins of equal weight, or are values where there are few. A field's surprisal is

    * its rarity, -log of the share that its value has among the rows learned (cf. HBOS, Goldstein & Dengel, KI 2012);
    * a number's distance, 2 log(1 + ((x - median) / deviation)^2): Cauchy's -log density, twice; among values that are
      there or not it is their rarity again;
    * a contradiction: what the encoder, given all other fields, finds odder than its rarity says, for the row's worst
      field alone, less what 999 of 1,000 rows learned have. The others accuse a value but never excuse it: what a
      flood of bad rows repeats is well predicted, too. Of a value that it never saw the encoder knows nothing.

    Parameters
    ----------
    contamination
        The share of the rows learned that `predict` calls -1; `auto` is one in a hundred.
    random_state
        Draws the rows that the encoder learns from, at most 6,000, and its first weights.

    Attributes
    ----------
    offset_
        What `decision_function` takes from `score_samples`.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> rows = pl.DataFrame({"user": ["ann", "bob"] * 50, "bytes": [float(n % 7) for n in range(100)]})
    >>> detector = RareRows(random_state=0).fit(rows)
    >>> detector.predict(pl.DataFrame({"user": ["ann", "eve"], "bytes": [3.0, 900.0]})).tolist()
    [1, -1]
    """

    def __init__(
        self, contamination: float | Literal["auto"] = "auto", random_state: int | np.random.RandomState | None = None
    ) -> None:
        self.contamination = contamination
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn what is usual from `X` (rows, fields), an array or a frame of numbers and texts; `y` is not looked at.

        Raises ValueError where `contamination` or `X` is not what it should be.
        """
        share = _share(self.contamination)
        rows = self._rows(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._learned = _learn(rows, seed)
        self.offset_ = float(np.quantile(-self._learned.nats(rows).sum(axis=1), share))
        return self

    def surprisals(self, X: ArrayLike) -> NDArray[np.float64]:
        """(rows, fields) nats >= 0: how much each field adds to a row's score, and so the reasons for it."""
        check_is_fitted(self)
        return self._learned.nats(self._rows(X, reset=False))

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """(rows,) minus the sum of a row's surprisals: larger is more usual, as scikit-learn has it."""
        nats_N: NDArray[np.float64] = self.surprisals(X).sum(axis=1)
        return -nats_N

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """(rows,) below 0 for what `predict` calls -1."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """(rows,) -1 for an unusual row, 1 for any other."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def arrays(self) -> State:
        """Everything learned as plain arrays, as `models.bundle` writes them; names of fields are not among them."""
        check_is_fitted(self)
        return self._learned.arrays() | {"offset": np.array([self.offset_])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], names: Sequence[str] | None = None) -> "RareRows":
        """The detector that `arrays` hold; `names` are those of the frame's columns, where it learned from one.

        Raises KeyError, ValueError or RuntimeError where the arrays do not fit together.
        """
        detector = cls()
        detector._learned = _learned_from(arrays)
        detector.offset_ = float(arrays["offset"][0])
        detector.n_features_in_ = len(detector._learned.measures)
        if names is not None:
            if len(names) != detector.n_features_in_:
                raise ValueError(f"names: expected {detector.n_features_in_}, one a field, not {len(names)}")
            detector.feature_names_in_ = np.array(names, object)
        return detector

    def _rows(self, X: Any, *, reset: bool) -> pl.DataFrame:
        """Columns of Float64 or String, by their place."""
        if hasattr(X, "columns") and hasattr(X, "dtypes"):
            _check_feature_names(self, X, reset=reset)
            _check_n_features(self, X, reset=reset)
            columns = (X if isinstance(X, pl.DataFrame) else pl.from_pandas(X)).get_columns()
            rows = pl.DataFrame([_plain(column, str(k)) for k, column in enumerate(columns)])
        else:
            x_BF = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
            rows = pl.DataFrame([_column(x_BF[:, k], str(k)) for k in range(x_BF.shape[1])])
        if not rows.height:
            raise ValueError("X: expected a row or more, not 0 sample(s)")
        if not reset:
            self._learned.expect(rows)
        return rows


@dataclass(frozen=True)
class _Measure:
    """How one field's values become codes: a text's hash, or a number's place; `cuts` is None for texts.

    `few`: each of the cuts is a value. Otherwise they are the ends of bins, the least and largest number among them.
    """

    cuts: NDArray[np.float64] | None
    few: bool = False
    median: float = 0.0
    deviation: float = 1.0

    def codes(self, column: pl.Series) -> NDArray[np.uint64]:
        """(rows,) 0 for what is missing."""
        if self.cuts is None:
            return hash64(column)
        x_B = _numbers(column)
        place_B = np.searchsorted(self.cuts, x_B)
        if self.few:
            is_known_B = self.cuts[np.minimum(place_B, self.cuts.size - 1)] == x_B if self.cuts.size else x_B != x_B
        else:
            is_known_B = (x_B >= self.cuts[0]) & (x_B <= self.cuts[-1])
            place_B = np.maximum(place_B, 1)  # the least number is in the first bin
        code_B = np.where(is_known_B, place_B.astype(np.uint64) + np.uint64(1), np.uint64(_NOWHERE))
        return np.where(np.isnan(x_B), np.uint64(0), code_B)

    def distance(self, column: pl.Series) -> NDArray[np.float64]:
        """(rows,) nats; 0 for texts and for what is missing."""
        if self.cuts is None:
            return np.zeros(len(column))
        away_B = np.nan_to_num((_numbers(column) - self.median) / self.deviation)
        return _DISTANCE * 2.0 * np.log(np.hypot(1.0, away_B))


@dataclass(frozen=True)
class _Learned:
    """What was learned of every field, and of the fields together."""

    measures: Sequence[_Measure]
    rarity: Sequence[NDArray[np.float64]]
    offline: Offline
    excused: float = 0.0

    def expect(self, rows: pl.DataFrame) -> None:
        """Raise ValueError where a field is a text that was a number, or the other way round."""
        for measure, column in zip(self.measures, rows.get_columns(), strict=True):
            wanted = pl.String if measure.cuts is None else pl.Float64
            if column.dtype != wanted and column.null_count() < len(column):
                raise ValueError(f"field {column.name} of X: expected {wanted} as in fit, found {column.dtype}")

    def nats(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """(rows, fields) surprisals."""
        codes, columns = _codes(self.measures, rows), rows.get_columns()
        rarity_BF = self.rarities(codes)
        distance = [measure.distance(column) for measure, column in zip(self.measures, columns, strict=True)]
        nats_BF = rarity_BF + np.stack(distance, axis=1)
        unknown_F = np.array([nats_V[UNSEEN] for nats_V in self.rarity])
        odd_BF = np.where(rarity_BF < unknown_F, self.offline.surprisals(codes) - rarity_BF, 0.0)
        worst_B, rows_B = odd_BF.argmax(axis=1), np.arange(len(odd_BF))
        nats_BF[rows_B, worst_B] += np.maximum(0.0, odd_BF[rows_B, worst_B] - self.excused)
        return nats_BF

    def rarities(self, codes: Codes) -> NDArray[np.float64]:
        """(rows, fields) -log shares."""
        code_BF = self.offline.vocabulary.encode(codes)
        return np.stack([nats_V[code_BF[:, k]] for k, nats_V in enumerate(self.rarity)], axis=1)

    def arrays(self) -> State:
        """Everything as plain arrays."""
        cuts = {f"cuts.{k}": m.cuts for k, m in enumerate(self.measures) if m.cuts is not None}
        rarity = {f"rarity.{k}": nats_V for k, nats_V in enumerate(self.rarity)}
        told = np.array([[m.few, m.median, m.deviation] for m in self.measures], np.float64)
        return self.offline.arrays() | cuts | rarity | {"measures": told, "excused": np.array([self.excused])}


def _learn(rows: pl.DataFrame, seed: int) -> _Learned:
    measures = [_measure(column) for column in rows.get_columns()]
    codes = _codes(measures, rows)
    vocabulary = Vocabulary.learn(codes, least=1)
    code_BF = vocabulary.encode(codes)
    rarity = [_rarity(code_BF[:, k], size) for k, size in enumerate(vocabulary.sizes)]
    drawn_D = np.sort(np.random.default_rng(seed).permutation(len(code_BF))[:_DRAWN])
    offline = Offline(vocabulary, _fit(code_BF[drawn_D], vocabulary.sizes, rarity, seed))
    learned = _Learned(measures, rarity, offline)
    drawn = {name: code_B[drawn_D] for name, code_B in codes.items()}
    odd_D = (offline.surprisals(drawn) - learned.rarities(drawn)).max(axis=1)
    return _Learned(measures, rarity, offline, max(0.0, float(np.quantile(odd_D, _SELDOM))))


def _learned_from(arrays: Mapping[str, NDArray[Any]]) -> _Learned:
    told, names = arrays["measures"], [str(k) for k in range(len(arrays["measures"]))]
    cuts = [np.asarray(arrays[f"cuts.{k}"]) if f"cuts.{k}" in arrays else None for k in names]
    measures = [
        _Measure(cut, bool(few), float(median), float(deviation))
        for cut, (few, median, deviation) in zip(cuts, told, strict=True)
    ]
    offline = offline_from(dict(arrays), _asks(names))
    rarity = [np.asarray(arrays[f"rarity.{k}"], np.float64) for k in names]
    if [nats_V.size for nats_V in rarity] != offline.vocabulary.sizes:
        raise ValueError("arrays: expected a rarity for every code of the vocabulary")
    return _Learned(measures, rarity, offline, float(arrays["excused"][0]))


def _measure(column: pl.Series) -> _Measure:
    """Bins by the numbers that are there; a number that never changed deviates as if one row had."""
    if column.dtype == pl.String:
        return _Measure(None)
    x_B = _numbers(column)
    x_B = x_B[~np.isnan(x_B)]
    values = np.unique(x_B)
    if not values.size:
        return _Measure(values, few=True)
    few = values.size <= _FEW
    cuts = values if few else np.unique(np.r_[values[0], np.quantile(x_B, _CUTS), values[-1]])
    deviation = float(x_B.std()) if values.size > 1 else max(1.0, abs(float(values[0]))) / np.sqrt(x_B.size)
    return _Measure(cuts, few, float(np.median(x_B)), max(deviation, np.finfo(np.float64).tiny))


def _codes(measures: Sequence[_Measure], rows: pl.DataFrame) -> Codes:
    return {column.name: measure.codes(column) for measure, column in zip(measures, rows.get_columns(), strict=True)}


def _rarity(code_B: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """-log share of every code; each value seen, and one that was not, has half a row more (Krichevsky & Trofimov)."""
    count_V = np.bincount(code_B, minlength=size) + 0.5
    total = code_B.size + 0.5 * ((count_V > 0.5).sum() + 1)
    nats_V: NDArray[np.float64] = -np.log(count_V / total)
    return nats_V


def _fit(code_BF: NDArray[np.int64], sizes: Sequence[int], rarity: Sequence[NDArray[np.float64]], seed: int) -> Encoder:
    """An encoder that tells each field from all others; before it has learned anything it answers with the rarity."""
    names = [str(k) for k in range(len(sizes))]
    batches = -(-len(code_BF) // _BATCH)
    epochs = min(40, max(4, _STEPS // batches))
    chance = np.random.default_rng(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(sizes, questions(_asks(names)), width=_WIDTH)
        with torch.no_grad():
            encoder.bias.copy_(torch.from_numpy(-np.concatenate(rarity)))
        optimizer = torch.optim.Adam(encoder.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for at_M in np.array_split(chance.permutation(len(code_BF)), batches):
                optimizer.zero_grad()
                encoder(torch.from_numpy(code_BF[at_M])).sum(dim=1).mean().backward()
                optimizer.step()
                schedule.step()
    return encoder.eval()


def _asks(names: Sequence[str]) -> list[Ask]:
    return [Ask(name, tuple(other for other in names if other != name)) for name in names]


def _share(contamination: float | str) -> float:
    if contamination == "auto":
        return _AUTO
    if isinstance(contamination, str) or not 0.0 < contamination <= 0.5:
        raise ValueError(f"contamination: expected 'auto' or a share in (0, 0.5], not {contamination!r}")
    return contamination


def _plain(column: pl.Series, name: str) -> pl.Series:
    """A frame's column as numbers or texts."""
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64).rename(name)
        if numbers.is_infinite().any():
            raise ValueError(f"column {column.name!r} of X: expected finite numbers, found infinity")
        return numbers
    if column.dtype == pl.Object:
        return _column(column.to_numpy(), name)
    return column.cast(pl.String).rename(name)


def _column(x_B: NDArray[Any], name: str) -> pl.Series:
    """An array's column as numbers, or as texts where one of its values is none."""
    if x_B.dtype.kind in "biuf":
        return pl.Series(name, x_B.astype(np.float64))
    missing_B = [value is None or (isinstance(value, float) and np.isnan(value)) for value in x_B]
    if _all(x_B, missing_B, lambda value: isinstance(value, int | float | np.number | np.bool_)):
        told = [None if missing else float(value) for value, missing in zip(x_B, missing_B, strict=True)]
        return pl.Series(name, told, pl.Float64)
    texts = [None if missing else str(value) for value, missing in zip(x_B, missing_B, strict=True)]
    return pl.Series(name, texts, pl.String)


def _all(x_B: NDArray[Any], missing_B: Sequence[bool], is_so: Callable[[Any], bool]) -> bool:
    return all(missing or is_so(value) for value, missing in zip(x_B, missing_B, strict=True))


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    """Missing ones are NaN."""
    x_B: NDArray[np.float64] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.clip(x_B, -_LARGEST, _LARGEST)
