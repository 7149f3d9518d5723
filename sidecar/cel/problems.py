"""What is wrong with an expression: where, what was expected, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why an expression does not compile.

    Args:
        code: a stable word for machines, such as ``undeclared-name``.
        message: one sentence for people.
        start: offset in code points into the source.
        end: offset behind the faulty text.
        hint: the repair or the nearest name, or "".
    """

    code: str
    message: str
    start: int
    end: int
    hint: str = ""

    def show(self, source: str, name: str = "<input>") -> str:
        """The problem as three lines: place and message, the source line, a caret under it."""
        line_start = source.rfind("\n", 0, self.start) + 1
        line_end = source.find("\n", self.start)
        line = source[line_start : len(source) if line_end < 0 else line_end]
        row, column = source.count("\n", 0, self.start) + 1, self.start - line_start + 1
        width = max(1, min(self.end, line_start + len(line)) - self.start)
        hint = f" ({self.hint})" if self.hint else ""
        head = f"{name}:{row}:{column}: error[{self.code}] {self.message}{hint}"
        return f"{head}\n | {line}\n | {' ' * (column - 1)}{'^' * width}"


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint that names the likeliest of the known names, or ""."""
    known = sorted(set(names))
    by_lower = {each.lower(): each for each in known}
    if name.lower() in by_lower:
        return f"did you mean '{by_lower[name.lower()]}'?"
    # names beyond any declared length only cost time to compare
    close = get_close_matches(name, known, n=1, cutoff=0.6) if len(name) <= 64 else []
    close = close or holding(name, known)
    return f"did you mean '{close[0]}'?" if close else ""


def holding(name: str, known: Iterable[str]) -> list[str]:
    """The one known name among whose words the name stands, as ``tokens`` in ``estimated_tokens``."""
    found = [each for each in known if "_" in each and name.lower() in each.lower().split("_")]
    return found if len(found) == 1 and len(name) > 2 else []
