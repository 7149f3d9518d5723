"""The checked tree as Python that keeps to the letter of the language: every type looked at, errors absorbed.

It runs when the plain form raised, and, with every part noted down, for a trace.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from sidecar.cel.code import Code
from sidecar.cel.patterns import finder
from sidecar.cel.typed import (
    Apply,
    Bind,
    Broken,
    Choice,
    Const,
    Elements,
    Entries,
    Field,
    Item,
    Local,
    Logic,
    Loop,
    Node,
    OptionalMap,
    Variable,
)

BINDINGS, NOTE = "bindings", "note"


class Exact(Code):
    """Generates the exact form; ``traced`` wraps every part in a call of ``note(line, part)``."""

    def __init__(self, *, traced: bool = False) -> None:
        super().__init__()
        self.traced = traced

    def expression(self, node: Node) -> ast.expr:
        """A part with its place, noted down when a trace is wanted."""
        with self.place(node) as line:
            value = self.part(node)
            if not self.traced:
                return value
            return self.call(self.load(NOTE), self.constant(line), self.function((), value))

    def part(self, node: Node) -> ast.expr:
        """A part, by its kind."""
        match node:
            case Const():
                return self.constant(node.value)
            case Variable():
                return self.helper("variable", self.load(BINDINGS), self.constant(node.name))
            case Local():
                return self.load(node.name)
            case Field():
                name = (
                    "has_member" if node.test else "optional_member" if node.optional else "member"
                )
                return self.helper(name, self.expression(node.operand), self.constant(node.name))
            case Item():
                name = "item_or_none" if node.optional else "item"
                return self.helper(name, self.expression(node.operand), self.expression(node.index))
            case Apply():
                return self.apply(node)
            case Logic():
                thunks = [self.function((), self.expression(each)) for each in node.operands]
                return self.helper("logic", self.constant(node.operator == "||"), *thunks)
            case Choice():
                condition = self.helper("truth", self.expression(node.condition))
                return self.either(
                    condition, self.expression(node.then), self.expression(node.otherwise)
                )
            case Elements():
                return self.elements(node)
            case Entries():
                return self.entries(node)
            case Loop():
                return self.loop(node)
            case Bind():
                bound = self.named(node.name, self.expression(node.value))
                return self.subscript(
                    self.tuple_of(bound, self.expression(node.body)), self.constant(1)
                )
            case OptionalMap():
                body = self.function((node.name,), self.expression(node.body))
                return self.helper(
                    "optional_map", self.expression(node.value), body, self.constant(node.flat)
                )
            case Broken():
                return self.helper("fail", self.constant(node.message))
        raise AssertionError(node)

    def apply(self, node: Apply) -> ast.expr:
        """A function or operator by its checked implementation."""
        if (
            node.function == "matches"
            and isinstance(pattern := node.arguments[1], Const)
            and node.type.kind == "bool"
        ):
            assert isinstance(pattern.value, str)
            return self.helper(
                "searched",
                self.expression(node.arguments[0]),
                self.known(finder(pattern.value).occurs_in, "find"),
            )
        return self.checked(node.function, *(self.expression(each) for each in node.arguments))

    def elements(self, node: Elements) -> ast.expr:
        """A list literal."""
        if not any(optional for _, optional in node.elements):
            return self.list_of(*(self.expression(each) for each, _ in node.elements))
        parts = [
            self.tuple_of(self.expression(each), self.constant(optional))
            for each, optional in node.elements
        ]
        return self.helper("compact_list", *parts)

    def entries(self, node: Entries) -> ast.expr:
        """A map literal, its keys looked at."""
        if any(optional for _, _, optional in node.entries):
            triples = [
                self.tuple_of(self.expression(key), self.expression(value), self.constant(optional))
                for key, value, optional in node.entries
            ]
            return self.helper("compact_map", *triples)
        pairs = [
            self.tuple_of(self.expression(key), self.expression(value))
            for key, value, _ in node.entries
        ]
        return self.helper("mapping", *pairs)

    def loop(self, node: Loop) -> ast.expr:
        """A macro over functions of its variables."""
        rounds = "singles" if len(node.names) == 1 else "pairs"
        items = self.helper(rounds, self.expression(node.range), self.constant(node.limit))
        condition = (
            None
            if node.condition is None
            else self.function(node.names, self.expression(node.condition))
        )
        step = None if node.step is None else self.function(node.names, self.expression(node.step))
        nothing = self.constant(None)
        match node.kind:
            case "all" | "exists":
                return self.helper(
                    "decided", self.constant(node.kind == "exists"), items, condition or nothing
                )
            case "exists_one":
                return self.helper("exactly_one", items, condition or nothing)
            case "filter":
                return self.helper("chosen", items, condition or nothing)
            case "map":
                return self.helper("mapped", items, condition or nothing, step or nothing)
        return self.helper("mapped_keys", items, condition or nothing, step or nothing)

    def finished(self, node: Node, wanted: str) -> ast.expr:
        """The value of the whole, in our own classes, and of the demanded type where it was not known before."""
        value = self.expression(node)
        if node.type.kind in {"dyn", "unknown"} and wanted != "dyn":
            return self.helper("demanded", value, self.constant(wanted))
        if node.type.kind in {"dyn", "timestamp", "duration"}:
            return self.helper("settled", value)
        return value


def exact_form(node: Node, wanted: str) -> tuple[Callable[..., Any], list[tuple[int, int]]]:
    """A function of the bindings that raises where the expression fails, and the place of each line."""
    code = Exact()
    code.functions.append(
        code.define("exact", (BINDINGS,), [code.result(code.finished(node, wanted))])
    )
    return code.built("exact"), code.spans


def traced_form(node: Node, wanted: str) -> tuple[Callable[..., Any], list[tuple[int, int]]]:
    """The same, calling ``note(line, part)`` for every part: a function of the bindings and of ``note``."""
    code = Exact(traced=True)
    code.functions.append(
        code.define("traced", (BINDINGS, NOTE), [code.result(code.finished(node, wanted))])
    )
    return code.built("traced"), code.spans
