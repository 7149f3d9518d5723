"""Is there a value of which all of these facts are true at once?

Answered by trying where only some values are possible, by intervals for what is ordered, by
patterns for text. What is too hard is answered yes: a no is always certain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sidecar.cel.compare import equal
from sidecar.cel.logic.facts import ORDERS, TESTS, Fact
from sidecar.cel.logic.spans import Span
from sidecar.cel.logic.terms import Term
from sidecar.cel.logic.texts import (
    Pattern,
    beginning,
    containing,
    ending,
    exactly,
    may_match,
)
from sidecar.cel.times import Duration, Timestamp
from sidecar.cel.values import INT_MAX, INT_MIN, Failure

Range = tuple[float | int, float | int]
"""The least and the greatest value of a number; it is one, not NaN."""

_EXACT = 2**53 - 1
"""Up to here integers and doubles are compared without loss; 2**53 + 1 equals 2.0**53."""
_PATTERNS = {
    "==": exactly, "startsWith": beginning, "endsWith": ending, "contains": containing,
}  # fmt: skip
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def possible(term: Term, facts: Collection[Fact], bounds: Range | None) -> bool:
    """Whether a term can have a value that agrees with all facts."""
    if _is_beyond_doubles(term, facts):
        return True
    candidates = _candidates(term, facts)
    if candidates is not None:
        return any(
            _may_be(term, each, bounds) and all(_agrees(fact, each) for fact in facts)
            for each in candidates
        )
    if term.kind == "int":
        return _is_some_integer(facts, bounds)
    if not _is_some_text(term, facts):
        return False
    return all(
        _is_between(term, kind, facts, bounds) for kind in ((int, float), Timestamp, Duration)
    )


def _is_beyond_doubles(term: Term, facts: Iterable[Fact]) -> bool:
    """Whether numbers are so large that comparing them may round them."""
    numbers = [each for fact in facts for each in _values(fact) if isinstance(each, int | float)]
    if term.kind == "int" and all(isinstance(each, int) for each in numbers):
        return False
    return any(not abs(each) <= _EXACT for each in numbers)


def _values(fact: Fact) -> tuple[Any, ...]:
    return fact.value if isinstance(fact.value, tuple) else (fact.value,)


def _candidates(term: Term, facts: Iterable[Fact]) -> Sequence[object] | None:
    """The only values that are possible, None where there are too many to be named."""
    named = [_values(fact) for fact in facts if fact.holds and fact.test in {"==", "in"}]
    known = [fact.term.values for fact in facts if fact.term.values is not None]
    return min((*named, *known), key=len, default=None)


def _may_be(term: Term, value: object, bounds: Range | None) -> bool:
    if isinstance(value, str):
        return not _has_lost_case(term, [value])
    is_number = bounds is not None and type(value) in (int, float)
    return not is_number or bounds[0] <= value <= bounds[1]  # type: ignore[index,operator] # as is_number says


def _agrees(fact: Fact, value: object) -> bool:
    try:
        return TESTS[fact.test](value, fact.value) is fact.holds
    except Failure:
        return False


def _is_some_integer(facts: Iterable[Fact], bounds: Range | None) -> bool:
    low, high = (INT_MIN, INT_MAX) if bounds is None else (int(bounds[0]), int(bounds[1]))
    excluded: set[int] = set()
    for fact in facts:
        if fact.test in ORDERS and isinstance(fact.value, int):
            test = fact.test if fact.holds else _OPPOSITE[fact.test]
            match test:
                case "<":
                    high = min(high, fact.value - 1)
                case "<=":
                    high = min(high, fact.value)
                case ">":
                    low = max(low, fact.value + 1)
                case ">=":
                    low = max(low, fact.value)
        elif not fact.holds:
            excluded.update(int(each) for each in _values(fact) if _is_whole(each))
    return high - low + 1 > sum(low <= each <= high for each in excluded)


def _is_whole(value: object) -> bool:
    return type(value) in (int, float) and value == int(value)  # type: ignore[call-overload] # a number by now


def _is_some_text(term: Term, facts: Iterable[Fact]) -> bool:
    """Whether patterns leave a text; of what is no text nothing is said."""
    all_of: list[Pattern] = []
    none_of: list[Pattern] = []
    for fact in facts:
        pattern = _PATTERNS.get("==" if fact.test == "in" else fact.test)
        if pattern is None:
            continue
        texts = [each for each in _values(fact) if isinstance(each, str)]
        if fact.holds and _has_lost_case(term, texts):
            return False
        (all_of if fact.holds else none_of).extend(map(pattern, texts))
    if term.kind != "string" and all(fact.test in {"==", "in", *ORDERS} for fact in facts):
        return True
    return may_match(all_of, none_of)


def _has_lost_case(term: Term, texts: Iterable[str]) -> bool:
    """Whether one of the texts has letters of the case that the term has none of."""
    match term.function:
        case "lowerAscii":
            return any(each.isascii() and each != each.lower() for each in texts)
        case "upperAscii":
            return any(each.isascii() and each != each.upper() for each in texts)
    return False


def _is_between(
    term: Term, kind: type | tuple[type, ...], facts: Iterable[Fact], bounds: Range | None
) -> bool:
    """Whether comparisons with values of one kind leave something between them."""
    ordered = [fact for fact in facts if fact.test in ORDERS and isinstance(fact.value, kind)]
    if not ordered:
        return True
    is_number = isinstance(kind, tuple)
    # NaN is neither less than a number nor not less; only what came out as true excludes it.
    if is_number and bounds is None and not any(fact.holds for fact in ordered):
        return True
    span = Span() if bounds is None or not is_number else Span(*bounds)
    for fact in ordered:
        span.narrow(fact.test if fact.holds else _OPPOSITE[fact.test], fact.value)
    if span.is_empty():
        return False
    if span.low is None or span.low != span.high:
        return True
    refused = (each for fact in facts if not fact.holds for each in _refused(fact))
    return not any(equal(each, span.low) for each in refused)


def _refused(fact: Fact) -> tuple[Any, ...]:
    return _values(fact) if fact.test in {"==", "in"} else ()
