"""Does an expression compute something that it cannot, or that nobody wants to know?"""

from collections.abc import Iterable, Iterator

from sidecar.cel.logic.failing import certain_error
from sidecar.cel.logic.terms import key_of
from sidecar.cel.typed import Apply, Const, Elements, Entries, Loop, Node, Variable, parts, within
from sidecar.cel.types import NUMBERS, is_open
from sidecar.policy.diagnostics import Diagnostic, Related, nearest
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.remarks import warning
from sidecar.policy.lint.statements import Statement
from sidecar.policy.load import Examined

MOST_LOOPS = 2
_Words = dict[tuple[object, str], tuple[Statement, Const]]
"""What is compared with which text, by its letters alone: where it was first."""
_COMPARED = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_-_"})
_ROUNDED = frozenset({"math.floor", "math.ceil", "math.round", "math.trunc", "math.sign"})


def check(examined: Examined, all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """G5, G7, G9 to G13, H2: errors for sure, mixed literals, equal doubles, words, deep loops."""
    plans = set(examined.plans.units)
    words: _Words = {}
    for it in all_said:
        for node in within(it.tree):
            yield from _mixed(it, node)
            yield from _equal_doubles(it, node)
            yield from _words(it, node, plans, words)
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


def _words(it: Statement, node: Node, plans: set[str], words: _Words) -> Iterator[Diagnostic]:
    for term, literal in _equalities(node):
        word = literal.value
        assert isinstance(word, str), "only text is looked at"
        if is_wild(word):
            message = f"== compares with {word!r} as it stands: this is no glob"
            prefix = word.partition("*")[0]
            hint = "write startsWith, endsWith, contains or matches"
            if prefix and prefix + "*" == word and not is_wild(prefix):
                hint = f'write startsWith("{prefix}")'
            yield warning(it.unit, "G12", message, it.path, hint=hint, part=_part(literal))
            continue
        key = key_of(term)
        first, other = words.setdefault((key, word.lower()), (it, literal))
        if other.value != word:
            message = f"this is compared with {other.value!r} too, and case counts"
            hint = "write it alike in both places, or compare x.lowerAscii()"
            place = first.condition.place(other.start, other.end)
            name = first.unit.source.name
            said = f"{other.value!r} stands here"
            related = (Related(name, place.line, place.column, said, place.length),)
            yield warning(
                it.unit, "G13", message, it.path, hint=hint, part=_part(literal), related=related
            )
        if key == _SUBSCRIBED and word and word not in plans:
            near = nearest(word, plans)
            hint = f"did you mean {near!r}?" if near else "a plan that no file knows is refused"
            message = f"there is no plan {word!r}"
            yield warning(it.unit, "G5", message, it.path, hint=hint, part=_part(literal))


_SUBSCRIBED = ("at", ("at", "subscription"), "plan", False)


def _equalities(node: Node) -> Iterator[tuple[Node, Const]]:
    """The texts that something is compared with for being the same."""
    match node:
        case Apply(function="_==_" | "_!=_", arguments=(left, right)):
            for term, literal in ((left, right), (right, left)):
                if isinstance(literal, Const) and isinstance(literal.value, str):
                    yield term, literal
        case Apply(function="_in_", arguments=(term, Elements(elements=elements))):
            for each, _ in elements:
                if isinstance(each, Const) and isinstance(each.value, str):
                    yield term, each


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
