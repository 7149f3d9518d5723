"""Is there a limit that another one of its plan keeps from ever being reached?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, permutations

from sidecar.domain.modes import Mode
from sidecar.domain.windows import Fixed, Sliding, Window, rough_length_ms
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.limits import is_allowance, is_concurrency
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.spans import DAY_MS, windows_met
from sidecar.policy.lint.written import WrittenLimit, in_force, overrides
from sidecar.policy.load import Examined

_SPANS = {
    Fixed.HOUR: "an hour", Fixed.DAY: "a day", Fixed.WEEK: "a week", Fixed.MONTH: "a month",
    Fixed.BILLING_MONTH: "a billing month", Fixed.BILLING_PERIOD: "a billing period",
    Fixed.LIFETIME: "in all",
}  # fmt: skip

MOST_PAIRS = 10_000
"""Pairs of limits of one plan that are compared."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The least and the greatest maximum of a limit, overrides among them; None is no bound."""

    least: int
    greatest: int | None


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """E1 for limits that count the same, E2 for those that another one always forestalls."""
    others: dict[str, list[int | None]] = {}
    for override in overrides(examined):
        others.setdefault(override.section.limit, []).append(override.section.max)
    depths = {plan: len(examined.plans.lineage(plan) or ()) for plan in examined.plans.units}
    for plan in examined.plans.units:
        bounded = [it for it in in_force(examined, plan) if it.section.max is not None]
        for strict, lax in islice(permutations(bounded, 2), MOST_PAIRS):
            if strict.section.meter is not lax.section.meter or not _counts_all(strict, lax):
                continue
            if not _is_same(strict, lax):
                yield from _compared(strict, lax, others)
            elif (depths[strict.plan], *_place(strict)) < (depths[lax.plan], *_place(lax)):
                yield _duplicate(strict, lax)


def _counts_all(strict: WrittenLimit, lax: WrittenLimit) -> bool:
    """Whether the one counts at least what the other counts, for the same or for more."""
    return strict.per <= lax.per and (strict.when is None or _text(strict) == _text(lax))


def _text(limit: WrittenLimit) -> str:
    return "" if limit.when is None else limit.when.program.source.strip()


def _is_same(one: WrittenLimit, other: WrittenLimit) -> bool:
    """Whether both read one counter and are as strict; else one may warn before the other."""
    reads = one.per == other.per and one.window == other.window and _text(one) == _text(other)
    return reads and one.mode is other.mode


def _place(limit: WrittenLimit) -> tuple[str, int, int]:
    place = limit.unit.source.place(limit.path)
    return limit.unit.source.name, place.line, place.column


def _compared(
    one: WrittenLimit, other: WrittenLimit, others: Mapping[str, Sequence[int | None]]
) -> Iterator[Diagnostic]:
    if Mode.OFF in (one.mode, other.mode) or one.mode.narrowed(other.mode) is not other.mode:
        return
    strict, lax = _bounds(one, others), _bounds(other, others)
    windows = _windows_met(one, other)
    if strict.greatest is None or windows is None or not strict.greatest:
        return
    most, share = strict.greatest * windows, other.section.warn_at
    # A warning of the lax one may come before the strict one refuses.
    if most <= lax.least and (share is None or most < lax.least * share):
        yield _dominated(one, other, most)


def _bounds(limit: WrittenLimit, others: Mapping[str, Sequence[int | None]]) -> _Bounds:
    own = [limit.section.max, *others.get(limit.id, ())]
    finite = [each for each in own if each is not None]
    return _Bounds(min(finite), None if None in own else max(finite))


def _windows_met(strict: WrittenLimit, lax: WrittenLimit) -> int | None:
    """How many windows of the one a window of the other can meet, None if nothing follows."""
    one, other = strict.window, lax.window
    if one == other:
        return 1
    if is_concurrency(strict):
        return None
    if is_allowance(strict) and not is_allowance(lax) and rough_length_ms(other) > DAY_MS:
        # Grants raise the one and not the other, which then bounds them together.
        return None
    is_bound = strict.mode is Mode.ENFORCE and not is_allowance(strict)
    return windows_met(one, other, enforced=is_bound)


def _duplicate(first: WrittenLimit, second: WrittenLimit) -> Diagnostic:
    message = f"{second.id!r} counts the same as {first.id!r}"
    hint = "keep the one with the smaller maximum"
    if first.plan != second.plan:
        hint = f"give it the id {first.id!r} to replace what the plan inherits"
        if second.is_short or first.is_short:
            hint = f"a plan's own tokens_per_month replaces the one of {first.plan!r}"
    related = (elsewhere(first.unit, first.path, f"{first.id!r}: {_allows(first)}"),)
    return warning(second.unit, "E1", message, second.at("id"), hint=hint, related=related)


def _dominated(strict: WrittenLimit, lax: WrittenLimit, most: int) -> Diagnostic:
    message = f"{lax.id!r} is never reached: {strict.id!r} allows {_allows(strict)}"
    if most != strict.section.max:
        message += f", which is at most {most:,} {_span(lax.window)}"
    hint = f"write less than {most:,}, or leave the limit out"
    related = (elsewhere(strict.unit, strict.path, f"{strict.id!r} stands here"),)
    return warning(lax.unit, "E2", message, lax.at("max"), hint=hint, related=related)


def _allows(limit: WrittenLimit) -> str:
    units = limit.section.meter.value.replace("_", " ")
    if is_concurrency(limit):
        return f"{limit.section.max:,} at once"
    return f"{limit.section.max:,} {units} {_span(limit.window)}"


def _span(window: Window) -> str:
    return f"in {window}" if isinstance(window, Sliding) else _SPANS[window]
