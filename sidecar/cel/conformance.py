"""How many cases of a conformance file come out as the language definition wants them.

python -m sidecar.cel.conformance cel-core.json cel-extensions.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from sidecar.cel.compare import equal
from sidecar.cel.environment import Budget, Environment
from sidecar.cel.program import Program, compile_as
from sidecar.cel.settle import settled
from sidecar.cel.times import SECOND, Duration, Timestamp
from sidecar.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    List,
    Map,
    Type,
)
from sidecar.cel.values import CelError, CelType, Uint

# the cases write types of their own size; what is tested is the language, not the budget
_BUDGET = Budget(cost=10**6)
_TYPES: Mapping[str, Type] = {
    "bool": BOOL,
    "int": INT,
    "uint": UINT,
    "double": DOUBLE,
    "string": STRING,
    "bytes": BYTES,
    "null": NULL,
    "timestamp": TIMESTAMP,
    "duration": DURATION,
    "type": TYPE,
    "dyn": DYN,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case after its run; ``failure`` is "" when it passed."""

    case: Mapping[str, Any]
    failure: str

    @property
    def name(self) -> str:
        return "/".join((self.case["file"], self.case["section"], self.case["name"]))


def type_from(written: Any) -> Type:
    """A type as the cases write it."""
    match written:
        case str():
            return _TYPES.get(written, DYN)
        case {"list": element}:
            return List(type_from(element))
        case {"map": [key, value]}:
            return Map(type_from(key), type_from(value))
    return DYN


def value_from(written: Mapping[str, Any]) -> Any:
    """A value as the cases write it."""
    value = written.get("value")
    match written["type"]:
        case "int":
            return int(str(value))
        case "uint":
            return Uint(str(value))
        case "double":
            return float(str(value))
        case "bytes":
            return bytes.fromhex(str(value))
        case "list":
            return [value_from(each) for each in value or ()]
        case "map":
            return {value_from(key): value_from(each) for key, each in value or ()}
        case "timestamp":
            return Timestamp(int(written["seconds"]) * SECOND + int(written["nanos"]))
        case "duration":
            return Duration(int(written["seconds"]) * SECOND + int(written["nanos"]))
        case "type":
            return CelType(str(value))
    return value


def same(wanted: object, given: object) -> bool:
    """Whether a result is the wanted one: of its very type, NaN being NaN, zero keeping its sign."""
    wanted, given = settled(wanted), settled(given)
    if type(wanted) is not type(given):
        return False
    match wanted, given:
        case float(), float():
            return (isnan(wanted) and isnan(given)) or (
                wanted == given and str(wanted)[0] == str(given)[0]
            )
        case list(), list():
            return len(wanted) == len(given) and all(map(same, wanted, given))
        case dict(), dict():
            keys = {(type(key), key): value for key, value in given.items()}
            return len(wanted) == len(given) and all(
                (type(key), key) in keys and same(value, keys[type(key), key])
                for key, value in wanted.items()
            )
    return equal(wanted, given)


def run(case: Mapping[str, Any]) -> Outcome:
    """One case, compiled and evaluated."""
    strict = not case.get("disable_check")
    variables = {name: type_from(of) for name, of in case.get("variables", {}).items()}
    bindings = {name: value_from(value) for name, value in case.get("bindings", {}).items()}
    variables = {**dict.fromkeys(bindings, DYN), **variables}
    environment = Environment(variables, container=case.get("container", ""), budget=_BUDGET)
    wanted = case["expect"]
    program = compile_as(case["expr"], environment, DYN, strict=strict)
    if not isinstance(program, Program):
        refused = "; ".join(problem.message for problem in program)
        return Outcome(case, "" if "error" in wanted else f"refused: {refused}")
    given = program.evaluate(bindings)
    if isinstance(given, CelError):
        return Outcome(case, "" if "error" in wanted else f"error: {given.message}")
    if "error" in wanted:
        return Outcome(case, f"no error but {given!r}")
    if "value" in wanted and not same(value := value_from(wanted["value"]), given):
        return Outcome(case, f"{given!r} where {value!r} was wanted")
    return Outcome(case, "")


def run_file(path: Path) -> Iterator[Outcome]:
    """All cases of one file."""
    for case in json.loads(path.read_text(encoding="utf-8")):
        yield run(case)


def main(arguments: Sequence[str]) -> int:
    """Prints each failure, the share per file, and `passed N of M`; 1 when a case fails that is not known to."""
    parser = argparse.ArgumentParser(prog="python -m sidecar.cel.conformance")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument(
        "--known", type=Path, help="a JSON object: the name of a case that fails -> why"
    )
    options = parser.parse_args(arguments)
    known: dict[str, str] = (
        json.loads(options.known.read_text(encoding="utf-8")) if options.known else {}
    )
    outcomes: list[Outcome] = []
    for path in options.files:
        of_file = list(run_file(path))
        outcomes += of_file
        for outcome in of_file:
            if outcome.failure:
                reason = f"\n     known: {known[outcome.name]}" if outcome.name in known else ""
                print(
                    f"FAIL {outcome.name}: {outcome.case['expr']}\n     {outcome.failure}{reason}"
                )
        _print_shares(path.name, of_file)
    failed = {outcome.name for outcome in outcomes if outcome.failure}
    print(f"passed {len(outcomes) - len(failed)} of {len(outcomes)}")
    return 1 if failed - known.keys() else 0


def _print_shares(name: str, of_file: Sequence[Outcome]) -> None:
    shares: dict[str, list[bool]] = {}
    for outcome in of_file:
        shares.setdefault(str(outcome.case["file"]), []).append(not outcome.failure)
    passed = sum(not outcome.failure for outcome in of_file)
    print(f"{name}: {passed} of {len(of_file)} ({passed / max(1, len(of_file)):.1%})")
    for file, each in shares.items():
        print(f"  {file} {sum(each)} of {len(each)} ({sum(each) / len(each):.1%})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
