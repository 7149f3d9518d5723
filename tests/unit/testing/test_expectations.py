"""A test fails where the answer is not what it expects, and says in which way."""

from pathlib import Path

import pytest

from sidecar.policy.testing import Outcome, Result
from tests.unit.testing.world import POLICY, case, one, report_of, unlike

FREE = "{subscription: {plan: free, status: active}, used: {free-tokens-per-month: 9800}}"
OVER = "{app_id: acme, user_id: bob, plugin: basic_a, estimated_tokens: 500}"

HOLDS = [
    "{effect: deny}",
    "{status: 402}",
    "{plan: free}",
    "{reasons: [free-tokens-per-month]}",
    "{reasons_contain: [free-tokens-per-month]}",
    "{codes: [quota_exceeded]}",
    "{would_deny: []}",
    "{remedies: [wait, upgrade]}",
    "{limits: {free-tokens-per-month: {limit: 10000, used: 9800, reserved: 0, requested: 500}}}",
    "{limits: {free-tokens-per-month: {remaining: 200, granted: 0}, burst: {remaining: 2000}}}",
    "{overrides: []}",
    "{degraded: false}",
    "{errors: 0}",
    "{message_contains: '10,000 tokens'}",
]


@pytest.mark.parametrize("expect", HOLDS)
def test_it_passes_where_what_it_expects_is_so(expect: str, tmp_path: Path) -> None:
    result = case(tmp_path, POLICY, given=FREE, check=OVER, expect=expect)

    assert result.outcome is Outcome.PASSED
    assert result.differences == ()


@pytest.mark.parametrize(
    ("expect", "field", "expected", "got"),
    [
        ("{effect: allow}", "effect", "allow", "deny"),
        ("{status: 200}", "status", "200", "402"),
        ("{plan: pro}", "plan", "pro", "free"),
        ("{reasons: []}", "reasons", "[]", "[free-tokens-per-month]"),
        ("{reasons: [burst]}", "reasons", "[burst]", "[free-tokens-per-month]"),
        ("{reasons_contain: [burst]}", "reasons_contain", "[burst]", "[free-tokens-per-month]"),
        ("{codes: [rule_denied]}", "codes", "[rule_denied]", "[quota_exceeded]"),
        ("{would_deny: [burst]}", "would_deny", "[burst]", "[]"),
        ("{message_contains: hello}", "message_contains", "'hello'", "'The plan allows 10,000"),
        ("{message: Slow down.}", "message", "'Slow down.'", "'The plan allows 10,000"),
        ("{remedies: [wait]}", "remedies", "[wait]", "[upgrade, wait]"),
        ("{limits: {burst: {used: 1}}}", "limits.burst.used", "1", "0"),
        ("{limits: {burst: {limit: null}}}", "limits.burst.limit", "null", "2000"),
        (
            "{limits: {pro-tokens-per-month: {used: 1}}}",
            "limits.pro-tokens-per-month",
            "it applies",
            "it does not apply",
        ),
        ("{degraded: true}", "degraded", "true", "false"),
        ("{errors: 1}", "errors", "1", "0"),
    ],
)
def test_it_fails_where_what_it_expects_is_not_so(
    expect: str, field: str, expected: str, got: str, tmp_path: Path
) -> None:
    result = case(tmp_path, POLICY, given=FREE, check=OVER, expect=expect)

    assert result.outcome is Outcome.FAILED
    ((found, (wanted, was)),) = unlike(result).items()
    assert (found, wanted) == (field, expected)
    assert was.startswith(got)


def explained(result: Result) -> list[str]:
    """The limits and rules of an explanation, as `id does: why`."""
    assert result.explanation is not None
    limits = [f"{it.id} {it.does}: {it.why}" for it in result.explanation.limits]
    return limits + [f"{it.id} {it.does}: {it.why}" for it in result.explanation.rules]


def test_a_failed_case_tells_the_numbers_and_where_the_limit_stands(tmp_path: Path) -> None:
    result = case(tmp_path, POLICY, given=FREE, check=OVER, expect="{effect: allow}")

    assert explained(result) == ["free-tokens-per-month denies: 9,800 used + 500 asked > 10,000"]
    assert result.explanation is not None
    assert str(result.explanation.limits[0].place) == f"{tmp_path}/policy.yaml:10"


def test_of_a_rule_that_was_expected_and_is_silent_every_part_is_told(tmp_path: Path) -> None:
    policy = """
        plans: {free: {plugins: ["*"]}}
        defaults: {plan: free}
        rules:
          - {id: big, when: request.estimated_tokens > 5 && now > now, effect: warn, message: M}
          - {id: other, when: request.estimated_tokens > 9, effect: warn, message: M}
        """
    check = "{app_id: acme, user_id: bob, estimated_tokens: 5}"
    result = case(tmp_path, policy, check=check, expect="{reasons_contain: [big]}")

    assert explained(result) == ["big nothing: its when is false"]
    assert result.explanation is not None
    (condition,) = result.explanation.rules[0].expressions
    assert [(step.text, step.value) for step in condition.steps] == [
        ("request.estimated_tokens", "5"),
        ("request.estimated_tokens > 5", "false"),
        ("request.estimated_tokens > 5 && now > now", "false"),
    ]


def test_where_nothing_speaks_all_that_was_looked_at_is_told(tmp_path: Path) -> None:
    result = case(tmp_path, POLICY, expect="{effect: warn}")

    assert explained(result) == [
        "free-tokens-per-month nothing: 0 used + 0 asked ≤ 10,000",
        "burst nothing: 0 used + 0 asked ≤ 2,000",
    ]


def test_an_advisory_limit_would_deny(tmp_path: Path) -> None:
    result = case(
        tmp_path,
        POLICY,
        given="{used: {burst: 1900}}",
        check="{app_id: acme, user_id: bob, estimated_tokens: 200}",
        expect="{effect: warn, status: 200, reasons: [burst], would_deny: [burst]}",
    )

    assert result.outcome is Outcome.PASSED


def test_an_error_that_nobody_expects_fails_a_case_that_is_right_otherwise(tmp_path: Path) -> None:
    policy = """
        plans: {free: {plugins: ["*"]}}
        defaults: {plan: free}
        rules:
          - id: share
            when: has(request.attributes.n) && 100 / int(request.attributes.n) > 3
            effect: warn
            on_error: skip
            message: Much.
        """
    check = "{app_id: acme, user_id: bob, attributes: {n: 0}}"
    surprised = case(tmp_path, policy, check=check, expect="{effect: allow}")
    prepared = case(tmp_path, policy, check=check, expect="{effect: allow, errors: 1}")

    assert unlike(surprised) == {"errors": ("0", "1; share: division by zero")}
    assert prepared.outcome is Outcome.PASSED


def test_facts_that_cannot_be_had_are_given_as_unavailable(tmp_path: Path) -> None:
    closed = case(
        tmp_path,
        POLICY,
        given="{store: unavailable}",
        expect="{effect: deny, status: 503, codes: [store_unavailable], degraded: true}",
    )
    unknown = case(
        tmp_path,
        POLICY,
        given="{subscription: unavailable}",
        expect="{effect: deny, status: 503, codes: [subscription_unavailable], degraded: true}",
    )

    assert (closed.outcome, unknown.outcome) == (Outcome.PASSED, Outcome.PASSED)


def test_what_an_override_lifts_is_seen_with_its_name(tmp_path: Path) -> None:
    policy = POLICY.rstrip() + (
        "\n"
        "    overrides:\n"
        "      - {id: launch, for: {apps: [acme]}, limit: free-tokens-per-month, max: 20000,\n"
        '         until: "2026-06-01T00:00:00Z", reason: launch}\n'
    )
    expect = "{effect: allow, overrides: [launch], limits: {free-tokens-per-month: {limit: 20000}}}"
    during = case(tmp_path, policy, given=FREE, check=OVER, expect=expect)
    later = FREE.replace("{sub", '{now: "2026-07-05T00:00:00Z", sub')
    after = case(tmp_path, policy, given=later, check=OVER, expect="{effect: deny, overrides: []}")

    assert (during.outcome, after.outcome) == (Outcome.PASSED, Outcome.PASSED)


def test_costs_are_counted_by_the_prices_that_the_file_names(tmp_path: Path) -> None:
    policy = """
        plans:
          free:
            plugins: ["*"]
            limits: [{id: spend, meter: cost, max: 1000000, window: billing_month}]
        defaults: {plan: free}
        mode: enforce
        """
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / "models.yaml").write_text(
        "apiVersion: sidecar/v1\nkind: Prices\ncurrency: USD\nmodels: {m: {input: 2, output: 8}}\n"
    )
    tests = """
        prices: prices/models.yaml
        tests:
          - name: a million tokens that go out
            given: {used: {spend: 0}}
            check: {app_id: acme, user_id: bob, model: m, estimate: {output_tokens: 1000000}}
            expect: {effect: deny, limits: {spend: {requested: 8000000}}}
        """
    result = one(report_of(tmp_path, policy, tests))

    assert result.outcome is Outcome.PASSED
