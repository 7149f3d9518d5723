"""What an expression becomes: a program to be evaluated many times, or the problems that forbid it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from sidecar.cel.check import Checker
from sidecar.cel.cost import Costs, dearest
from sidecar.cel.environment import Budget, Environment
from sidecar.cel.exact import exact_form, traced_form
from sidecar.cel.fold import folded
from sidecar.cel.operators import key_text
from sidecar.cel.parse import parse
from sidecar.cel.plain import plain_form
from sidecar.cel.problems import Problem
from sidecar.cel.references import references_of
from sidecar.cel.size import size_problem
from sidecar.cel.typed import Node
from sidecar.cel.types import DYN, Type, is_open
from sidecar.cel.values import CelError, Failure

Bindings = Mapping[str, Any]
Spans = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Step:
    """One sub-expression of a trace: its place, its text and what it came to."""

    start: int
    end: int
    text: str
    value: object


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression; immutable, so any number of threads may evaluate it at once.

    Args:
        source: the text it was compiled from.
        result: the static type of its value.
        references: the longest static paths that it reads.
        cost: the worst case in cel-go's units.
        evaluate: from the bindings to a value or a `CelError`; never raises.
        trace: from the bindings to the value of every sub-expression that was evaluated, innermost first.
    """

    source: str
    result: Type
    references: frozenset[tuple[str, ...]]
    cost: int
    evaluate: Callable[[Bindings], object]
    trace: Callable[[Bindings], tuple[Step, ...]]


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
    problems: list[Problem] = []
    budget = environment.budget
    trees = parse(source, budget, problems)
    too_large = next((found for tree in trees if (found := size_problem(tree, budget))), None)
    if too_large is not None:
        return (*problems, too_large)
    checker = Checker(source, environment, problems, strict=strict)
    nodes = [checker.check(tree) for tree in trees]
    if nodes and strict and not problems:
        problems += _result_problems(nodes[0], result, checker.text(nodes[0]))
    if problems:
        return tuple(sorted(problems, key=lambda each: (each.start, each.end))[: budget.problems])
    node = nodes[0]
    costs = Costs(budget)
    cost, _ = costs.visit(node)
    if strict and cost > budget.cost:
        return (_too_costly(source, node, costs, cost, budget),)
    return _assembled(source, node, result, cost)


def _assembled(source: str, node: Node, result: Type, cost: int) -> Program:
    smaller = folded(node)
    wanted = result.kind if is_open(node.type) else "dyn"
    exact, spans = exact_form(smaller, wanted)
    again = _again(exact, spans)

    def trace(bindings: Bindings) -> tuple[Step, ...]:
        return _trace(source, node, wanted, bindings)

    of = result if is_open(node.type) else node.type
    return Program(source, of, references_of(node), cost, plain_form(smaller, wanted, again), trace)


def _again(exact: Callable[[Bindings], object], spans: Spans) -> Callable[[Bindings], object]:
    """The second tier: the exact value, or the error with its place."""

    def again(bindings: Bindings) -> object:
        try:
            return exact(bindings)
        except Exception as error:  # noqa: BLE001  the wall: nothing passes it but a value
            return error_of(error, spans)

    return again


def error_of(error: Exception, spans: Spans) -> CelError:
    """The error value of an exception, placed by the line numbers of the generated code."""
    line = 0
    at: TracebackType | None = error.__traceback__
    while at is not None:
        # the innermost frame of generated code: below it are only our own functions
        if at.tb_frame.f_code.co_filename == "<cel>":
            line = at.tb_lineno
        at = at.tb_next
    start, end = spans[line] if line < len(spans) else spans[0]
    return CelError(_message(error), start, end)


def _message(error: Exception) -> str:
    match error:
        case Failure():
            return str(error)
        case KeyError():
            return f"no such key: {key_text(error.args[0] if error.args else '')}"
        case RecursionError():
            return "nested too deep"
        case MemoryError():
            return "out of memory"
        case OverflowError():
            return "out of range"
    return f"no such overload ({type(error).__name__})"


def _trace(source: str, node: Node, wanted: str, bindings: Bindings) -> tuple[Step, ...]:
    traced, spans = traced_form(node, wanted)
    steps: list[Step] = []

    def note(line: int, part: Callable[[], object]) -> object:
        start, end = spans[line]
        try:
            value = part()
        except Exception as error:
            steps.append(Step(start, end, source[start:end], error_of(error, spans)))
            raise
        steps.append(Step(start, end, source[start:end], value))
        return value

    try:
        traced(bindings, note)
    except Exception as error:  # noqa: BLE001  the last step already says so
        if not steps:
            steps.append(Step(0, len(source), source, error_of(error, spans)))
    return tuple(steps)


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
