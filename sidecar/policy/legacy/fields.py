"""Which members of an object are understood, and what becomes of the others?"""

from collections.abc import Collection, Mapping

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


def members(findings: Findings, value: Value, known: Collection[str]) -> Mapping[str, Value]:
    """The members with these names; what else is there is dropped or, if misspelt, refused."""
    if not isinstance(value.value, dict):
        findings.refuse("B2", f"expected an object, found {value.kind}", value)
        return {}
    found = {}
    for name, member in value.value.items():
        near = nearest(name, known)
        if name in known:
            found[name] = member
        elif name in _DROPPED:
            findings.drop(member, _DROPPED[name])
        elif name.startswith("_"):
            findings.drop(member, "it is a comment")
        elif near is not None:
            hint = f"did you mean {near!r}?"
            findings.refuse("B1", f"unknown field {name!r}", member, hint=hint, key=True)
        else:
            findings.drop(member, "the sidecar has nothing like it")
    return found


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
