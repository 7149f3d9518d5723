"""Does each limit, looked at alone, do what somebody can have meant?"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode, Refusal
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed, rough_length_ms
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.cuts import without
from sidecar.policy.lint.remarks import warning
from sidecar.policy.lint.spans import DAY_MS
from sidecar.policy.lint.written import WrittenLimit, limits, overrides
from sidecar.policy.load import Examined

GRANTED = frozenset({Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD, Fixed.LIFETIME})
"""Windows of allowances, to which grants add."""
_NAMES_OF_A_REQUEST = frozenset(
    {Dimension.MODEL, Dimension.WORKFLOW, Dimension.PLUGIN, Dimension.AGENT}
)
_MANY = 3
_LEAST_COST = 1_000
"""Millionths; whoever writes less has whole units in mind."""


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """E3, E4, E7, E9, E10: what each limit says, alone and beside its overrides."""
    raised = {it.section.limit for it in overrides(examined) if it.section.max}
    for limit in limits(examined):
        yield from _thresholds(limit, raised)
        yield from _nothing(limit, raised)
        yield from _failing(limit, raised)
        yield from _cardinality(limit)
        yield from _waiting(limit)
        yield from _rollover(limit, raised)


def is_allowance(limit: WrittenLimit) -> bool:
    """Whether grants add to it."""
    return limit.window in GRANTED and not is_concurrency(limit)


def _thresholds(limit: WrittenLimit, raised: Collection[str]) -> Iterator[Diagnostic]:
    share, maximum = limit.section.warn_at, limit.section.max
    if share is None or maximum == 0:
        return
    path = limit.at("warn_at")
    message, hint = "", ""
    if limit.section.mode is Mode.OFF:
        message, hint = "mode: off gives no warnings", "leave warn_at out, or write mode: advisory"
    elif maximum is None and limit.id not in raised:
        message, hint = "a limit without a maximum never warns", "leave warn_at out"
    elif maximum is not None and limit.id not in raised:
        first = -(-maximum * round(share * 10**9) // 10**9)
        if first >= maximum:
            message = f"of {maximum:,} this warns only where nothing is left"
            hint = "choose a smaller share, or leave warn_at out"
        elif first <= 1:
            message = f"of {maximum:,} this warns from the first one on"
            hint = "choose a greater share"
    if message:
        fix = without(limit.unit, path) if maximum is None else None
        yield warning(limit.unit, "E3", message, path, hint=hint, fix=fix)


def _failing(limit: WrittenLimit, raised: Collection[str]) -> Iterator[Diagnostic]:
    """What a missing fact means to a limit that refuses nothing."""
    if limit.section.failure_mode is None or limit.section.max is not None or limit.id in raised:
        return
    path = limit.at("failure_mode")
    message = "a limit without a maximum refuses nothing, whether it can be read or not"
    fix = without(limit.unit, path)
    yield warning(limit.unit, "E4", message, path, hint="leave failure_mode out", fix=fix)


def _nothing(limit: WrittenLimit, raised: Collection[str]) -> Iterator[Diagnostic]:
    """A maximum of 0; with grants or overrides it may be meant. Or one of next to nothing."""
    maximum = limit.section.max
    if limit.section.meter is MeterKind.COST and maximum and maximum < _LEAST_COST:
        message = f"cost is counted in millionths, so this is 0.{maximum:06}"
        hint = f"write {maximum}000000 for {maximum}"
        yield warning(limit.unit, "E4", message, limit.at("max"), hint=hint)
    if limit.section.max != 0 or is_allowance(limit) or limit.id in raised:
        return
    message = f"the limit {limit.id!r} allows nothing, so it refuses every request that it counts"
    hint = "a rule with effect: deny refuses too, and says why"
    yield warning(limit.unit, "E4", message, limit.at("max"), hint=hint)


def _cardinality(limit: WrittenLimit) -> Iterator[Diagnostic]:
    if is_concurrency(limit):
        return
    length_ms = rough_length_ms(limit.window)
    path = limit.at("per")
    if Dimension.SESSION in limit.per and length_ms > 7 * DAY_MS:
        span = "for ever" if limit.window is Fixed.LIFETIME else f"for a {limit.section.window}"
        message = f"each session leaves a counter, and it is kept {span}"
        hint = "a window of 7d bounds a session as well, and its counters go"
        yield warning(limit.unit, "E7", message, path, hint=hint)
    elif len(limit.per & _NAMES_OF_A_REQUEST) >= _MANY and length_ms >= 28 * DAY_MS:
        names = ", ".join(it.value for it in Dimension if it in limit.per & _NAMES_OF_A_REQUEST)
        message = f"there is a counter for each combination of {names}, kept for a long time"
        hint = "count per one or two of them, or over a shorter window"
        yield warning(limit.unit, "E7", message, path, hint=hint)


def _waiting(limit: WrittenLimit) -> Iterator[Diagnostic]:
    is_for_ever = limit.window is Fixed.LIFETIME and not is_concurrency(limit)
    if is_for_ever and limit.section.status is Refusal.TOO_MANY_REQUESTS:
        message = f"{Refusal.TOO_MANY_REQUESTS} says that waiting helps; a lifetime has no end"
        hint = f"leave status out: {Refusal.PAYMENT_REQUIRED} says that more can be bought"
        yield warning(limit.unit, "E9", message, limit.at("status"), hint=hint)


def _rollover(limit: WrittenLimit, raised: Collection[str]) -> Iterator[Diagnostic]:
    if limit.section.rollover is None:
        return
    most, maximum = limit.section.rollover.max, limit.section.max
    if limit.section.mode is Mode.OFF:
        message = "a limit that is off refuses nothing, so nothing that is left is ever used"
        hint = "leave rollover out, or write mode: advisory"
        path = limit.at("rollover")
        yield warning(limit.unit, "E10", message, path, hint=hint, key=True)
    elif maximum is not None and most > maximum and limit.id not in raised:
        message = f"of {maximum:,} no more can be left, so {most:,} are never carried on"
        hint = f"write max: {maximum}"
        yield warning(limit.unit, "E10", message, (*limit.at("rollover"), "max"), hint=hint)


def is_concurrency(limit: WrittenLimit) -> bool:
    """Whether it counts what runs now."""
    return limit.section.meter is MeterKind.CONCURRENCY
