"""Is something said twice, or asked that is known?"""

from collections.abc import Iterable, Iterator

from sidecar.cel.logic.terms import key_of
from sidecar.cel.references import reads_of
from sidecar.cel.typed import (
    Apply,
    Choice,
    Const,
    Field,
    Item,
    Local,
    Logic,
    Node,
    Variable,
    within,
)
from sidecar.cel.types import Object
from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.lint.remarks import rewritten_part, warning
from sidecar.policy.lint.statements import Statement


def check(all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """I7: `has()` of what is always there, `!!x`, `x == true`, `x ? true : false`, `x && x`."""
    for it in all_said:
        for node in within(it.tree):
            yield from _presence(it, node)
            yield from _repeated(it, node)
            plain = _plain(node)
            if plain is not None:
                part, is_denied = plain
                text = _text(it, part, is_denied)
                message = f"this says no more than {text}"
                yield warning(
                    it.unit, "I7", message, it.path, hint=f"write {text}",
                    part=(node.start, node.end), fix=_fix(it, node, part, text),
                )  # fmt: skip


def _presence(it: Statement, node: Node) -> Iterator[Diagnostic]:
    match node:
        case Field(test=True, operand=operand, name=name) if isinstance(operand.type, Object):
            member = operand.type.members.get(name)
            if member is not None and not member.optional:
                text = f"{it.source[operand.start : operand.end]}.{name}"
                message = f"{text} is always there, so this is always true"
                hint = "leave has() out"
                if member.type.kind == "string":
                    hint = f'text that was not sent is empty: write {text} != ""'
                yield warning(
                    it.unit, "I7", message, it.path, hint=hint, part=(node.start, node.end)
                )

        case Field(test=True) | Apply(function="_in_", arguments=(Const(), _)):
            for read in reads_of(node):
                if len(read.path) == 3 and read.path[:2] == ("plan", "features"):
                    message = (
                        f"the feature {read.path[2]!r} is always there, so this is always true"
                    )
                    hint = "in a plan that does not name it, it is false: read it without asking"
                    part = (read.start, read.end)
                    yield warning(it.unit, "I7", message, it.path, hint=hint, part=part)


def _repeated(it: Statement, node: Node) -> Iterator[Diagnostic]:
    if not isinstance(node, Logic):
        return
    seen = set()
    for operand in node.operands:
        key = key_of(operand)
        if key in seen and not isinstance(operand, Const):
            message = f"this stands twice among the operands of {node.operator}"
            part = (operand.start, operand.end)
            yield warning(it.unit, "I7", message, it.path, hint="leave it out once", part=part)
        seen.add(key)


def _plain(node: Node) -> tuple[Node, bool] | None:
    """What a roundabout part says, and whether it denies it; None for what is plain."""
    match node:
        case Apply(function="!_", arguments=(Apply(function="!_", arguments=(inner,)),)):
            return inner, False
        case Apply(function="_==_" | "_!=_" as test, arguments=(left, right)):
            for part, other in ((left, right), (right, left)):
                match other:
                    case Const(value=bool(value)) if _is_condition(part):
                        return part, value is (test == "_!=_")
        case Choice(condition=condition, then=Const(value=bool(one)), otherwise=Const(value=two)):
            if one is not two and isinstance(two, bool):
                return condition, two
    return None


def _is_condition(part: Node) -> bool:
    """Whether it can only be true or false; what may be of any type is rightly asked if it is."""
    return part.type.kind == "bool" and not isinstance(part, Const)


def _text(it: Statement, part: Node, is_denied: bool) -> str:
    text = it.source[part.start : part.end]
    if not (is_denied or isinstance(part, Field | Item | Variable | Local)):
        return text if _is_call(part) else f"({text})"
    if not is_denied or isinstance(part, Field | Item | Variable | Local) or _is_call(part):
        return f"{'!' * is_denied}{text}"
    return f"!({text})"


def _is_call(part: Node) -> bool:
    return isinstance(part, Apply) and not part.function.startswith("_") and part.function != "!_"


def _fix(it: Statement, node: Node, part: Node, text: str) -> Fix | None:
    """The replacement, where the places of both are sure: in one line, without comments."""
    written = it.source[node.start : node.end]
    if "\n" in written or "//" in written:
        return None
    return rewritten_part(it.unit, it.path, (node.start, node.end), text)
