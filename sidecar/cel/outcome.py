"""What an evaluation comes to when it is more than a value: an error with its place, or a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any

from sidecar.cel.access import key_text
from sidecar.cel.code import FILE
from sidecar.cel.exact import traced_form
from sidecar.cel.typed import Node
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


def second_tier(exact: Callable[[Bindings], object], spans: Spans) -> Callable[[Bindings], object]:
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
        if at.tb_frame.f_code.co_filename == FILE:
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


def tracer(source: str, node: Node, wanted: str) -> Callable[[Bindings], tuple[Step, ...]]:
    """A function from the bindings to every part that is evaluated, in the order in which their values are known.

    Few expressions are ever traced, so its code is made when it is first called.
    """
    form = cache(lambda: traced_form(node, wanted))

    def trace(bindings: Bindings) -> tuple[Step, ...]:
        traced, spans = form()
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

    return trace
