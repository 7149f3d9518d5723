"""Which conditions are called constant or impossible, and are they?"""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.cel import CelError
from sidecar.domain.limits import Limit, Reading
from sidecar.domain.modes import Ceiling, Mode
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.domain.windows import Fixed
from sidecar.policy.conditions import Context
from sidecar.policy.lint.rule_logic import check as check_rules
from sidecar.policy.lint.statements import statements
from sidecar.policy.load import examine
from tests.unit.lint.world import FREE, FREE_AND_PRO, codes, rule, warned
from tests.unit.world import write


@pytest.mark.parametrize(
    "when",
    [
        "request.estimated_tokens > 0",
        "request.estimated_tokens > 10 || request.estimated_tokens < 5",
        "request.estimate.input_tokens >= 0",  # a commit may leave it untold
        'request.model.startsWith("gpt") && !request.model.startsWith("gpt-4")',
        "now.getDayOfWeek() in [0, 6]",
        "now.getHours() >= 22 || now.getHours() < 6",
        "now.getMonth() == 11 && now.getDate() == 31",
        'has(request.attributes.a) && request.attributes.a == 1 || request.model == "a"',
        'plan.id == "free"',
        'plan.id != "free" && request.model == "a"',
        'subscription.status == "past_due" || subscription.status == "unpaid"',
        "constants.live && request.estimated_tokens > 5",
        "request.user_id in constants.nobody",
        "vars.large && request.estimated_tokens < constants.most",
        "!(has(request.attributes.staff) && request.attributes.staff == true)",
    ],
)
def test_a_condition_that_comes_out_both_ways_is_left_alone(tmp_path: Path, when: str) -> None:
    before = f"""
constants: {{live: true, nobody: [], least: 5, most: 50}}
variables: [{{name: large, expr: request.estimated_tokens > constants.least}}]
{FREE_AND_PRO}"""
    used = "constants.live && vars.large && request.user_id in constants.nobody"
    used += " || request.estimated_tokens == constants.most"
    text = f"{before}rules:\n{rule(when)}{rule(used, name='used')}"
    assert codes(tmp_path, text) == []


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("true", "I1"),
        ("request.estimated_tokens >= 0", "I1"),
        ("now.getHours() < 24", "I1"),
        ("request.model == request.model", "I1"),
        ('plan.id in ["free", "pro"]', "I1"),
        ("size(request.model) >= 0 || request.model == \"a\"", "I1"),
        ("vars.large || request.estimated_tokens <= constants.least", "I1"),
        ("1 > 2", "I1"),
        ("request.estimated_tokens < 0", "I2"),
        ("now.getMonth() == 12", "I2"),
        ("now.getDayOfMonth() == 31", "I2"),
        ('request.model == "a" && request.model == "b"', "I2"),
        ('plan.id == "free" && plan.id == "pro"', "I2"),
        ("vars.large && request.estimated_tokens < constants.least", "I2"),
        ('request.action == "x" && (request.model == "a" && request.model == "b")', "I2"),
        ("request.model == \"x\" || request.estimated_tokens < 0", "I2"),
        ("!(request.estimated_tokens >= 0) || request.model == \"x\"", "I2"),
    ],
)  # fmt: skip
def test_a_condition_that_always_comes_out_alike_is_reported(
    tmp_path: Path, when: str, found: str
) -> None:
    before = f"""
constants: {{least: 5}}
variables: [{{name: large, expr: request.estimated_tokens > constants.least}}]
{FREE_AND_PRO}"""
    used = rule("vars.large && request.estimated_tokens != constants.least", name="used")
    assert codes(tmp_path, f"{before}rules:\n{rule(when)}{used}") == [found]


def test_who_has_one_plan_so_far_may_ask_for_it(tmp_path: Path) -> None:
    alone = rule('plan.id == "free"')
    assert codes(tmp_path, f"{FREE}rules:\n{alone}") == []


def test_what_match_chooses_is_known_to_the_condition(tmp_path: Path) -> None:
    for match, when in (
        ("plans: [free]", 'plan.id == "pro"'),
        ("plugins: [search]", 'request.plugin == "read"'),
        ('plugins: ["gh_*"]', 'request.plugin.startsWith("basic_")'),
        ('plugins: ["*_admin", "*_staff"]', 'request.plugin.endsWith("_user")'),
        ('plugins: ["*"]', 'request.plugin == ""'),
    ):
        text = f"{FREE_AND_PRO}rules:\n{rule(when, f'effect: warn, match: {{{match}}}')}"
        assert codes(tmp_path, text) == ["I2"]


def test_what_a_plan_hands_down_may_ask_for_a_child(tmp_path: Path) -> None:
    limit = """{id: day, meter: tokens, max: 5, window: day, when: 'plan.id == "pro"'}"""
    other = "{id: x, meter: requests, max: 5, window: day}"
    for child, found in (("", ["I2"]), ("extends: free, ", [])):
        plans = f"free: {{plugins: [a], limits: [{limit}]}}"
        text = f"plans: {{{plans}, pro: {{{child}plugins: [b], limits: [{other}]}}}}\n"
        assert codes(tmp_path, text) == found


def test_a_condition_that_is_always_true_is_dropped_by_a_machine(tmp_path: Path) -> None:
    text = f"{FREE}rules:\n{rule('request.estimated_tokens >= 0')}"
    (found,) = warned(tmp_path, text)
    assert found.fix is not None
    (limit,) = warned(
        tmp_path,
        "plans: {free: {plugins: [a], limits: [{id: day, meter: tokens, max: 5, window: day, "
        "when: request.estimated_tokens >= 0}]}}\n",
    )
    assert (limit.code, limit.fix) == ("I1", None)  # its counter would be another one


def test_both_parts_of_a_contradiction_are_shown_inside_a_block(tmp_path: Path) -> None:
    text = f"{FREE}rules:\n  - id: odd\n    effect: warn\n    message: Look here.\n    when: |\n"
    text += '      request.model == "a"\n        && now.getHours() > 5 && request.model == "b"\n'
    (found,) = warned(tmp_path, text)
    assert (found.line, found.column, found.length) == (11, 34, 20)
    assert [(it.line, it.column, it.length) for it in found.related] == [(10, 7, 20)]


# -- proofs against what the sidecar does ------------------------------------------------------

_PARTS = (
    "request.estimated_tokens > {n}", "request.estimated_tokens <= {n}",
    "request.estimate.total_tokens == {n}", "{n} < request.estimate.input_tokens",
    'request.model == "{w}"', 'request.model.startsWith("{w}")', 'request.plugin.endsWith("{w}")',
    'request.plugin == "{w}"', 'request.plugin.contains("{w}")', 'request.model in ["a", "{w}"]',
    'plan.id == "{p}"', 'plan.id != "{p}"', 'plan.name == "{p}"',
    'subscription.status == "active"', 'subscription.status in ["past_due", "paused"]',
    "has(request.attributes.{w}x)", "has(request.attributes.ax) && request.attributes.ax == {n}",
    "has(request.attributes.ax) && request.attributes.ax > {n}",
    '"bx" in request.attributes && request.attributes.bx == "{w}"',
    "limits.day.used > {n}", "limits.day.ratio >= 0.{n}", "limits.day.remaining < limits.day.used",
    "now.getHours() >= {n}", "now.getDayOfWeek() == {n}", "vars.some", "vars.none",
    "constants.live",
    "request.estimated_tokens > constants.n", "subscription.cancel_at_period_end",
    "has(subscription.trial_end)", "has(subscription.trial_end) && subscription.trial_end < now",
)  # fmt: skip


def _condition(pick: random.Random) -> str:
    parts = []
    for _ in range(pick.randint(1, 4)):
        word = {"n": pick.choice((0, 1, 5, 6, 7, 23)), "w": pick.choice(("a", "b", "ab"))}
        part = pick.choice(_PARTS).format(**word, p=pick.choice(("free", "pro")))
        parts.append(f"!({part})" if pick.random() < 0.25 else f"({part})")
    joined = parts[0]
    for part in parts[1:]:
        joined += f" {'||' if pick.random() < 0.2 else '&&'} {part}"
    return joined


def _policy(pick: random.Random) -> str:
    text = f"""mode: enforce
constants: {{n: {pick.choice((0, 5))}, live: {pick.choice(("true", "false"))}}}
variables:
  - {{name: some, expr: request.estimated_tokens > {pick.choice((1, 6))} || constants.live}}
  - {{name: none, expr: 'vars.some && request.model == "ab" && constants.n < 3'}}
plans:
  free: {{plugins: ["*"], limits: [{{id: day, meter: tokens, max: 10, window: day}}]}}
  pro: {{extends: free}}
rules:
"""
    for number in range(4):
        effect = pick.choice(("effect: warn", "effect: deny, on_error: skip"))
        match = pick.choice(("", "plans: [free]", 'plugins: ["a*"]', "plugins: [ab, b]"))
        written = f"{effect}, match: {{{match}}}"
        text += rule(_condition(pick), written, f"r{number}").replace("\\", "")
    return text


def _context(pick: random.Random) -> tuple[CheckRequest, Context, str]:
    plan = pick.choice(("free", "pro"))
    attributes: dict[str, object] = {}
    if pick.random() < 0.7:
        attributes["ax"] = pick.choice((0, 1, 5, 5.0, 6, 7.5, "a", True, None, [1]))
    if pick.random() < 0.7:
        attributes["bx"] = pick.choice(("a", "b", "ab", 1))
    tokens = pick.choice((0, 1, 2, 5, 6, 7, 24))
    request = CheckRequest(
        Subject("acme", "bob"),
        plugin=pick.choice(("", "a", "b", "ab", "ba")),
        model=pick.choice(("", "a", "b", "ab", "aba")),
        estimate=Amounts(tokens=tokens, input_tokens=pick.choice((0, tokens)), requests=1),
        attributes=attributes,
    )
    now = datetime(2026, 5, pick.randint(1, 8), pick.choice((0, 5, 6, 7, 23)), tzinfo=UTC)
    subscription = Subscription(
        "bob",
        plan=plan,
        status=pick.choice(list(Status)),
        cancel_at_period_end=pick.random() < 0.5,
        trial_end=datetime(2026, 5, 4, tzinfo=UTC) if pick.random() < 0.5 else None,
    )
    limit = Limit("day", MeterKind.TOKENS, 10, Fixed.DAY, (), Mode.ENFORCE)
    reading = Reading(limit, pick.choice((0, 1, 6, 7, 10, 12)), 0, 1, None)
    facts = {"id": plan, "name": plan, "features": {}}
    return request, Context.of(request, subscription, facts, now, [reading]), plan


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(min_value=0))
def test_no_request_refutes_what_is_said_of_rules(tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    examined = examine(write(tmp_path, _policy(pick)), ceiling=Ceiling.AS_WRITTEN)
    assert [str(it) for it in examined.findings] == []
    assert examined.policies is not None
    said = {it.path: it for it in statements(examined)}
    forestalled = [
        (found.path, found.related[0].line)
        for found in check_rules(examined, said.values())
        if found.code in ("I3", "I4", "I6")
    ]
    rules_of = {plan.id: {it.id: it for it in plan.rules} for plan in examined.policies.plans}
    places = {it.origin.line: it.id for plan in rules_of.values() for it in plan.values()}
    for _ in range(60):
        request, context, plan = _context(pick)
        asked = {
            number: compiled is not None
            and (compiled.plugins is None or bool(request.plugin))
            and (compiled.plugins is None or compiled.plugins.match(request.plugin))
            for number in range(4)
            for compiled in [rules_of[plan].get(f"r{number}")]
        }
        values = {
            number: context.evaluate(said["rules", number, "when"].condition) for number in asked
        }
        for number, value in values.items():
            claim = said["rules", number, "when"].claim
            if asked[number]:
                assert not (claim.is_never_true and value is True)
                assert not (claim.is_never_false and value is False)
                assert not (claim.is_always_true and value is not True)
            assert claim.may_err or not isinstance(value, CelError)
        for path, line in forestalled:
            number = int(path[6])
            other = int(places[line][1])
            if asked[number] and values[number] is True:
                assert asked[other]
                assert values[other] is True
