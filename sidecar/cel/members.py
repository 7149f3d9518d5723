"""What a name, a member or an index stands for."""

from __future__ import annotations

import re

from sidecar.cel import tree
from sidecar.cel.habits import FUNCTIONS as FUNCTION_HABITS
from sidecar.cel.habits import MEMBERS as MEMBER_HABITS
from sidecar.cel.habits import NAMES as NAME_HABITS
from sidecar.cel.library import TYPE_NAMES
from sidecar.cel.presence import path_of
from sidecar.cel.scope import Scope
from sidecar.cel.typed import (
    Const,
    Field,
    Item,
    Local,
    Node,
    Variable,
)
from sidecar.cel.types import (
    BOOL,
    DYN,
    TYPE,
    UNKNOWN,
    List,
    Map,
    Maybe,
    Object,
    Type,
    is_guarded,
    is_open,
)
from sidecar.cel.values import CelType

_WORD = re.compile(r"[A-Za-z_]\w*(?:[-:/]\w+)*(?:\.\d+)*")
_CALLED = re.compile(r"\s*[.(\[{]")


class Members(Scope):
    """Resolves names, members and elements."""

    def name(self, node: tree.Name) -> Node:
        """A local, a declared variable, or the name of a type."""
        if not node.absolute and node.name in self.locals:
            own, of = self.locals[node.name]
            return Local(of, node.start, node.end, own)
        found = self.global_name(node.name, node, absolute=node.absolute)
        if found is not None:
            return found
        hint = NAME_HABITS.get(node.name, "") or self.owned(node.name)
        names = {*self.environment.variables, *self.locals}
        hint = hint or self.nearest(node.name, {each.split(".")[0] for each in names})
        return self.undeclared(node, node.name, hint or self.as_text(node))

    def undeclared(self, node: tree.Syntax, name: str, hint: str) -> Node:
        """Reports a name that nothing has."""
        message = f"'{name}' is not declared"
        self.report("undeclared-name", message, node.start, node.end, hint)
        return self.unknown(node, f"undeclared reference to '{name}'")

    def owned(self, name: str) -> str:
        """The one declared object that has a member of the name."""
        variables = self.environment.variables.items()
        owners = [own for own, of in variables if isinstance(of, Object) and name in of.members]
        return f"write {owners[0]}.{name}" if len(owners) == 1 else ""

    def as_text(self, node: tree.Syntax) -> str:
        """Where it is compared: the word as text, with what hangs on it as ``-4`` on ``gpt-4``."""
        word = _WORD.match(self.source, node.start)
        if word is None or _CALLED.match(self.source, word.end()):
            return ""
        before = self.source[: node.start].rstrip()
        hint = f'text stands in quotes: "{word[0]}"'
        return hint if before.endswith(("==", "!=", "[", ",")) else ""

    def global_name(self, name: str, at: tree.Syntax, *, absolute: bool) -> Node | None:
        """What a full name stands for outside all macros."""
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
        if (meant := self.flattened(node)) is not None:
            return meant
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
        if self.may_be_absent(operand.type, node.field) and path_of(result) not in self.present:
            text = self.text(node)
            what = operand.type if isinstance(operand.type, Object) else self.text(node.operand)
            self.report(
                "unguarded-optional",
                f"'{node.field}' of {what} may be absent",
                node.end - len(node.field) - 2 * node.quoted,
                node.end,
                f"write has({text}) && ... before it, or has({text}) ? {text} : default",
            )
        return result

    def flattened(self, node: tree.Select) -> Node | None:
        """``user.id`` where there is no ``user``, but an object with a ``user_id``."""
        at = node.operand
        if not isinstance(at, tree.Name) or at.name in self.locals or not self.strict:
            return None
        if self.global_name(at.name, at, absolute=at.absolute) is not None:
            return None
        hint = self.owned(f"{at.name}_{node.field}")
        return self.undeclared(node, at.name, hint) if hint else None

    def may_be_absent(self, of: Type, name: str) -> bool:
        """Whether a member, or what a literal key finds, is to be proved to be there."""
        if isinstance(of, Object):
            return name in of.members and of.members[name].optional
        return is_guarded(of)

    def member_type(self, node: tree.Select, operand: Node) -> Type:
        """The type of ``operand.field``, reported where there is none."""
        start = node.end - len(node.field) - 2 * node.quoted
        match operand.type:
            case Object(name, members):
                if node.field in members:
                    return members[node.field].type
                hint = self.nearest(node.field, members) or MEMBER_HABITS.get(node.field, "")
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
        if operand.type.kind in {"string", "list", "timestamp"} and node.field in FUNCTION_HABITS:
            hint = FUNCTION_HABITS[node.field]
        if hint:
            hint = re.sub(r"\bx(?=[.)])", lambda _: self.text(node.operand), hint)
        self.report(
            "undeclared-member",
            f"{operand.type} has no members, so no '{node.field}'",
            start,
            node.end,
            hint,
        )
        return UNKNOWN

    def subscript(self, node: tree.Subscript) -> Node:
        """``a[b]`` by index or key."""
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
        result = Item(of, node.start, node.end, operand, index)
        path = path_of(result)
        if is_guarded(operand.type) and path is not None and path not in self.present:
            key, container = self.text(index), self.text(node.operand)
            self.report(
                "unguarded-optional",
                f"{key} of {container} may be absent",
                index.start,
                index.end,
                f"write {key} in {container} && ... before it, or "
                f"{key} in {container} ? {self.text(node)} : default",
            )
        return result

    def item_type(self, node: tree.Subscript, operand: Node, index: Node) -> tuple[Type, str]:
        """The type of an element, and the kind of index that finds it."""
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
