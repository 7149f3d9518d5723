"""Which warnings does a file take back, and does it say why?

`# lint:ignore CODE reason` behind a value is about its line; on a line of its own it is about the
next line that says something. Where a `|` block begins on that line, it is about the whole block,
in which there can be no comment. A warning about a mapping stands at its first line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sidecar.policy.codes import CODES
from sidecar.policy.diagnostics import Diagnostic, Fix, Severity, did_you_mean
from sidecar.policy.lint.comments import Values
from sidecar.policy.source import Place, SourceFile

_COMMENT = re.compile(r"(?m)(?:^|(?<=[ \t]))#[ \t]*lint:ignore\b([^\r\n]*)")
_NOTHING = re.compile(r"[ \t]*(#.*)?")
_EXAMPLE = "write # lint:ignore E2 and the reason"


@dataclass(frozen=True, slots=True)
class Ignore:
    """One such comment.

    Attributes:
        lines: which it is about.
    """

    source: SourceFile
    place: Place
    code: str
    reason: str
    lines: range


def without_ignored(
    findings: Iterable[Diagnostic], sources: Iterable[SourceFile], unjudged: Sequence[str] = ()
) -> Iterator[Diagnostic]:
    """Findings but those that files take back, and what is wrong with how they do it.

    Args:
        unjudged: codes that nobody looked for, so that an ignore of them may be of use.
    """
    found = list(findings)
    ignores = [ignore for source in sources for ignore in ignores_of(source)]
    by_line: dict[tuple[str, str, int], list[Ignore]] = {}
    for ignore in ignores:
        for line in ignore.lines:
            by_line.setdefault((ignore.source.name, ignore.code, line), []).append(ignore)
    used: set[int] = set()
    for each in found:
        covering = by_line.get((each.file, each.code, each.line), [])
        if each.severity is Severity.ERROR:
            covering = []
        used.update(map(id, covering))
        if not any(it.reason for it in covering):
            yield each
    for ignore in ignores:
        yield from _faults(ignore, is_used=id(ignore) in used or ignore.code in unjudged)


def ignores_of(source: SourceFile) -> Iterator[Ignore]:
    """The comments of a file that take warnings back; text that looks like one is none."""
    if "lint:ignore" not in source.text:
        return
    values = Values(source)
    following = _next_that_says_something(source)
    for comment in _COMMENT.finditer(source.mark + source.text):
        if values.hold(comment.start()):
            continue
        said = comment[0].rstrip()
        place = source.place_of(comment.start(), comment.start() + len(said))
        stands_alone = not source.lines[place.line - 1][: place.column - 1].strip()
        line = following[place.line - 1] if stands_alone else place.line
        code, _, reason = comment[1].strip().partition(" ")
        lines = range(line, values.blocks.get(line, line) + 1)
        yield Ignore(source, place, code, reason.strip(), lines)


def _next_that_says_something(source: SourceFile) -> list[int]:
    """Of each line, from 0, the number of the first one from there on that is no comment."""
    following: list[int] = []
    found = len(source.lines)
    for number in range(len(source.lines), 0, -1):
        found = found if _NOTHING.fullmatch(source.lines[number - 1]) else number
        following.append(found)
    return following[::-1]


def _faults(ignore: Ignore, *, is_used: bool) -> Iterator[Diagnostic]:
    if not ignore.code:
        yield _warning(ignore, "M1", "this ignores nothing: it names no code", _EXAMPLE)
    elif ignore.code not in CODES:
        hint = did_you_mean(ignore.code, CODES)
        yield _warning(ignore, "M1", f"there is no code {ignore.code!r}", hint)
    elif not ignore.reason:
        hint = f"write it behind the code: # lint:ignore {ignore.code} because …"
        yield _warning(ignore, "M1", f"{ignore.code} is ignored without a reason", hint)
    elif not is_used:
        message = f"there is no warning {ignore.code} here that could be ignored"
        yield replace(_warning(ignore, "M2", message, "take the comment away"), fix=_cut(ignore))


def _warning(ignore: Ignore, code: str, message: str, hint: str) -> Diagnostic:
    found = ignore.source.finding(code, message, ignore.place, hint=hint)
    return replace(found, severity=Severity.WARNING, fix=None)


def _cut(ignore: Ignore) -> Fix:
    """The file without the comment, and without its line if nothing else stands there."""
    source, place = ignore.source, ignore.place
    text = source.mark + source.text
    before = source.lines[place.line - 1][: place.column - 1]
    start = source.offset(place.line, 1 + len(before.rstrip()))
    end = source.offset(place.line, place.column) + place.length
    if not before.strip() and text[end : end + 1]:
        end += 2 if text.startswith("\r\n", end) else 1
    return Fix(source.name, start, end, "")
