"""Whether an expression means something: every name, member and overload resolved against the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sidecar.cel import tree
from sidecar.cel.environment import Budget, Environment
from sidecar.cel.habits import FUNCTIONS as FUNCTION_HABITS
from sidecar.cel.habits import MEMBERS as MEMBER_HABITS
from sidecar.cel.habits import NAMES as NAME_HABITS
from sidecar.cel.library import EXTREMES, FUNCTIONS, TYPE_NAMES
from sidecar.cel.literals import literal_problem
from sidecar.cel.macros import expand
from sidecar.cel.overloads import NoOverload, resolve
from sidecar.cel.presence import Path, added, path_of, proved
from sidecar.cel.problems import Problem, nearest
from sidecar.cel.typed import (
    Apply,
    Broken,
    Choice,
    Const,
    Elements,
    Entries,
    Field,
    Item,
    Local,
    Logic,
    Node,
    Variable,
)
from sidecar.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    KEYS,
    NULL,
    TYPE,
    UINT,
    UNKNOWN,
    List,
    Map,
    Maybe,
    Object,
    String,
    Type,
    is_open,
    join,
)
from sidecar.cel.values import CelType, Uint

_UNARY = {"!": "!_", "neg": "-_"}


class Checker:
    """One expression under examination.

    Args:
        source: the text, for the repairs that quote it.
        environment: what is declared.
        problems: receives what is wrong.
        strict: False leaves every type to run time, and every fault with it (the conformance cases need that).
    """

    def __init__(
        self, source: str, environment: Environment, problems: list[Problem], *, strict: bool = True
    ) -> None:
        self.source, self.environment, self.problems, self.strict = (
            source,
            environment,
            problems,
            strict,
        )
        self.present: frozenset[Path] = frozenset()
        self.locals: Mapping[str, tuple[str, Type]] = {}
        self.count = 0

    @property
    def budget(self) -> Budget:
        return self.environment.budget

    def report(self, code: str, message: str, start: int, end: int, hint: str = "") -> None:
        """Notes a problem; in the unchecked mode it is left to run time."""
        if self.strict:
            self.problems.append(Problem(code, message, start, end, hint))

    def unknown(self, at: tree.Syntax, message: str = "") -> Node:
        return Broken(
            DYN if not self.strict else UNKNOWN, at.start, at.end, message or "it was refused"
        )

    def text(self, node: tree.Syntax | Node) -> str:
        return self.source[node.start : node.end]

    def is_local(self, name: str) -> bool:
        return name in self.locals

    @contextmanager
    def scope(self, names: Sequence[str], types: Sequence[Type]) -> Iterator[tuple[str, ...]]:
        """Names that are seen inside only, each under a name that no other one has."""
        before, present = self.locals, self.present
        unique: list[str] = []
        for name in names:
            self.count += 1
            unique.append(f"{name}_{self.count}")
        opened = {name: (own, of) for name, own, of in zip(names, unique, types, strict=True)}
        self.locals = {**before, **opened}
        yield tuple(unique)
        self.locals, self.present = before, present

    @contextmanager
    def assuming(self, node: Node | None, outcome: bool = True) -> Iterator[None]:
        """The members that the node's outcome proves to be there, inside only."""
        before = self.present
        if node is not None:
            self.present = added(before, proved(node, outcome))
        yield
        self.present = before

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

    # names and members ---------------------------------------------------------------------------------

    def name(self, node: tree.Name) -> Node:
        if not node.absolute and node.name in self.locals:
            own, of = self.locals[node.name]
            return Local(of, node.start, node.end, own)
        found = self.global_name(node.name, node, absolute=node.absolute)
        if found is not None:
            return found
        hint = NAME_HABITS.get(node.name, "")
        names = {*self.environment.variables, *self.locals}
        self.report(
            "undeclared-name",
            f"'{node.name}' is not declared",
            node.start,
            node.end,
            hint or nearest(node.name, {each.split(".")[0] for each in names}),
        )
        return self.unknown(node, f"undeclared reference to '{node.name}'")

    def global_name(self, name: str, at: tree.Syntax, *, absolute: bool) -> Node | None:
        for full in self.environment.candidates(name, absolute=absolute):
            if full in self.environment.variables:
                of = self.environment.variables[full] if self.strict else DYN
                return Variable(of, at.start, at.end, full)
            if full in TYPE_NAMES:
                return Const(
                    TYPE if self.strict else DYN, at.start, at.end, CelType(TYPE_NAMES[full])
                )
        return None

    def qualified(self, node: tree.Select) -> Node | None:
        """A dotted variable name, if the whole of ``a.b.c`` is one."""
        names: list[str] = []
        at: tree.Syntax = node
        while isinstance(at, tree.Select) and not at.optional and not at.quoted:
            names.append(at.field)
            at = at.operand
        if not isinstance(at, tree.Name) or (not at.absolute and at.name in self.locals):
            return None
        return self.global_name(".".join((at.name, *reversed(names))), node, absolute=at.absolute)

    def select(
        self, node: tree.Select, *, test: bool = False, place: tree.Syntax | None = None
    ) -> Node:
        """``a.b`` as a variable of that name, or as a member; with ``test`` as has(a.b)."""
        if not test and (whole := self.qualified(node)) is not None:
            return whole
        operand = self.check(node.operand)
        place = place or node
        of = self.member_type(node, operand)
        if test:
            return Field(
                BOOL if self.strict else DYN, place.start, place.end, operand, node.field, test=True
            )
        result = Field(of, place.start, place.end, operand, node.field, optional=node.optional)
        if node.optional:
            return Field(Maybe(of), place.start, place.end, operand, node.field, optional=True)
        if isinstance(operand.type, Object):
            member = operand.type.members.get(node.field)
            path = path_of(result)
            if member is not None and member.optional and path not in self.present:
                text = self.text(node)
                self.report(
                    "unguarded-optional",
                    f"'{node.field}' of {operand.type} may be absent",
                    node.end - len(node.field),
                    node.end,
                    f"write has({text}) && ... before it, or has({text}) ? {text} : default",
                )
        return result

    def member_type(self, node: tree.Select, operand: Node) -> Type:
        start = node.end - len(node.field) - 2 * node.quoted
        match operand.type:
            case Object(name, members):
                if node.field in members:
                    return members[node.field].type
                hint = nearest(node.field, members) or MEMBER_HABITS.get(node.field, "")
                self.report(
                    "undeclared-member",
                    f"{name} has no member '{node.field}'",
                    start,
                    node.end,
                    hint,
                )
                return UNKNOWN
            case Map(key, value):
                if key.kind in {"string", "dyn", "unknown"}:
                    return value
                self.report(
                    "no-overload",
                    f"a {operand.type} has no members",
                    start,
                    node.end,
                    f"write {self.text(node.operand)}[key]",
                )
                return UNKNOWN
            case Maybe(element) if isinstance(element, Map):
                return Maybe(element.value)
            case Maybe():
                return Maybe(DYN)
        if is_open(operand.type):
            return operand.type
        hint = MEMBER_HABITS.get(node.field, "")
        if operand.type.kind in {"string", "list"} and node.field in FUNCTION_HABITS:
            hint = FUNCTION_HABITS[node.field]
        if hint:
            hint = hint.replace("(x)", f"({self.text(node.operand)})")
        self.report(
            "undeclared-member",
            f"{operand.type} has no members, so no '{node.field}'",
            start,
            node.end,
            hint,
        )
        return UNKNOWN

    def subscript(self, node: tree.Subscript) -> Node:
        operand, index = self.check(node.operand), self.check(node.index)
        of, wanted = self.item_type(node, operand, index)
        if (
            wanted
            and not is_open(index.type)
            and index.type.kind != wanted
            and wanted not in {"dyn", "unknown"}
        ):
            what = "a list is indexed" if isinstance(operand.type, List) else "the keys are found"
            hint = (
                f"write int({self.text(index)})"
                if index.type.kind in {"double", "uint"} and wanted == "int"
                else ""
            )
            self.report(
                "no-overload",
                f"{what} by {wanted}, not by {index.type}",
                index.start,
                index.end,
                hint,
            )
        if node.optional:
            return Item(Maybe(of), node.start, node.end, operand, index, optional=True)
        return Item(of, node.start, node.end, operand, index)

    def item_type(self, node: tree.Subscript, operand: Node, index: Node) -> tuple[Type, str]:
        match operand.type:
            case List(element):
                return element, "int"
            case Map(key, value):
                return value, key.kind
            case Maybe():
                return Maybe(DYN) if not node.optional else DYN, ""
            case Object(name):
                hint = ""
                if isinstance(index, Const) and isinstance(index.value, str):
                    hint = f"write {self.text(node.operand)}.{index.value}"
                self.report(
                    "no-overload", f"{name} has members, not keys", node.start, node.end, hint
                )
                return UNKNOWN, ""
        if is_open(operand.type):
            return operand.type, ""
        hint = ""
        if operand.type.kind == "string":
            hint = f"write {self.text(node.operand)}.charAt({self.text(node.index)})"
        self.report("no-overload", f"{operand.type} has no elements", node.start, node.end, hint)
        return UNKNOWN, ""

    # calls and operators -------------------------------------------------------------------------------

    def call(self, node: tree.Call) -> Node:
        arguments: list[Node] = []
        full = node.function
        if node.target is not None:
            namespaced = f"{_dotted(node.target)}.{node.function}"
            if namespaced in FUNCTIONS or namespaced in EXTREMES:
                arguments = [self.check(each) for each in node.arguments]
                return self.apply(namespaced, arguments, node, name=node)
            arguments.append(self.check(node.target))
        arguments += [self.check(each) for each in node.arguments]
        if full not in FUNCTIONS or "." in full or full.startswith(("_", "!", "-")):
            self.report(
                "undeclared-function",
                f"there is no function '{full}'",
                node.name_start,
                node.name_end,
                self.function_hint(node),
            )
            return self.unknown(node, f"no function '{full}'")
        return self.apply(full, arguments, node, receiver=node.target is not None, name=node)

    def function_hint(self, node: tree.Call) -> str:
        if (habit := FUNCTION_HABITS.get(node.function)) is not None:
            subject = node.target or (node.arguments[0] if node.arguments else None)
            if habit.endswith("(x)") and subject is not None:
                return habit.replace("(x)", f"({self.text(subject)})")
            return habit
        plain = {each for each in FUNCTIONS if each[0].isalpha()} | {
            "all",
            "exists",
            "exists_one",
            "filter",
            "map",
            "has",
        }
        return nearest(node.function, plain) or nearest(f"math.{node.function}", EXTREMES)

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

    # logic ---------------------------------------------------------------------------------------------

    def demand_bool(self, node: tree.Syntax, what: str) -> Node:
        checked = self.check(node)
        if not (is_open(checked.type) or checked.type.kind == "bool"):
            hint = _truth_hint(checked.type, self.text(checked))
            self.report(
                "not-bool", f"{what} is {checked.type}, not bool", checked.start, checked.end, hint
            )
            return Broken(UNKNOWN, checked.start, checked.end, "not a bool")
        return checked

    def chain(self, node: tree.Chain) -> Node:
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
        condition = self.demand_bool(node.condition, "the condition of '?'")
        with self.assuming(condition):
            then = self.check(node.then)
        with self.assuming(condition, False):
            otherwise = self.check(node.otherwise)
        of = join(then.type, otherwise.type)
        if (
            of == DYN
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

    # literals ------------------------------------------------------------------------------------------

    def list_literal(self, node: tree.ListLiteral) -> Node:
        elements = tuple((self.check(each), optional) for each, optional in node.elements)
        of: Type = DYN
        for at, (each, optional) in enumerate(elements):
            held = each.type.element if optional and isinstance(each.type, Maybe) else each.type
            of = held if at == 0 else join(of, held)
        result = List(of, len(elements)) if self.strict else DYN
        return Elements(result, node.start, node.end, elements)

    def map_literal(self, node: tree.MapLiteral) -> Node:
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


def _dotted(node: tree.Syntax) -> str:
    match node:
        case tree.Name(name=name):
            return name
        case tree.Select(operand=operand, field=field, optional=False):
            return f"{_dotted(operand)}.{field}"
    return "?"
