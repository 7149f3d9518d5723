"""Many programs as one function: what a caller that evaluates all of them per request saves in calls and look-ups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sidecar.cel.exact import BINDINGS
from sidecar.cel.outcome import Bindings
from sidecar.cel.plain import Plain
from sidecar.cel.program import Program
from sidecar.cel.typed import Node, Variable, parts


def fuse(programs: Sequence[Program]) -> Callable[[Bindings], tuple[object, ...]]:
    """A function of the bindings that gives what each program would, in order: values and errors alike.

    Variables that several programs read are looked up once. Where one of them is not bound at all, every program is
    evaluated by itself, since those that do not need it still have a value.
    """
    ordered = tuple(programs)
    if not ordered:
        return lambda bindings: ()

    def separately(bindings: Bindings) -> tuple[object, ...]:
        return tuple(program.evaluate(bindings) for program in ordered)

    code = Plain()
    code.names["separately"] = separately
    alone = code.result(code.call(code.load("separately"), code.load(BINDINGS)))
    reads = Counter(name for program in ordered for name in _variables(program.form.node))
    shared = sorted(name for name, times in reads.items() if times > 1)
    body = []
    for name in shared:
        local = code.fresh("held")
        found = code.subscript(code.load(BINDINGS), code.constant(name))
        body.append(code.guarded(code.assign(local, found), alone))
        code.held[name] = local
    results = []
    for program in ordered:
        result, again = code.fresh("result"), code.fresh("again")
        code.names[again] = program.form.again
        value = code.finished(program.form.node, program.form.wanted)
        rescue = code.call(code.load(again), code.load(BINDINGS))
        body.append(code.guarded(code.assign(result, value), code.assign(result, rescue)))
        results.append(result)
    body.append(code.result(code.tuple_of(*(code.load(result) for result in results))))
    code.functions.append(code.define("fused", (BINDINGS,), body))
    function: Callable[[Bindings], tuple[Any, ...]] = code.built("fused")
    return function


def _variables(node: Node) -> list[str]:
    if isinstance(node, Variable):
        return [node.name]
    return [name for part in parts(node) for name in _variables(part)]
