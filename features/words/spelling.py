"""Spelling: how unlike the names of its stream a name is spelled."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray
from tldextract import TLDExtract

from features.memory import Memory, State, empty_memory, memory_state, restore_memory, touch
from features.views import joined
from features.word import Look

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-._"
_OTHER, _EDGE = len(_LETTERS), len(_LETTERS) + 1
_KINDS = _EDGE + 1
_KIND_OF_BYTE = np.full(256, _OTHER, np.int64)
for _kind, _letter in enumerate(_LETTERS):
    _KIND_OF_BYTE[[ord(_letter), ord(_letter.upper())]] = _kind

#: Occurrences that the answer of a shorter context weighs in that of the longer one.
_BACKOFF = 5.0
#: Steps of a half-life in which counts fade, and what is left of a name after one, when it is spelled again.
_STEPS = 64
_FADED = 0.5 ** (1 / _STEPS)
_TINY = 1e-100
_LETTERS_SEEN, _NATS, _NAMES, _STEP = range(4)


class Language(NamedTuple):
    """How often letters followed each other, K kinds of them; the arrays change in place.

    The last kind is the edge of a name. `whole_4` holds all letters, the sum of the names' nats per letter, their
    weight, and the step to which the counts are faded.
    """

    thrice_KKK: NDArray[np.float64]
    twice_KK: NDArray[np.float64]
    once_K: NDArray[np.float64]
    whole_4: NDArray[np.float64]


@dataclass(frozen=True)
class Spelling:
    """Excess of a name's nats over what as many letters of the stream's names have on average, not below 0.

    A letter's nats are -log p(letter | the two before it), backed off to shorter contexts as Dirichlet priors; the
    excess is divided by the root of the length, by which it would spread if letters were drawn. Counts begin as those
    of the public suffix list, nine thousand names that people chose, and fade back to them: what a stream taught
    halves every `half_life`. A name teaches as 1 / (1 + answer)^2 usual ones, so that generated names do not become
    the language but a house's own kind does. One seen again before a sixty-fourth of a half-life has passed is
    answered as before and teaches nothing.
    A stream's first name has no others to be compared with and says 0.
    """

    field: str
    half_life: timedelta = timedelta(days=30)

    @property
    def name(self) -> str:
        """Such as `spelling of name`."""
        return f"spelling of {self.field}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The field."""
        return (self.field,)

    def watch(self, slots: int) -> "SpellingWatch":
        """The language of the public suffix list, and a memory of at most `slots` names."""
        return SpellingWatch(self, slots)


class SpellingWatch:
    """The language of the stream's names, and the names spelled of late with their answers."""

    def __init__(self, word: Spelling, slots: int) -> None:
        self._word = word
        self._language = _copied(_public_suffixes())
        self._names = empty_memory(slots, word.half_life.total_seconds(), np.inf)  # how fresh its answer is, and that

    def observe(self, look: Look) -> NDArray[np.float64]:
        """Weighted excess, (B,) float64."""
        text, begins_B, ends_B = joined(look.texts[self._word.field].fill_null(""))
        code_B = look.codes[self._word.field]
        natural = _public_suffixes()
        return _excess(text, begins_B, ends_B, code_B, look.active_B, self._names, self._language, natural)

    def state(self) -> State:
        """All counts and answers."""
        language: State = {f"language.{name}": array.copy() for name, array in self._language._asdict().items()}
        return language | memory_state(self._names, "names")

    def restore(self, state: State) -> None:
        """Go on from these counts and answers."""
        for name, array in self._language._asdict().items():
            array[:] = state[f"language.{name}"]
        restore_memory(self._names, state, "names")


@cache
def _public_suffixes() -> Language:
    """The language of the ASCII rules of the public suffix list (publicsuffix.org, MPL 2.0) that `tldextract` ships."""
    listed = TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True).tlds
    names = pl.Series(sorted(rule.lstrip("*!.") for rule in listed if rule.isascii()))
    language = Language(np.zeros((_KINDS,) * 3), np.zeros((_KINDS,) * 2), np.ones(_KINDS), np.zeros(4))
    language.whole_4[_LETTERS_SEEN] = _KINDS
    _teach_all(*joined(names), language)
    return language


def _copied(language: Language) -> Language:
    return Language(*(array.copy() for array in language))


@njit(cache=True)
def _teach_all(
    text: NDArray[np.uint8], begins_N: NDArray[np.int64], ends_N: NDArray[np.int64], language: Language
) -> None:
    for row in range(begins_N.size):
        _teach(text, begins_N[row], ends_N[row], language, 1.0)


@njit(cache=True)
def _excess(
    text: NDArray[np.uint8],
    begins_B: NDArray[np.int64],
    ends_B: NDArray[np.int64],
    code_B: NDArray[np.uint64],
    active_B: NDArray[np.float64],
    names: Memory,
    language: Language,
    natural: Language,
) -> NDArray[np.float64]:
    excess_B = np.zeros(code_B.size)
    for i in range(code_B.size):
        if code_B[i] == 0:
            continue
        slot = touch(names, code_B[i], active_B[i])
        if names.counts_SC[slot, 0] <= _FADED:
            _fade(language, natural, active_B[i] // (names.half_lives_C[0] / _STEPS))
            names.counts_SC[slot, 0] = 1.0
            names.counts_SC[slot, 1] = _spell(text, begins_B[i], ends_B[i], language)
        excess_B[i] = names.counts_SC[slot, 1]
    return excess_B


@njit(cache=True)
def _spell(text: NDArray[np.uint8], begins: int, ends: int, language: Language) -> float:
    """What a name says; then the language has learned it."""
    whole = language.whole_4
    letters = ends - begins + 1.0
    nats = _nats(text, begins, ends, language)
    usual = whole[_NATS] / whole[_NAMES] if whole[_NAMES] > 0.0 else nats / letters
    excess: float = max(0.0, (nats - letters * usual) / np.sqrt(letters))
    weight = 1.0 / (1.0 + excess) ** 2
    whole[_NATS] += weight * nats / letters
    whole[_NAMES] += weight
    _teach(text, begins, ends, language, weight)
    return excess


@njit(cache=True)
def _nats(text: NDArray[np.uint8], begins: int, ends: int, language: Language) -> float:
    """-log p of a name's letters and its end."""
    thrice, twice, once = language.thrice_KKK, language.twice_KK, language.once_K
    nats: float = 0.0
    product, before, last = 1.0, _EDGE, _EDGE
    share = _BACKOFF / language.whole_4[_LETTERS_SEEN]
    for at in range(begins, ends + 1):
        letter = _KIND_OF_BYTE[text[at]] if at < ends else _EDGE
        alone, pair = once[last] + _BACKOFF, twice[before, last] + _BACKOFF
        backed_off = twice[last, letter] + once[letter] * share
        product *= (thrice[before, last, letter] * alone + _BACKOFF * backed_off) / (alone * pair)
        if product < _TINY:
            nats -= np.log(product)
            product = 1.0
        before, last = last, letter
    nats -= np.log(product)
    return nats


@njit(cache=True)
def _teach(text: NDArray[np.uint8], begins: int, ends: int, language: Language, weight: float) -> None:
    """Count a name in; the two edges before it count as a pair of letters."""
    before, last = _EDGE, _EDGE
    language.twice_KK[_EDGE, _EDGE] += weight
    for at in range(begins, ends + 1):
        letter = _KIND_OF_BYTE[text[at]] if at < ends else _EDGE
        language.thrice_KKK[before, last, letter] += weight
        language.twice_KK[last, letter] += weight
        language.once_K[letter] += weight
        before, last = last, letter
    language.whole_4[_LETTERS_SEEN] += weight * (ends - begins + 1.0)


@njit(cache=True)
def _fade(language: Language, natural: Language, step: float) -> None:
    """Halve, every so many steps, what the counts have more than those of natural names."""
    passed = step - language.whole_4[_STEP]
    if passed <= 0.0:
        return
    left = 0.5 ** (passed / _STEPS)
    language.thrice_KKK[:] = natural.thrice_KKK + left * (language.thrice_KKK - natural.thrice_KKK)
    language.twice_KK[:] = natural.twice_KK + left * (language.twice_KK - natural.twice_KK)
    language.once_K[:] = natural.once_K + left * (language.once_K - natural.once_K)
    language.whole_4[:] = natural.whole_4 + left * (language.whole_4 - natural.whole_4)
    language.whole_4[_STEP] = step
