"""Would another program read a value of the file as something else?"""

import re
from collections.abc import Iterable
from datetime import datetime

from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.lint.remarks import warning
from sidecar.policy.load import Examined
from sidecar.policy.source import Scalar
from sidecar.policy.unit import Unit

_OLDER = (
    (re.compile(r"(?i)y|n|yes|no|on|off"), "true or false"),
    (re.compile(r"True|TRUE|False|FALSE"), "true or false"),
    (re.compile(r"Null|NULL"), "nothing"),
    (re.compile(r"[-+]?0[0-9_]+|[-+]?0[box][0-9a-fA-F_]+"), "a number of another base"),
    (re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"), "a number of base sixty"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"), "a number"),
    (re.compile(r"[-+]?\.(?i:inf|nan)"), "no number at all"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"), "a date"),
)
"""Plain words that are text here, and what other readers of YAML make of them."""
_VERSION = re.compile(r"[1-9][0-9]*\.[0-9]+0")
_CLOSED = {"from", "until", "mode", "when", "expr", "message_expr"}
"""Fields of which everybody knows what their words are."""


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """A4: plain values that mean one thing here and another elsewhere."""
    for unit in examined.units:
        for scalar in unit.source.scalars():
            is_closed = scalar.path[-1] in _CLOSED and not scalar.is_key
            if not scalar.style and not is_closed:
                yield from _ambiguous(unit, scalar)


def _ambiguous(unit: Unit, scalar: Scalar) -> Iterable[Diagnostic]:
    text = scalar.value
    fix = Fix(unit.source.name, scalar.start, scalar.end, f'"{text}"')
    if _VERSION.fullmatch(text) and not scalar.is_key and scalar.path[0] == "constants":
        message = f"{text} is a number, of which the last zero is lost"
        hint = f'write "{text}" for text, {text.rstrip("0").rstrip(".")} for the number'
        yield warning(unit, "A4", message, scalar.path, hint=hint)
        return
    for pattern, meaning in _OLDER:
        if pattern.fullmatch(text):
            message = f"{text} is text here, and {meaning} to other readers of YAML"
            hint = f'write "{text}" for the text' + _word(text)
            yield warning(
                unit, "A4", message, scalar.path, hint=hint, key=scalar.is_key, fix=fix
            )  # fmt: skip
            return


def _word(text: str) -> str:
    """What to write if true or false was meant."""
    if text.lower() in {"y", "yes", "on", "true"}:
        return ", true for the opposite of false"
    return ", false for the opposite of true" if text.lower() in {"n", "no", "off"} else ""
