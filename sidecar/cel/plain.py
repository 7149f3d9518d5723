"""The checked tree as the Python one would write by hand, where the types are known.

Python's own ``and``, ``or``, comparison and arithmetic stand for CEL's wherever they agree; whatever may differ
raises, and the exact form is run instead.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from sidecar.cel.exact import BINDINGS
from sidecar.cel.native import Native
from sidecar.cel.typed import (
    Bind,
    Choice,
    Const,
    Entries,
    Field,
    Item,
    Local,
    Logic,
    Loop,
    Node,
    OptionalMap,
    Variable,
    parts,
)
from sidecar.cel.types import key_kind

_KEYS = frozenset({"bool", "int", "uint", "string"})


class Plain(Native):
    """Generates the plain form; what it has no short way for, it leaves to the exact one."""

    def __init__(self) -> None:
        super().__init__(traced=False)
        self.held: dict[str, str] = {}

    def part(self, node: Node) -> ast.expr:
        """A part, by its kind."""
        match node:
            case Variable() if node.name in self.held:
                return self.load(self.held[node.name])
            case Variable():
                return self.subscript(self.load(BINDINGS), self.constant(node.name))
            case Field(optional=False):
                return self.field(node)
            case Item(optional=False):
                return self.item(node)
            case Logic():
                return self.junction(
                    node.operator, [self.condition(each) for each in node.operands]
                )
            case Choice():
                condition = self.condition(node.condition)
                return self.either(
                    condition, self.expression(node.then), self.expression(node.otherwise)
                )
            case Entries() if _has_plain_keys(node):
                keys = [self.expression(key) for key, _, _ in node.entries]
                return self.dict_of(keys, [self.expression(value) for _, value, _ in node.entries])
            case Loop():
                return self.loop(node)
        return super().part(node)

    def field(self, node: Field) -> ast.expr:
        """``a.b`` and has(a.b) as look-ups in a dictionary."""
        declared = node.operand.type.kind in {"object", "map"}
        if node.test:
            operand = self.expression(node.operand)
            if declared:
                return self.compare(self.constant(node.name), ast.In(), operand)
            return self.helper("has_member", operand, self.constant(node.name))
        # of a dyn too: whatever is no dictionary raises, since nothing else takes a string in brackets
        return self.subscript(self.expression(node.operand), self.constant(node.name))

    def item(self, node: Item) -> ast.expr:
        """``a[b]`` as a look-up, where the types leave no doubt."""
        operand, index = self.expression(node.operand), self.expression(node.index)
        match node.operand.type.kind, node.index.type.kind:
            case "list", "int":
                if (
                    isinstance(node.index, Const)
                    and isinstance(node.index.value, int)
                    and node.index.value >= 0
                ):
                    return self.subscript(operand, index)
                return self.helper("element_at", operand, index)
            case "map", kind if kind in _KEYS and key_kind(node.operand.type) == kind:
                return self.subscript(operand, index)
        return self.helper("item", operand, index)

    def loop(self, node: Loop) -> ast.expr:
        """A function of its own at the top of the module: a loop over locals, left as soon as it is decided."""
        over = self.expression(node.range)
        free = sorted(_free(node.condition, set(node.names)) | _free(node.step, set(node.names)))
        name, of = self.fresh("loop"), self.fresh("of")
        declared = node.range.type.kind
        body: list[ast.stmt] = []
        rounds: ast.expr = self.load(of)
        target: ast.expr = self.store(node.names[0])
        if len(node.names) == 2:
            target = ast.Tuple([self.store(each) for each in node.names], ast.Store(), **self.at)
            if declared == "list":
                rounds = self.builtin(
                    "enumerate", self.helper("check_size", rounds, self.constant(node.limit))
                )
            elif declared == "map":
                rounds = self.method(
                    self.helper("check_size", rounds, self.constant(node.limit)), "items"
                )
            else:
                rounds = self.helper("pairs", rounds, self.constant(node.limit))
        elif declared in {"list", "map"}:
            too_many = self.compare(
                self.builtin("len", self.load(of)), ast.Gt(), self.constant(node.limit)
            )
            body.append(
                self.when(
                    too_many, self.do(self.helper("check_size", rounds, self.constant(node.limit)))
                )
            )
        else:
            rounds = self.helper("elements", rounds, self.constant(node.limit))
        # what the function around holds in its locals is out of reach here
        held, self.held = self.held, {}
        body += self.rounds(node, target, rounds)
        self.held = held
        self.functions.append(self.define(name, (of, BINDINGS, *free), body))
        return self.call(
            self.load(name), over, self.load(BINDINGS), *(self.load(each) for each in free)
        )

    def rounds(self, node: Loop, target: ast.expr, over: ast.expr) -> list[ast.stmt]:
        """The body of a macro's function."""
        condition = None if node.condition is None else self.condition(node.condition)
        yes, no = self.result(self.constant(True)), self.result(self.constant(False))
        match node.kind:
            case "all" if condition is not None:
                return [self.each(target, over, self.when(self.inverse(condition), no)), yes]
            case "exists" if condition is not None:
                return [self.each(target, over, self.when(condition, yes)), no]
            case "exists_one" if condition is not None:
                count = self.fresh("n")
                more = self.assign(
                    count, self.binary(self.load(count), ast.Add(), self.constant(1))
                )
                one = self.compare(self.load(count), ast.Eq(), self.constant(1))
                start = self.assign(count, self.constant(0))
                return [
                    start,
                    self.each(target, over, self.when(condition, more)),
                    self.result(one),
                ]
        out = self.fresh("out")
        if node.kind == "map_of":
            place = ast.Subscript(self.load(out), self.load(node.names[0]), ast.Store(), **self.at)
            assert node.step is not None
            keep: ast.stmt = ast.Assign([place], self.expression(node.step), **self.at)
            start = self.assign(out, self.dict_of((), ()))
        else:
            value = self.load(node.names[-1]) if node.step is None else self.expression(node.step)
            keep = self.do(self.method(self.load(out), "append", value))
            start = self.assign(out, self.list_of())
        inner = keep if condition is None else self.when(condition, keep)
        return [start, self.each(target, over, inner), self.result(self.load(out))]


def _has_plain_keys(node: Entries) -> bool:
    keys = [
        key.value
        for key, _, _ in node.entries
        if isinstance(key, Const) and isinstance(key.value, str)
    ]
    return len(set(keys)) == len(node.entries) and not any(
        optional for _, _, optional in node.entries
    )


def _free(node: Node | None, bound: set[str]) -> set[str]:
    """The locals that a part reads and does not itself introduce."""
    if node is None:
        return set()
    match node:
        case Local():
            return {node.name} - bound
        case Loop():
            bound = bound | set(node.names)
        case Bind() | OptionalMap():
            bound = bound | {node.name}
    return {name for each in parts(node) for name in _free(each, bound)}


def plain_form(node: Node, wanted: str, again: Callable[[Any], object]) -> Callable[[Any], object]:
    """A function of the bindings: the plain value, or what ``again`` makes of the bindings if anything raises."""
    code = Plain()
    code.names["again"] = again
    value = code.result(code.finished(node, wanted))
    rescue = code.result(code.call(code.load("again"), code.load(BINDINGS)))
    code.functions.append(code.define("evaluate", (BINDINGS,), [code.guarded(value, rescue)]))
    return code.built("evaluate")
