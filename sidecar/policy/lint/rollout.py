"""Does the mode of a file do anything, and does what it says about subscriptions?"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sidecar.domain.modes import Mode
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.format import PlanSection
from sidecar.policy.limits import written_limits
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.written import narrowed
from sidecar.policy.load import Examined
from sidecar.policy.unit import Unit


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """J4 for modes in vain, M3 to M5 for statuses, trials and fields in vain."""
    for unit in examined.units:
        yield from _modes(unit)
        yield from _grace(unit)
        yield from _fields(unit)
    yield from _trial(examined)


def _modes(unit: Unit) -> Iterator[Diagnostic]:
    rules, mode = unit.file.rules, unit.file.mode
    if mode is Mode.OFF and rules and not unit.file.plans:
        message = "mode: off silences every rule of this file"
        hint = "write mode: advisory to see what they would do"
        yield warning(unit, "J4", message, ("mode",), hint=hint)
    limits = [
        section
        for name, plan in unit.file.plans.items()
        for section, _ in written_limits(name, plan)
        if section.max is not None
    ]
    own = [*(it.mode for it in rules), *(it.mode for it in limits)]
    parts = [narrowed(unit, it) for it in own]
    refuses = any(_refuses(plan) for plan in unit.file.plans.values())
    if mode is Mode.ENFORCE and parts and not refuses and Mode.ENFORCE not in parts:
        message = "mode: enforce enforces nothing: all that this file says is milder"
        hint = "write mode: advisory here, or take the mode from what is to refuse"
        yield warning(unit, "J4", message, ("mode",), hint=hint)


def _refuses(plan: PlanSection) -> bool:
    """Whether a plan leaves out plugins or features, which it refuses in the mode of its file."""
    plugins = plan.plugins
    some = plugins is not None and ("*" not in plugins.allow or len(plugins.deny) > 0)
    return some or not all(plan.features.values())


def _grace(unit: Unit) -> Iterator[Diagnostic]:
    subscription = unit.file.subscription
    for status in () if subscription is None else subscription.grace:
        if subscription is not None and status in subscription.active:
            message = f"{status.value} is active anyway, so it needs no grace"
            hint = "take it out of one of the two"
            related = (elsewhere(unit, ("subscription", "active"), "active stands here"),)
            path = ("subscription", "grace", status.value)
            yield warning(unit, "M3", message, path, hint=hint, key=True, related=related)


def _trial(examined: Examined) -> Iterator[Diagnostic]:
    default = next(
        (unit.file.defaults.plan for unit in examined.units if unit.file.defaults.plan), None
    )
    for unit in examined.units:
        subscription = unit.file.subscription
        if default is not None and subscription and subscription.trial.plan == default:
            message = f"a trial of {default!r} is a trial of nothing: it is the default plan"
            hint = "name the plan that is tried"
            yield warning(unit, "M4", message, ("subscription", "trial", "plan"), hint=hint)


def _fields(unit: Unit) -> Iterator[Diagnostic]:
    for index, rule in enumerate(unit.file.rules):
        path = ("rules", index)
        stated = rule.model_fields_set
        if "status" in stated and "deny" not in (rule.effect, rule.on_error):
            message = f"the rule {rule.id!r} never refuses, so its status is never used"
            at = (*path, "status")
            hint = "leave status out, or write effect: deny"
            yield warning(unit, "M5", message, at, hint=hint)
