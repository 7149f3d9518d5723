"""How fast rules are evaluated, beside the other three engines, in one run.

Contexts rotate among 256 and every engine takes a dict per call; the set of twenty is timed over
one prepared context, prepared for each engine in its own way. All answers are compared first.

    python -m tests.benchmarks.bench_cel [--quick]
"""

# ruff: noqa: E501  expressions are data, and read best in one piece

from __future__ import annotations

import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

import cel as rust
import celpy
from cel_expr_python import cel as cpp
from celpy.adapter import json_to_cel

from sidecar.cel import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Environment,
    List,
    Map,
    Member,
    Object,
    Program,
    fuse,
)
from sidecar.cel import (
    compile as compile_cel,
)
from sidecar.domain.modes import Ceiling
from sidecar.policy.load import load, shipped

CONTEXTS = 256
FLOORS = {"cel-python": 400.0, "cel-expr-python": 5.0, "common-expression-language": 10.0}
SET_FLOOR = 10.0
FUSED = "ours, fused"

ENVIRONMENT = Environment(
    {
        "request": Object(
            "request",
            {
                "app_id": Member(STRING),
                "user_id": Member(STRING),
                "plugin": Member(STRING),
                "model": Member(STRING),
                "estimated_tokens": Member(INT),
                "attributes": Member(Map(STRING, DYN)),
                "tags": Member(List(STRING, 8)),
            },
        ),
        "subscription": Object("subscription", {"status": Member(STRING), "seats": Member(INT)}),
        "plan": Object("plan", {"id": Member(STRING), "features": Member(Map(STRING, BOOL))}),
        "limits": Map(
            STRING,
            Object(
                "limit",
                {
                    "used": Member(INT),
                    "reserved": Member(INT),
                    "max": Member(INT),
                    "ratio": Member(DOUBLE),
                },
            ),
        ),
        "now": TIMESTAMP,
    }
)

ROWS: Mapping[str, str] = {
    "simple comparison": "request.estimated_tokens > 4000",
    "quota arithmetic": (
        'limits["daily"].used + limits["daily"].reserved + request.estimated_tokens > limits["daily"].max * 9 / 10'
    ),
    "glob-like macro over 8": (
        'request.tags.exists(t, t.startsWith("gh.") && t.endsWith(".admin") || t == request.plugin)'
    ),
    "five clauses": (
        'plan.id == "free" && request.plugin.startsWith("gh.") && '
        'limits["daily"].used + request.estimated_tokens > limits["daily"].max && '
        '!(request.user_id in ["root", "ops", "ci"]) && request.model.matches("^gpt-4(o|-turbo)?$")'
    ),
}

SET: tuple[str, ...] = (
    "request.estimated_tokens > 4000",
    'request.model.startsWith("gpt-4")',
    'plan.id == "free" && now.getHours() >= 20',
    'limits["daily"].ratio > 0.9',
    '"burst" in limits && limits["burst"].ratio > 0.9',
    'limits["daily"].used + request.estimated_tokens > limits["daily"].max',
    "has(request.attributes.staff) && request.attributes.staff == true",
    '!(has(request.attributes.region) && request.attributes.region == "eu")',
    'request.plugin in ["gh.search", "gh.admin", "jira.read", "jira.write"]',
    'subscription.status == "past_due"',
    'subscription.status == "trial" && subscription.seats > 5',
    'request.tags.exists(t, t == "beta")',
    "request.tags.all(t, t.size() < 40)",
    'request.user_id.matches("^svc-[0-9]+$") && request.estimated_tokens > 1000',
    '"export" in plan.features && plan.features["export"]',
    "now.getDayOfWeek() in [0, 6] && !(has(request.attributes.staff) && request.attributes.staff == true)",
    'request.plugin.contains("admin") && plan.id != "enterprise"',
    'limits["daily"].max - limits["daily"].used < 500',
    'request.app_id == "app-3" ? request.estimated_tokens > 100 : request.estimated_tokens > 9000',
    'request.tags.size() > 3 && request.model.matches("^gpt-4(o|-turbo)?(-mini)?$")',
)


def platform_rules() -> tuple[str, ...]:
    """The conditions of the rules that are shipped for the platform."""
    loaded = load(shipped("platform"), ceiling=Ceiling.AS_WRITTEN)
    rules = {rule.id: rule for plan in loaded.plans for rule in plan.rules}
    return tuple(rule.when.program.source for rule in rules.values() if rule.when is not None)


# the engines differ most in what a pattern costs, so the set is shown without them too
WITHOUT_PATTERNS = tuple(source for source in SET if "matches" not in source)


def contexts(count: int = CONTEXTS, *, seed: int = 7) -> list[dict[str, Any]]:
    """Requests of all sorts, every one a plain dictionary."""
    pick = random.Random(seed)
    made = []
    for _ in range(count):
        most = pick.choice([10_000, 200_000])
        used = pick.randrange(most)
        attributes: dict[str, Any] = {"region": pick.choice(["eu", "us"])}
        if pick.random() < 0.3:
            attributes["staff"] = pick.random() < 0.5
        limit = {"used": used, "reserved": pick.randrange(500), "max": most, "ratio": used / most}
        tags = [
            pick.choice(["gh.read", "gh.admin", "jira.x", "beta", "core.a", "core.admin"])
            for _ in range(7)
        ]
        made.append(
            {
                "request": {
                    "app_id": f"app-{pick.randrange(6)}",
                    "user_id": pick.choice(["root", "ops", "ann", "bob", "svc-7"]),
                    "plugin": pick.choice(["gh.search", "gh.admin", "jira.read", "core.a"]),
                    "model": pick.choice(
                        ["gpt-4", "gpt-4o", "gpt-4o-mini", "claude", "gpt-4-turbo"]
                    ),
                    "estimated_tokens": pick.randrange(10_000),
                    "attributes": attributes,
                    "tags": [*tags, pick.choice(["gh.x.admin", "z"])],
                },
                "subscription": {
                    "status": pick.choice(["active", "trial", "past_due"]),
                    "seats": pick.randrange(10),
                },
                "plan": {
                    "id": pick.choice(["free", "free", "pro"]),
                    "features": {"export": pick.random() < 0.5},
                },
                "limits": {"daily": limit, **({"burst": limit} if pick.random() < 0.5 else {})},
                "now": datetime(2026, 5, 1, tzinfo=UTC)
                + timedelta(minutes=pick.randrange(60 * 24 * 30)),
            }
        )
    return made


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: how it compiles, evaluates over a dict, and prepares a context for several expressions."""

    name: str
    compile: Callable[[str], Any]
    evaluate: Callable[[Any, dict[str, Any]], object]
    prepare: Callable[[dict[str, Any]], Any]
    evaluate_prepared: Callable[[Any, Any], object]


def _ours(source: str) -> Program:
    program = compile_cel(source, ENVIRONMENT, result=BOOL)
    if not isinstance(program, Program):
        raise SystemExit("\n".join(problem.show(source) for problem in program))
    return program


def engines() -> dict[str, Engine]:
    """All four, each used the fastest way that it offers."""
    t = cpp.Type
    cpp_environment = cpp.NewEnv(
        variables={
            name: t.TIMESTAMP if name == "now" else t.Map(t.STRING, t.DYN)
            for name in ENVIRONMENT.variables
        }
    )
    python_environment = celpy.Environment()
    return {
        "ours": Engine(
            "ours",
            _ours,
            lambda program, context: program.evaluate(context),
            lambda context: context,
            lambda program, context: program.evaluate(context),
        ),
        "cel-python": Engine(
            "cel-python",
            lambda source: python_environment.program(python_environment.compile(source)),
            lambda program, context: bool(program.evaluate(json_to_cel(context))),
            json_to_cel,
            lambda program, context: bool(program.evaluate(context)),
        ),
        "cel-expr-python": Engine(
            "cel-expr-python",
            cpp_environment.compile,
            lambda program, context: program.eval(data=context).value(),
            cpp_environment.Activation,
            lambda program, context: program.eval(activation=context).value(),
        ),
        "common-expression-language": Engine(
            "common-expression-language",
            rust.compile,
            lambda program, context: program.execute(context),
            lambda context: rust.Context(variables=context),
            lambda program, context: program.execute(context),
        ),
    }


def timed(work: Callable[[], object], seconds: float) -> float:
    """Microseconds per call of ``work``, over about as many seconds."""
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            work()
        spent = time.perf_counter() - start
        if spent >= seconds:
            return spent / count * 1e6
        count = max(count * 2, int(count * seconds / max(spent, 1e-9) * 1.1))


def _round_robin(of: list[Any]) -> Iterator[Any]:
    return cycle(of)


def _turn(engine: Engine, program: Any, made: list[dict[str, Any]]) -> Callable[[], object]:
    """A call that evaluates over the next context, by the shortest way that the engine has."""
    following = _round_robin(made).__next__
    if engine.name == "ours":
        evaluate = program.evaluate
        return lambda: evaluate(following())
    if engine.name == "cel-expr-python":
        run = program.eval
        return lambda: run(data=following()).value()
    if engine.name == "common-expression-language":
        execute = program.execute
        return lambda: execute(following())
    # the conversion of the context is not charged to cel-python: only its interpreter is compared
    ready = _round_robin([json_to_cel(context) for context in made]).__next__
    interpret = program.evaluate
    return lambda: interpret(ready())


def _row(
    source: str, all_engines: Mapping[str, Engine], made: list[dict[str, Any]]
) -> dict[str, Callable[[], object]]:
    """One call per engine: the next context, evaluated."""
    work: dict[str, Callable[[], object]] = {}
    answers: dict[str, list[object]] = {}
    for name, engine in all_engines.items():
        program = engine.compile(source)
        answers[name] = [engine.evaluate(program, context) for context in made]
        work[name] = _turn(engine, program, made)
    for name, given in answers.items():
        if given != answers["ours"]:
            differing = next(at for at, each in enumerate(given) if each != answers["ours"][at])
            raise SystemExit(
                f"{name} answers {given[differing]!r}, not {answers['ours'][differing]!r}: {source}"
            )
    if len(set(answers["ours"])) < 2:
        raise SystemExit(f"all answers are {answers['ours'][0]!r}: not worth timing: {source}")
    return work


def _rules(
    sources: Sequence[str], all_engines: Mapping[str, Engine], made: list[dict[str, Any]]
) -> dict[str, Callable[[], object]]:
    """One call per engine: the next context, a dict for each rule, as in the single rows."""
    rows = [_row(source, all_engines, made) for source in sources]

    def together(engine: str) -> Callable[[], object]:
        calls = [row[engine] for row in rows]

        def each() -> None:
            for call in calls:
                call()

        return each

    return {engine: together(engine) for engine in all_engines}


def _set_turn(engine: Engine, programs: list[Any], prepared: list[Any]) -> Callable[[], object]:
    """A call that evaluates all programs over the next prepared context, by the shortest way that the engine has."""
    following = _round_robin(prepared).__next__
    if engine.name == "cel-expr-python":
        runs = [program.eval for program in programs]

        def compiled() -> None:
            context = following()
            for run in runs:
                run(activation=context).value()

        return compiled
    rust_engine = engine.name == "common-expression-language"
    evaluates = [program.execute if rust_engine else program.evaluate for program in programs]

    def each() -> None:
        context = following()
        for evaluate in evaluates:
            evaluate(context)

    return each


def _set(
    rules: Sequence[str], all_engines: Mapping[str, Engine], made: list[dict[str, Any]]
) -> dict[str, Callable[[], object]]:
    """One call per engine: all rules over one prepared context, the next one each time."""
    work: dict[str, Callable[[], object]] = {}
    answers: dict[str, list[object]] = {}
    for name, engine in all_engines.items():
        programs = [engine.compile(source) for source in rules]
        prepared = [engine.prepare(context) for context in made]
        answers[name] = [
            [engine.evaluate_prepared(program, context) for program in programs]
            for context in prepared
        ]
        work[name] = _set_turn(engine, programs, prepared)
    together = fuse([_ours(source) for source in rules])
    answers[FUSED] = [list(together(context)) for context in made]
    following = _round_robin(made).__next__
    work[FUSED] = lambda: together(following())
    for name, given in answers.items():
        if given != answers["ours"]:
            raise SystemExit(f"{name} answers the set differently")
    return work


def measure(
    work: Mapping[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, float]:
    """The median microseconds of each engine over alternating rounds."""
    spent: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, each in work.items():
            spent[name].append(timed(each, seconds))
    return {name: statistics.median(each) for name, each in spent.items()}


def _processor() -> str:
    """The name of the machine's processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        "unknown processor",
    )


def _line(name: str, spent: Mapping[str, float], ours: str) -> str:
    """One row: our time, then that of each other engine and how many times ours it is."""
    others = "".join(
        f"{spent[engine]:>16.3f} {spent[engine] / spent[ours]:>9.1f}x " for engine in FLOORS
    )
    return f"{name:24}{spent[ours]:>16.3f}{'':12}{others}"


def main(arguments: list[str]) -> int:
    """Prints the table; 1 when a floor is missed."""
    quick = "--quick" in arguments
    rounds, seconds, count = (1, 0.002, 64) if quick else (11, 0.1, CONTEXTS)
    all_engines = engines()
    made = contexts(count)
    packages = ("cel-python", "cel-expr-python", "common-expression-language")
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages)
    )
    load = "/".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{_processor()}, {os.cpu_count()} cores, load {load}")
    print(
        f"microseconds per evaluation, medians of {rounds} alternating rounds, {count} rotating contexts"
    )
    print(f"{'':24}" + "".join(f"{name:>28}" for name in all_engines))
    missed = []
    rows = [(name, _row(source, all_engines, made), FLOORS) for name, source in ROWS.items()]
    shipped_rules = platform_rules()
    rows.append(
        (
            f"{len(shipped_rules)} rules of platform",
            _rules(shipped_rules, all_engines, made),
            FLOORS,
        )
    )
    rows.append(
        (
            f"{len(SET)} rules, one context",
            _set(SET, all_engines, made),
            dict.fromkeys(FLOORS, SET_FLOOR),
        )
    )
    without = f"{len(WITHOUT_PATTERNS)} without matches"
    rows.append((without, _set(WITHOUT_PATTERNS, all_engines, made), dict.fromkeys(FLOORS, 0.0)))
    for name, work, floors in rows:
        spent = measure(work, rounds, seconds)
        print(_line(name, spent, "ours"))
        if FUSED in spent:
            print(_line("  as one function", spent, FUSED))
        for engine, floor in floors.items():
            if (ratio := spent[engine] / spent["ours"]) < floor:
                missed.append(f"{name}: {ratio:.1f}x {engine}, {floor:.0f}x wanted")
    for each in missed:
        print("MISSED", each)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
