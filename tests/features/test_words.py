"""Every word of the recipes' language keeps these laws by existing; below them, what each word means."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import features.words
from features.hashing import hash64
from features.word import Look, Word
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.rarity import Rarity

SLOTS = 16  # so few that keys push each other out


def declared(kind: type[Any]) -> Iterator[Word]:
    """Instances of a word over the fields a and b: without and with the fields it can do without."""
    fields = [field for field in dataclasses.fields(kind) if "str" in str(field.type)]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    for names in dict.fromkeys([tuple(needed), tuple(field.name for field in fields)]):
        yield kind(**dict(zip(names, "aba", strict=False)))


def every_word() -> Iterator[Word]:
    for module in pkgutil.iter_modules(features.words.__path__):
        found = importlib.import_module(f"features.words.{module.name}")
        for kind in vars(found).values():
            if dataclasses.is_dataclass(kind) and hasattr(kind, "watch"):
                yield from declared(kind)  # type: ignore[arg-type]  # a class


WORDS = list(every_word())
each_word = pytest.mark.parametrize("word", WORDS, ids=lambda word: word.name)
laws = settings(max_examples=20, deadline=None, derandomize=True)


@st.composite
def streams(draw: st.DrawFn) -> Look:
    """Values that are numbers and texts at once, some of them missing."""
    gaps = st.sampled_from([0.0, 0.0, 0.5, 1.0, 60.0, 3600.0, 1e7])
    values = st.none() | st.integers(0, 30).map(str)
    rows = draw(st.lists(st.tuples(values, st.integers(0, 3).map(str), gaps), min_size=1, max_size=60))
    a_B, b_B, gap_B = zip(*rows, strict=True)
    return looked(a_B, b_B, np.cumsum(gap_B))


def looked(a: Sequence[str | None], b: Sequence[str | None], active_B: NDArray[np.float64]) -> Look:
    texts = pl.DataFrame({"a": a, "b": b}, schema={"a": pl.String, "b": pl.String})
    codes = {text.name: hash64(text) for text in texts}
    return Look(codes, texts, active_B, (active_B * 1e6).astype(np.int64))


def part_of(look: Look, start: int, stop: int | None = None) -> Look:
    codes = {name: hash_B[start:stop] for name, hash_B in look.codes.items()}
    return Look(codes, look.texts[start:stop], look.active_B[start:stop], look.time_B[start:stop])


def later(look: Look, seconds: float) -> Look:
    return Look(look.codes, look.texts, look.active_B + seconds, look.time_B + int(seconds * 1e6))


def test_every_file_offers_a_word() -> None:
    modules = {module.name for module in pkgutil.iter_modules(features.words.__path__)}
    assert {type(word).__module__.rpartition(".")[2] for word in WORDS} == modules


@each_word
def test_a_word_is_a_value_that_names_what_it_looks_at(word: Word) -> None:
    assert word == dataclasses.replace(word)  # type: ignore[type-var]  # a dataclass
    assert hash(word) == hash(dataclasses.replace(word))  # type: ignore[type-var]  # a dataclass
    assert word.field in word.needs
    assert all(name in word.name.split() for name in word.needs)


def test_no_two_words_have_the_same_name() -> None:
    assert len({word.name for word in WORDS}) == len(WORDS)


@each_word
@laws
@given(stream=streams())
def test_answers_are_finite_and_not_negative(word: Word, stream: Look) -> None:
    answer_B = word.watch(SLOTS).observe(stream)
    assert answer_B.shape == stream.active_B.shape
    assert answer_B.dtype == np.float64
    assert np.isfinite(answer_B).all()
    assert (answer_B >= 0).all()


@each_word
@laws
@given(stream=streams(), at=st.integers(1, 60))
def test_an_answer_does_not_depend_on_what_follows(word: Word, stream: Look, at: int) -> None:
    whole, head = word.watch(SLOTS).observe(stream), word.watch(SLOTS).observe(part_of(stream, 0, at))
    assert head.tobytes() == whole[:at].tobytes()


@each_word
@laws
@given(stream=streams(), gone=st.integers(0, 59))
def test_a_missing_value_says_nothing_and_is_not_remembered(word: Word, stream: Look, gone: int) -> None:
    gone = min(gone, stream.active_B.size - 1)
    place = pl.int_range(pl.len()) == gone
    texts = stream.texts.with_columns(pl.when(place).then(None).otherwise(word.field).alias(word.field))
    holed = looked(texts["a"].to_list(), texts["b"].to_list(), stream.active_B)
    answer_B = word.watch(SLOTS).observe(holed)
    assert answer_B[gone] == 0.0
    rest = np.delete(np.arange(stream.active_B.size), gone)
    without = looked(texts["a"][rest].to_list(), texts["b"][rest].to_list(), stream.active_B[rest])
    assert word.watch(SLOTS).observe(without).tobytes() == np.delete(answer_B, gone).tobytes()


@each_word
def test_a_first_event_is_judged_without_itself(word: Word) -> None:
    answers = {word.watch(SLOTS).observe(stream_of(a, b)).tobytes() for a in "xyz" for b in "mn"}
    assert len(answers) == 1


@each_word
@laws
@given(stream=streams(), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_cut_gives_the_same_bits(word: Word, stream: Look, cuts: list[int]) -> None:
    watch = word.watch(SLOTS)
    ends = [*sorted(cuts), None]
    parts = [watch.observe(part_of(stream, a or 0, b)) for a, b in zip([0, *ends], ends, strict=False)]
    assert np.concatenate(parts).tobytes() == word.watch(SLOTS).observe(stream).tobytes()


@each_word
@laws
@given(before=streams(), after=streams())
def test_a_restored_watch_gives_the_same_bits(word: Word, before: Look, after: Look) -> None:
    watch, other = word.watch(SLOTS), word.watch(SLOTS)
    watch.observe(before)
    other.observe(after)
    other.restore(watch.state())
    following = later(after, float(before.active_B[-1]))
    assert other.observe(following).tobytes() == watch.observe(following).tobytes()
    assert {name: array.tobytes() for name, array in other.state().items()} == {
        name: array.tobytes() for name, array in watch.state().items()
    }


@each_word
def test_a_state_is_a_copy(word: Word) -> None:
    watch = word.watch(SLOTS)
    watch.observe(stream_of("xyxyz"))
    state = watch.state()
    before = {name: array.tobytes() for name, array in state.items()}
    watch.observe(stream_of("xxxxzzz", start=5))
    assert {name: array.tobytes() for name, array in state.items()} == before


@each_word
def test_memory_stays_bounded_whatever_keys_come(word: Word) -> None:
    chance, watch = np.random.default_rng(3), word.watch(64)
    a, b = (chance.integers(0, 2**62, 100_000).astype(str).tolist() for _ in "ab")
    watch.observe(looked(a, b, np.zeros(100_000)))
    assert all(array.shape[0] <= 64 for array in watch.state().values())


def stream_of(a: str, b: str | None = None, gap: float = 1.0, start: float = 0.0) -> Look:
    """An event a letter: `a` and `b` spell the values of the two fields, a blank is missing."""
    return looked(spelled(a), spelled(b or "b" * len(a)), start + gap * np.arange(len(a), dtype=np.float64))


def spelled(letters: str) -> list[str | None]:
    return [letter if letter.strip() else None for letter in letters]


def after(word: Word, past: Look, *letters: tuple[str, str], gap: float = 1.0) -> list[float]:
    """What a word says of each event, were it the one that follows `past`."""
    watch = word.watch(1024)
    watch.observe(past)
    state, answers = watch.state(), []
    for a, b in letters:
        watch.restore(state)
        answers.append(float(watch.observe(stream_of(a, b, start=past.active_B[-1] + gap))[0]))
    return answers


def test_the_rarer_a_value_the_larger_its_rarity() -> None:
    often, sometimes, once, never = after(
        Rarity("a"), stream_of("x" * 80 + "y" * 10 + "z"), ("x", "b"), ("y", "b"), ("z", "b"), ("w", "b")
    )
    assert often < sometimes < once < never


def test_a_value_common_by_itself_is_rare_beside_one_it_never_came_with() -> None:
    past = stream_of("xy" * 50, "mn" * 50)
    usual, unusual = after(Rarity("a", given="b"), past, ("x", "m"), ("x", "n"))
    alone_usual, alone_unusual = after(Rarity("a"), past, ("x", "m"), ("x", "n"))
    assert unusual > usual + 2.0
    assert alone_unusual == alone_usual


def test_a_field_that_always_brings_new_values_does_not_surprise_by_one_more() -> None:
    letters = "".join(chr(0x4E00 + n) for n in range(300))
    assert after(Rarity("a"), stream_of(letters), ("x", "b"))[0] < 0.1
    assert after(Rarity("a"), stream_of("y" * 300), ("x", "b"))[0] > 3.0


def test_a_value_not_seen_for_many_half_lives_is_as_rare_as_one_never_seen() -> None:
    word = Rarity("a", half_life=timedelta(hours=1))
    known, unknown = after(word, stream_of("xxxxxyyyyy"), ("x", "b"), ("w", "b"), gap=40 * 3600.0)
    assert known == pytest.approx(unknown, abs=1e-6)


def test_a_flood_is_a_burst_that_grows() -> None:
    answer_B = Burst("a").watch(64).observe(stream_of("x" * 200, gap=0.1))
    assert answer_B[0] == 0.0
    assert (np.diff(answer_B) > 0).all()


def test_a_steady_rate_calms_down() -> None:
    answer_B = Burst("a").watch(64).observe(stream_of("x" * 60_000, gap=1.0))
    assert answer_B[300] > 1.0
    assert answer_B[-1] < 0.1


def test_a_flood_after_a_steady_rate_is_a_burst_again() -> None:
    watch = Burst("a").watch(64)
    calm = watch.observe(stream_of("x" * 2_000, gap=60.0))
    flood = watch.observe(stream_of("x" * 200, gap=0.1, start=2_000 * 60.0))
    assert flood[-1] > calm[-1] + 2.0


def test_one_key_in_flood_is_no_burst_of_another() -> None:
    past = stream_of("x" * 500, gap=0.1)
    flood, other_value, other_owner = after(Burst("a", per="b"), past, ("x", "b"), ("y", "b"), ("x", "c"))
    assert flood > 1.0
    assert other_value == other_owner == 0.0


def test_a_fan_counts_new_partners_only() -> None:
    answer_B = Fan("a", per="b").watch(64).observe(stream_of("xxyxyz"))
    assert answer_B.tolist() == pytest.approx([np.log1p(1), 0, np.log1p(2), 0, 0, np.log1p(3)], rel=0.01)


def test_a_fan_is_counted_for_each_owner() -> None:
    answer_B = Fan("a", per="b").watch(64).observe(stream_of("xyzx", "mmmn"))
    assert answer_B[3] == np.log1p(1)


def test_a_fan_of_long_ago_has_closed() -> None:
    watch = Fan("a", per="b", recent=timedelta(minutes=1)).watch(64)
    watch.observe(stream_of("qrstuvw"))
    assert watch.observe(stream_of("x", start=3600.0))[0] == pytest.approx(np.log1p(1))


def test_a_partner_not_met_for_long_is_new_again() -> None:
    word = Fan("a", per="b", memory=timedelta(minutes=1))
    assert after(word, stream_of("x"), ("x", "b"), gap=60.0) == [0.0]
    assert after(word, stream_of("x"), ("x", "b"), gap=3600.0) == pytest.approx([np.log1p(1)], rel=0.05)
