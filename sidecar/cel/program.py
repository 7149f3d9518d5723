"""What an expression becomes: a program to be evaluated many times, or the problems that forbid it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sidecar.cel.branches import branches_of
from sidecar.cel.check import Checker
from sidecar.cel.cost import Costs, dearest
from sidecar.cel.environment import Budget, Environment
from sidecar.cel.exact import exact_form
from sidecar.cel.extent import sized
from sidecar.cel.fold import folded
from sidecar.cel.outcome import Bindings, Step, second_tier, tracer
from sidecar.cel.parse import parse
from sidecar.cel.plain import plain_form
from sidecar.cel.presence import proved_paths
from sidecar.cel.problems import Problem
from sidecar.cel.references import Read, reads_of, references_of
from sidecar.cel.size import size_problem
from sidecar.cel.typed import Node
from sidecar.cel.types import DYN, Type, is_open


@dataclass(frozen=True, slots=True)
class Form:
    """What code is generated from: the folded tree, the demanded kind, and the second tier."""

    node: Node
    wanted: str
    again: Callable[[Bindings], object]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression; immutable, so any number of threads may evaluate it at once.

    Args:
        source: the text it was compiled from.
        result: the static type of its value; its maxima are those that the value can have, so that what is
            declared of this type in another environment is priced and bounded there.
        references: the longest static paths that it reads.
        proves: paths that are there whenever its value is true.
        cost: the worst case in cel-go's units.
        size: the most characters, octets and elements that its value can hold in all.
        evaluate: from the bindings to a value or a `CelError`; never raises.
        trace: from the bindings to the value of every sub-expression that was evaluated, innermost first.
        form: what `fuse` puts together with others.
        tree: the expression as it was written, every part with its type and its place.
    """

    source: str
    result: Type
    references: frozenset[tuple[str, ...]]
    proves: frozenset[tuple[str, ...]]
    cost: int
    size: int
    evaluate: Callable[[Bindings], object]
    trace: Callable[[Bindings], tuple[Step, ...]]
    form: Form = field(repr=False, compare=False)
    tree: Node = field(repr=False, compare=False)

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every place that looks at an input; what cannot matter, whatever the inputs are, left out."""
        return tuple(reads_of(self.form.node))

    @property
    def branches(self) -> tuple[tuple[int, int], ...]:
        """The places of the parts that turn the value one way or the other, see `branches_of`."""
        return tuple(branches_of(self.form.node))


def compile(
    source: str, environment: Environment, *, result: Type = DYN
) -> Program | tuple[Problem, ...]:
    """A program of the source text, or all that is wrong with it.

    Args:
        source: any text at all.
        environment: what the expression may speak of, and its limits.
        result: the type that the value must have; dyn takes any.
    """
    return compile_as(source, environment, result, strict=True)


def compile_as(
    source: str, environment: Environment, result: Type, *, strict: bool
) -> Program | tuple[Problem, ...]:
    """`compile`, or with ``strict=False`` all types left to run time, as some conformance cases ask."""
    try:
        return _compiled(source, environment, result, strict=strict)
    except RecursionError:
        # the depth limit leaves room for this on any usual stack; the caller's own may be nearly full
        message = "nested too deep for what is left of the stack"
        return (Problem("too-deep", message, 0, len(source), "compile it from a shallower place"),)


def _compiled(
    source: str, environment: Environment, result: Type, *, strict: bool
) -> Program | tuple[Problem, ...]:
    problems: list[Problem] = []
    budget = environment.budget
    trees = parse(source, budget, problems)
    too_large = next((found for tree in trees if (found := size_problem(tree, budget))), None)
    if too_large is not None:
        return (*problems[: budget.problems - 1], too_large)
    checker = Checker(source, environment, problems, strict=strict)
    nodes = [checker.check(tree) for tree in trees]
    if nodes and strict and not problems:
        problems += _result_problems(nodes[0], result, checker.text(nodes[0]))
    if problems:
        return tuple(sorted(problems, key=lambda each: (each.start, each.end))[: budget.problems])
    node = nodes[0]
    costs = Costs(budget)
    cost, extent = costs.visit(node)
    if strict and cost > budget.cost:
        return (_too_costly(source, node, costs, cost, budget),)
    if strict and costs.too_big is not None:
        return (_too_big(*costs.too_big, budget),)
    of = result if is_open(node.type) else node.type
    return _assembled(source, node, sized(of, extent, budget), cost, extent.held)


def _assembled(source: str, node: Node, of: Type, cost: int, size: int) -> Program:
    smaller = folded(node)
    wanted = of.kind if is_open(node.type) else "dyn"
    exact, spans = exact_form(smaller, wanted)
    again = second_tier(exact, spans)
    return Program(
        source, of, references_of(node), proved_paths(node), cost, size,
        plain_form(smaller, wanted, again), tracer(source, node, wanted), Form(smaller, wanted, again),
        node,
    )  # fmt: skip


def _result_problems(node: Node, wanted: Type, text: str) -> list[Problem]:
    if is_open(wanted) or is_open(node.type) or node.type.kind == wanted.kind:
        return []
    hint = ""
    short = text if len(text) <= 40 else "..."
    if wanted.kind == "bool":
        hint = {"string": f'write {short} != ""', "int": f"write {short} != 0"}.get(
            node.type.kind, ""
        )
        if node.type.kind in {"list", "map"}:
            hint = f"write size({short}) > 0"
    elif wanted.kind == "string":
        hint = f"write string({short})"
    return [
        Problem(
            "wrong-result",
            f"the expression gives {node.type}, not {wanted}",
            node.start,
            node.end,
            hint,
        )
    ]


def _too_costly(source: str, node: Node, costs: Costs, cost: int, budget: Budget) -> Problem:
    worst = dearest(node, costs.of)
    text = source[worst.start : worst.end]
    shown = text if len(text) <= 60 else text[:57] + "..."
    message = f"worst-case cost {_short(cost)} is {_factor(cost, budget.cost)} times the budget of {budget.cost}"
    hint = f"most of it is {shown}: declare smaller maxima or take a loop out"
    return Problem("too-costly", message, worst.start, worst.end, hint)


def _too_big(node: Node, size: int, budget: Budget) -> Problem:
    message = f"this can grow to {_short(size)} characters and elements; {budget.size} are allowed"
    return Problem("too-costly", message, node.start, node.end, "declare smaller maxima")


def _short(cost: int) -> str:
    return str(cost) if cost < 10**9 else f"over {10**9}"


def _factor(cost: int, budget: int) -> str:
    factor = cost / budget if cost < 10**300 else float(10**9)
    return f"{factor:.1f}" if factor < 10**6 else f"over {10**6}"


def over_budget(programs: Iterable[tuple[str, Program]], budget: Budget) -> str:
    """Why the expressions of one decision are too much together, naming the dearest; "" if they are not."""
    named = list(programs)
    total = sum(program.cost for _, program in named)
    if total <= budget.decision:
        return ""
    name, dearest_one = max(named, key=lambda each: each[1].cost)
    return (
        f"worst-case cost {_short(total)} of all expressions is over the budget of {budget.decision} for one decision; "
        f"the most expensive is {name} with {_short(dearest_one.cost)}"
    )
