"""What do the files of a directory say once for all of them?"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.subscription import Terms
from sidecar.domain.windows import parse_duration
from sidecar.policy.format import SubscriptionSection
from sidecar.policy.names import refuse_unknown
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


def default_plan(
    units: Sequence[Unit], plans: Collection[str], lost: Collection[str]
) -> tuple[str | None, Mode, FailureMode]:
    """The plan of those without one, and the modes in which missing facts are judged.

    These are the modes of the file that names the plan; where none does, the strictest.
    """
    path: Path = ("defaults", "plan")
    said = [(unit, unit.file.defaults.plan) for unit in units if unit.file.defaults.plan]
    for unit, plan in said:
        refuse_unknown(unit, "plan", plan, plans, lost, path)
    for unit, _ in said[1:]:
        where = said[0][0].where(path)
        message = f"defaults.plan stands at {where} too"
        unit.report("B4", message, path, hint="say it in one file of the directory")
    if said:
        unit, plan = said[0]
        return plan, unit.mode, unit.file.defaults.failure_mode
    modes = {unit.mode for unit in units}
    mode = next((mode for mode in (Mode.ENFORCE, Mode.ADVISORY) if mode in modes), Mode.OFF)
    failing = {unit.file.defaults.failure_mode for unit in units}
    strictest = (FailureMode.CLOSED, FailureMode.LOCAL)
    return None, mode, next((it for it in strictest if it in failing), FailureMode.OPEN)


def subscription_terms(
    units: Sequence[Unit], plans: Collection[str], lost: Collection[str]
) -> Terms:
    """What a subscription's status means; the file says it that has a `subscription`."""
    path: Path = ("subscription",)
    said = [(unit, unit.file.subscription) for unit in units if unit.file.subscription]
    for unit, section in said:
        if section.trial.plan is not None:
            where = (*path, "trial", "plan")
            refuse_unknown(unit, "plan", section.trial.plan, plans, lost, where)
    for unit, _ in said[1:]:
        message = f"subscription stands at {said[0][0].where(path, key=True)} too"
        hint = "say it in one file of the directory"
        unit.report("B4", message, path, hint=hint, key=True)
    return _terms(said[0][1]) if said else Terms()


def _terms(section: SubscriptionSection) -> Terms:
    trial = section.trial
    return Terms(
        active=frozenset(section.active),
        grace={
            status: parse_duration(text) or timedelta() for status, text in section.grace.items()
        },
        trial_plan=trial.plan or "",
        trial_length=None if trial.days is None else timedelta(days=trial.days),
    )
