"""What do the fields of one old plan mean: its plugins, features and tokens?"""

import re
from collections.abc import Mapping, Sequence

from sidecar.cel.logic.texts import covers, globbed
from sidecar.domain.request import MAX_INTEGER
from sidecar.policy.globs import is_wild
from sidecar.policy.legacy.json_text import Value
from sidecar.policy.legacy.notes import Findings
from sidecar.policy.values import FEATURE_PATTERN, GLOB_PATTERN

_UNLIMITED = {"unlimited", "infinite", "infinity", "none"}


def plugins_of(findings: Findings, value: Value) -> Sequence[str]:
    """The globs of a list of plugins, each as it is meant."""
    if not isinstance(value.value, list):
        hint = f'write ["{value.value}"]' if isinstance(value.value, str) else ""
        findings.refuse("B2", f"expected a list of plugins, found {value.kind}", value, hint=hint)
        return ()
    names: list[str] = []
    for item in value.value:
        if not isinstance(item.value, str):
            findings.refuse("B2", f"expected the name of a plugin, found {item.kind}", item)
        elif not re.fullmatch(GLOB_PATTERN.strip("^$"), item.value):
            hint = "a name has letters, digits and . _ : / @ -, and * for any run of them"
            findings.refuse("B4", f"{item.kind} is no name of a plugin", item, hint=hint)
        else:
            names.append(item.value)
    return _without_excess(names)


def _without_excess(names: Sequence[str]) -> Sequence[str]:
    """The same names, without those that others include."""
    kept: list[str] = []
    for name in dict.fromkeys(names):
        if not any(_includes(other, name) for other in kept):
            kept = [other for other in kept if not _includes(name, other)] + [name]
    return kept


def _includes(glob: str, name: str) -> bool:
    return is_wild(glob) and covers(globbed(glob), globbed(name))


def features_of(findings: Findings, value: Value | None) -> Mapping[str, bool]:
    """The features that a plan includes or not; a list of words for people is dropped."""
    match value:
        case None:
            return {}
        case Value(value=list()):
            findings.drop(
                value, "these are words for people; the sidecar decides by true and false"
            )
            return {}
        case Value(value=dict(found)):
            features = {}
            for name, each in found.items():
                if not re.fullmatch(FEATURE_PATTERN.strip("^$"), name):
                    message = f"{name!r} is no name of a feature"
                    hint = "a name has letters, digits and . _ : / @ -, and * stands for all"
                    findings.refuse("B4", message, each, hint=hint, key=True)
                elif isinstance(each.value, bool):
                    features[name] = each.value
                else:
                    findings.refuse("B2", f"expected true or false, found {each.kind}", each)
            return features
    findings.refuse("B2", f"expected an object of true and false, found {value.kind}", value)
    return {}


def tokens_of(findings: Findings, value: Value | None) -> int | None:
    """The tokens of a month, None for unlimited and where nothing is said."""
    if value is None or value.value is None:
        return None
    found = value.value
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MAX_INTEGER:
        return found
    if found == -1 or (isinstance(found, str) and found.lower() in _UNLIMITED):
        findings.assume(value.path, f"{value.kind} is unlimited")
        return None
    hint = "write null for unlimited"
    if isinstance(found, str) and found.replace("_", "").replace(",", "").isdecimal():
        hint = f"write {int(found.replace('_', '').replace(',', ''))}"
    message = f"expected a whole number of at least 0, or null; found {value.kind}"
    findings.refuse("B5", message, value, hint=hint)
    return None


def number_of(value: Value | None) -> float:
    """A number that is only compared; 0 where there is none."""
    found = None if value is None else value.value
    return float(found) if isinstance(found, int | float) else 0.0
