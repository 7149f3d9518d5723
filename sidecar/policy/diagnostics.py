"""What is wrong in a policy or price file, where, and what to write instead."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sidecar.cel.problems import holding
from sidecar.errors import ConfigurationError

MOST_FINDINGS = 200
"""Findings that are told at once, of one file or of a directory."""
_SHOWN = 160
"""Characters of a line that are shown; of a longer one those around the finding."""
_CANDIDATES = 500
"""Names that a wrong one is compared with; comparing is slow."""
_COMPARED = 64
"""Characters of a wrong name that are compared; no known name is longer."""


class Part(StrEnum):
    """A kind of piece of what is written of a finding."""

    ERROR = "error"
    WARNING = "warning"
    PLACE = "place"
    MESSAGE = "message"
    HINT = "hint"
    LINE = "line"
    ASIDE = "aside"


class Severity(StrEnum):
    """An error stops a policy from loading, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that a finding speaks of, and what is there."""

    file: str
    line: int
    column: int
    message: str
    length: int = 1


@dataclass(frozen=True, slots=True)
class Fix:
    """What a machine may write instead, because nobody could have meant anything else.

    Attributes:
        start, end: characters [start, end) of the file's text, a byte order mark among them.
        replacement: what to write there.
    """

    file: str
    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Attributes:
        file: path as the user gave it.
        line, column: from 1; a column counts characters.
        length: characters to underline.
        path: of the value in the file, `plans.free.limits[0].max`.
        source_line: the text of the line, for the caret.
        related: other places that have to do with it.
        fix: what can be written instead without thinking.
    """

    code: str
    message: str
    file: str
    line: int = 1
    column: int = 1
    length: int = 1
    hint: str = ""
    path: str = ""
    source_line: str = ""
    severity: Severity = Severity.ERROR
    related: tuple[Related, ...] = ()
    fix: Fix | None = None

    def __str__(self) -> str:
        return "".join(text for _, text in self.parts())

    def parts(self) -> Iterator[tuple[Part, str]]:
        """What is written of it, piece by piece, so that a terminal can colour them."""
        yield Part.PLACE, f"{self.file}:{self.line}:{self.column}: "
        yield Part(self.severity), f"{self.severity}[{self.code}] "
        yield Part.MESSAGE, self.message
        if self.hint:
            yield Part.HINT, f" ({self.hint})"
        if self.source_line:
            line, indent = self._shown_line()
            underline = min(self.length, max(1, len(line) - indent))
            yield Part.LINE, f"\n   | {line}\n   | {' ' * indent}"
            yield Part(self.severity), "^" * underline
            yield Part.ASIDE, f"   at {self.path}" if self.path else ""
        for other in self.related:
            yield Part.ASIDE, f"\n   = {other.file}:{other.line}:{other.column}: {other.message}"

    def _shown_line(self) -> tuple[str, int]:
        """What a terminal can show of the line, and how far in the finding begins."""
        line = self.source_line
        first = max(0, self.column - 1 - _SHOWN // 2) if len(line) > _SHOWN else 0
        shown = "".join(
            character if character.isprintable() else " "
            for character in line[first : first + _SHOWN]
        )
        before = "…" if first else ""
        after = "…" if first + _SHOWN < len(line) else ""
        return before + shown + after, self.column - 1 - first + len(before)


class InvalidFiles(ConfigurationError):
    """Files that do not load; carries their findings, in order of place.

    Attributes:
        diagnostics: the first of them; whoever has more will not read them.
        untold: how many more there are.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        found = in_order(diagnostics)
        self.diagnostics = found[:MOST_FINDINGS]
        self.untold = len(found) - len(self.diagnostics)
        more = [f"… and {self.untold:,} more"] if self.untold else []
        super().__init__("\n".join([*map(str, self.diagnostics), *more]))


class InvalidPolicies(InvalidFiles):
    """A policy directory that does not load."""


class InvalidPrices(InvalidFiles):
    """A price file that does not load."""


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Findings by file, line and column."""
    return tuple(
        sorted(diagnostics, key=lambda found: (found.file, found.line, found.column, found.code))
    )


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that a wrong one most looks like, None if it looks like none."""
    return next(iter(_near(wrong, known)), None)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`did you mean 'mode'?` for the nearest known names, else the names there are."""
    names = sorted(known)
    if hint := near(wrong, names):
        return hint
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"expected one of: {shown}" if len(names) > 1 else f"expected {shown}"


def near(wrong: str, known: Iterable[str]) -> str:
    """`did you mean 'mode'?` for the nearest known names; nothing where none is near."""
    found = _near(wrong, known)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else ""


def _near(wrong: str, known: Iterable[str]) -> list[str]:
    """The known name that a wrong one most looks like; two where it looks like both as much."""
    by_lower = {name.lower(): name for name in sorted(known, reverse=True)[-_CANDIDATES:]}
    written = wrong.lower()[:_COMPARED]
    near = difflib.get_close_matches(written, by_lower, n=2, cutoff=0.6)
    likeness = [difflib.SequenceMatcher(None, name, written).ratio() for name in near]
    as_near = [name for name, it in zip(near, likeness, strict=True) if it == likeness[0]]
    return [by_lower[name] for name in as_near] or holding(written, by_lower.values())
