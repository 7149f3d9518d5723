"""How much work an expression can be at worst, before it is ever run: cel-go's units over declared maxima."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.cel.environment import Budget
from sidecar.cel.extent import ONE, Extent, gathered, holding, joined, largest, text, wider
from sidecar.cel.simple_patterns import simple_form
from sidecar.cel.typed import (
    Apply,
    Bind,
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
    parts,
)
from sidecar.cel.types import List, Map, Maybe, Object, Type

LIST, MAP, CALL = 10, 30, 1
# Where cel-go's units are too low for what Python does: a datetime is converted, a dyn looked at, a number written
# or read. A unit is then worth no more than a quarter of a microsecond, in the slower of the two forms.
_DEARER = {"timestamp": 2, "duration": 2, "dyn": 1}
_WRITTEN, _READ, _CALLED = 12, 8, 12
_NUMBER = 340
"""Characters of the longest number in fixed notation, 5e-324, and of what stands around it in a list."""
_GROWING = frozenset(
    {"_+_", "join", "replace", "format", "split", "strings.quote", "base64.encode", "base64.decode"}
)
_WHOLE = frozenset({"lowerAscii", "upperAscii", "trim", "reverse", "bytes", "charAt", "substring"})


def _compared(a: Extent, b: Extent) -> int:
    """The cost of finding out whether two values are equal: every element is a comparison of its own."""
    inside = 0 if a.inner is None or b.inner is None else 3 * min(a.leaves, b.leaves)
    return inside + _tenth(min(a.total, b.total))


def _tenth(size: int) -> int:
    return (size + 9) // 10


class Costs:
    """The worst case of every part of one expression."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.of: dict[int, int] = {}
        self.locals: dict[str, Extent] = {}
        self.too_big: tuple[Node, int] | None = None

    def extent_of(self, of: Type) -> Extent:
        """The largest value of a type."""
        return largest(of, self.budget)

    def visit(self, node: Node) -> tuple[int, Extent]:
        """The cost of a part and the extent of its value."""
        cost, extent = self._visit(node)
        self.of[id(node)] = cost
        if self.too_big is None and extent.held > self.budget.size and _builds(node):
            self.too_big = node, extent.held
        return cost, extent

    def _visit(self, node: Node) -> tuple[int, Extent]:
        match node:
            case Const(value=str() | bytes() as value):
                return 0, text(len(value))
            case Const():
                return 0, ONE
            case Variable():
                return 1, self.extent_of(node.type)
            case Local():
                return 1, self.locals.get(node.name, ONE)
            case Field():
                cost, extent = self.visit(node.operand)
                return cost + 1, ONE if node.test else self._inside(node, extent)
            case Item():
                (cost, extent), (index, _) = self.visit(node.operand), self.visit(node.index)
                return cost + index + 1, self._inside(node, extent)
            case Apply():
                return self._apply(node)
            case Logic():
                return sum(self.visit(each)[0] for each in node.operands), ONE
            case Choice():
                costs = [self.visit(each) for each in parts(node)]
                extent = wider(costs[1][1], costs[2][1])
                return costs[0][0] + max(costs[1][0], costs[2][0]), extent
            case Elements() | Entries():
                return self._literal(node)
            case Loop():
                return self._loop(node)
            case Bind() | OptionalMap():
                bound, self.locals[node.name] = self.visit(node.value)
                cost, extent = self.visit(node.body)
                return bound + cost + CALL, extent
        return CALL, ONE

    def _inside(self, node: Field | Item, extent: Extent) -> Extent:
        """The extent of what a member or an index finds in a value of some extent."""
        of = node.operand.type
        if isinstance(of, Object):
            return self.extent_of(node.type)
        if isinstance(of, Maybe):
            of = of.element
        if isinstance(of, List | Map) and extent.inner is not None:
            return extent.inner
        return extent.part

    def _literal(self, node: Elements | Entries) -> tuple[int, Extent]:
        visited = [self.visit(each) for each in parts(node)]
        cost, extents = sum(own for own, _ in visited), [extent for _, extent in visited]
        if isinstance(node, Elements):
            return LIST + cost, gathered(extents)
        return MAP + cost, gathered(extents[1::2], extents[::2])

    def _loop(self, node: Loop) -> tuple[int, Extent]:
        cost, extent = self.visit(node.range)
        over = node.range.type
        rounds = node.limit
        element = key = extent.part
        if isinstance(over, List | Map):
            rounds = min(extent.size, node.limit)
            element = extent.inner or ONE
            key = (extent.key or ONE) if isinstance(over, Map) else ONE
        if len(node.names) == 2:
            self.locals[node.names[0]] = key
        elif isinstance(over, Map):
            element = key
        self.locals[node.names[-1]] = element
        inner, made = 2, element
        for each in (node.condition, node.step):
            if each is not None:
                own, made = self.visit(each)
                inner += own
        if node.kind == "filter":
            made = element
        result = ONE
        if node.kind == "map_of":
            result = holding(rounds, made, key)
        elif node.type.kind != "bool":
            result = holding(rounds, made)
        return cost + rounds * inner + CALL, result

    def _apply(self, node: Apply) -> tuple[int, Extent]:
        visited = [self.visit(each) for each in node.arguments]
        kinds = [each.type.kind for each in node.arguments]
        cost = sum(each for each, _ in visited) + CALL + sum(_DEARER.get(kind, 0) for kind in kinds)
        sizes = [extent.size for _, extent in visited]
        extents = [extent for _, extent in visited]
        function = node.function
        if function in _GROWING and node.type.kind in {"string", "bytes", "list", "dyn"}:
            grown = _grown(node, extents)
            if function == "format":
                cost += _WRITTEN * extents[1].leaves
            elif function == "join":
                cost += sizes[0]
            return cost + _tenth(grown.size) + _tenth(sum(sizes)), grown
        if function in {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}:
            return cost + _compared(extents[0], extents[1]), ONE
        if function == "_in_":
            if kinds[1] == "map":
                return cost, ONE
            each = extents[1].inner or ONE
            return cost + sizes[1] * (1 + _compared(each, extents[0])), ONE
        if function in {"contains", "indexOf", "lastIndexOf"}:
            return cost + _tenth(sizes[0]) * max(1, _tenth(sizes[1])), ONE
        if function in {"startsWith", "endsWith"}:
            return cost + _tenth(sizes[1]), ONE
        if function == "matches":
            pattern = node.arguments[1]
            simple = isinstance(pattern, Const) and simple_form(str(pattern.value)) is not None
            own = _tenth(sizes[0] + 1) * max(1, (sizes[1] + 3) // 4)
            return cost + own + (0 if simple else _CALLED), ONE
        if function in _WHOLE:
            # a character is four octets at most
            made = text(4 * sizes[0]) if function == "bytes" else extents[0]
            return cost + _tenth(sizes[0]), made
        if function == "string":
            own = _tenth(sizes[0]) if kinds[0] in {"string", "bytes", "dyn"} else 0
            return cost + own + _WRITTEN, text(max(32, sizes[0]))
        if function.startswith("get"):
            # a calendar with a zone of the database is some ten comparisons' worth
            return cost + 4 + 10 * (len(sizes) - 1), ONE
        if function in {"timestamp", "duration", "int", "uint", "double", "bool"}:
            return cost + (_tenth(sizes[0]) + _READ if kinds[0] in {"string", "dyn"} else 0), ONE
        if function in {"math.greatest", "math.least"}:
            return cost + max(sizes, default=1), ONE
        if function in {"dyn", "optional.of", "optional.ofNonZeroValue", "value", "or", "orValue"}:
            return cost, (extents[0] if len(extents) == 1 else wider(extents[0], extents[1]))
        return cost, self.extent_of(node.type)


def _grown(node: Apply, extents: list[Extent]) -> Extent:
    """The extent of what a growing function makes."""
    first, size = extents[0], extents[0].size
    match node.function:
        case "_+_":
            return joined(first, extents[1])
        case "join":
            return text(first.held + size * (extents[1].size if len(extents) > 1 else 0))
        case "replace":
            # an empty text to replace occurs between all characters
            return text(size + (size + 1) * extents[2].size)
        case "split":
            # never more characters in all than there were
            return holding(size + 1, text(size)).within(2 * size + 1)
        case "format":
            pattern = node.arguments[0]
            in_hex = not isinstance(pattern, Const) or "x" in str(pattern.value).lower()
            held = extents[1].held * (8 if in_hex else 1)
            return text(size + held + _NUMBER * extents[1].leaves)
        case "base64.encode":
            return text(4 * ((size + 2) // 3))
        case "base64.decode":
            return text(size)
    return text(2 * size + 2)


def _builds(node: Node) -> bool:
    """Whether a part makes something larger than what there was."""
    if isinstance(node, Apply):
        return node.function in _GROWING
    return isinstance(node, Elements | Entries | Loop)


def dearest(node: Node, costs: Mapping[int, int]) -> Node:
    """The innermost part that makes up more than half of the whole, and still is a loop if one is to blame."""
    best = node
    while True:
        inside = parts(best)
        if isinstance(best, Loop):
            # the body is dear because it is repeated: only a loop within a loop is worth naming
            inside = tuple(each for each in inside if _loops(each))
        heaviest = max(inside, key=lambda each: costs.get(id(each), 0), default=None)
        if heaviest is None:
            return best
        share = costs.get(id(heaviest), 0)
        if not isinstance(best, Loop) and share * 2 <= costs.get(id(best), 0):
            return best
        best = heaviest


def _loops(node: Node) -> bool:
    return isinstance(node, Loop) or any(_loops(each) for each in parts(node))
