"""The museum of wrong expressions: each with exactly the message that its author gets to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cel import BOOL, DYN, STRING, Problem, Program, Type
from sidecar.cel import compile as compile_cel
from tests.unit.cel.world import ENVIRONMENT

MUSEUM = Path(__file__).parents[2] / "broken" / "cel" / "expressions.txt"
RESULTS: dict[str, Type] = {"": DYN, "bool": BOOL, "string": STRING}


def exhibits() -> Iterator[tuple[str, Type, str, str]]:
    """Name, demanded type, source and messages of each, in the order of the file."""
    for block in ("\n" + MUSEUM.read_text(encoding="utf-8")).split("\n=== ")[1:]:
        head, _, rest = block.partition("\n")
        name, _, wanted = head.partition(" -> ")
        source, _, messages = rest.partition("\n---\n")
        yield name, RESULTS[wanted], source, messages.rstrip("\n")


@pytest.mark.parametrize(
    ("wanted", "source", "messages"), [pytest.param(*each[1:], id=each[0]) for each in exhibits()]
)
def test_a_wrong_expression_gets_its_message(wanted: Type, source: str, messages: str) -> None:
    problems = compile_cel(source, ENVIRONMENT, result=wanted)
    assert not isinstance(problems, Program)
    assert "\n".join(problem.show(source) for problem in problems) == messages


def test_the_museum_has_at_least_forty_exhibits_with_names_of_their_own() -> None:
    names = [each[0] for each in exhibits()]
    assert len(names) >= 40
    assert len(set(names)) == len(names)


def test_a_repair_that_is_followed_compiles() -> None:
    for source in (
        "double(request.estimated_tokens) >= 0.5",
        'request.model == "5"',
        "size(request.tags) > 3",
        '!(request.plugin in ["a"])',
        "has(subscription.trial_end) && subscription.trial_end < now",
        'has(request.note) ? request.note == "a" : false',
        'request.model.contains("gpt")',
        '"beta" in request.tags',
        'timestamp("2026-01-31T12:00:00Z") < now',
        'now - now > duration("60s")',
    ):
        assert isinstance(compile_cel(source, ENVIRONMENT, result=BOOL), Program), source


def test_a_word_that_denies_is_not_nested_without_end() -> None:
    (*_, last) = refused("not " * 900 + "true")
    assert last.code == "too-deep"


def refused(source: str) -> tuple[Problem, ...]:
    problems = compile_cel(source, ENVIRONMENT, result=BOOL)
    assert not isinstance(problems, Program)
    return tuple(problems)
