"""What does an old `subscription_config.json` say?

There are two shapes: `plans`, a mapping of plans with tokens, and `subscription_plans`, a list
of plans with the plugins that they unlock, which is what runtimes have read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.domain.modes import Mode
from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.legacy.fields import members, text
from sidecar.policy.legacy.json_text import JsonFile, Value
from sidecar.policy.legacy.notes import Findings, Note
from sidecar.policy.legacy.plans import OldPlan, plans_of_list, plans_of_mapping
from sidecar.policy.legacy.trials import SETTINGS, Trial, default_of, trial_of

_TOP = {"plans", "subscription_plans", "settings", "enforcement"}


@dataclass(frozen=True, slots=True)
class OldConfig:
    """An old configuration, in the words of a policy.

    Attributes:
        default: the plan of whoever has no subscription, None where there is none.
        is_list: whether it has the shape that runtimes have read. They asked for the plan of
            a subscription and never for its status.
        notes: what the reader of the policy has to know.
    """

    plans: Sequence[OldPlan]
    mode: Mode
    default: str | None
    trial: Trial
    is_list: bool
    notes: Sequence[Note]


def read_old(file: JsonFile) -> OldConfig:
    """What the file says, with notes of what could not be kept.

    Raises:
        InvalidFiles: with every mistake and its place.
    """
    findings = Findings(file)
    found = members(findings, file.root, _TOP)
    is_list = "subscription_plans" in found
    plans: Sequence[OldPlan] = ()
    if is_list:
        plans = plans_of_list(findings, found["subscription_plans"])
        if "plans" in found:
            message = "plans and subscription_plans exclude each other"
            hint = "the runtime has read subscription_plans: take this out"
            findings.refuse("B2", message, found["plans"], hint=hint, key=True)
    elif "plans" in found:
        plans = plans_of_mapping(findings, found["plans"])
        if found["plans"].value == {}:
            findings.refuse("B2", "there is no plan", found["plans"])
    elif isinstance(file.root.value, dict):
        message = "there is neither plans nor subscription_plans"
        findings.refuse("B2", message, file.root, hint="is this a subscription_config.json?")
    mode = _mode(findings, found.get("enforcement"), is_list=is_list)
    settings = members(findings, found["settings"], SETTINGS) if "settings" in found else {}
    default = default_of(findings, settings, plans, is_list=is_list)
    trial = trial_of(findings, settings, plans, is_list=is_list)
    if is_list:
        why = "a plan holds whatever the subscription's status is, as in the runtime; shorten "
        findings.assume("", f"{why}`active` to [active, trialing] to end that")
    if any(plan.written != plan.written.lower() for plan in plans):
        findings.assume("", "subscriptions name plans in these very letters; capitals count")
    return OldConfig(plans, mode, default, trial, is_list, findings.settle())


def _mode(findings: Findings, value: Value | None, *, is_list: bool) -> Mode:
    """How strictly it is meant; what is not enabled is capped, as MOZAIKS_ENFORCE_QUOTAS=false."""
    if value is None and is_list:
        why = "mode is enforce, as with MONETIZATION=1 in the runtime; write advisory for warnings"
        findings.assume("", why)
        return Mode.ENFORCE
    if value is None:
        findings.assume("", "mode is advisory, because nothing is said of enforcement")
        return Mode.ADVISORY
    found = members(findings, value, {"enabled", "mode"})
    mode = Mode.ENFORCE
    if "mode" in found:
        word = text(findings, found["mode"])
        if word in {known.value for known in Mode}:
            mode = Mode(word)
        elif word:
            hint = did_you_mean(word, [known.value for known in Mode])
            findings.refuse("B2", f"{word!r} is not allowed here", found["mode"], hint=hint)
    enabled = found.get("enabled")
    if enabled is None or enabled.value is True:
        if "mode" not in found:
            findings.assume(value.path, "no mode is named, so it is enforce")
        return mode
    if enabled.value is not False:
        findings.refuse("B2", f"expected true or false, found {enabled.kind}", enabled)
    capped = mode.narrowed(Mode.ADVISORY)
    if capped is not mode:
        why = f"it is false, so mode is {capped.value}: it warns and does not refuse"
        findings.assume(enabled.path, why)
    return capped
