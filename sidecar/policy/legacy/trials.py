"""What does an old configuration say of trials, and of whoever has no subscription?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.legacy.fields import text
from sidecar.policy.legacy.json_text import Value
from sidecar.policy.legacy.notes import Findings
from sidecar.policy.legacy.plans import RUNTIME_DEFAULT, OldPlan

SETTINGS = {"trial_plan", "trial_period_days", "default_plan"}
_DAYS = 14
"""What a runtime has taken for the length of a trial."""
_MOST_DAYS = 3660


@dataclass(frozen=True, slots=True)
class Trial:
    """What holds for a trial that names no plan, or no end.

    Attributes:
        plan: None where it has to name one.
        days: None where it has to name its end, 0 where there are no trials.
    """

    plan: str | None = None
    days: int | None = None


def default_of(
    findings: Findings, settings: Mapping[str, Value], plans: Sequence[OldPlan], *, is_list: bool
) -> str | None:
    """The plan of whoever has no subscription, None where there is none."""
    said = settings.get("default_plan")
    if said is not None:
        plan = _plan_named(findings, said, plans)
        if is_list and plan is not None and plan.written.lower() != RUNTIME_DEFAULT:
            findings.assume(
                said.path, f"it is in force now; the runtime took {RUNTIME_DEFAULT!r} instead"
            )
        return None if plan is None else plan.id
    free = next((plan for plan in plans if plan.written.lower() == RUNTIME_DEFAULT), None)
    if free is not None:
        return free.id
    if not is_list:
        findings.assume(
            "", f"there is no plan {RUNTIME_DEFAULT!r}, so who has no subscription is refused"
        )
    return None


def trial_of(
    findings: Findings, settings: Mapping[str, Value], plans: Sequence[OldPlan], *, is_list: bool
) -> Trial:
    """What is said of trials; a runtime has had its own opinion where nothing is."""
    days = _days(findings, settings.get("trial_period_days"))
    if days is None and is_list:
        days = _DAYS
        findings.assume("settings.trial_period_days", f"{_DAYS}, as in the runtime")
    said = settings.get("trial_plan")
    if said is not None and said.value is not None:
        plan = _plan_named(findings, said, plans)
        return Trial(None if plan is None else plan.id, days)
    sold = [plan for plan in plans if plan.written != "admin"]
    dearest = max(sold, key=lambda plan: plan.price, default=None)
    if not is_list or not days or dearest is None or dearest.price <= 0:
        return Trial(None, days)
    findings.assume("settings.trial_plan", f"{dearest.id}, the dearest plan, as in the runtime")
    return Trial(dearest.id, days)


def _plan_named(findings: Findings, value: Value, plans: Sequence[OldPlan]) -> OldPlan | None:
    name = text(findings, value)
    found = next((plan for plan in plans if plan.written.lower() == name.lower()), None)
    if name and found is None and not findings.wrong:
        hint = did_you_mean(name, [plan.written for plan in plans])
        findings.refuse("C1", f"no plan {name!r}", value, hint=hint)
    return found


def _days(findings: Findings, value: Value | None) -> int | None:
    if value is None or value.value is None:
        return None
    days = value.value
    if isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= _MOST_DAYS:
        if days == 0:
            findings.assume(value.path, "0: there are no trials, and who is on one has no plan")
        return days
    message = f"expected whole days, from 0 to {_MOST_DAYS}; found {value.kind}"
    findings.refuse("B5", message, value)
    return None
