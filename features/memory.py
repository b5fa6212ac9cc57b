"""Bounded, decaying counts of whatever key comes by: hash tables that grow to a limit, then forget the faintest."""

from collections.abc import Callable
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # it has no types
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

WAYS = 8
#: Events that `fetch` is ahead of `touch` in a loop: about as long as a table beyond the caches takes to answer.
AHEAD = 12

_FIRST_BUCKETS = 64
#: Slots up to which a table rather grows than forgets.
_SMALL = 1 << 16
_UNCOUNTED: dict[str, Any] = {"_nrt": False}

State = dict[str, NDArray[np.generic]]
Compiled = TypeVar("Compiled", bound=Callable[..., object])


class Memory(NamedTuple):
    """A table of at most S keys, each with C counts that fade with time; the arrays change in place.

    `keys_S` is 0 where a slot is empty; `when_S` is the second to which a slot's counts are faded. A key belongs in
    the eight slots of one bucket. `size` holds the buckets in use, which come first, and the keys held. They double
    in number when half their slots are taken, up to 65,536 slots as soon as a key finds no room. What is not in use
    takes none: the system gives it when it is first written to. Counts are float32, unless their owner puts others
    there: they stop at 16,777,216.
    """

    keys_S: NDArray[np.uint64]
    counts_SC: NDArray[Any]
    when_S: NDArray[np.float64]
    half_lives_C: NDArray[np.float64]
    size: NDArray[np.int64]


def kernel(function: Compiled) -> Compiled:
    """Compile a loop over memories: it makes no arrays and returns none.

    Nobody counts references to its arrays, which are the caller's and outlive the call: that costs more than a look-up.
    """
    return cast(Compiled, njit(cache=True, **_UNCOUNTED)(function))


def inlined(function: Compiled) -> Compiled:
    """Compile a part of a kernel into it."""
    return cast(Compiled, njit(cache=True, forceinline=True, **_UNCOUNTED)(function))


def empty_memory(slots: int, *half_lives: float, kept: int = 0) -> Memory:
    """A memory of nothing with a count for each half-life in seconds, and of at most `slots` keys, eight or more.

    Beside these each key has `kept` numbers that do not fade. Raises ValueError where `slots` is not eight times a
    power of two.
    """
    most = slots // WAYS
    if most < 1 or most * WAYS != slots or most & (most - 1):
        raise ValueError(f"slots of a memory: expected eight times a power of two, not {slots}")
    half_lives_C = np.array(half_lives)
    size = np.array([min(most, _FIRST_BUCKETS), 0])
    columns = half_lives_C.size + kept
    counts_SC = _zeros(slots * columns, np.float32).reshape(slots, columns)
    return Memory(_zeros(slots, np.uint64), counts_SC, _zeros(slots, np.float64), half_lives_C, size)


def _zeros(items: int, kind: type[np.generic]) -> NDArray[Any]:
    """Zeros that take room page by page; NumPy's own ask the system for two megabytes at once."""
    return np.frombuffer(mmap(-1, np.dtype(kind).itemsize * items, flags=MAP_PRIVATE | MAP_ANONYMOUS), kind)


def memory_state(memory: Memory, name: str) -> State:
    """Everything it remembers, under `name`: the occupied slots alone, so that little knowledge takes little room."""
    (at_O,) = memory.keys_S[: memory.size[0] * WAYS].nonzero()
    return {
        f"{name}.buckets": memory.size[:1].copy(),
        f"{name}.at": at_O,
        f"{name}.keys": memory.keys_S[at_O],
        f"{name}.counts": memory.counts_SC[at_O],
        f"{name}.when": memory.when_S[at_O],
    }


def restore_memory(memory: Memory, state: State, name: str) -> None:
    """Remember what `state` holds under `name`, and nothing else; ValueError where it is not of such a table."""
    at_O, buckets = state[f"{name}.at"].astype(np.int64), int(state[f"{name}.buckets"][0])
    most = memory.keys_S.size // WAYS
    if not 1 <= buckets <= most or buckets & (buckets - 1) or not ((at_O >= 0) & (at_O < buckets * WAYS)).all():
        raise ValueError(f"{name}: expected slots of 1 to {most} buckets, a power of two, not {buckets}")
    in_use = slice(int(memory.size[0]) * WAYS)
    for array in (memory.keys_S, memory.counts_SC, memory.when_S):
        array[in_use] = 0
    memory.keys_S[at_O] = state[f"{name}.keys"]
    memory.counts_SC[at_O] = state[f"{name}.counts"]
    memory.when_S[at_O] = state[f"{name}.when"]
    memory.size[:] = buckets, at_O.size


@inlined
def mix(a: np.uint64, b: np.uint64) -> np.uint64:
    """One key for the ordered pair of keys `a` and `b` (the finaliser of splitmix64, Steele et al. 2014)."""
    z = a * np.uint64(0x9E3779B97F4A7C15) + b + np.uint64(0x632BE59BD9B4E019)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def touch(memory: Memory, key: np.uint64, now: float) -> int:
    """The slot of `key`, its counts faded to `now` (seconds, never going back).

    A new key takes an empty slot of its eight, or the one whose first count is the faintest. It may move the others:
    a slot is good until the next touch of the same memory.
    """
    slot = find(memory, key)
    if slot < 0:
        return _admit(memory, key, now)
    age = now - memory.when_S[slot]
    if age > 0.0:
        for column in range(memory.half_lives_C.size):
            memory.counts_SC[slot, column] *= faded(age, memory.half_lives_C[column])
        memory.when_S[slot] = now
    return slot


@inlined
def count(memory: Memory, key: np.uint64, now: float) -> float:
    """How often `key` was seen before, by its first count; counts it once more."""
    slot = touch(memory, key, now)
    seen: float = memory.counts_SC[slot, 0]
    memory.counts_SC[slot, 0] = seen + 1.0
    return seen


@inlined
def find(memory: Memory, key: np.uint64) -> int:
    """The slot of `key`, or -1 where it is not known; nothing changes."""
    wanted = key if key != np.uint64(0) else np.uint64(1)
    base = _base(memory, wanted)
    for slot in range(base, base + WAYS):
        if memory.keys_S[slot] == wanted:
            return slot
        if memory.keys_S[slot] == np.uint64(0):
            return -1
    return -1


@inlined
def fetch(memory: Memory, key: np.uint64) -> None:
    """Have the bucket of `key` brought near, for a `touch` that comes soon; nothing changes."""
    base = _base(memory, key)
    _prefetch(memory.keys_S, base)
    _prefetch(memory.when_S, base)
    _prefetch(memory.counts_SC, base * memory.counts_SC.shape[1])


@inlined
def faded(age: float, half_life: float) -> float:
    """What `age` seconds leave of a count of one."""
    left: float = np.exp2(-age / half_life)
    return left


@inlined
def _base(memory: Memory, key: np.uint64) -> int:
    """The first slot of a key's bucket."""
    return int(key & np.uint64(memory.size[0] - 1)) * WAYS


@kernel
def _admit(memory: Memory, key: np.uint64, now: float) -> int:
    """The slot of a key that was not known, with counts of nothing."""
    wanted = key if key != np.uint64(0) else np.uint64(1)
    while _wants_to_grow(memory, _base(memory, wanted)):
        _double(memory)
    slot = _roomiest(memory, _base(memory, wanted), now)
    if memory.keys_S[slot] == np.uint64(0):
        memory.size[1] += 1
    memory.keys_S[slot] = wanted
    memory.counts_SC[slot, :] = 0.0
    memory.when_S[slot] = now
    return slot


@kernel
def _wants_to_grow(memory: Memory, base: int) -> bool:
    """Whether there ought to be more buckets before this one takes another key."""
    slots = memory.size[0] * WAYS
    if 2 * slots > memory.keys_S.size:
        return False
    is_full = memory.keys_S[base + WAYS - 1] != np.uint64(0)
    return bool(2 * memory.size[1] >= slots or (is_full and slots < _SMALL))


@kernel
def _roomiest(memory: Memory, base: int, now: float) -> int:
    """The first empty slot of a bucket, or the one whose first count is the faintest by now."""
    faintest, faint = base, np.inf
    for slot in range(base, base + WAYS):
        if memory.keys_S[slot] == np.uint64(0):
            return slot
        weight = memory.counts_SC[slot, 0] * faded(now - memory.when_S[slot], memory.half_lives_C[0])
        if weight < faint:
            faintest, faint = slot, weight
    return faintest


@kernel
def _double(memory: Memory) -> None:
    """Twice the buckets: each hands half of its keys to its new twin, in order; both keep their empty slots last."""
    old = memory.size[0] * WAYS
    memory.size[0] *= 2
    for base in range(0, old, WAYS):
        stays, goes = base, base + old
        for slot in range(base, base + WAYS):
            if memory.keys_S[slot] == np.uint64(0):
                break
            if _base(memory, memory.keys_S[slot]) == base:
                _move(memory, slot, stays)
                stays += 1
            else:
                _move(memory, slot, goes)
                goes += 1


@kernel
def _move(memory: Memory, slot: int, to: int) -> None:
    """Take what a slot holds to another one, and leave it empty."""
    if slot == to:
        return
    memory.keys_S[to], memory.keys_S[slot] = memory.keys_S[slot], np.uint64(0)
    memory.when_S[to], memory.when_S[slot] = memory.when_S[slot], 0.0
    for column in range(memory.counts_SC.shape[1]):
        memory.counts_SC[to, column] = memory.counts_SC[slot, column]
        memory.counts_SC[slot, column] = 0.0


def _prefetch_line(typing_context, array, at):  # type: ignore[no-untyped-def] # numba calls it with its own types
    """Ask the processor for the cache line of element `at` of an array; it may decline, and nothing else happens."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def] # numba calls it, too
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        bytes_type, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [bytes_type, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [bytes_type], kind)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), bytes_type)
        builder.call(ask, [place, number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


_prefetch: Callable[[NDArray[Any], int], None] = cast(Any, intrinsic(_prefetch_line))
