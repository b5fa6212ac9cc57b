"""A model of River's told in arrays: its numbers, and a text of where in it they belong."""

import json
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.utils import VectorDict

from features.memory import State

#: Whose classes a state may name.
_HOMES = ("river.", "models.guest")


class Untold(TypeError):
    """A model holds what cannot be told in arrays."""


def told(model: Any, newcomer: Any, name: str) -> State:
    """The model called `name`; what cannot be told but is the same in `newcomer`, made afresh, need not be.

    Raises Untold where anything else is neither a number, a text, a list, a dict, an array nor an object of River's.
    """
    return _Telling().tell(model, newcomer, name)


def heard(state: State, newcomer: Any, name: str) -> Any:
    """The model that was told, made of `newcomer`; raises ValueError where it was not called `name`."""
    return _Hearing(state).hear(newcomer, name)


_INT, _FLOAT = 0, 1
_LISTS: dict[str, Any] = {"list": list, "tuple": tuple, "deque": deque, "frozenset": frozenset}
_DICTS: dict[str, Any] = {"dict": dict, "ordered": OrderedDict, "counter": Counter, "defaultdict": defaultdict}
_NAME_OF = {kind: name for name, kind in {**_LISTS, **_DICTS}.items()}


class _Telling:
    """A walk over a model that writes down its numbers in order, and a text that says where each belongs.

    In the text, 0 stands for the next whole number, 1 for the next other one; an object that was met before is told
    by its place among those met. `twin` is what a newcomer has in the same place.
    """

    def __init__(self) -> None:
        self._ints: list[int] = []
        self._floats: list[float] = []
        self._arrays: list[NDArray[Any]] = []
        self._met: dict[int, tuple[int, Any]] = {}  # with the object itself, so that no other gets its id

    def tell(self, model: Any, newcomer: Any, name: str) -> State:
        text = json.dumps({"model": name, "told": self._told(model, newcomer, "model")})
        arrays = {f"array {a}": array.copy() for a, array in enumerate(self._arrays)}
        numbers = {"ints": np.array(self._ints, np.int64), "floats": np.array(self._floats, np.float64)}
        return {"text": np.frombuffer(text.encode(), np.uint8).copy()} | numbers | arrays

    def _told(self, value: Any, twin: Any, where: str) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.bool | np.number):
            value = value.item()
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            self._ints.append(value)
            return _INT
        if isinstance(value, float):
            self._floats.append(value)
            return _FLOAT
        if id(value) in self._met:
            return {"met": self._met[id(value)][0]}
        self._met[id(value)] = len(self._met), value
        return self._told_object(value, twin, where)

    def _told_object(self, value: Any, twin: Any, where: str) -> Any:
        kind = _NAME_OF.get(type(value))
        if kind in _LISTS:
            items = sorted(value, key=repr) if kind == "frozenset" else value
            pairs = enumerate(zip(items, _like(twin, type(value), len(value)), strict=True))
            parts = [self._told(item, other, f"{where}[{i}]") for i, (item, other) in pairs]
            return {"kind": kind, "parts": parts, "most": getattr(value, "maxlen", None)}
        if kind and (kind != "defaultdict" or type(twin) is defaultdict):
            return {"kind": kind, "pairs": self._pairs(value, twin, where)}
        if type(value) is VectorDict:
            _, (data, factory, mask, _) = value.__reduce__()
            return {"vector": self._told([data, factory, mask], None, where)}
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            self._arrays.append(value)
            return {"array": len(self._arrays) - 1}
        if type(value) is random.Random:
            return {"random": self._told(value.getstate(), None, where)}
        if _is_of_river(type(value)):
            held = {name: getattr(value, name) for name in _attributes(value)}
            return {"of": _full_name(type(value)), "held": self._pairs(held, _held(twin), where, ".")}
        if type(value) is type(twin) and value == twin:
            return {"kept": None}
        raise Untold(f"{where}: expected numbers, texts, lists, dicts, arrays or River's objects, got {type(value)}")

    def _pairs(self, value: Any, twin: Any, where: str, joint: str = "") -> list[list[Any]]:
        twins = twin if isinstance(twin, dict) else {}
        steps = [(key, item, f"{where}.{key}" if joint else f"{where}[{key!r}]") for key, item in value.items()]
        return [[self._told(key, None, step), self._told(item, twins.get(key), step)] for key, item, step in steps]


class _Hearing:
    """The way back: a newcomer becomes what was told."""

    def __init__(self, state: State) -> None:
        self._text = json.loads(state["text"].tobytes())
        self._state = state
        self._ints = iter(state["ints"].tolist())
        self._floats = iter(state["floats"].tolist())
        self._met: list[Any] = []

    def hear(self, newcomer: Any, name: str) -> Any:
        if self._text["model"] != name:
            raise ValueError(f"expected the state of {name}, got that of {self._text['model']}")
        return self._heard(self._text["told"], newcomer)

    def _heard(self, told: Any, twin: Any) -> Any:
        if told is None or isinstance(told, bool | str):
            return told
        if not isinstance(told, dict):
            return next(self._ints if told == _INT else self._floats)
        if "met" in told:
            return self._met[told["met"]]
        place = len(self._met)
        self._met.append(None)
        return self._heard_object(told, twin, place)

    def _heard_object(self, told: dict[str, Any], twin: Any, place: int) -> Any:
        if "parts" in told:
            return self._heard_parts(told, twin, place)
        if "pairs" in told:
            empty = defaultdict(twin.default_factory) if told["kind"] == "defaultdict" else _DICTS[told["kind"]]()
            self._met[place] = empty
            for key, item in self._heard_pairs(told["pairs"], dict(twin) if isinstance(twin, dict) else {}):
                empty[key] = item
        elif "held" in told:
            kind = _class(told["of"])
            self._met[place] = twin if type(twin) is kind else object.__new__(kind)
            for name, item in self._heard_pairs(told["held"], _held(twin)):
                object.__setattr__(self._met[place], name, item)
        elif "array" in told:
            self._met[place] = self._state[f"array {told['array']}"].copy()
        elif "vector" in told:
            self._met[place] = VectorDict(*self._heard(told["vector"], None))
        elif "random" in told:
            self._met[place] = random.Random()  # noqa: S311  # whose state comes next
            self._met[place].setstate(self._heard(told["random"], None))
        else:
            self._met[place] = twin
        return self._met[place]

    def _heard_parts(self, told: dict[str, Any], twin: Any, place: int) -> Any:
        parts, kind = told["parts"], _LISTS[told["kind"]]
        twins = _like(twin, kind, len(parts))
        heard: Any = deque(maxlen=told["most"]) if kind is deque else []
        self._met[place] = heard
        for part, other in zip(parts, twins, strict=True):
            heard.append(self._heard(part, other))
        if kind in (tuple, frozenset):
            self._met[place] = kind(heard)
        return self._met[place]

    def _heard_pairs(self, pairs: list[list[Any]], twins: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
        for key, item in pairs:
            name = self._heard(key, None)
            yield name, self._heard(item, twins.get(name))


def _is_of_river(kind: type) -> bool:
    """Whether all that an object of this class holds lies in the open: compiled classes keep theirs to themselves."""
    open_ones = (each is object or each.__dictoffset__ or "__slots__" in vars(each) for each in kind.__mro__)
    return kind.__module__.startswith(_HOMES) and all(open_ones)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(full_name: str) -> type:
    """A class of River's by its name; raises ValueError for any other."""
    module, _, name = full_name.partition(":")
    kind = getattr(import_module(module), name, None) if module.startswith(_HOMES) else None
    if not isinstance(kind, type) or not _is_of_river(kind):
        raise ValueError(f"expected a class of River's, got {full_name}")
    return kind


def _attributes(value: Any) -> list[str]:
    """Names of all that an object holds, in its dict or its slots."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(value, "__dict__", {}), *(name for name in slots if hasattr(value, name))]


def _held(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in _attributes(value)} if _is_of_river(type(value)) else {}


def _like(twin: Any, kind: Any, size: int) -> list[Any]:
    """What a newcomer's list of the same kind and size holds, or nothings."""
    alike = kind is not frozenset and type(twin) is kind and len(twin) == size
    return [*twin] if alike else [None] * size
