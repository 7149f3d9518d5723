"""Which character of a text stands in which line?"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

_LINE_ENDS = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML takes for the end of a line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line; line and column from 1."""

    line: int
    column: int
    length: int = 1


class Lines:
    """The text of a file, by lines.

    Attributes:
        text: without a byte order mark.
        mark: the byte order mark, if there was one.
    """

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.mark = text[: len(text) - len(self.text)]

    @cached_property
    def lines(self) -> list[str]:
        """The text by lines, without their ends."""
        return _LINE_ENDS.split(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_ENDS.finditer(self.text))]

    def offset(self, line: int, column: int) -> int:
        """Characters of the file before a place, a byte order mark among them."""
        # The parser counts a line behind one that nothing ends.
        is_there = line <= len(self._starts)
        start = self._starts[line - 1] + column - 1 if is_there else len(self.text)
        return len(self.mark) + start

    def place_of(self, start: int, end: int) -> Place:
        """Where characters [start, end) of the file stand, a byte order mark counted."""
        line = bisect_right(self._starts, start - len(self.mark))
        column = start - len(self.mark) - self._starts[line - 1] + 1
        return Place(line, column, max(1, end - start))
