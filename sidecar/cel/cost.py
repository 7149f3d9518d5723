"""How much work an expression can be at worst, before it is ever run: cel-go's units over declared maxima."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.cel.environment import Budget
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
from sidecar.cel.types import DYN, List, Map, Maybe, Object, String, Type

LIST, MAP, CALL = 10, 30, 1
# Where cel-go's units are too low for what Python does: a datetime is converted, a dyn looked at, a number written
# or read. A unit is then worth no more than a quarter of a microsecond, in the slower of the two forms.
_DEARER = {"timestamp": 2, "duration": 2, "dyn": 1}
_WRITTEN, _READ, _CALLED = 12, 8, 12
_GROWING = frozenset(
    {"_+_", "join", "replace", "format", "split", "strings.quote", "base64.encode", "base64.decode"}
)
_WHOLE = frozenset({"lowerAscii", "upperAscii", "trim", "reverse", "bytes", "charAt", "substring"})


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a value can be, and how large its elements."""

    size: int = 1
    inner: Extent | None = None

    @property
    def leaves(self) -> int:
        """How many values without parts hang below."""
        return 1 if self.inner is None else self.size * self.inner.leaves

    @property
    def total(self) -> int:
        """The size of all that hangs below."""
        return self.size * (1 if self.inner is None else max(1, self.inner.total))


_ONE = Extent()


def _compared(a: Extent, b: Extent) -> int:
    """The cost of finding out whether two values are equal: every element is a comparison of its own."""
    inside = 0 if a.inner is None or b.inner is None else 3 * min(a.leaves, b.leaves)
    return inside + _tenth(min(a.total, b.total))


def _tenth(size: int) -> int:
    return (size + 9) // 10


def _wider(a: Extent | None, b: Extent | None) -> Extent | None:
    if a is None or b is None:
        return a or b
    return Extent(max(a.size, b.size), _wider(a.inner, b.inner))


class Costs:
    """The worst case of every part of one expression."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.of: dict[int, int] = {}
        self.locals: dict[str, Extent] = {}

    def extent_of(self, of: Type, depth: int = 0) -> Extent:
        """The largest value of a type."""
        match of:
            case String(max_length=length):
                return Extent(length)
            case List(element, size):
                return Extent(size, self.extent_of(element, depth + 1))
            case Map(_, value, size):
                return Extent(size, self.extent_of(value, depth + 1))
            case Maybe(element):
                return self.extent_of(element, depth)
            case Object(members=members):
                inside = [self.extent_of(member.type, depth + 1) for member in members.values()]
                widest = max((extent.total for extent in inside), default=1)
                return Extent(sum(extent.leaves for extent in inside) + 1, Extent(widest))
        if of.kind == "bytes":
            return Extent(self.budget.unknown_length)
        if of == DYN:
            # nothing is known: as long as the longest string, as much as a list of such in all
            return Extent(self.budget.unknown_length, Extent(self.budget.unknown_size))
        return _ONE

    def visit(self, node: Node) -> tuple[int, Extent]:
        """The cost of a part and the extent of its value."""
        cost, extent = self._visit(node)
        self.of[id(node)] = cost
        return cost, extent

    def _visit(self, node: Node) -> tuple[int, Extent]:
        match node:
            case Const(value=str() | bytes() as value):
                return 0, Extent(len(value))
            case Const():
                return 0, _ONE
            case Variable():
                return 1, self.extent_of(node.type)
            case Local():
                return 1, self.locals.get(node.name, _ONE)
            case Field():
                cost, extent = self.visit(node.operand)
                return cost + 1, _ONE if node.test else self._inside(node, extent)
            case Item():
                (cost, extent), (index, _) = self.visit(node.operand), self.visit(node.index)
                return cost + index + 1, self._inside(node, extent)
            case Apply():
                return self._apply(node)
            case Logic():
                return sum(self.visit(each)[0] for each in node.operands), _ONE
            case Choice():
                costs = [self.visit(each) for each in parts(node)]
                extent = _wider(costs[1][1], costs[2][1]) or _ONE
                return costs[0][0] + max(costs[1][0], costs[2][0]), extent
            case Elements() | Entries():
                return self._literal(node)
            case Loop():
                return self._loop(node)
            case Bind() | OptionalMap():
                bound, self.locals[node.name] = self.visit(node.value)
                cost, extent = self.visit(node.body)
                return bound + cost + CALL, extent
        return CALL, _ONE

    def _inside(self, node: Field | Item, extent: Extent) -> Extent:
        if node.operand.type.kind in {"object", "dyn"} or extent.inner is None:
            return self.extent_of(node.type)
        return extent.inner

    def _literal(self, node: Elements | Entries) -> tuple[int, Extent]:
        cost, inner = LIST if isinstance(node, Elements) else MAP, None
        for at, each in enumerate(parts(node)):
            own, extent = self.visit(each)
            cost += own
            if isinstance(node, Elements) or at % 2:
                inner = _wider(inner, extent)
        count = len(node.elements) if isinstance(node, Elements) else len(node.entries)
        return cost, Extent(count, inner)

    def _loop(self, node: Loop) -> tuple[int, Extent]:
        cost, extent = self.visit(node.range)
        rounds = (
            min(extent.size, node.limit) if isinstance(node.range.type, List | Map) else node.limit
        )
        if len(node.names) == 2:
            self.locals[node.names[0]] = Extent(
                self.budget.unknown_length if isinstance(node.range.type, Map) else 1
            )
        open_range = not isinstance(node.range.type, List | Map)
        element = self.extent_of(DYN) if open_range else extent.inner or _ONE
        self.locals[node.names[-1]] = element
        if isinstance(node.range.type, Map) and len(node.names) == 1:
            self.locals[node.names[0]] = self.extent_of(node.range.type.key)
        inner, made = 2, self.locals[node.names[-1]]
        for each in (node.condition, node.step):
            if each is not None:
                own, made = self.visit(each)
                inner += own
        if node.kind == "filter":
            made = self.locals[node.names[-1]]
        result = _ONE if node.type.kind == "bool" else Extent(rounds, made)
        return cost + rounds * inner + CALL, result

    def _apply(self, node: Apply) -> tuple[int, Extent]:
        visited = [self.visit(each) for each in node.arguments]
        kinds = [each.type.kind for each in node.arguments]
        cost = sum(each for each, _ in visited) + CALL + sum(_DEARER.get(kind, 0) for kind in kinds)
        sizes = [extent.size for _, extent in visited]
        extents = [extent for _, extent in visited]
        function = node.function
        if function in _GROWING and node.type.kind in {"string", "bytes", "list", "dyn"}:
            size, inner = _grown(function, sizes, extents)
            if function == "format":
                cost += _WRITTEN * extents[1].leaves
            elif function == "join":
                cost += sizes[0]
            return cost + _tenth(size) + _tenth(sum(sizes)), Extent(size, inner)
        if function in {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}:
            return cost + _compared(extents[0], extents[1]), _ONE
        if function == "_in_":
            if kinds[1] == "map":
                return cost, _ONE
            each = extents[1].inner or _ONE
            return cost + sizes[1] * (1 + _compared(each, extents[0])), _ONE
        if function in {"contains", "indexOf", "lastIndexOf"}:
            return cost + _tenth(sizes[0]) * max(1, _tenth(sizes[1])), _ONE
        if function in {"startsWith", "endsWith"}:
            return cost + _tenth(sizes[1]), _ONE
        if function == "matches":
            pattern = node.arguments[1]
            simple = isinstance(pattern, Const) and simple_form(str(pattern.value)) is not None
            own = _tenth(sizes[0] + 1) * max(1, (sizes[1] + 3) // 4)
            return cost + own + (0 if simple else _CALLED), _ONE
        if function in _WHOLE:
            return cost + _tenth(sizes[0]), extents[0]
        if function == "string":
            own = _tenth(sizes[0]) if kinds[0] in {"string", "bytes", "dyn"} else 0
            return cost + own + _WRITTEN, Extent(max(32, sizes[0]))
        if function.startswith("get"):
            # a calendar with a zone of the database is some ten comparisons' worth
            return cost + 4 + 10 * (len(sizes) - 1), _ONE
        if function in {"timestamp", "duration", "int", "uint", "double", "bool"}:
            return cost + (_tenth(sizes[0]) + _READ if kinds[0] in {"string", "dyn"} else 0), _ONE
        if function in {"math.greatest", "math.least"}:
            return cost + max(sizes, default=1), _ONE
        if function in {"dyn", "optional.of", "optional.ofNonZeroValue", "value", "or", "orValue"}:
            return cost, (
                extents[0] if len(extents) == 1 else _wider(extents[0], extents[1]) or _ONE
            )
        return cost, self.extent_of(node.type)


def _grown(function: str, sizes: list[int], extents: list[Extent]) -> tuple[int, Extent | None]:
    """The size of what a growing function makes."""
    match function:
        case "_+_":
            return sizes[0] + sizes[1], _wider(extents[0].inner, extents[1].inner)
        case "join":
            each = extents[0].inner.size if extents[0].inner else 1
            return sizes[0] * (each + (sizes[1] if len(sizes) > 1 else 0)), None
        case "replace":
            # an empty text to replace occurs between all characters
            return sizes[0] + (sizes[0] + 1) * sizes[2], None
        case "split":
            return sizes[0] + 1, Extent(sizes[0])
        case "format":
            return sizes[0] + 100 * max(1, sizes[1]) + extents[1].total, None
        case "strings.quote":
            return 2 * sizes[0] + 2, None
    return 2 * sizes[0], None


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
