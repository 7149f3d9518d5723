"""What has to go from a file's text with a field or an item of a list?"""

import re

from sidecar.policy.diagnostics import Fix
from sidecar.policy.source import Path, SourceFile
from sidecar.policy.unit import Unit

_END_OF_LINE = re.compile(r"[ \t]*(#[^\n]*)?(\r?\n|$)")
_COMMA_AFTER = re.compile(r"\s*,[ \t]*")


def without(unit: Unit, path: Path) -> Fix | None:
    """The file without a value and its key; None where more would have to change.

    A mapping or list that would be left empty is such a case, and so is the first field behind
    the dash of an item.
    """
    source = unit.source
    span = source.span(path)
    around = source.span(path[:-1])
    if span is None or around is None or len(source.steps(path[:-1])) < 2:
        return None
    text = source.mark + source.text
    is_flow = text[_value_start(source, path[:-1])] in "[{"
    before = "-" if isinstance(path[-1], int) else ""
    stretch = _from_flow(text, *span) if is_flow else _from_lines(text, *span, before)
    return None if stretch is None else Fix(source.name, *stretch, "")


def _value_start(source: SourceFile, path: Path) -> int:
    place = source.place(path)
    return source.offset(place.line, place.column)


def _from_flow(text: str, start: int, end: int) -> tuple[int, int] | None:
    """An item between brackets goes with its comma."""
    after = _COMMA_AFTER.match(text, end)
    if after is not None:
        return start, after.end()
    before = text[:start].rstrip()
    return (len(before[:-1].rstrip()), end) if before.endswith(",") else None


def _from_lines(text: str, start: int, end: int, before: str) -> tuple[int, int] | None:
    """A field or item goes with its lines, and with the comment at their end."""
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip(" ") != before:
        return None
    if text[end - 1 : end] == "\n":
        return line, end
    rest = _END_OF_LINE.match(text, end)
    return None if rest is None else (line, rest.end())
