"""How pieces of Python are put together as syntax nodes, each carrying the place of its CEL part as a line number."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sidecar.cel.runtime import CHECKED, HELPERS
from sidecar.cel.typed import Node

FILE = "<cel>"
_CONSTANTS = frozenset({type(None), bool, int, float, str, bytes})


class Code:
    """The parts of one generated module.

    The line number of every instruction is the number of the CEL part that it belongs to, so a traceback tells where
    an expression failed and the hot path pays nothing for it.
    """

    def __init__(self) -> None:
        builtins = {each.__name__: each for each in (len, enumerate, float, Exception)}
        self.names: dict[str, object] = {"__builtins__": builtins}
        self.spans: list[tuple[int, int]] = [(0, 0)]
        self.functions: list[ast.stmt] = []
        self.line = 1
        self.count = 0

    @contextmanager
    def place(self, node: Node) -> Iterator[int]:
        """Everything built inside belongs to the node."""
        before = self.line
        self.spans.append((node.start, node.end))
        self.line = len(self.spans) - 1
        yield self.line
        self.line = before

    @property
    def at(self) -> dict[str, Any]:
        return {"lineno": self.line, "col_offset": 0, "end_lineno": self.line, "end_col_offset": 0}

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count}"

    def known(self, value: object, prefix: str = "known") -> ast.expr:
        """A value that has no literal in Python, under a name of its own."""
        name = self.fresh(prefix)
        self.names[name] = value
        return self.load(name)

    def load(self, name: str) -> ast.expr:
        return ast.Name(name, ast.Load(), **self.at)

    def store(self, name: str) -> ast.expr:
        return ast.Name(name, ast.Store(), **self.at)

    def constant(self, value: object) -> ast.expr:
        if type(value) in _CONSTANTS:
            return ast.Constant(value, **self.at)  # type: ignore[arg-type] # any constant
        return self.known(value)

    def call(self, function: ast.expr, *arguments: ast.expr) -> ast.expr:
        return ast.Call(function, list(arguments), [], **self.at)

    def helper(self, name: str, *arguments: ast.expr) -> ast.expr:
        self.names[name] = HELPERS[name]
        return self.call(self.load(name), *arguments)

    def checked(self, function: str, *arguments: ast.expr) -> ast.expr:
        """A call of the implementation that looks at the types of its arguments."""
        implementation: Callable[..., Any] = CHECKED[function]
        name = "".join(each if each.isalnum() else f"_{ord(each):x}" for each in f"cel_{function}")
        self.names[name] = implementation
        return self.call(self.load(name), *arguments)

    def builtin(self, name: str, *arguments: ast.expr) -> ast.expr:
        return self.call(self.load(name), *arguments)

    def method(self, of: ast.expr, name: str, *arguments: ast.expr) -> ast.expr:
        return self.call(ast.Attribute(of, name, ast.Load(), **self.at), *arguments)

    def subscript(self, of: ast.expr, index: ast.expr) -> ast.expr:
        return ast.Subscript(of, index, ast.Load(), **self.at)

    def compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
        return ast.Compare(left, [operator], [right], **self.at)

    def binary(self, left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.expr:
        return ast.BinOp(left, operator, right, **self.at)

    def negative(self, of: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.USub(), of, **self.at)

    def inverse(self, of: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.Not(), of, **self.at)

    def either(self, condition: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.expr:
        return ast.IfExp(condition, then, otherwise, **self.at)

    def junction(self, operator: str, operands: list[ast.expr]) -> ast.expr:
        if len(operands) == 1:
            return operands[0]
        return ast.BoolOp(ast.And() if operator == "&&" else ast.Or(), operands, **self.at)

    def named(self, name: str, value: ast.expr) -> ast.expr:
        return ast.NamedExpr(ast.Name(name, ast.Store(), **self.at), value, **self.at)

    def tuple_of(self, *elements: ast.expr) -> ast.expr:
        return ast.Tuple(list(elements), ast.Load(), **self.at)

    def list_of(self, *elements: ast.expr) -> ast.expr:
        return ast.List(list(elements), ast.Load(), **self.at)

    def spread(self, *parts: ast.expr) -> ast.expr:
        return self.list_of(*(ast.Starred(each, ast.Load(), **self.at) for each in parts))

    def dict_of(self, keys: Sequence[ast.expr], values: Sequence[ast.expr]) -> ast.expr:
        return ast.Dict(list(keys), list(values), **self.at)

    def function(self, names: Sequence[str], body: ast.expr) -> ast.expr:
        return ast.Lambda(_arguments(names, self.at), body, **self.at)

    def define(self, name: str, names: Sequence[str], body: list[ast.stmt]) -> ast.stmt:
        return ast.FunctionDef(name, _arguments(names, self.at), body, [], **self.at)

    def result(self, value: ast.expr) -> ast.stmt:
        return ast.Return(value, **self.at)

    def assign(self, name: str, value: ast.expr) -> ast.stmt:
        return ast.Assign([self.store(name)], value, **self.at)

    def when(self, condition: ast.expr, *body: ast.stmt) -> ast.stmt:
        return ast.If(condition, list(body), [], **self.at)

    def each(self, target: ast.expr, over: ast.expr, *body: ast.stmt) -> ast.stmt:
        return ast.For(target, over, list(body), [], **self.at)

    def do(self, value: ast.expr) -> ast.stmt:
        return ast.Expr(value, **self.at)

    def guarded(self, body: ast.stmt, rescue: ast.stmt) -> ast.stmt:
        handler = ast.ExceptHandler(self.load("Exception"), None, [rescue], **self.at)
        return ast.Try([body], [handler], [], [], **self.at)

    def built(self, entry: str) -> Callable[..., Any]:
        """The compiled module's function of that name."""
        module = ast.Module(self.functions, [])
        names = self.names
        exec(compile(module, FILE, "exec", dont_inherit=True), names)
        # A function that is not in its own namespace is gone when nobody has it any more.
        return names.pop(entry)  # type: ignore[return-value] # a function, just made


def _arguments(names: Sequence[str], at: Mapping[str, Any]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name, **at) for name in names], None, [], [], None, [])
