"""When was how much used of a balance? A balance that is told late knows of what was used before.

Beside a counter stand its latest marks, pairs of doubles: until when, in milliseconds since 1970,
and what it held then. There is one for each second at most, and of what is longer ago there are
fewer. So what is found for an instant was used by then, but maybe not all that was.
"""

import struct
from collections.abc import Iterator
from typing import Final

_MARK: Final = struct.Struct("<dd")
_MOST: Final = 64
"""Marks of one counter. counting.lua makes the same ones."""
_SECOND_MS: Final = 1_000


def marked(marks: bytes, now_ms: int, used: int) -> bytes:
    """The marks after a change, with what the counter holds now."""
    if not marks:
        return _MARK.pack(now_ms, used)
    at_ms, before = _MARK.unpack_from(marks, len(marks) - _MARK.size)
    if before == used:
        return marks
    now_ms = max(now_ms, int(at_ms))
    if len(marks) > _MARK.size and at_ms // _SECOND_MS == now_ms // _SECOND_MS:
        marks = marks[: -_MARK.size]
    marks += _MARK.pack(now_ms, used)
    return marks if len(marks) <= _MOST * _MARK.size else _thinned(marks)


def _thinned(marks: bytes) -> bytes:
    """Every other one of the older half goes; the first stays."""
    half, size = _MOST // 2 * _MARK.size, _MARK.size
    kept = (marks[start : start + size] for start in range(0, half, 2 * size))
    return b"".join(kept) + marks[half:]


def used_at(marks: bytes, at_ms: int) -> int:
    """What the counter held at an instant, at least."""
    found = 0
    for until_ms, used in _pairs(marks):
        if until_ms > at_ms:
            break
        found = used
    return found


def _pairs(marks: bytes) -> Iterator[tuple[int, int]]:
    return ((int(at_ms), int(used)) for at_ms, used in _MARK.iter_unpack(marks))
