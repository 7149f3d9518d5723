"""Do overrides still hold, change something, and say why they are there?"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.written import WrittenLimit, WrittenOverride, limits, overrides
from sidecar.policy.load import Examined

SOON = timedelta(days=14)
LONGEST = timedelta(days=366)


def check(examined: Examined, today: datetime) -> Iterable[Diagnostic]:
    """F2 to F6: overrides that end, change nothing, say no reason, have no end, name no one."""
    by_id: dict[str, list[WrittenLimit]] = {}
    for limit in limits(examined):
        by_id.setdefault(limit.id, []).append(limit)
    for override in overrides(examined):
        if override.section.until is not None and override.section.until <= today:
            yield _expired(override, today)
            continue
        yield from _ending(override, today)
        yield from _idle(override, by_id.get(override.section.limit, ()))
        yield from _unexplained(override)
        yield from _named_by_globs(override)


def _expired(override: WrittenOverride, today: datetime) -> Diagnostic:
    until = override.section.until
    assert until is not None, "only what ends can be over"
    days = (today - until).days
    ago = "today" if days == 0 else f"{days} day{'s' * (days != 1)} ago"
    message = f"the override {override.section.id!r} ended {ago}"
    hint = "take it out, or give it a later until"
    return warning(override.unit, "F2", message, (*override.path, "until"), hint=hint)


def _ending(override: WrittenOverride, today: datetime) -> Iterator[Diagnostic]:
    section, unit, path = override.section, override.unit, override.path
    if section.until is None:
        message = f"the override {section.id!r} never ends"
        hint = 'add until: "…", or write what is to stay into a plan'
        yield warning(unit, "F5", message, (*path, "id"), hint=hint)
        return
    begins = section.from_ or today
    if section.until - begins > LONGEST:
        message = f"the override {section.id!r} lasts longer than a year"
        hint = "end it earlier, or write what is to stay into a plan"
        yield warning(unit, "F5", message, (*path, "until"), hint=hint)
    if begins <= today and section.until - today <= SOON:
        days = -(-(section.until - today) // timedelta(days=1))
        message = f"the override {section.id!r} ends in {days} day{'s' * (days != 1)}"
        hint = "extend it, or tell those whom it is for"
        yield warning(unit, "F2", message, (*path, "until"), hint=hint)


def _idle(override: WrittenOverride, restated: Iterable[WrittenLimit]) -> Iterator[Diagnostic]:
    """Against the limit as every plan writes it that has it."""
    section, unit, path = override.section, override.unit, (*override.path, "max")
    bases = list(restated)
    if all(limit.section.max == section.max for limit in bases):
        message = f"the override {section.id!r} changes nothing: {_allows(bases[0])}"
        hint = "take it out, or write another max"
        related = (elsewhere(bases[0].unit, bases[0].at("max"), "the limit's own maximum"),)
        yield warning(unit, "F3", message, path, hint=hint, related=related)
        return
    for limit in bases:
        own = limit.section.max
        # A limit without a maximum is often there to be given one by overrides.
        if section.max is not None and own is not None and own > section.max:
            message = f"the override {section.id!r} gives less than the plan: {_allows(limit)}"
            hint = "an override replaces the maximum, also by a smaller one; write a greater max"
            related = (elsewhere(limit.unit, limit.at("max"), "the limit's own maximum"),)
            yield warning(unit, "F3", message, path, hint=hint, related=related)
            return


def _allows(limit: WrittenLimit) -> str:
    amount = "has no maximum" if limit.section.max is None else f"has {limit.section.max:,}"
    return f"{limit.id!r} of {limit.plan!r} {amount}"


def _unexplained(override: WrittenOverride) -> Iterator[Diagnostic]:
    if not override.section.reason.strip():
        message = f"the override {override.section.id!r} does not say why"
        hint = "add reason: with who asked for it, or a ticket"
        yield warning(override.unit, "F4", message, (*override.path, "id"), hint=hint)


def _named_by_globs(override: WrittenOverride) -> Iterator[Diagnostic]:
    chosen = override.section.for_
    for kind, names in (
        ("apps", chosen.apps),
        ("tenants", chosen.tenants),
        ("users", chosen.users),
    ):
        for index, name in enumerate(names or ()):
            if is_wild(name):
                message = f"{name!r} is taken as it stands: overrides name {kind} exactly"
                hint = "write out whom it is for"
                path = (*override.path, "for", kind, index)
                yield warning(override.unit, "F6", message, path, hint=hint)
