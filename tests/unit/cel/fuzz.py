"""What 20,000 generated expressions and 20,000 mutated texts bring to light.

python -m tests.unit.cel.fuzz [--count N] [--seed S]
"""

from __future__ import annotations

import argparse
import math
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel as cpp
from cel_expr_python.ext import ext_math, ext_strings

from sidecar.cel import CelError, CelType, Duration, Program, Timestamp
from sidecar.cel import compile as compile_cel
from tests.unit.cel.generated import ENVIRONMENT, bindings, expression, mutated

LONGEST_MS = 50

_FRACTION = re.compile(r"(\.\d*?)0+(?=Z|s)")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An expression on which the engines differ."""

    source: str
    ours: object
    theirs: object
    reason: str


def their_environment() -> Any:
    """The same variables for cel-expr-python; an object is a map to it."""
    t = cpp.Type
    kinds = {
        "bool": t.BOOL,
        "int": t.INT,
        "uint": t.UINT,
        "double": t.DOUBLE,
        "string": t.STRING,
        "bytes": t.BYTES,
        "timestamp": t.TIMESTAMP,
        "duration": t.DURATION,
        "dyn": t.DYN,
        "object": t.Map(t.STRING, t.DYN),
    }
    special = {"li": t.List(t.INT), "ls": t.List(t.STRING), "m": t.Map(t.STRING, t.INT)}
    variables = {
        name: special.get(name) or kinds[of.kind] for name, of in ENVIRONMENT.variables.items()
    }
    return cpp.NewEnv(
        variables=variables, extensions=[ext_math.ExtMath(), ext_strings.ExtStrings()]
    )


def plain(value: object) -> object:
    """A value of either engine as one of Python, an error as the word for it."""
    match value:
        case CelError():
            return "error"
        case Timestamp():
            return value.to_datetime()
        case Duration():
            return value.to_timedelta()
        case CelType():
            return value.name
        case bool() | float():
            return value
        case bytearray():
            return bytes(value)
        case int():
            return int(value)
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {key: plain(each) for key, each in value.items()}
    return value


def same(a: object, b: object) -> bool:
    """Whether two plain values are the same, types and NaN included."""
    if type(a) is not type(b):
        return False
    match a, b:
        case float(), float():
            return a == b or (math.isnan(a) and math.isnan(b))
        case list(), list():
            return len(a) == len(b) and all(map(same, a, b))
        case dict(), dict():
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def their_value(program: Any, bound: Mapping[str, Any]) -> object:
    """What cel-expr-python makes of the expression."""
    try:
        value = program.eval(data=bound)
    except RuntimeError:
        return "error"
    if value.type() == cpp.Type.ERROR:
        return "error"
    return plain(value.plain_value())


def reason_for(source: str, ours: object, theirs: object) -> str:
    """Why this difference is known, or ""."""
    if '.split("")' in source:
        return "an empty text split by the empty one is no part in cel-go and here, one part in C++"
    if "string(" in source and _FRACTION.sub(r"\1", repr(ours)) == _FRACTION.sub(
        r"\1", repr(theirs)
    ):
        return (
            "decimals of a second are as few as needed in cel-go and here, groups of three in C++"
        )
    return ""


def differences(count: int, seed: int) -> Iterator[Disagreement | None]:
    """For each generated expression what the engines disagree on, or None."""
    pick = random.Random(seed)
    theirs = their_environment()
    for _ in range(count):
        source = expression(pick)
        bound = bindings(pick)
        program = compile_cel(source, ENVIRONMENT)
        try:
            other = theirs.compile(source)
        except Exception as error:  # noqa: BLE001  its own are of several kinds
            other = error
        if not isinstance(program, Program) or isinstance(other, Exception):
            if isinstance(program, Program) or not isinstance(other, Exception):
                mine = "compiles" if isinstance(program, Program) else program[0].message
                yours = str(other) if isinstance(other, Exception) else "compiles"
                yield Disagreement(source, mine, yours, reason_for(source, mine, yours))
            else:
                yield Disagreement(source, program[0].message, str(other), "neither compiles")
            continue
        ours, their = plain(program.evaluate(bound)), their_value(other, bound)
        if same(ours, their):
            yield None
        else:
            yield Disagreement(source, ours, their, reason_for(source, ours, their))


def mutations(count: int, seed: int) -> Iterator[tuple[str, float, str]]:
    """For each mutated text: itself, the milliseconds of compiling, what escaped or ""."""
    pick = random.Random(seed)
    for _ in range(count):
        source = mutated(pick, expression(pick))
        start = time.perf_counter()
        escaped = ""
        try:
            program = compile_cel(source, ENVIRONMENT)
        except BaseException as error:  # noqa: BLE001  that none comes is what is tested
            escaped = repr(error)
        spent = (time.perf_counter() - start) * 1000
        if not escaped and isinstance(program, Program):
            try:
                program.evaluate(bindings(pick))
            except BaseException as error:  # noqa: BLE001  that none comes is what is tested
                escaped = repr(error)
        elif not escaped and not program:
            escaped = "neither a program nor a problem"
        yield source, spent, escaped


def main() -> int:
    """Prints both counts; 1 for an unexplained difference, an exception or a slow text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20260501)
    parser.add_argument("--show", type=int, default=20)
    options = parser.parse_args()
    found = list(differences(options.count, options.seed))
    known = Counter(each.reason for each in found if each is not None and each.reason)
    unknown = [each for each in found if each is not None and not each.reason]
    print(
        f"{options.count} expressions: {found.count(None)} agree, "
        f"{len(unknown)} unexplained differences"
    )
    for reason, times in known.most_common():
        print(f"  {times} known: {reason}")
    for each in unknown[: options.show]:
        print(f"  {each.source}\n    ours   {each.ours!r}\n    theirs {each.theirs!r}")
    texts = list(mutations(options.count, options.seed))
    escaped = [each for each in texts if each[2]]
    slowest = max(texts, key=lambda each: each[1])
    slow = [each for each in texts if each[1] > LONGEST_MS]
    print(
        f"{options.count} mutated texts: {len(escaped)} exceptions, "
        f"{len(slow)} over {LONGEST_MS} ms, slowest {slowest[1]:.1f} ms"
    )
    for source, _, error in escaped[: options.show]:
        print(f"  {source!r}\n    {error}")
    for source, spent, _ in slow[: options.show]:
        print(f"  {spent:.1f} ms: {source[:200]!r}")
    return 1 if unknown or escaped or slow else 0


if __name__ == "__main__":
    sys.exit(main())
