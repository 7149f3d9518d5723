"""Which function a call means, and whether it takes these arguments."""

from __future__ import annotations

import re

from sidecar.cel import tree
from sidecar.cel.habits import FUNCTIONS as FUNCTION_HABITS
from sidecar.cel.habits import LOOP_HABITS
from sidecar.cel.library import EXTREMES, FUNCTIONS, NAMESPACES
from sidecar.cel.literals import literal_problem
from sidecar.cel.members import Members
from sidecar.cel.overloads import resolve
from sidecar.cel.repairs import NoOverload
from sidecar.cel.typed import (
    Apply,
    Broken,
    Node,
)
from sidecar.cel.types import (
    DYN,
    UNKNOWN,
)


class Calls(Members):
    """Resolves calls of functions and operators."""

    def call(self, node: tree.Call) -> Node:
        """``f(x)`` or ``x.f(y)``, macros excepted."""
        arguments: list[Node] = []
        full = node.function
        if node.target is not None:
            namespaced = f"{_dotted(node.target)}.{node.function}"
            if (namespaced in FUNCTIONS or namespaced in EXTREMES) and _dotted(
                node.target
            ) not in self.locals:
                arguments = [self.check(each) for each in node.arguments]
                return self.apply(namespaced, arguments, node, name=node)
            if (
                isinstance(node.target, tree.Name)
                and node.target.name
                in NAMESPACES - self.environment.variables.keys() - self.locals.keys()
            ):
                return self.no_function(node, namespaced)
            if node.function in LOOP_HABITS:
                return self.no_function(node, full)
            arguments.append(self.check(node.target))
        arguments += [self.check(each) for each in node.arguments]
        if full not in FUNCTIONS or "." in full or full.startswith(("_", "!", "-")):
            return self.no_function(node, full)
        return self.apply(full, arguments, node, receiver=node.target is not None, name=node)

    def no_function(self, node: tree.Call, name: str) -> Node:
        """Reports a function that does not exist."""
        hint = self.function_hint(node)
        self.report(
            "undeclared-function",
            f"there is no function '{name}'",
            node.name_start,
            node.name_end,
            hint,
        )
        return self.unknown(node, f"no function '{name}'")

    def function_hint(self, node: tree.Call) -> str:
        """What to write instead: the name of the same thing here, or the nearest name."""
        if (habit := FUNCTION_HABITS.get(node.function)) is not None:
            given = [*([] if node.target is None else [node.target]), *node.arguments]
            texts = dict(zip("xy", map(self.text, given), strict=False))
            return re.sub(r"\b[xy]\b(?!,)", lambda found: texts.get(found[0], found[0]), habit)
        plain = {each for each in FUNCTIONS if each[0].isalpha()} | {
            "all",
            "exists",
            "exists_one",
            "filter",
            "map",
            "has",
        }
        return self.nearest(node.function, plain) or self.nearest(f"math.{node.function}", EXTREMES)

    def apply(
        self,
        function: str,
        arguments: list[Node],
        at: tree.Syntax,
        *,
        receiver: bool = False,
        name: tree.Call | None = None,
    ) -> Node:
        """A call with its overload chosen, or the reason why there is none."""
        given = tuple(arguments)
        if not self.strict:
            return Apply(DYN, at.start, at.end, function, given)
        found = resolve(
            function,
            [each.type for each in given],
            [self.text(each) for each in given],
            receiver=receiver,
        )
        if isinstance(found, NoOverload):
            start, end = (at.start, at.end)
            if name is not None:
                start, end = name.name_start, name.name_end
            self.report("no-overload", found.message, start, end, found.hint)
            return Broken(UNKNOWN, at.start, at.end, found.message)
        if (problem := literal_problem(function, given, self.budget)) is not None:
            self.problems.append(problem)
        return Apply(found, at.start, at.end, function, given)


def _dotted(node: tree.Syntax) -> str:
    match node:
        case tree.Name(name=name):
            return name
        case tree.Select(operand=operand, field=field, optional=False):
            return f"{_dotted(operand)}.{field}"
    return "?"
