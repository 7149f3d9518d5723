"""Which members of an object are understood, and what becomes of the others?"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from sidecar.policy.diagnostics import nearest
from sidecar.policy.legacy.json_text import Value
from sidecar.policy.legacy.notes import Findings

LONGEST = 256
"""Characters of a name."""
_PRICE = "the sidecar knows no price of a plan; the payment side keeps it"
_PAGE = "it is about a page of the runtime"
_DROPPED = {
    "price": _PRICE,
    "currency": _PRICE,
    "billing_cycle": "the subscription itself says how it is billed",
    "show_subscription_status": _PAGE,
    "show_cancel_button": _PAGE,
}
"""What is known and has no place in a policy, and why."""
_BOUND = re.compile(r"token|request|quota|limit|budget|allowance|credit|(^|_)max(_|$)|_per_")
_OTHER_SPAN = re.compile(r"minute|hour|day|daily|week|year|annual|_per_(?!month)")
_TRIAL = {"trial_plan", "trial_period_days"}


def members(findings: Findings, value: Value, known: AbstractSet[str]) -> Mapping[str, Value]:
    """The members with these names; what else is there is dropped.

    What is misspelt is refused, and what bounds a plan under a name that is not known.
    """
    if not isinstance(value.value, dict):
        findings.refuse("B2", f"expected an object, found {value.kind}", value)
        return {}
    found = {}
    for name, member in value.value.items():
        if name in known:
            found[name] = member
        elif name in _DROPPED:
            findings.drop(member, _DROPPED[name])
        elif name.startswith("_"):
            findings.drop(member, "it is a comment")
        elif hint := _meant(name, known):
            findings.refuse("B1", f"unknown field {name!r}", member, hint=hint, key=True)
        else:
            findings.drop(member, "the sidecar has nothing like it")
    return found


def _meant(name: str, known: AbstractSet[str]) -> str:
    """What to write instead of what is misspelt, or of what bounds: left out, it would give away.

    Empty where the policy loses nothing that decides.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]", "_", name).lower()
    if "trial" in words:
        # A number may be meant as a length, whatever name is nearer.
        names = " or ".join(map(repr, sorted(_TRIAL)))
        return f"did you mean {names}?" if known >= _TRIAL else f"write {names} in settings"
    if (near := nearest(name, known)) is not None:
        return f"did you mean {near!r}?"
    if "default" in words:
        there = "default_plan" in known
        return "did you mean 'default_plan'?" if there else "write 'default_plan' in settings"
    if not _BOUND.search(words):
        return ""
    if "token" in words and "tokens_per_month" in known and not _OTHER_SPAN.search(words):
        return "did you mean 'tokens_per_month'?"
    return "take it out, and write it as a limit of the policy"


def text(findings: Findings, value: Value | None, *, longest: int = LONGEST) -> str:
    """A text that is there and not empty; where it is none, that is refused."""
    match value:
        case None:
            return ""
        case Value(value=str(found)) if 0 < len(found) <= longest:
            return found
        case Value(value=str(found)) if found:
            findings.refuse("B5", f"the text is longer than {longest} characters", value)
        case _:
            wanted = "the text is empty" if value.value == "" else "expected text"
            found = "" if value.value == "" else f", found {value.kind}"
            findings.refuse("B2", f"{wanted}{found}", value)
    return ""
