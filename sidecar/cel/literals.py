"""Which literals cannot be right where they stand: patterns, times, zones, words outside an enum."""

from __future__ import annotations

from sidecar.cel.clock import zone_of
from sidecar.cel.environment import Budget
from sidecar.cel.patterns import BadPattern, compiled
from sidecar.cel.problems import Problem, nearest
from sidecar.cel.times import parse_duration, parse_timestamp
from sidecar.cel.typed import Const, Elements, Node
from sidecar.cel.types import List, String, Type
from sidecar.cel.values import Failure


def literal_problem(function: str, arguments: tuple[Node, ...], budget: Budget) -> Problem | None:
    """The first argument that is wrong whatever the bindings are."""
    if function == "matches":
        return _pattern(arguments[1], budget)
    if function in {"_==_", "_!=_", "_in_"}:
        return _outside(arguments[0], arguments[1]) or _outside(arguments[1], arguments[0])
    if function in {"duration", "timestamp"}:
        return _time(function, arguments[0])
    if function.startswith("get") and len(arguments) == 2:
        return _zone(arguments[1])
    return None


def _pattern(pattern: Node, budget: Budget) -> Problem | None:
    if not (isinstance(pattern, Const) and isinstance(pattern.value, str)):
        message = "the pattern of matches() must be a literal"
        return Problem(
            "pattern", message, pattern.start, pattern.end, "write startsWith, endsWith or contains"
        )
    if len(pattern.value) > budget.pattern:
        message = (
            f"the pattern has {len(pattern.value)} characters; at most {budget.pattern} are allowed"
        )
        return Problem("pattern", message, pattern.start, pattern.end)
    try:
        compiled(pattern.value)
    except BadPattern as bad:
        return Problem("pattern", f"not a pattern of RE2: {bad}", pattern.start, pattern.end)
    return None


def _known(of: Type) -> frozenset[str]:
    match of:
        case String(known=known):
            return known
        case List(element):
            return _known(element)
    return frozenset()


def _outside(declared: Node, written: Node) -> Problem | None:
    known = _known(declared.type)
    if not known:
        return None
    words = [each for each, _ in written.elements] if isinstance(written, Elements) else [written]
    for word in words:
        if isinstance(word, Const) and isinstance(word.value, str) and word.value not in known:
            hint = nearest(word.value, known) or "known are " + ", ".join(sorted(known)[:8])
            return Problem(
                "outside-enum", f'"{word.value}" never occurs here', word.start, word.end, hint
            )
    return None


def _time(function: str, written: Node) -> Problem | None:
    if not (isinstance(written, Const) and isinstance(written.value, str)):
        return None
    try:
        if function == "duration":
            parse_duration(written.value)
        else:
            parse_timestamp(written.value)
    except Failure as failure:
        hint = (
            'write "90s", "1h30m", "250ms"'
            if function == "duration"
            else 'write "2026-01-31T12:00:00Z"'
        )
        return Problem("literal", str(failure), written.start, written.end, hint)
    return None


def _zone(written: Node) -> Problem | None:
    if not (isinstance(written, Const) and isinstance(written.value, str)):
        return None
    try:
        zone_of(written.value)
    except Failure as failure:
        hint = 'write "Europe/Paris" or "+01:00"'
        return Problem("literal", str(failure), written.start, written.end, hint)
    return None
