"""Is a meter limited in all plans but one that lies between them?"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.remarks import warning
from sidecar.policy.lint.written import Counter, WrittenLimit, counters, in_force
from sidecar.policy.load import Examined

MOST_PLANS = 100
"""Plans that are looked at, each beside all others."""


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """E8 for a meter that a smaller and a greater plan limit, and one between them does not."""
    effective = {plan: in_force(examined, plan) for plan in examined.plans.units}
    maxima = {plan: _maxima(own) for plan, own in effective.items()}
    for plan, unit in islice(examined.plans.units.items(), MOST_PLANS):
        limited = {limit.section.meter for limit in effective[plan]}
        smaller, greater = _around(plan, maxima)
        for meter in dict.fromkeys(it.section.meter for own in effective.values() for it in own):
            below = [it for it in smaller if _bounds(effective[it], meter)]
            above = [it for it in greater if _bounds(effective[it], meter)]
            if meter not in limited and below and above:
                message = (
                    f"{below[-1]!r} and {above[0]!r} limit {meter.value}, "
                    f"and {plan!r}, which lies between them, does not"
                )
                hint = "add the limit, or one with max: null if that is meant"
                yield warning(unit, "E8", message, ("plans", plan), hint=hint, key=True)


def _maxima(limits: Iterable[WrittenLimit]) -> dict[Counter, int]:
    """How much a plan allows, by what is counted."""
    return {
        counter: limit.section.max
        for limit, counter in counters(limits)
        if limit.section.max is not None
    }


def _around(
    plan: str, maxima: dict[str, dict[Counter, int]]
) -> tuple[Sequence[str], Sequence[str]]:
    """The plans that allow less of everything that both count, and those that allow more."""
    smaller, greater = [], []
    for other, theirs in maxima.items():
        shared = [
            (own, theirs[counter]) for counter, own in maxima[plan].items() if counter in theirs
        ]
        if shared and all(less < own for own, less in shared):
            smaller.append(other)
        elif shared and all(more > own for own, more in shared):
            greater.append(other)
    return smaller, greater


def _bounds(limits: Iterable[WrittenLimit], meter: str) -> bool:
    return any(it.section.meter == meter and it.section.max is not None for it in limits)
