"""Is everything that files declare used, and does a name mean one thing all along?"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sidecar.cel.typed import Bind, Loop, within
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.remarks import warning
from sidecar.policy.load import Examined
from sidecar.policy.unit import Unit

_ROOTS = {"request", "subscription", "plan", "limits", "wallet", "now", "constants", "vars"}


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """C3 for loops that hide a fact, C4 for what nothing uses, C5 where nobody has a plan."""
    if not examined.plans.units and examined.units:
        message = "there is no plan in these files, so that every request is refused"
        hint = "write plans: with at least one"
        yield warning(examined.units[0], "C5", message, ("metadata", "name"), hint=hint)
    for unit in examined.units:
        yield from _hidden(unit)
        yield from _unused_constants(unit)
        yield from _unused_variables(unit)


def _unused_constants(unit: Unit) -> Iterator[Diagnostic]:
    read = {ref for it in unit.expressions.values() for ref in it.program.references}
    if ("constants",) in read:
        return
    used = {ref[1] for ref in read if ref[0] == "constants"}
    for name in unit.file.constants:
        if name not in used:
            yield _unused(unit, ("constants", name), "constant", name, is_key=True)


def _unused_variables(unit: Unit) -> Iterator[Diagnostic]:
    used = {
        name
        for path, it in unit.expressions.items()
        if path[0] != "variables"
        for name in it.variables
    }
    for index, variable in enumerate(unit.file.variables):
        if variable.name not in used:
            path = ("variables", index, "name")
            yield _unused(unit, path, "variable", variable.name, is_key=False)


def _unused(
    unit: Unit, path: tuple[str | int, ...], kind: str, name: str, *, is_key: bool
) -> Diagnostic:
    message = f"no expression of this file uses the {kind} {name!r}"
    hint = "each file has its own; take it out, or use it"
    return warning(unit, "C4", message, path, hint=hint, key=is_key)


def _hidden(unit: Unit) -> Iterator[Diagnostic]:
    for path, condition in unit.expressions.items():
        for node in within(condition.program.tree):
            names = (*node.names,) if isinstance(node, Loop) else ()
            names = (node.name,) if isinstance(node, Bind) else names
            for name in _ROOTS.intersection(name.partition("__")[0] for name in names):
                message = f"in this part {name!r} is a name of its own, and hides the {name} of all"
                part = (node.start, node.end)
                yield warning(unit, "C3", message, path, hint="choose another name", part=part)
