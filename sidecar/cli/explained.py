"""How is an explanation told to a person? One line for each part: a mark, why, and its place.

✗ denies, ! warns or would deny, ✓ is fine, ~ was looked at and does not hold, ? could not be
evaluated and is skipped, · was not looked at.
It is read as JSON has it, so that it may come from another process.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rich.text import Text

from sidecar.cli.findings import counted
from sidecar.cli.printing import screen
from sidecar.domain.explanation import Does, RuleState

MOST_UNTOUCHED = 40
"""Rules for others that are shown; a directory may have thousands."""
_WIDTH = 100
_WIDEST_NAME = 40
_MARKS = {Does.DENIES: "✗", Does.WOULD_DENY: "!", Does.WARNS: "!"}
_STYLES = {
    "✗": "red",
    "!": "yellow",
    "✓": "green",
    "~": "dim",
    "·": "dim",
    "?": "yellow",
    "": "dim",
}
_FINE, _DOES_NOT_HOLD, _NOT_LOOKED_AT, _UNKNOWN = "✓", "~", "·", "?"


class Line(NamedTuple):
    """One line; a detail has no mark."""

    mark: str
    name: str
    text: str
    place: str | None


def print_explanation(explanation: Mapping[str, Any]) -> None:
    """Everything, a line for each part, and how much there was to do."""
    print_lines(lines_of(explanation))
    screen().print(Text(_sum(explanation), style="dim"))


def print_lines(told: Iterable[Line], indent: str = "") -> None:
    """Lines whose places stand at the right where there is room."""
    is_screen = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if is_screen else _WIDTH
    console = screen()
    lines = list(told)
    named = [len(line.name) for line in lines if line.mark]
    width = min(max(named, default=0), _WIDEST_NAME)
    for line in lines:
        left = f"{indent} {line.mark} {line.name:{width}}  {line.text}"
        if not line.mark:
            left = f"{indent}       {line.name}  {line.text}"
        left, place = _printable(left), _printable(line.place or "")
        gap = max(2, columns - len(left) - len(place)) if place else 0
        console.print(Text.assemble((left, _STYLES[line.mark]), " " * gap, (place, "dim")))


def lines_of(explanation: Mapping[str, Any]) -> Iterator[Line]:
    """Subscription, plugin and feature, limits, rules."""
    plan = explanation["plan"]
    yield Line(_mark(plan["does"]), "subscription", plan["why"], plan["place"])
    for name in explanation["names"]:
        yield Line(
            _mark(name["does"]), f"{name['kind']} {name['name']}", name["why"], name["place"]
        )
    if not explanation["counters"]:
        yield Line(_mark(explanation["missing"]), "counters", "could not be read in time", None)
    at = datetime.fromisoformat(explanation["at"])
    for limit in explanation["limits"]:
        yield from limit_lines(limit, at)
    yield from rule_lines(explanation["rules"])


def limit_lines(limit: Mapping[str, Any], at: datetime) -> Iterator[Line]:
    """A limit, its overrides, its condition."""
    mark = _mark(limit["does"]) if limit["applies"] else _DOES_NOT_HOLD
    yield Line(mark, limit["id"], _limit_in_words(limit, at), limit["place"])
    for override in limit["overrides"]:
        words = f"not applied: {override['why']}"
        if override["holds"]:
            words = f"{_bound(override['maximum'])} instead of {_bound(limit['written'])}"
            words += f", {override['why']}"
        yield Line("", f"override {override['id']}", words, override["place"])
    if limit["more_overrides"]:
        yield Line("", f"… and {limit['more_overrides']:,} overrides", "for others", None)
    yield from _expressions(limit["expressions"])


def _limit_in_words(limit: Mapping[str, Any], at: datetime) -> str:
    words = str(limit["why"])
    numbers = limit["numbers"]
    if numbers is None:
        return words
    words += f"; {limit['window']}"
    if numbers["resets_at"] is not None:
        words += f", resets in {_span(datetime.fromisoformat(numbers['resets_at']) - at)}"
    return words + ("" if limit["mode"] == "enforce" else f"; {limit['mode']}")


def rule_lines(rules: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    """Rules with their conditions, those for others up to a number."""
    untouched = 0
    for rule in rules:
        state = RuleState(rule["state"])
        if state in (RuleState.OTHER_PLAN, RuleState.OTHER_PLUGIN):
            untouched += 1
            if untouched > MOST_UNTOUCHED:
                continue
            yield Line(_NOT_LOOKED_AT, rule["id"], rule["why"], rule["place"])
            yield from _expressions(rule["expressions"])
            continue
        mark = _DOES_NOT_HOLD if state is RuleState.FALSE else _mark(rule["does"])
        if state is RuleState.ERROR and mark == _FINE:
            # It is skipped, but whether it would have spoken is not known.
            mark = _UNKNOWN
        words = rule["why"] + ("" if rule["mode"] == "enforce" else f"; {rule['mode']}")
        words += f": {rule['message']}" if rule["message"] else ""
        yield Line(mark, rule["id"], words, rule["place"])
        yield from _expressions(rule["expressions"])
    if untouched > MOST_UNTOUCHED:
        more = f"… and {untouched - MOST_UNTOUCHED:,} rules"
        yield Line(_NOT_LOOKED_AT, more, "for other plans and plugins", None)


def _expressions(expressions: list[Mapping[str, Any]]) -> Iterator[Line]:
    for each in expressions:
        yield Line("", each["name"], _equation(each), each["place"])
        for step in each["steps"]:
            if step["text"].strip() != each["text"]:
                yield Line("", "  ", _equation(step), step["place"])


def _equation(part: Mapping[str, Any]) -> str:
    """`request.estimated_tokens > 400 = true`, on one line however it was written."""
    sign = "fails:" if part["failed"] else "="
    return f"{' '.join(part['text'].split())} {sign} {part['value']}"


def _sum(explanation: Mapping[str, Any]) -> str:
    counts = explanation["counts"]
    return (
        f"{counts['rules_touched']:,} of {counted(counts['rules'], 'rule')} looked at, "
        f"{counted(counts['expressions'], 'expression')} evaluated, worst-case cost "
        f"{counts['cost']:,}\npolicies {explanation['revision']}"
    )


def _printable(text: str) -> str:
    """Without what would move a cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def _mark(does: str) -> str:
    return _MARKS.get(Does(does), _FINE)


def _bound(maximum: int | None) -> str:
    return "no bound" if maximum is None else f"{maximum:,}"


def _span(span: timedelta) -> str:
    """`2h 30m`, its two greatest parts."""
    seconds = max(0, round(span.total_seconds()))
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
