"""What happens to use that was counted when a user goes from one plan to another?"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations, islice

from sidecar.domain.windows import Fixed, Sliding, Window, rough_length_ms
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.spans import DAY_MS
from sidecar.policy.lint.written import Counting, WrittenLimit, counters, in_force, limits, narrowed
from sidecar.policy.load import Examined

_ALIKE = {
    Fixed.HOUR: {3_600_000},
    Fixed.DAY: {DAY_MS},
    Fixed.WEEK: {7 * DAY_MS},
    Fixed.MONTH: {28 * DAY_MS, 30 * DAY_MS, 31 * DAY_MS},
    Fixed.BILLING_MONTH: {28 * DAY_MS, 30 * DAY_MS, 31 * DAY_MS},
}
"""Sliding windows, in milliseconds, that are about as long as those of the clock."""

MOST_PAIRS = 10_000
"""Pairs of plans that are compared."""


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """E5, E6: limits that are replaced by half, or counted anew."""
    effective = {plan: in_force(examined, plan) for plan in examined.plans.units}
    for limit in limits(examined):
        parent = limit.unit.file.plans[limit.plan].extends
        inherited = {it.id: it for it in effective.get(parent or "", ())}
        if limit.id in inherited and limit.section.max is not None:
            yield from _restated(limit, inherited[limit.id])
    counting = {plan: counters(own) for plan, own in effective.items()}
    told: set[tuple[str, str, str, str]] = set()
    for one, other in islice(combinations(effective, 2), MOST_PAIRS):
        for match, limit in _counted_anew(counting[one], counting[other]):
            pair = (match.plan, match.id, limit.plan, limit.id)
            if pair not in told:
                told.add(pair)
                yield _begun_anew(match, limit, one, other)


def _restated(limit: WrittenLimit, inherited: WrittenLimit) -> Iterator[Diagnostic]:
    lost = [
        field
        for field, matters in (
            ("per", limit.per != inherited.per),
            ("when", inherited.section.when is not None),
            ("mode", narrowed(limit.unit, inherited.section.mode) is not limit.mode),
            ("rollover", limit.section.max is not None),
        )
        if matters and field not in limit.section.model_fields_set
        and field in inherited.section.model_fields_set
    ]  # fmt: skip
    related = (
        elsewhere(inherited.unit, inherited.path, f"{limit.id!r} of the plan that it extends"),
    )
    if lost:
        message = f"this restates {limit.id!r} without its {' and '.join(lost)}"
        hint = "a limit that restates an inherited id replaces it whole; write all of it again"
        yield warning(limit.unit, "E5", message, limit.at("id"), hint=hint, related=related)
        return
    lasting = max(rough_length_ms(it.window) for it in (limit, inherited)) >= DAY_MS
    changed = [
        field
        for field, differs in (
            ("meter", limit.section.meter is not inherited.section.meter),
            ("window", limit.window != inherited.window and lasting),
            ("per", limit.per != inherited.per),
        )
        if differs
    ]
    if changed:
        message = f"this restates {limit.id!r} with another {' and '.join(changed)}"
        message += ", so that it reads another counter: use is lost with a change of plan"
        hint = "keep what it counts, or give it an id of its own and lift the other with max: null"
        path = limit.at(changed[0])
        yield warning(limit.unit, "E5", message, path, hint=hint, related=related)


def _counted_anew(first: Counting, second: Counting) -> Iterator[tuple[WrittenLimit, WrittenLimit]]:
    """Limits of two plans that would share a counter, were it not for how the window is written."""
    mine, theirs = {counter for _, counter in first}, {counter for _, counter in second}
    for match, one in first:
        for limit, other in second:
            shared = other in mine or one in theirs
            if not shared and one[:2] == other[:2] and _are_alike(match.window, limit.window):
                yield match, limit


def _begun_anew(match: WrittenLimit, limit: WrittenLimit, one: str, other: str) -> Diagnostic:
    message = (
        f"{limit.section.window} is another window than the {match.section.window} of "
        f"{match.id!r}, so that a change from {one!r} to {other!r} counts from zero"
    )
    hint = f"write window: {match.section.window} in both"
    related = (elsewhere(match.unit, match.at("window"), f"{match.id!r} counts here"),)
    return warning(limit.unit, "E6", message, limit.at("window"), hint=hint, related=related)


def _are_alike(one: Window, other: Window) -> bool:
    """Whether a span of the clock and a sliding one are about as long."""
    for clock, sliding in ((one, other), (other, one)):
        if isinstance(clock, Fixed) and isinstance(sliding, Sliding):
            return sliding.length_ms in _ALIKE.get(clock, ())
    return False
