"""What a program says about itself: the paths that it reads, its result, its cost, its trace."""

from __future__ import annotations

import random

import pytest

from sidecar.cel import BOOL, INT, CelError, Environment, List, Map, Member, Object, String, fuse
from tests.unit.cel.generated import ENVIRONMENT as GENERATED
from tests.unit.cel.generated import bindings as generated_bindings
from tests.unit.cel.generated import expression
from tests.unit.cel.world import bindings, program


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("vars.big", {("vars", "big")}),
        ("request.attributes.staff == true", {("request", "attributes", "staff")}),
        ('limits["free-burst"].ratio > 0.9', {("limits", "free-burst", "ratio")}),
        ('"free-burst" in limits', {("limits", "free-burst")}),
        ("has(request.note)", {("request", "note")}),
        ("limits[request.plugin].used > 1", {("limits",), ("request", "plugin")}),
        (
            "request.tags.exists(t, t == request.plugin)",
            {("request", "tags"), ("request", "plugin")},
        ),
        ("limits.all(name, limits[name].used < limits[name].max)", {("limits",)}),
        ("1 + 1 == 2", set()),
        ("true || vars.big", {("vars", "big")}),
    ],
)
def test_the_references_are_the_longest_static_paths(
    source: str, paths: set[tuple[str, ...]]
) -> None:
    assert program(source).references == paths


def test_a_program_knows_its_result_type_and_source() -> None:
    one = program("request.estimated_tokens + 1")
    assert one.result == INT
    assert one.source == "request.estimated_tokens + 1"
    assert program("request.tags.map(t, t.size())").result == List(INT, 64)


def test_constants_are_folded_at_load() -> None:
    # a folded duration is made once: the same object comes out each time
    one = program('duration("1h") + duration("30m")')
    assert one.evaluate({}) is one.evaluate({})
    assert program("false && vars.big").evaluate({}) is False
    assert program("1 / 0 == 1 || vars.big").evaluate({"vars": {"big": True}}) is True


def test_the_trace_tells_each_part_s_value_with_its_place() -> None:
    source = 'request.model == "gpt-4o" && limits["x"].used > 1'
    steps = program(source).trace(bindings())
    assert [(step.text, step.value) for step in steps[1:4]] == [
        ("request.model", "gpt-4o"),
        ('"gpt-4o"', "gpt-4o"),
        ('request.model == "gpt-4o"', True),
    ]
    assert all(source[step.start : step.end] == step.text for step in steps)
    failed = [step for step in steps if isinstance(step.value, CelError)]
    assert [step.text for step in failed] == [
        'limits["x"]',
        'limits["x"].used',
        'limits["x"].used > 1',
        source,
    ]


def test_the_trace_leaves_out_what_was_not_evaluated() -> None:
    steps = program("!vars.big && request.estimated_tokens > 1").trace(bindings())
    assert "request.estimated_tokens" not in {step.text for step in steps}


def test_the_trace_shows_every_round_of_a_loop() -> None:
    steps = program("request.counts.all(n, n > 1)").trace(bindings(counts=[3, 1, 5]))
    assert [step.value for step in steps if step.text == "n > 1"] == [True, False]


def test_the_cost_grows_with_the_declared_maxima() -> None:
    def cost(size: int, length: int) -> int:
        return program("l.exists(t, t == 'x')", Environment({"l": List(String(length), size)})).cost

    assert cost(10, 10) < cost(100, 10)
    assert cost(10, 10) <= cost(10, 1_000)
    assert program("vars.big").cost == 2
    assert program("request.estimated_tokens > 5").cost < 10


def test_the_cost_of_a_condition_is_that_of_its_dearer_branch() -> None:
    cheap, dear = "vars.big", "request.tags.exists(t, t == 'x')"
    assert (
        program(f"vars.big ? {cheap} : {dear}").cost == program(f"vars.big ? {dear} : {cheap}").cost
    )


def test_the_cost_bounds_the_parts_that_are_evaluated() -> None:
    pick = random.Random(9)
    for _ in range(300):
        source, bound = expression(pick), generated_bindings(pick)
        bound["li"], bound["ls"] = [1] * 8, ["z" * 12] * 8
        bound["m"] = {str(at): at for at in range(8)}
        one = program(source, GENERATED)
        # a constant is a part that costs nothing, && and ?: are free as well
        assert len(one.trace(bound)) <= 2 * one.cost + 4, source


def test_fused_programs_give_what_each_gives_alone() -> None:
    sources = [
        "request.estimated_tokens > 100",
        'limits["x"].used > 1',
        'limits["x"].used > 1 || vars.big',
        "request.counts.map(n, n * request.estimated_tokens)",
        "now",
        "has(request.note) ? request.note : 'none'",
        "cel.bind(n, request.estimated_tokens, n + n)",
    ]
    programs = [program(source) for source in sources]
    together = fuse(programs)
    for bound in (bindings(), bindings(estimated_tokens=2**62), {}, {"vars": {"big": True}}):
        assert together(bound) == tuple(each.evaluate(bound) for each in programs)
    assert fuse([])({}) == ()


def test_a_member_proved_by_has_may_be_read_in_every_form_of_proof() -> None:
    for source in (
        'has(request.note) && request.note == ""',
        '!has(request.note) || request.note == ""',
        'has(request.note) ? request.note == "" : true',
        '!has(request.note) ? true : request.note == ""',
        '!(has(request.note) && request.note == "x")',
        'vars.big && has(request.note) && request.note == ""',
        '(vars.big && has(request.note)) ? request.note == "" : false',
        "request.tags.exists(t, has(request.note) && t == request.note)",
        "has(request.note) && request.tags.exists(t, t == request.note)",
        '(has(request.note) ? true : false) && request.note == ""',
        "has(subscription.wallet) && subscription.wallet.balance > 5",
        "request.?note.orValue('') == ''",
    ):
        assert program(source, result=BOOL).source == source


def test_an_optional_member_of_a_loop_s_variable_needs_its_own_proof() -> None:
    item = Object("item", {"price": Member(INT, optional=True)})
    environment = Environment({"items": List(item, 8), "by": Map(String(), item, 8)})
    bound = {"items": [{"price": 5}, {}], "by": {"a": {"price": 3}}}
    assert (
        program("items.exists(i, has(i.price) && i.price > 4)", environment).evaluate(bound) is True
    )
    assert program('has(by["a"].price) && by["a"].price > 2', environment).evaluate(bound) is True
