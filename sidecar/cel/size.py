"""Whether a syntax tree is small enough to be looked at by recursion."""

from __future__ import annotations

from sidecar.cel import tree
from sidecar.cel.environment import Budget
from sidecar.cel.problems import Problem


def size_problem(root: tree.Syntax, budget: Budget) -> Problem | None:
    """The first limit that the tree breaks; found without recursion, since a tree may be deep."""
    count = 0
    pending: list[tuple[tree.Syntax, int]] = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        count += 1
        if depth > budget.depth:
            message = f"nested more than {budget.depth} deep"
            return Problem("too-deep", message, node.start, node.end, "split it into variables")
        if count > budget.nodes:
            message = f"the expression has more than {budget.nodes} parts"
            return Problem("too-large", message, root.start, root.end, "split it into variables")
        pending += [(each, depth + 1) for each in _parts(node)]
    return None


def _parts(node: tree.Syntax) -> list[tree.Syntax]:
    match node:
        case tree.Select():
            return [node.operand]
        case tree.Subscript():
            return [node.operand, node.index]
        case tree.Call():
            return [*([] if node.target is None else [node.target]), *node.arguments]
        case tree.Operation() | tree.Chain():
            return list(node.operands)
        case tree.Conditional():
            return [node.condition, node.then, node.otherwise]
        case tree.ListLiteral():
            return [each for each, _ in node.elements]
        case tree.MapLiteral():
            return [part for key, value, _ in node.entries for part in (key, value)]
    return []
