"""Does an expression compute something that it cannot, or that nobody wants to know?"""

from collections.abc import Iterable, Iterator

from sidecar.cel.logic.failing import certain_error
from sidecar.cel.presence import path_of
from sidecar.cel.typed import Apply, Const, Elements, Entries, Loop, Node, Variable, parts, within
from sidecar.cel.types import NUMBERS, is_open
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.remarks import warning
from sidecar.policy.lint.statements import Statement

MOST_LOOPS = 2
MOST_SHARE = 2.0
"""More than twice its maximum nobody uses of a limit."""
_COMPARED = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_-_"})
_ROUNDED = frozenset({"math.floor", "math.ceil", "math.round", "math.trunc", "math.sign"})


def check(all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """G7, G9 to G11, G14, H2: mixed literals, errors for sure, equal doubles, now, deep loops."""
    for it in all_said:
        for node in within(it.tree):
            yield from _mixed(it, node)
            yield from _equal_doubles(it, node)
            yield from _percent(it, node)
        for node in within(it.written_out):
            yield from _now_and_now(it, node)
        yield from _failing(it)
        yield from _deep_loops(it, it.tree, 0)


def _part(node: Node) -> tuple[int, int]:
    return node.start, node.end


def _mixed(it: Statement, node: Node) -> Iterator[Diagnostic]:
    """A list or map whose parts are of several types."""
    groups: list[list[Node]] = []
    if isinstance(node, Elements):
        groups = [[each for each, _ in node.elements]]
    elif isinstance(node, Entries):
        groups = [[each for each, _, _ in node.entries], [each for _, each, _ in node.entries]]
    for group in groups:
        kinds = list(dict.fromkeys(each.type.kind for each in group))
        if len(kinds) < 2 or any(is_open(each.type) for each in group):
            continue
        odd = next(each for each in group if each.type.kind == kinds[1])
        message = f"this literal mixes {' and '.join(kinds)}"
        hint = f"write all of them as {kinds[0]}"
        if set(kinds) <= NUMBERS:
            hint = (
                "write all of them as double" if "double" in kinds else "write all of them as int"
            )
        yield warning(it.unit, "G7", message, it.path, hint=hint, part=_part(odd))


def _failing(it: Statement) -> Iterator[Diagnostic]:
    for node in within(it.written_out):
        why = certain_error(node)
        if why is not None:
            message = f"this always fails: {why}"
            hint = "the expression around it has no value then"
            yield warning(it.unit, "G9", message, it.path, hint=hint, part=_part(node))
            return


def _equal_doubles(it: Statement, node: Node) -> Iterator[Diagnostic]:
    match node:
        case Apply(function="_==_" | "_!=_", arguments=(left, right)):
            if (
                left.type.kind == right.type.kind == "double"
                and not any(isinstance(each, Const) and each.value == 0.0 for each in (left, right))
                and not any(_is_rounded(each) for each in (left, right))
            ):
                message = "fractions are rarely equal to the last digit"
                hint = "compare with < or >="
                yield warning(it.unit, "G10", message, it.path, hint=hint, part=_part(node))


def _percent(it: Statement, node: Node) -> Iterator[Diagnostic]:
    """A share of a limit against a number that no share comes to."""
    match node:
        case Apply(function="_<_" | "_<=_" | "_>_" | "_>=_", arguments=(left, right)):
            for part, other in ((left, right), (right, left)):
                path = path_of(part) or ()
                is_share = len(path) == 3 and path[0] == "limits" and path[2] == "ratio"
                if not (is_share and isinstance(other, Const) and isinstance(other.value, float)):
                    continue
                if other.value > MOST_SHARE:
                    message = "ratio is a share: 1.0 is the maximum, and this is far above it"
                    hint = f"write {other.value / 100:g} for {other.value:g} per cent"
                    span = (other.start, other.end)
                    yield warning(it.unit, "G14", message, it.path, hint=hint, part=span)


def _is_rounded(node: Node) -> bool:
    return isinstance(node, Apply) and node.function in _ROUNDED


def _now_and_now(it: Statement, node: Node) -> Iterator[Diagnostic]:
    match node:
        case Apply(function=function, arguments=(left, right)) if function in _COMPARED:
            if _is_around_now(left) and _is_around_now(right):
                message = "both sides are reckoned from the same now, so this is always the same"
                hint = "now is taken once for a decision; compare it with a date"
                yield warning(it.unit, "G11", message, it.path, hint=hint, part=_part(node))


def _is_around_now(node: Node) -> bool:
    """Whether a part is `now`, moved by a fixed time or by none."""
    match node:
        case Variable(name="now"):
            return True
        case Apply(function="_+_" | "_-_", arguments=(left, right)):
            return (_is_around_now(left) and isinstance(right, Const)) or (
                isinstance(left, Const) and _is_around_now(right)
            )
    return False


def _deep_loops(it: Statement, node: Node, depth: int) -> Iterator[Diagnostic]:
    """The first loop that is inside too many others, or goes over the result of too many."""
    if isinstance(node, Loop):
        inner = depth + 1
        if inner > MOST_LOOPS or _chained(node) > MOST_LOOPS:
            how = "inside" if inner > MOST_LOOPS else "over the result of"
            message = f"this loop is {how} {MOST_LOOPS} others"
            hint = "compute the inner part as a variable, or ask less"
            yield warning(it.unit, "H2", message, it.path, hint=hint, part=_part(node))
            return
        yield from _deep_loops(it, node.range, depth)
        for part in (node.condition, node.step):
            if part is not None:
                yield from _deep_loops(it, part, inner)
        return
    for part in parts(node):
        yield from _deep_loops(it, part, depth)


def _chained(node: Node) -> int:
    """How many loops make what is gone over, this one counted."""
    return 1 + _chained(node.range) if isinstance(node, Loop) else 0
