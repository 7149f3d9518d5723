"""Where in the files is a decision, and which are the latest? Within bounds, from their ends."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from sidecar.adapters.decisions.backwards import lines_backwards
from sidecar.adapters.decisions.files import decision_files

_PIECE: Final = 1 << 20
"""Bytes that are looked at together: others run in between."""
_MOST_SEARCHED: Final = 1 << 29
_MOST_READ: Final = 1 << 25
_READ_OF_ONE: Final = 1 << 22
"""Bytes at the end of one file among which its latest decisions are sought."""
_TOLD: Final = {"decision_id", "at", "effect", "request"}
_TOLD_OF_REQUEST: Final = {"app_id", "user_id"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions are asked for; empty text is any."""

    app_id: str = ""
    user_id: str = ""
    effect: str = ""

    def matches(self, decision: dict[str, Any]) -> bool:
        """Whether it is one of them; what tells of something else is none."""
        request = decision["request"] if decision.keys() >= _TOLD else None
        return (
            isinstance(request, dict)
            and request.keys() >= _TOLD_OF_REQUEST
            and self.app_id in ("", request["app_id"])
            and self.user_id in ("", request["user_id"])
            and self.effect in ("", decision["effect"])
        )

    def may_match(self, line: bytes) -> bool:
        """Whether a line may be one of them: most are none, and need not be read."""
        given = [text for text in (self.app_id, self.user_id, self.effect) if text]
        return all(orjson.dumps(text) in line for text in given)


def decision_in(line: bytes) -> dict[str, Any] | None:
    """The decision of a line, None for one that is torn."""
    with suppress(orjson.JSONDecodeError):
        found = orjson.loads(line)
        if isinstance(found, dict) and "decision_id" in found:
            return found
    return None


def find(folder: Path, decision_id: str) -> dict[str, Any] | None:
    """A decision by its id, None where the latest 512 MiB do not have it."""
    left = _MOST_SEARCHED
    for file in reversed(decision_files(folder)):
        if left <= 0:
            break
        with suppress(OSError), file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            found = _find(opened, size, max(0, size - left), decision_id)
            if found is not None:
                return found
            left -= size
    return None


def _find(opened: BinaryIO, size: int, first: int, decision_id: str) -> dict[str, Any] | None:
    # A line's end, or nothing, stands in front of an id: attributes may look like a line.
    head = b'{"decision_id":' + orjson.dumps(decision_id) + b","
    end = size
    while end > first:
        begin = max(0, end - _PIECE)
        opened.seek(begin)
        piece = opened.read(end - begin + len(head))
        at = piece.rfind(b"\n" + head)
        if at >= 0:
            return _line_at(opened, begin + at + 1)
        if begin == 0:
            return _line_at(opened, 0) if piece.startswith(head) else None
        end = begin
    return None


def _line_at(opened: BinaryIO, begin: int) -> dict[str, Any] | None:
    opened.seek(begin)
    return decision_in(opened.readline())


def latest(folder: Path, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The latest decisions that are wanted, as far as the ends of the newest files have them."""
    found: list[dict[str, Any]] = []
    left = _MOST_READ
    for file in reversed(decision_files(folder)):
        if left <= 0:
            break
        left -= _READ_OF_ONE
        with suppress(OSError):
            found.extend(latest_in(lines_backwards(file, _READ_OF_ONE), wanted, limit))
    return found


def latest_in(lines: Iterable[bytes], wanted: Wanted, limit: int) -> Iterator[dict[str, Any]]:
    """So many decisions that are wanted, out of lines of which the latest comes first."""
    count = 0
    for line in lines:
        decision = decision_in(line) if wanted.may_match(line) else None
        if decision is not None and wanted.matches(decision):
            yield decision
            count += 1
            if count == limit:
                return
