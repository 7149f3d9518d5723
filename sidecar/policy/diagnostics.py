"""What is wrong in a policy file, where, and what to write instead."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sidecar.errors import ConfigurationError


class Severity(StrEnum):
    """An error stops a policy from loading, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Attributes:
        file: path as the user gave it.
        line, column: from 1; a column counts characters.
        length: characters to underline.
        path: of the value in the file, `plans.free.limits[0].max`.
        source_line: the text of the line, for the caret.
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

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        head = f"{self.file}:{self.line}:{self.column}: {self.severity}[{self.code}] "
        text = head + self.message + hint
        if self.source_line:
            line = self.source_line.expandtabs(1)
            underline = min(self.length, max(1, len(line) - self.column + 1))
            text += f"\n   | {line}\n   | {' ' * (self.column - 1)}{'^' * underline}"
            text += f"   at {self.path}" if self.path else ""
        return text


class InvalidPolicies(ConfigurationError):
    """A policy directory that does not load; carries every finding, in order of place."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Findings by file, line and column."""
    return tuple(sorted(diagnostics, key=lambda found: (found.file, found.line, found.column)))


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`did you mean 'mode'?` for the nearest known name, else the names there are."""
    names = sorted(known)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"expected one of: {shown}" if len(names) > 1 else f"expected {shown}"
