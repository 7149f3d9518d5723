"""What does an old configuration say of each plan?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.policy.globs import is_wild
from sidecar.policy.legacy.fields import LONGEST, members, text
from sidecar.policy.legacy.json_text import Value
from sidecar.policy.legacy.notes import Findings
from sidecar.policy.legacy.plan_fields import features_of, number_of, plugins_of, tokens_of
from sidecar.policy.legacy.plan_ids import plan_id

RUNTIME_DEFAULT = "free"
"""The plan that runtimes have taken for whoever has no subscription, in whatever capitals."""
_COMMON = {"description", "features", "tokens_per_month"}


@dataclass(frozen=True, slots=True)
class OldPlan:
    """One plan.

    Attributes:
        id: as the policy names it.
        written: its name in the old file, by which subscriptions name it.
        name: as people read it.
        tokens: for a month, None where they are unlimited.
        says_tokens: whether the old file says so itself.
        price: only to find the dearest plan.
    """

    id: str
    written: str
    name: str
    description: str
    plugins: Sequence[str]
    features: Mapping[str, bool]
    tokens: int | None
    says_tokens: bool
    price: float


def plans_of_mapping(findings: Findings, value: Value) -> Sequence[OldPlan]:
    """The plans of `{"plans": {"free": {…}}}`."""
    if not isinstance(value.value, dict):
        findings.refuse("B2", f"expected an object of plans, found {value.kind}", value)
        return ()
    plans: dict[str, OldPlan] = {}
    for written, section in value.value.items():
        if not 0 < len(written) <= LONGEST:
            message = f"the name of a plan has 1 to {LONGEST} characters"
            findings.refuse("B4", message, section, key=True)
        found = members(findings, section, {"name", "plugins", *_COMMON})
        plugins: Sequence[str] = ["*"]
        if "plugins" in found:
            plugins = plugins_of(findings, found["plugins"])
        else:
            findings.assume(section.path, "no plugins are named, so all are included")
        name = text(findings, found.get("name"))
        plan = _plan(findings, section, found, written, name, plugins, plans)
        plans[plan.id] = plan
    return tuple(plans.values())


def plans_of_list(findings: Findings, value: Value) -> Sequence[OldPlan]:
    """The plans of `{"subscription_plans": [{"name": "free", …}]}`; of equal names the last."""
    if not isinstance(value.value, list):
        findings.refuse("B2", f"expected a list of plans, found {value.kind}", value)
        return ()
    last: dict[str, Value] = {}
    for section in value.value:
        name = _name_of(findings, section)
        if name and (former := last.pop(name.lower(), None)) is not None:
            findings.drop(former, "a plan of the same name stands below it, and held instead")
        if name:
            last[name.lower()] = section
    plans: dict[str, OldPlan] = {}
    for section in last.values():
        known = {"name", "display_name", "plugins_unlocked", *_COMMON}
        found = members(findings, section, known)
        plugins: Sequence[str] = ()
        if "plugins_unlocked" in found:
            plugins = plugins_of(findings, found["plugins_unlocked"])
            for glob in plugins:
                if is_wild(glob) and glob != "*":
                    why = "is a glob now; the runtime compared it letter by letter"
                    findings.assume(found["plugins_unlocked"].path, f"{glob!r} {why}")
        else:
            findings.assume(section.path, "no plugins are unlocked, so none is included")
        written = text(findings, found["name"])
        name = text(findings, found.get("display_name"))
        plan = _plan(findings, section, found, written, name, plugins, plans)
        plans[plan.id] = plan
    if not any(plan.written.lower() == RUNTIME_DEFAULT for plan in plans.values()):
        own = plan_id(RUNTIME_DEFAULT, plans)
        why = "is added, with no plugins, as the runtime had it"
        findings.assume("", f"the plan {own!r} {why}")
        plans[own] = OldPlan(own, RUNTIME_DEFAULT, "Free", "", (), {}, None, False, 0)
    return tuple(plans.values())


def _name_of(findings: Findings, section: Value) -> str:
    if not isinstance(section.value, dict):
        findings.refuse("B2", f"expected a plan, found {section.kind}", section)
        return ""
    if "name" not in section.value:
        hint = 'write "name": and what subscriptions call it'
        findings.refuse("B2", "the plan lacks the field 'name'", section, hint=hint)
    return text(findings, section.value.get("name"))


def _plan(
    findings: Findings,
    section: Value,
    found: Mapping[str, Value],
    written: str,
    name: str,
    plugins: Sequence[str],
    taken: Mapping[str, OldPlan],
) -> OldPlan:
    own = plan_id(written, taken)
    if own != written:
        why = f"the plan {written!r} is {own!r} now; subscriptions have to name it so"
        findings.rename(section, why)
    price = section.value.get("price") if isinstance(section.value, dict) else None
    return OldPlan(
        id=own,
        written=written,
        name=name or written,
        description=text(findings, found.get("description"), longest=1024),
        plugins=plugins,
        features=features_of(findings, found.get("features")),
        tokens=tokens_of(findings, found.get("tokens_per_month")),
        says_tokens="tokens_per_month" in found,
        price=number_of(price),
    )
