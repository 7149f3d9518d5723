"""What may an expression read, and how much may it and its variables build?"""

from pathlib import Path

import pytest

from sidecar.domain.decision import Effect
from sidecar.domain.manifest import Manifest
from tests.unit.world import NOW, ask, decide, findings, policies, subscribed, write

PLANS = """
plans:
  free:
    plugins: []
    limits:
      - {id: daily, meter: tokens, max: 100, window: day}
      - {id: odd, meter: tokens, max: 100, window: 1h, when: 'request.model == "x"'}
  pro: {extends: free, limits: [{id: team, meter: tokens, max: 100, window: week}]}
"""


def about(directory: Path, rule: str) -> list[str]:
    """The findings of a rule about these plans."""
    text = f"{PLANS}rules: [{{id: r, effect: warn, message: M, {rule}}}]\n"
    return [f"{it.code} {it.hint}" for it in findings(write(directory, text))]


@pytest.mark.parametrize(
    "rule",
    [
        "when: limits.daily.ratio > 0.5",
        "match: {plans: [pro]}, when: limits.daily.used > limits.team.used",
        "match: {plans: [free, pro]}, when: 'limits[\"daily\"].used > 1'",
        "when: has(limits.team) && limits.team.used > 1",
        "when: 'has(limits.odd) && limits[\"odd\"].used > 1'",
        "when: has(request.attributes.region), message_expr: string(request.attributes.region)",
        "when: has(subscription.metadata.seats) && subscription.metadata.seats == 1",
        "when: 'limits.all(name, limits[name].ratio < 1.0)'",
    ],
)
def test_what_is_surely_there_is_read_without_asking(tmp_path: Path, rule: str) -> None:
    assert about(tmp_path, rule) == []


@pytest.mark.parametrize(
    ("rule", "repair"),
    [
        ("when: limits.team.used > 1", "has(limits.team) && ..."),
        ("match: {plans: [free, pro]}, when: limits.team.used > 1", "has(limits.team) && ..."),
        ("when: 'limits[\"odd\"].used > 1'", '"odd" in limits && ...'),
        ("when: request.attributes.a == 1", "has(request.attributes.a) && ..."),
        ("when: 'request.attributes[\"a\"] == 1'", '"a" in request.attributes && ...'),
        ("when: subscription.metadata.a == 1", "has(subscription.metadata.a) && ..."),
        (
            "when: has(request.attributes.a.b)",
            "has(request.attributes.a) && ...",
        ),
        (
            "when: has(request.attributes.b), message_expr: string(request.attributes.a)",
            "has(request.attributes.a) && ...",
        ),
    ],
)
def test_what_may_be_absent_is_asked_for_first(tmp_path: Path, rule: str, repair: str) -> None:
    (found,) = about(tmp_path, rule)
    assert found.startswith(f"G4 write {repair} before it")


def test_an_unknown_limit_is_called_unknown_rather_than_absent(tmp_path: Path) -> None:
    assert about(tmp_path, "when: 'limits[\"dayly\"].used > 1'") == ["C1 did you mean 'daily'?"]
    assert about(tmp_path, "when: limits.dayly.used > 1") == ["C1 did you mean 'daily'?"]


def test_a_limit_that_something_broken_may_have_needs_no_proof(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        plans: {free: {plugins: [], limits: [{id: daily, meter: tokens, max: many, window: day}]}}
        rules: [{id: r, effect: warn, message: M, when: limits.daily.used > 1}]
        """,
    )
    assert [it.code for it in findings(tmp_path)] == ["B2"]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("request.model", "vars.{0} + vars.{0}"),
        ("[request.model]", "vars.{0} + vars.{0}"),
        ("dyn(request.model)", "dyn(vars.{0} + vars.{0})"),
        ("constants.names", "vars.{0} + vars.{0}"),
        ("request.attributes", "[vars.{0}, vars.{0}]"),
    ],
)
def test_variables_that_double_each_other_are_refused(
    tmp_path: Path, first: str, again: str
) -> None:
    chain = [first, *(again.format(f"v{number - 1}") for number in range(1, 22))]
    lines = [f"  - {{name: v{number}, expr: '{expr}'}}\n" for number, expr in enumerate(chain)]
    text = 'constants: {names: ["a", 1]}\nvariables:\n' + "".join(lines)
    (found,) = findings(write(tmp_path, text + "plans: {free: {plugins: []}}\n"))
    assert found.code == "H3"


def test_a_variable_is_paid_for_in_every_decision_that_needs_it(tmp_path: Path) -> None:
    dear = [
        f'  - {{name: v{number}, expr: \'request.attributes.exists(a, a.contains("{number}")'
        ' || a.contains("x") || a.contains("y") || a.contains("z"))\'}\n'
        for number in range(20)
    ]
    text = "variables:\n" + "".join(dear) + "plans: {free: {plugins: []}}\n"
    reads_all = " || ".join(f"vars.v{number}" for number in range(20))
    rule = f"rules: [{{id: r, effect: warn, message: M, when: {reads_all}}}]\n"
    assert findings(write(tmp_path, text)) == ()
    (found,) = findings(write(tmp_path, text + rule))
    assert found.code == "H3"
    assert "the most expensive is vars.v0" in found.message


def test_a_long_constant_among_others_is_priced_by_its_length(tmp_path: Path) -> None:
    text = f"constants: {{mixed: [1, {'x' * 40_000}]}}\nplans: {{free: {{plugins: []}}}}\n"
    rule = "rules: [{id: r, effect: warn, message: M, when: 'string(constants.mixed[1]).replace(\"\", \"ab\") != \"\"'}]\n"  # fmt: skip # noqa: E501
    assert [it.code for it in findings(write(tmp_path, text + rule))] == ["H3"]


def test_a_message_may_read_what_its_condition_proved(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        plans: {free: {plugins: []}}
        rules:
          - id: r
            effect: warn
            when: has(request.attributes.region) && request.attributes.region != "eu"
            message: Elsewhere.
            message_expr: '"Not in " + string(request.attributes.region)'
        """,
    )
    verdict = decide(rules, ask(attributes={"region": "us"}), subscribed())
    assert [reason.message for reason in verdict.reasons] == ["Not in us"]
    assert decide(rules, ask(), subscribed()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("plan", "effect"),
    [
        ("silent", Effect.WARN),
        ("closed", Effect.WARN),
        ("open", Effect.ALLOW),
        ("all", Effect.ALLOW),
    ],
)
@pytest.mark.parametrize("read", ["plan.features.exports", 'plan.features["exports"]'])
def test_a_feature_that_a_plan_does_not_name_reads_as_its_star_says(
    tmp_path: Path, plan: str, effect: Effect, read: str
) -> None:
    rules = policies(
        tmp_path,
        f"""
        plans:
          silent: {{plugins: []}}
          closed: {{plugins: [], features: {{exports: false, "*": true}}}}
          open: {{plugins: [], features: {{exports: true}}}}
          all: {{plugins: [], features: {{"*": true}}}}
        rules: [{{id: r, effect: warn, on_error: skip, message: M, when: '!{read}'}}]
        """,
    )
    verdict = decide(rules, ask(), subscribed(plan))
    assert (verdict.effect, verdict.errors) == (effect, ())


@pytest.mark.parametrize("switched", [True, False])
def test_a_feature_that_an_app_switches_off_reads_false(tmp_path: Path, switched: bool) -> None:
    rules = policies(
        tmp_path,
        """
        plans: {free: {plugins: [], features: {exports: true}}, other: {plugins: []}}
        rules: [{id: r, effect: warn, message: M, when: '!plan.features.exports'}]
        """,
    )
    manifest = Manifest("acme", "1", features={"exports": switched})
    told = rules.resolve(subscribed(), ask(), NOW, manifest)
    assert list(told.rule_reasons) == ([] if switched else ["r"])
    assert told.errors == ()
