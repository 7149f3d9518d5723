"""How does an entry stand in a file, so that a torn or damaged one is known?

A frame is a mark, the length and the CRC-32 of what follows, and that: JSON. Whoever reads looks
for the next mark where a frame is not whole, so that one bad place costs one entry.
"""

import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sidecar.domain.deferred import Deferred

_MARK: Final = b"\xf5spool1\n"
_HEAD: Final = struct.Struct("<II")
_LONGEST: Final = 1 << 26


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that waits to be counted.

    Attributes:
        at: when it came.
    """

    at: datetime
    deferred: Deferred


_ENTRY: Final = TypeAdapter(Entry)


def frame_of(entry: Entry) -> bytes:
    """An entry as it is written."""
    body = _ENTRY.dump_json(entry)
    return _MARK + _HEAD.pack(len(body), zlib.crc32(body)) + body


def entries_in(content: bytes) -> Iterator[Entry | None]:
    """The entries of a file in their order, None for each place that cannot be read."""
    position = 0
    while position < len(content):
        body = _body_at(content, position)
        entry = None if body is None else _read(body)
        yield entry
        if body is None:
            position = content.find(_MARK, position + 1)
            if position < 0:
                return
        else:
            position += len(_MARK) + _HEAD.size + len(body)


def _body_at(content: bytes, position: int) -> bytes | None:
    start = position + len(_MARK) + _HEAD.size
    if not content.startswith(_MARK, position) or start > len(content):
        return None
    length, checksum = _HEAD.unpack_from(content, position + len(_MARK))
    body = content[start : start + length]
    whole = length <= _LONGEST and len(body) == length and zlib.crc32(body) == checksum
    return body if whole else None


def _read(body: bytes) -> Entry | None:
    try:
        return _ENTRY.validate_json(body)
    except ValidationError:
        return None
