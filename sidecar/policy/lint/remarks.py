"""How does a check say what it saw, where, and what to write instead?"""

from dataclasses import replace

from sidecar.policy.diagnostics import Diagnostic, Fix, Related, Severity
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


def warning(
    unit: Unit,
    code: str,
    message: str,
    path: Path,
    *,
    hint: str = "",
    key: bool = False,
    part: tuple[int, int] | None = None,
    related: tuple[Related, ...] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """A warning at the value of a path.

    Args:
        key: underline the key instead.
        part: the characters [start, end) of the expression at the path that are meant.
    """
    source = unit.source
    place = source.place(path, key=key) if part is None else source.expression_place(path, *part)
    found = source.finding(code, message, place, hint=hint, path=path)
    return replace(found, severity=Severity.WARNING, related=related, fix=fix)


def elsewhere(unit: Unit, path: Path, message: str, *, key: bool = False) -> Related:
    """The value of another path, with what is to be said of it."""
    place = unit.source.place(path, key=key)
    return Related(unit.source.name, place.line, place.column, message, place.length)


def rewritten(unit: Unit, path: Path, replacement: str) -> Fix | None:
    """Other text, as it stands in the file, for the scalar of a path; None if it is no scalar."""
    written = unit.source.scalar(path)
    if written is None or written.style in ("|", ">"):
        return None
    return Fix(unit.source.name, written.start, written.end, replacement)


def rewritten_part(unit: Unit, path: Path, part: tuple[int, int], replacement: str) -> Fix:
    """Other text for the characters [start, end) of the expression of a path."""
    place = unit.source.expression_place(path, *part)
    start = unit.source.offset(place.line, place.column)
    return Fix(unit.source.name, start, start + place.length, replacement)
