"""Compiled steps over JSON text as RFC 8259 writes it: strings, numbers, literals and blanks.

Each step takes the text as bytes and where it begins, and gives where it ends, or a negative fault.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.views import eight, word

Text = NDArray[np.uint8]

#: What can be wrong; a step gives it negated.
GOOD, NOT_JSON, CUT, CONTROL, SURROGATE, LONG_NUMBER, TWICE, DEEP, MANY, NOT_FLAT, FLAT, NO_OBJECT = range(12)

#: Characters of a number, at most.
NUMBER_CHARS = 64

QUOTE, BACKSLASH, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = b'"\\,:[]{}'
_TAB, _LINE_END, _RETURN, _SPACE, _MINUS, _PLUS, _DOT, _ZERO, _NINE = b"\t\n\r -+.09"
_SMALL_A, _SMALL_B, _SMALL_E, _SMALL_F, _SMALL_N, _SMALL_R, _SMALL_T, _SMALL_U, _SLASH = b"abefnrtu/"
_BIG_A, _BIG_E, _BIG_F = b"AEF"
_TRUE = np.frombuffer(b"true", dtype=np.uint8)
_FALSE = np.frombuffer(b"false", dtype=np.uint8)
_NULL = np.frombuffer(b"null", dtype=np.uint8)

_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES, _SPACES = _ONES * np.uint64(QUOTE), _ONES * np.uint64(BACKSLASH), _ONES * np.uint64(_SPACE)
_FIRST_HIGH, _FIRST_LOW, _AFTER_LOW = 0xD800, 0xDC00, 0xE000


@njit(cache=True, inline="always")
def past_blanks(text: Text, at: int, end: int) -> int:
    """The first place that holds no blank."""
    while at < end and (text[at] == _SPACE or text[at] == _TAB or text[at] == _RETURN or text[at] == _LINE_END):
        at += 1
    return at


@njit(cache=True, inline="always")
def _is_plain(bytes_8: np.uint64) -> bool:
    """Whether none of eight bytes is a quote, a backslash or a control character (Warren, Hacker's Delight, 6-1)."""
    quote, backslash = bytes_8 ^ _QUOTES, bytes_8 ^ _BACKSLASHES
    ends = ((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash) | ((bytes_8 - _SPACES) & ~bytes_8)
    return not (ends & _HIGHS)


@njit(cache=True)
def past_string(text: Text, at: int, end: int) -> tuple[int, bool]:
    """From behind the opening quote to the closing one, and whether there are escapes between them."""
    is_escaped = False
    while True:
        while at + 8 <= end and _is_plain(eight(text, at)):
            at += 8
        while at < end and text[at] != QUOTE and text[at] != BACKSLASH and text[at] >= _SPACE:
            at += 1
        if at >= end:
            return -CUT, is_escaped
        if text[at] == QUOTE:
            return at, is_escaped
        if text[at] != BACKSLASH:
            return -CONTROL, is_escaped
        is_escaped = True
        at = _past_escape(text, at, end)
        if at < 0:
            return at, is_escaped


@njit(cache=True)
def _past_escape(text: Text, at: int, end: int) -> int:
    if at + 1 >= end:
        return -CUT
    kind = text[at + 1]
    if kind != _SMALL_U:
        is_known = kind in (QUOTE, BACKSLASH, _SLASH, _SMALL_B, _SMALL_F, _SMALL_N, _SMALL_R, _SMALL_T)
        return at + 2 if is_known else -NOT_JSON
    if at + 6 > end:
        return -CUT
    unit = _unit(text, at + 2)
    if unit < 0:
        return -NOT_JSON
    if unit < _FIRST_HIGH or unit >= _AFTER_LOW:
        return at + 6
    if unit >= _FIRST_LOW or at + 12 > end or text[at + 6] != BACKSLASH or text[at + 7] != _SMALL_U:
        return -SURROGATE
    return at + 12 if _FIRST_LOW <= _unit(text, at + 8) < _AFTER_LOW else -SURROGATE


@njit(cache=True)
def _unit(text: Text, at: int) -> int:
    """Four hexadecimal digits as a number, or -1."""
    unit = 0
    for place in range(at, at + 4):
        byte = int(text[place])
        if _ZERO <= byte <= _NINE:
            digit = byte - _ZERO
        elif _SMALL_A <= byte <= _SMALL_F:
            digit = byte - _SMALL_A + 10
        elif _BIG_A <= byte <= _BIG_F:
            digit = byte - _BIG_A + 10
        else:
            return -1
        unit = unit * 16 + digit
    return unit


@njit(cache=True)
def unescaped(text: Text, at: int, end: int, out: Text, to: int) -> int:
    """Write what a string without faults means into `out`, from `to`; where that ends."""
    while at < end:
        byte = text[at]
        if byte != BACKSLASH:
            out[to] = byte
            to, at = to + 1, at + 1
        elif text[at + 1] != _SMALL_U:
            out[to] = _meant(text[at + 1])
            to, at = to + 1, at + 2
        else:
            point = _unit(text, at + 2)
            at += 6
            if _FIRST_HIGH <= point < _FIRST_LOW:
                point = 0x10000 + ((point - _FIRST_HIGH) << 10) + (_unit(text, at + 2) - _FIRST_LOW)
                at += 6
            to = _encoded(point, out, to)
    return to


@njit(cache=True, inline="always")
def _meant(kind: np.uint8) -> int:
    if kind == _SMALL_N:
        return _LINE_END
    if kind == _SMALL_T:
        return _TAB
    if kind == _SMALL_R:
        return _RETURN
    if kind == _SMALL_B:
        return 8
    return 12 if kind == _SMALL_F else int(kind)


@njit(cache=True)
def _encoded(point: int, out: Text, to: int) -> int:
    """A code point as UTF-8."""
    if point < 0x80:
        out[to] = point
        return to + 1
    more = 1 if point < 0x800 else 2 if point < 0x10000 else 3
    out[to] = ((0xFF00 >> (more + 1)) & 0xFF) | (point >> (6 * more))
    for place in range(1, more + 1):
        out[to + place] = 0x80 | ((point >> (6 * (more - place))) & 0x3F)
    return to + more + 1


@njit(cache=True)
def past_scalar(text: Text, at: int, end: int) -> int:
    """The end of a number, `true`, `false` or `null`."""
    if text[at] == _SMALL_T:
        return _past_word(text, at, end, _TRUE)
    if text[at] == _SMALL_F:
        return _past_word(text, at, end, _FALSE)
    if text[at] == _SMALL_N:
        return _past_word(text, at, end, _NULL)
    after = _past_number(text, at, end)
    return -LONG_NUMBER if after - at > NUMBER_CHARS else after


@njit(cache=True, inline="always")
def is_null(text: Text, at: int) -> bool:
    """Whether a scalar without faults is `null`."""
    return bool(text[at] == _SMALL_N)


@njit(cache=True)
def _past_word(text: Text, at: int, end: int, literal: Text) -> int:
    if at + len(literal) > end:
        return -CUT
    for place in range(len(literal)):
        if text[at + place] != literal[place]:
            return -NOT_JSON
    return at + len(literal)


@njit(cache=True)
def _past_number(text: Text, at: int, end: int) -> int:
    at += int(text[at] == _MINUS)
    whole = _past_digits(text, at, end)
    if whole == at or (text[at] == _ZERO and whole > at + 1):
        return -NOT_JSON
    at = whole
    if at < end and text[at] == _DOT:
        at = _past_digits(text, at + 1, end)
        if text[at - 1] == _DOT:
            return -NOT_JSON
    if at < end and (text[at] == _SMALL_E or text[at] == _BIG_E):
        at += 2 if at + 1 < end and (text[at + 1] == _PLUS or text[at + 1] == _MINUS) else 1
        after = _past_digits(text, at, end)
        return after if after > at else -NOT_JSON
    return at


@njit(cache=True, inline="always")
def _past_digits(text: Text, at: int, end: int) -> int:
    while at < end and _ZERO <= text[at] <= _NINE:
        at += 1
    return at


_MIX = np.uint64(0xC6A4A7935BD1E995)
_47 = np.uint64(47)


@njit(cache=True)
def key_hash(text: Text, at: int, end: int) -> np.uint64:
    """A key's hash, as MurmurHash64A mixes; it decides within one record only."""
    code = np.uint64(end - at) * _MIX
    while end - at >= 8:
        mixed = eight(text, at) * _MIX
        code = (code ^ (mixed ^ (mixed >> _47))) * _MIX
        at += 8
    code = (code ^ word(text, at, end)) * _MIX
    return code ^ (code >> _47)


@njit(cache=True, inline="always")
def below(parent: np.uint64, key: np.uint64) -> np.uint64:
    """The hash of a key of the object that has the hash `parent`; never 0."""
    code = (key ^ (parent * _MIX)) * _MIX
    return (code ^ (code >> _47)) | np.uint64(1)
