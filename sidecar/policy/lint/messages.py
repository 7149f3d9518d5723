"""Will a user be shown the sentence that its author had in mind?"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from sidecar.cel import String
from sidecar.cel.typed import Apply, Const, Node, within
from sidecar.cel.types import is_open
from sidecar.policy.conditions import Condition
from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.lint.remarks import warning
from sidecar.policy.load import Examined
from sidecar.policy.ruling import MAX_MESSAGE
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit

_PLACEHOLDER = re.compile(
    r"\$?\{\{?\s*[A-Za-z_][\w.\[\]\"']*\s*\}?\}|%\(\w+\)[sd]|%[sd]\b|<(?:limit|max|plan|user|used)>"
)
_PRIVATE = re.compile(
    r"(?i)(^|_)(e?mail|phone|token|secret|passw(or)?d|api_?key|key|ssn|iban|card|address|ip|"
    r"birth\w*|salary|stripe\w*|customer\w*)($|_)"
)
_CONVERSIONS = {"int", "uint", "double", "timestamp", "duration"}


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """K1 to K4: computed messages that fail, placeholders, secrets, several lines."""
    for unit in examined.units:
        for path, text in _static(unit):
            yield from _placeholders(unit, path, text)
            yield from _several_lines(unit, path, text)
        for path, condition in unit.expressions.items():
            if path[-1] == "message_expr":
                yield from _fallible(unit, path, condition)
                yield from _revealing(unit, path, condition)


def _static(unit: Unit) -> Iterator[tuple[Path, str]]:
    for name, plan in unit.file.plans.items():
        for index, limit in enumerate(plan.limits):
            if limit.message is not None:
                yield ("plans", name, "limits", index, "message"), limit.message
    for index, rule in enumerate(unit.file.rules):
        yield ("rules", index, "message"), rule.message


def _placeholders(unit: Unit, path: Path, text: str) -> Iterator[Diagnostic]:
    found = _PLACEHOLDER.search(text)
    if found is not None:
        message = f"{found[0]} is shown to the user as it stands"
        hint = "name the number, or leave it to what the answer says of the limit"
        if path[0] == "rules":
            hint = """compute it: message_expr: '"…" + request.plugin'"""
        yield warning(unit, "K2", message, path, hint=hint)


def _several_lines(unit: Unit, path: Path, text: str) -> Iterator[Diagnostic]:
    if "\n" not in text:
        return
    message = "this message has several lines"
    if "\n" not in text.rstrip("\n"):
        message = "this message ends with an empty line"
    yield warning(
        unit, "K4", message, path, hint="fold it: write >- for |", fix=_folded(unit, path)
    )


def _folded(unit: Unit, path: Path) -> Fix | None:
    scalar = unit.source.scalar(path)
    if scalar is None or scalar.style not in ("|", ">"):
        return None
    header = re.match(
        r"[|>][+-]?(?=[ \t]*\r?\n)", (unit.source.mark + unit.source.text)[scalar.start :]
    )
    if header is None:
        return None
    return Fix(unit.source.name, scalar.start, scalar.start + len(header[0]), ">-")


def _fallible(unit: Unit, path: Path, condition: Condition) -> Iterator[Diagnostic]:
    instead = "then the static message is shown"
    result = condition.program.result
    if isinstance(result, String) and result.max_length > MAX_MESSAGE:
        message = f"this may be longer than {MAX_MESSAGE:,} characters; {instead}"
        yield warning(unit, "K1", message, path, hint="leave out what has no bound")
    for node in within(condition.program.tree):
        why = _failure(node)
        if why is not None:
            hint = "ask first: condition ? text : other text"
            part = (node.start, node.end)
            yield warning(unit, "K1", f"{why}; {instead}", path, hint=hint, part=part)
            return
        if isinstance(node, Const) and isinstance(node.value, str) and "\n" in node.value:
            message = "this message has several lines"
            part = (node.start, node.end)
            yield warning(unit, "K4", message, path, hint="write a sentence", part=part)


def _failure(node: Node) -> str | None:
    """Why a part of an expression may have no value, None where it always has one."""
    if not isinstance(node, Apply):
        return None
    name, arguments = node.function, node.arguments
    if name in ("_/_", "_%_") and not _is_number(arguments[-1]):
        return "this fails where the divisor is 0"
    if name == "_+_" and any(is_open(it.type) for it in arguments):
        return "this fails where it is added to what is no text"
    if name in _CONVERSIONS and arguments and _reads_text(arguments[0]):
        return f"{name}() fails for text that is none"
    return None


def _is_number(node: Node) -> bool:
    return isinstance(node, Const) and node.value != 0


def _reads_text(node: Node) -> bool:
    return not isinstance(node, Const) and (isinstance(node.type, String) or is_open(node.type))


def _revealing(unit: Unit, path: Path, condition: Condition) -> Iterator[Diagnostic]:
    for read in condition.program.reads:
        root, *names = read.path
        is_of_billing = (root, *names[:1]) == ("subscription", "metadata")
        is_private = any(_PRIVATE.search(name) for name in names)
        if (is_of_billing or is_private) and not read.asks and root not in ("constants", "vars"):
            what = "what the billing side keeps of a customer" if is_of_billing else names[-1]
            message = f"this message shows {what} to whoever gets the answer, and to its logs"
            part = (read.start, read.end)
            yield warning(unit, "K3", message, path, hint="say it without", part=part)
