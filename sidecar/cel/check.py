"""Whether an expression means something: every name, member and overload resolved against the environment."""

from __future__ import annotations

from sidecar.cel import tree
from sidecar.cel.calls import Calls
from sidecar.cel.macros import expand
from sidecar.cel.presence import added, proved
from sidecar.cel.typed import (
    Broken,
    Choice,
    Const,
    Elements,
    Entries,
    Logic,
    Node,
)
from sidecar.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    KEYS,
    NULL,
    UINT,
    UNKNOWN,
    List,
    Map,
    Maybe,
    String,
    Type,
    is_open,
    join,
)
from sidecar.cel.values import Uint

_UNARY = {"!": "!_", "neg": "-_"}


class Checker(Calls):
    """One expression under examination: every kind of syntax goes to its own method."""

    def check(self, node: tree.Syntax) -> Node:
        """The typed form of a part; problems go to the list and their type is unknown."""
        match node:
            case tree.Literal():
                return Const(
                    _type_of(node.value) if self.strict else DYN, node.start, node.end, node.value
                )
            case tree.Name():
                return self.name(node)
            case tree.Select():
                return self.select(node)
            case tree.Subscript():
                return self.subscript(node)
            case tree.Call():
                return expand(self, node) or self.call(node)
            case tree.Operation():
                function = _UNARY.get(node.operator, f"_{node.operator}_")
                return self.apply(function, [self.check(each) for each in node.operands], node)
            case tree.Chain():
                return self.chain(node)
            case tree.Conditional():
                return self.conditional(node)
            case tree.ListLiteral():
                return self.list_literal(node)
            case tree.MapLiteral():
                return self.map_literal(node)
            case tree.Message():
                self.report(
                    "no-messages", f"there are no messages: '{node.name}'", node.start, node.end
                )
                return self.unknown(node, f"unknown message type {node.name}")
        return self.unknown(node)

    def demand_bool(self, node: tree.Syntax, what: str) -> Node:
        """A condition; ``what`` names it in the message."""
        checked = self.check(node)
        if not (is_open(checked.type) or checked.type.kind == "bool"):
            hint = _truth_hint(checked.type, self.text(checked))
            self.report(
                "not-bool", f"{what} is {checked.type}, not bool", checked.start, checked.end, hint
            )
            return Broken(UNKNOWN, checked.start, checked.end, "not a bool")
        return checked

    def chain(self, node: tree.Chain) -> Node:
        """``&&`` and ``||``: each operand is read under what the ones before it proved."""
        operands: list[Node] = []
        before = self.present
        for each in node.operands:
            checked = self.demand_bool(each, f"an operand of '{node.operator}'")
            operands.append(checked)
            self.present = added(self.present, proved(checked, node.operator == "&&"))
        self.present = before
        return Logic(
            BOOL if self.strict else DYN, node.start, node.end, node.operator, tuple(operands)
        )

    def conditional(self, node: tree.Conditional) -> Node:
        """``a ? b : c``: each result is read under what the condition proved."""
        condition = self.demand_bool(node.condition, "the condition of '?'")
        with self.assuming(condition):
            then = self.check(node.then)
        with self.assuming(condition, False):
            otherwise = self.check(node.otherwise)
        of = join(then.type, otherwise.type)
        if (
            of.kind == "dyn"
            and not (is_open(then.type) or is_open(otherwise.type))
            and "null"
            not in {
                then.type.kind,
                otherwise.type.kind,
            }
        ):
            self.report(
                "no-overload",
                f"the results of '?' are {then.type} and {otherwise.type}",
                node.start,
                node.end,
                "write dyn() around one of them if that is meant",
            )
        return Choice(of, node.start, node.end, condition, then, otherwise)

    def list_literal(self, node: tree.ListLiteral) -> Node:
        """``[a, b]``, of dyn where the elements have nothing in common."""
        elements = tuple((self.check(each), optional) for each, optional in node.elements)
        of: Type = DYN
        for at, (each, optional) in enumerate(elements):
            held = each.type.element if optional and isinstance(each.type, Maybe) else each.type
            of = held if at == 0 else join(of, held)
        result = List(of, len(elements)) if self.strict else DYN
        return Elements(result, node.start, node.end, elements)

    def map_literal(self, node: tree.MapLiteral) -> Node:
        """``{a: b}``, of dyn where the keys or the values have nothing in common."""
        entries = tuple(
            (self.check(key), self.check(value), optional) for key, value, optional in node.entries
        )
        of_key: Type = DYN
        of_value: Type = DYN
        for at, (key, value, optional) in enumerate(entries):
            if key.type.kind not in KEYS:
                self.report(
                    "no-overload",
                    f"{key.type} is no type of key",
                    key.start,
                    key.end,
                    "keys are string, int, uint or bool",
                )
            held = value.type.element if optional and isinstance(value.type, Maybe) else value.type
            of_key = key.type if at == 0 else join(of_key, key.type)
            of_value = held if at == 0 else join(of_value, held)
        result = Map(of_key, of_value, len(entries)) if self.strict else DYN
        return Entries(result, node.start, node.end, entries)


def _type_of(value: object) -> Type:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case Uint():
            return UINT
        case int():
            return INT
        case float():
            return DOUBLE
        case bytes():
            return BYTES
        case str():
            return String(len(value))
    raise AssertionError(value)


def _truth_hint(of: Type, text: str) -> str:
    match of.kind:
        case "string":
            return f'write {text} != ""'
        case "int":
            return f"write {text} != 0"
        case "list" | "map":
            return f"write size({text}) > 0"
        case "object":
            return "write has(object.member)"
    return ""
